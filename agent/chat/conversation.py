"""A conversation about parts: a graph that understands a turn, does what it asks for, and answers from facts alone."""

from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent.chat.nodes import ChatNodes
from agent.chat.state import ChatState
from agent.inspection import Inspector

Graph = CompiledStateGraph[ChatState, None, ChatState, ChatState]


def build_conversation(
    inspector: Inspector, checkpointer: BaseCheckpointSaver[Any] | None = None, *, paths: bool = True
) -> Graph:
    """Compile the graph of a conversation over an inspector.

    `paths` says that messages may name files of this machine; without it they must bring their files with them.
    """
    nodes = ChatNodes(inspector, paths=paths)
    graph = StateGraph(ChatState)
    graph.add_node("understand", nodes.understand)
    graph.add_node("inspect", nodes.inspect)
    graph.add_node("look", nodes.look)
    graph.add_node("answer", nodes.answer)
    graph.add_edge(START, "understand")
    graph.add_conditional_edges("understand", _next)
    graph.add_edge("inspect", "answer")
    graph.add_edge("look", "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=checkpointer)


def _next(state: ChatState) -> Literal["inspect", "look", "answer"]:
    action = state["turn"]["action"]
    if state["note"]:
        return "answer"
    if action == "inspect":
        return "inspect"
    return "look" if action in ("look_closer", "compare") else "answer"

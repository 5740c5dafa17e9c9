"""Wiring and routing of an inspection, and nothing else."""

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode

from agent import nodes
from agent.state import State
from tools import Instruments, build_tools, describe_tool_error


def build_graph(
    workshop: nodes.Workshop, instruments: Instruments, checkpointer: BaseCheckpointSaver[Any] | None = None
) -> CompiledStateGraph[State, None, State, State]:
    """Compile the graph over the given instruments and models; without a checkpointer nothing survives the call."""
    graph = StateGraph(State)
    graph.add_node("intake", nodes.timed(nodes.intake, workshop))
    graph.add_node("plan", nodes.timed(nodes.plan, workshop))
    graph.add_node("act", nodes.timed(nodes.act, workshop))
    graph.add_node("tools", ToolNode(build_tools(instruments), handle_tool_errors=describe_tool_error))
    graph.add_node("observe", nodes.timed(nodes.observe, workshop))
    graph.add_node("verify", nodes.timed(nodes.verify, workshop))
    graph.add_node("judge", nodes.timed(nodes.judge, workshop))
    graph.add_node("review", nodes.timed(nodes.review, workshop))
    graph.add_node("report", nodes.timed(nodes.report, workshop))
    graph.add_edge(START, "intake")
    graph.add_edge("intake", "plan")
    graph.add_conditional_edges("plan", nodes.after_plan)
    graph.add_conditional_edges("act", nodes.after_act)
    graph.add_edge("tools", "observe")
    graph.add_conditional_edges("observe", nodes.after_observe)
    graph.add_edge("verify", "judge")
    graph.add_conditional_edges("judge", nodes.after_judge)
    graph.add_edge("review", "report")
    graph.add_edge("report", END)
    return graph.compile(checkpointer=checkpointer)

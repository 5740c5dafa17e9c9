"""Graphs for LangGraph's own tools: its development server, its studio, and agent chat pages. Named in langgraph.json.

A home, a model and everything else come from the environment (`ANOMALYST_*`); the server brings its own checkpoints.
"""

import asyncio
import functools
from typing import Any

from langgraph.graph.state import CompiledStateGraph

from agent.chat.conversation import build_conversation
from agent.graph import build_graph
from agent.inspection import Inspector


async def make_conversation() -> CompiledStateGraph[Any, None, Any, Any]:
    """A conversation about parts: messages in, messages out; files come as blocks of a message.

    Who can reach the server names no file of this machine: it may not be the one who owns them.
    """
    return await asyncio.to_thread(lambda: build_conversation(_inspector(), paths=False))


async def make_inspection() -> CompiledStateGraph[Any, None, Any, Any]:
    """One inspection: a request in, the trail of its steps and the id of its record out."""
    inspector = await asyncio.to_thread(_inspector)
    return build_graph(inspector.workshop, inspector.instruments)


@functools.cache
def _inspector() -> Inspector:
    """One for the process: the server asks for a graph on every run, and weights are loaded once."""
    return Inspector()

"""The graphs that LangGraph's own tools find."""

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph.state import CompiledStateGraph

from agent import Inspector, Settings
from agent.chat import server
from agent.chat.conversation import build_conversation
from evals.simulated import write_plate

ROOT = Path(server.__file__).parents[2]
GRAPHS: dict[str, str] = json.loads((ROOT / "langgraph.json").read_text())["graphs"]


@pytest.fixture(autouse=True)
def own_inspector(learned_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The one of the process is made anew, over a home that knows plates."""
    monkeypatch.setenv("ANOMALYST_HOME", str(learned_home))
    server._inspector.cache_clear()
    yield
    server._inspector.cache_clear()


def made(name: str) -> CompiledStateGraph[Any, None, Any, Any]:
    path, _, maker = GRAPHS[name].partition(":")
    spec = importlib.util.spec_from_file_location("served", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    graph = asyncio.run(getattr(module, maker)())
    assert isinstance(graph, CompiledStateGraph)
    return graph


@pytest.mark.parametrize("name", GRAPHS)
def test_every_path_leads_to_a_graph_without_a_checkpointer_of_ours(name: str) -> None:
    assert made(name).checkpointer is None


def test_a_message_is_answered_without_a_checkpointer() -> None:
    state = asyncio.run(made("anomalyst").ainvoke({"messages": [HumanMessage("help")]}))
    assert state["messages"][-1].text.startswith("Attach a picture")


def test_the_server_s_python_is_one_that_the_package_takes() -> None:
    assert json.loads((ROOT / "langgraph.json").read_text())["python_version"] == "3.11"


def test_who_reaches_the_server_names_no_file_of_this_machine(learned_home: Path, tmp_path: Path, monkeypatch) -> None:
    path = write_plate(tmp_path / "part.png", 1001, "scratch")
    graph = build_conversation(Inspector(Settings(home=learned_home)), paths=False)
    message = HumanMessage("Inspect this.", additional_kwargs={"files": [str(path)]})
    values = asyncio.run(graph.ainvoke({"messages": [message], "status": "open"}))
    assert not values.get("inspections")
    own = build_conversation(Inspector(Settings(home=learned_home)))
    message = HumanMessage("Inspect this.", additional_kwargs={"files": [str(path)]})
    values = asyncio.run(own.ainvoke({"messages": [message], "product": "plate", "status": "open"}))
    assert [each["verdict"] for each in values["inspections"]] == ["anomalous"]

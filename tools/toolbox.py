"""The instruments as tools that a model or a graph can call. The only file that knows LangChain's tool protocol.

A tool answers with one sentence for the model and one evidence record, a plain dict, for the graph. A failure of the
world becomes a record too; an argument that makes no sense goes back to the model.
"""

import time
from collections.abc import Callable
from typing import Annotated, Any

from langchain_core.tools import BaseTool, StructuredTool
from langgraph.prebuilt import InjectedState
from langgraph.prebuilt.tool_node import ToolInvocationError
from pydantic import ValidationError

from knowledge import FittedPartError, InputError, StoreError, ToolArgumentError, ToolFailure
from tools.evidence import Evidence, Failed
from tools.instruments import Instruments
from tools.outcomes import Outcome
from tools.stages import REGION_TOOLS, STAGES

State = Annotated[dict[str, Any], InjectedState]
"""Read as `InspectionState`; declared plainly, for LangChain builds a model of every argument."""
Result = tuple[str, dict[str, Any]]


def build_tools(instruments: Instruments) -> list[BaseTool]:
    """Every instrument as a tool, in the order of the stages."""
    return [_tool(name, getattr(instruments, name)) for name in STAGES]


def _tool(name: str, instrument: Callable[..., Outcome]) -> BaseTool:
    def of_asset(asset: str, state: State) -> Result:
        return _record(name, {"asset": asset}, lambda: instrument(asset, state))

    def of_region(region: str, state: State) -> Result:
        return _record(name, {"region": region}, lambda: instrument(region, state))

    return StructuredTool.from_function(
        of_region if name in REGION_TOOLS else of_asset,
        name=name,
        description=instrument.__doc__,
        response_format="content_and_artifact",
    )


def _record(tool: str, arguments: dict[str, str], instrument: Callable[[], Outcome]) -> Result:
    """Time an instrument and turn its outcome, or its failure, into a sentence and a plain evidence record."""
    start = time.perf_counter()
    try:
        outcome = instrument()
    except (ToolFailure, InputError, StoreError, FittedPartError) as failure:
        outcome = {"summary": str(failure), "shown": Failed(reason=str(failure))}
    except ValidationError as bug:
        # ToolNode would take it for bad arguments of the model, and hide a bug of ours.
        raise AssertionError(f"{tool} made a record that is not valid") from bug
    record = Evidence(
        tool=tool,
        arguments=arguments,
        summary=outcome["summary"],
        artifacts=outcome.get("artifacts", ()),
        shown=outcome["shown"],
        seconds=time.perf_counter() - start,
        calls=outcome.get("calls", ()),
    )
    return record.summary, record.model_dump(mode="json")


def describe_tool_error(error: ToolArgumentError | ToolInvocationError) -> str:
    """For ToolNode: what the model did wrong. Every other exception is a bug of ours and is not caught."""
    return " ".join(str(error).split())[:500]

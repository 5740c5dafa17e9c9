"""Inspector: inspect parts from a program, in plain or in asynchronous code."""

import asyncio
import functools
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command
from langsmith.run_helpers import tracing_context
from pydantic import ValidationError

from agent.exports import html_page, markdown_text
from agent.graph import build_graph
from agent.nodes import Review, Workshop
from agent.policy import Decision
from agent.record import build_report
from agent.report import InspectionReport
from agent.request import InspectionRequest, new_request
from agent.roles import Chosen, roles_of
from agent.settings import Settings, read_settings
from agent.state import State
from agent.threads import Threads
from agent.trajectory import trajectory_lines
from knowledge import Catalog, InputError, Product, RequestError, require_writable, write_atomically
from tools import (
    ArtifactStore,
    Instruments,
    LearnedProduct,
    LearnedProducts,
    Limits,
    LocalizerSettings,
    NativeInstruments,
    Progress,
    asset_content,
    choose_device,
)

Graph = CompiledStateGraph[State, None, State, State]
Result = TypeVar("Result")
Listen = Callable[[Mapping[str, Any]], None]
"""Told of each event of a trajectory as it happens."""

_ASKED = (
    "model",
    "base_url",
    "planner",
    "reasoner",
    "second_reasoner",
    "fallback",
    "conditions",
    "price",
    "budget",
)
"""Settings that an inspection depends on, and that its record names."""

_RECURSION_LIMIT = 200
"""Super-steps of LangGraph; far beyond what the budget lets through, so that the budget is what stops a loop."""


class Inspector:
    """Inspects parts and keeps what it has learned under one home.

    Models are made from their names in the settings; `planner`, `reasoner` and `second_reasoner` take any LangChain chat
    model instead.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        planner: BaseChatModel | None = None,
        reasoner: BaseChatModel | None = None,
        second_reasoner: BaseChatModel | None = None,
        **options: Any,
    ) -> None:
        """`options` are fields of `Settings`, as in `Inspector(model="embedded", home=...)`."""
        if settings is not None and options:
            raise RequestError(f"give settings, or {', '.join(options)}, not both")
        self.settings = settings or read_settings(**options)
        choose_device(self.settings.device)
        self.home = require_writable(self.settings.home)
        self.store = ArtifactStore(self.home / "artifacts")
        address = self.settings.threads
        self.threads = Threads(self.home, address.get_secret_value() if address else None)
        limits = Limits(max_bytes=self.settings.max_bytes, max_pixels=self.settings.max_pixels)
        self.products = LearnedProducts(self.home, limits)
        native = NativeInstruments(self.store, limits)
        roles = roles_of(self.settings, Chosen(planner, reasoner, second_reasoner))
        self.workshop = Workshop(self.store, self.products, roles, limits, native)
        self.instruments = Instruments(self.store, self.products, roles.reasoners, limits=limits, native=native)

    def enroll(
        self,
        product: Product,
        good: list[Path],
        held_out: list[Path] | None = None,
        *,
        settings: LocalizerSettings | None = None,
        progress: Progress = lambda what, done, total: None,
    ) -> LearnedProduct:
        """Learn a product from assets of normal parts; see `LearnedProducts.learn`."""
        return self.products.learn(product, good, held_out or (), settings, progress)

    def enroll_unseen(self, product: Product, *, settings: LocalizerSettings) -> LearnedProduct:
        """Learn a product of which there is no normal part, with a backbone that reads; see `LearnedProducts.learn_unseen`."""
        return self.products.learn_unseen(product, settings)

    def inspect(
        self,
        path: "str | Path | Sequence[str | Path]",
        product: str,
        *,
        alpha: float | None = None,
        interrupt: bool = False,
        thread_id: str = "",
    ) -> InspectionReport:
        """Inspect one part.

        Args:
            path: a file, or all files of one part: a picture, a scan, a recording, a video.
            product: name of a learned product.
            alpha: accepted false-alarm rate; by default the product's.
            interrupt: wait for a person where the verdict is `review`; answer with `review`.
            thread_id: continue this inspection where it was broken off, or return its report when it is finished.

        Raises:
            InputError: the file, the product or the request cannot be used; nothing is kept of the inspection.
            FittedPartError: the product has not been learned, or what was learned does not fit any more.
        """
        return blocking(
            self.ainspect(path, product, alpha=alpha, interrupt=interrupt, thread_id=thread_id),
        )

    async def ainspect(
        self,
        path: "str | Path | Sequence[str | Path]",
        product: str,
        *,
        alpha: float | None = None,
        interrupt: bool = False,
        thread_id: str = "",
        listen: Listen | None = None,
    ) -> InspectionReport:
        """`inspect`, for asynchronous code; `listen` hears of each step as it is taken."""
        request = new_request(
            [Path(path)] if isinstance(path, str | Path) else [Path(each) for each in path],
            product,
            alpha=alpha,
            interrupt=interrupt,
            thread_id=thread_id,
            **self.asked_settings(),
        )
        return await self.arun(request, listen)

    def asked_settings(self) -> dict[str, Any]:
        """The settings that a request carries, by their names in it."""
        return {name: getattr(self.settings, name) for name in _ASKED}

    def known_products(self) -> list[str]:
        """Names of the products that can be inspected here."""
        return [name for name in Catalog(self.home / "catalog").names() if (self.home / "models" / name).is_dir()]

    async def arun(self, request: InspectionRequest, listen: Listen | None = None) -> InspectionReport:
        """Run a request, or go on with it when its thread was broken off; `listen` hears of each step as it is taken."""
        # Tracing that was switched on for other programs would send pictures to its server, which nobody chose here.
        with tracing_context(enabled=self.settings.tracing):
            async with self.threads.lease(request.thread), self._graph() as graph:
                return await self._run(graph, request, listen or _nobody)

    async def _run(self, graph: Graph, request: InspectionRequest, listen: Listen) -> InspectionReport:
        config = _config(request.thread)
        begun = (await graph.aget_state(config)).values
        if begun:
            earlier = InspectionRequest.model_validate(begun["request"])
            if not request.asks_the_same(earlier) or await asyncio.to_thread(_another_file, request, begun):
                raise RequestError(f"thread {request.thread!r} holds another inspection; use another thread id")
            if begun.get("status") == "done":
                return await asyncio.to_thread(self._stored, begun)
        try:
            await self._invoke(graph, None if begun else {"request": request.model_dump(mode="json")}, config, listen)
        except InputError:
            if "status" in (await graph.aget_state(config)).values:
                raise  # the part was read: what has been found so far is kept
            await graph.checkpointer.adelete_thread(request.thread)  # type: ignore[union-attr]
            raise
        return await asyncio.to_thread(self._current, (await graph.aget_state(config)).values)

    def review(self, thread_id: str, verdict: str, reviewer: str, comment: str = "") -> InspectionReport:
        """Answer an inspection that waits for a person; returns the final report."""
        try:
            answer = Review.model_validate({"verdict": verdict, "reviewer": reviewer, "comment": comment})
        except ValidationError as error:
            first = error.errors()[0]
            raise RequestError(f"{first['loc'][0]}: {first['msg']}, got {first['input']!r}") from error
        return blocking(self._areview(thread_id, answer))

    async def _areview(self, thread_id: str, answer: Review) -> InspectionReport:
        async with self.threads.lease(thread_id), self._graph() as graph:
            config = _config(thread_id)
            snapshot = await graph.aget_state(config)
            if not snapshot.interrupts:
                raise RequestError(f"thread {thread_id!r} does not wait for a review")
            await self._invoke(graph, Command(resume=answer.model_dump(mode="json")), config, _nobody)
            return await asyncio.to_thread(self._current, (await graph.aget_state(config)).values)

    def trajectory(self, thread_id: str) -> str:
        """The steps of an inspection as JSON Lines."""
        return trajectory_lines(blocking(self.state_of(thread_id)))

    async def state_of(self, thread_id: str) -> dict[str, Any]:
        """The state of an inspection's thread, as plain values; raises `RequestError` where there is none."""
        async with self._graph() as graph:
            values = (await graph.aget_state(_config(thread_id))).values
        if not values:
            raise RequestError(f"there is no thread {thread_id!r}")
        return dict(values)

    def write(self, report: InspectionReport, folder: Path) -> Path:
        """Write report.json, report.html, report.md and trajectory.jsonl into `folder`; returns the page's path."""
        thread = report.request.get("thread_id") or report.inspection_id
        write_atomically(folder / "trajectory.jsonl", self.trajectory(thread).encode())
        write_atomically(folder / "report.json", report.model_dump_json(indent=1).encode())
        write_atomically(folder / "report.md", markdown_text(report).encode())
        write_atomically(folder / "report.html", html_page(report, self.store).encode())
        return folder / "report.html"

    async def _invoke(self, graph: Graph, given: Any, config: Any, listen: Listen) -> None:
        # "sync": a step is on disk before the next begins, so a kill costs at most the step that was running.
        async for update in graph.astream(given, config, durability="sync", stream_mode="updates"):
            for change in update.values():
                events = change.get("events", ()) if isinstance(change, dict) else ()
                for event in events:
                    listen(event)

    def _stored(self, values: dict[str, Any]) -> InspectionReport:
        return InspectionReport.model_validate_json(self.store.get(values["report"]))

    def _current(self, values: dict[str, Any]) -> InspectionReport:
        """The report of a finished inspection, or the record so far of one that waits for a person."""
        if values.get("status") == "done":
            return self._stored(values)
        decision = Decision.model_validate(values["decision"])
        waits = "It waits for a person: answer with Inspector.review."
        values = {
            **values,
            "decision": decision.model_copy(update={"reasons": (waits, *decision.reasons)}).model_dump(),
        }
        return build_report(values, self.products.get(values["product"]).product)

    @asynccontextmanager
    async def _graph(self) -> AsyncIterator[Graph]:
        async with self.threads.open() as saver:
            yield self._compiled.copy({"checkpointer": saver})

    @functools.cached_property
    def _compiled(self) -> Graph:
        """Built once: schemas of tools and state cost more than all the rest of the agent in one inspection."""
        return build_graph(self.workshop, self.instruments)


def _nobody(event: Mapping[str, Any]) -> None:
    """Listens to nothing."""


def _another_file(request: InspectionRequest, begun: dict[str, Any]) -> bool:
    """True when the path now holds another file than the one that the thread has read."""
    read = [value["sha256"] for value in begun.get("inputs", ())]
    paths = [Path(path) for path in request.inputs]
    if not read or not all(path.exists() for path in paths):
        return False
    try:
        return read != [hashlib.sha256(asset_content(path)).hexdigest() for path in paths]
    except InputError:
        return True


def _config(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}, "recursion_limit": _RECURSION_LIMIT}


def blocking(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end; in a thread of its own where a loop already runs here, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as threads:
        return threads.submit(asyncio.run, work).result()

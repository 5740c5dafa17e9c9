"""InspectionSession: a conversation about parts, from a program or a terminal."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langsmith.run_helpers import tracing_context
from pydantic import Field

from agent.chat.conversation import Graph, build_conversation
from agent.chat.facts import one_line
from agent.chat.turn import Turn
from agent.inspection import Inspector, blocking
from agent.report import InspectionReport, UsageInfo
from knowledge import Frozen, RequestError

Listen = Callable[[Mapping[str, Any]], None]


class Picture(Frozen):
    """A picture that belongs to an answer."""

    title: str
    artifact: str
    """Artifact id."""


class ChatMessage(Frozen):
    """Something said."""

    who: Literal["person", "anomalyst"]
    text: str
    evidence: dict[str, str] = Field(default_factory=dict)
    """Ids of the facts that an answer cites, with their texts."""
    pictures: tuple[Picture, ...] = ()
    dropped: tuple[str, ...] = ()
    """Sentences of a model that the evidence does not hold, each with the reason; they were not said."""
    usage: UsageInfo | None = None
    """What understanding and answering took; what an inspection took stands in its report."""


class InspectionSession:
    """A conversation on one thread, which outlives the program."""

    def __init__(self, inspector: Inspector, thread_id: str = "", product: str = "") -> None:
        """`thread_id` goes on with an earlier conversation; `product` is that of parts of which nothing else is said."""
        self.inspector = inspector
        self.thread = thread_id or uuid.uuid4().hex
        self.product = product

    def say(
        self,
        text: str,
        files: Sequence[str | Path] = (),
        *,
        turn: Turn | None = None,
        listen: Listen | None = None,
    ) -> ChatMessage:
        """Say something and get the answer.

        Args:
            text: in plain words.
            files: all assets of one part, which is inspected now.
            turn: what is wanted, where a program knows it and no model shall find it out.
            listen: hears of each step of an inspection as it is taken.

        Raises:
            RequestError: the thread is being worked on, or nothing was said.
        """
        return blocking(self.asay(text, files, turn=turn, listen=listen))

    async def asay(
        self,
        text: str,
        files: Sequence[str | Path] = (),
        *,
        turn: Turn | None = None,
        listen: Listen | None = None,
    ) -> ChatMessage:
        """`say`, for asynchronous code."""
        if not text.strip() and not files:
            raise RequestError("say something, or attach a file")
        more: dict[str, Any] = {"files": [str(Path(path).absolute()) for path in files]}
        if turn is not None:
            more["turn"] = turn.model_dump(mode="json")
        message = HumanMessage(text or "Inspect this.", additional_kwargs=more)
        async with self.inspector.threads.lease(self.thread), self.inspector.threads.open() as saver:
            graph = build_conversation(self.inspector, saver)
            await self._finish(graph, listen)
            given: dict[str, Any] = {"messages": [message], "status": "open"}
            if self.product:
                given["product"] = self.product
            await self._run(graph, given, listen)
            return _message((await graph.aget_state(self._config)).values["messages"][-1])

    def resume(self, listen: Listen | None = None) -> ChatMessage | None:
        """Finish a turn that was broken off, and give its answer; `None` where there is none."""
        return blocking(self._aresume(listen))

    def history(self) -> tuple[ChatMessage, ...]:
        """Everything that was said on this thread."""
        return tuple(_message(message) for message in blocking(self._values()).get("messages", ()))

    def reports(self) -> tuple[InspectionReport, ...]:
        """The records of all inspections of this thread, in order."""
        inspections = blocking(self._values()).get("inspections", ())
        store = self.inspector.store
        return tuple(InspectionReport.model_validate_json(store.get(each["report"])) for each in inspections)

    async def _aresume(self, listen: Listen | None) -> ChatMessage | None:
        async with self.inspector.threads.lease(self.thread), self.inspector.threads.open() as saver:
            graph = build_conversation(self.inspector, saver)
            if not await self._finish(graph, listen):
                return None
            return _message((await graph.aget_state(self._config)).values["messages"][-1])

    async def _finish(self, graph: Graph, listen: Listen | None) -> bool:
        """Go on with what a kill has broken off; true where there was something."""
        if (await graph.aget_state(self._config)).values.get("status") != "open":
            return False
        await self._run(graph, None, listen)
        return True

    async def _run(self, graph: Graph, given: Any, listen: Listen | None) -> None:
        with tracing_context(enabled=self.inspector.settings.tracing):
            async for event in graph.astream(given, self._config, durability="sync", stream_mode="custom"):
                if listen is not None:
                    listen(event)

    async def _values(self) -> Mapping[str, Any]:
        async with self.inspector.threads.open() as saver:
            return (await build_conversation(self.inspector, saver).aget_state(self._config)).values

    @property
    def _config(self) -> Any:
        return {"configurable": {"thread_id": self.thread}}


def _message(message: AnyMessage) -> ChatMessage:
    told = message.additional_kwargs
    if not isinstance(message, AIMessage):
        return ChatMessage(who="person", text="\n".join(map(one_line, str(message.text).splitlines())))
    return ChatMessage(
        who="anomalyst",
        text=str(message.text),
        evidence=told.get("evidence", {}),
        pictures=tuple(Picture.model_validate(picture) for picture in told.get("pictures", ())),
        dropped=tuple(told.get("dropped", ())),
        usage=told.get("usage"),
    )

"""The stations of a turn: each reads the state, does one thing, and returns what has changed."""

import asyncio
import contextvars
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from pydantic import ValidationError

from agent.chat import prompts
from agent.chat.answers import HELP, answer_text, asked_for, pictures_of, said, with_news
from agent.chat.attachments import unpacked, without_files
from agent.chat.facts import Fact, facts_of, named, one_line
from agent.chat.grounding import cited, ground
from agent.chat.looks import closer_look
from agent.chat.names import inspection_named, without_names
from agent.chat.spending import usage_of
from agent.chat.state import ChatState, Inspection, Update
from agent.chat.thread_facts import facts_of_thread, is_news, limited
from agent.chat.turn import ChatAnswer, Turn
from agent.chat.understanding import heard, last_said, meant, obstacle, said_so
from agent.inspection import Inspector
from agent.report import InspectionReport, UsageInfo
from agent.request import new_request
from knowledge import AnomalystError, RequestError, ToolFailure
from tools import Answer, ModelCall, Reply, Role, ask, briefing_text, clean_name, in_turn


class ChatNodes:
    """The stations of a turn: plain functions, which LangGraph runs in threads, for they read files and ask models."""

    def __init__(self, inspector: Inspector, *, paths: bool) -> None:
        """`paths` says that messages may name files of this machine."""
        self._inspector = inspector
        self._paths = paths
        self._store = inspector.store

    def understand(self, state: ChatState) -> Update:
        """What is wanted; a turn that came as such from a program is taken as it is."""
        message = last_said(state["messages"])
        files = [str(path) for path in message.additional_kwargs.get("files", ()) if self._may_read(Path(path))]
        try:
            inside = unpacked(message, self._inspector.home / "attachments", self._inspector.settings.max_bytes)
            understood = self._understood(state, message, [*files, *inside])
        except RequestError as error:
            return {**_nothing(f"{error}."), **_slim(message, files)}
        attached = [*files, *inside]
        turn, calls = understood
        done = state.get("inspections", ())
        return {
            **_slim(message, attached),
            "turn": turn.model_dump(mode="json"),
            "attached": attached,
            "fresh": [],
            "note": obstacle(turn, heard(message), attached, done),
            "calls": [*state.get("calls", ()), *_sent(calls)],
            "asked": calls,
            "status": "open",
        }

    def _understood(
        self, state: ChatState, message: HumanMessage, attached: Sequence[str]
    ) -> tuple[Turn, list[dict[str, Any]]]:
        """The turn, and the calls that it took to understand it."""
        given = message.additional_kwargs.get("turn")
        named = inspection_named(heard(message), state.get("inspections", ()))
        if given is not None:
            try:
                turn = Turn.model_validate(given)
            except ValidationError as error:
                raise RequestError(f"the turn that was given is none: {one_line(str(error))[:300]}") from error
            return turn if turn.inspection is not None else turn.model_copy(update={"inspection": named}), []
        reply = self._ask("planner", self._wanted(state, message, attached), Turn)
        turn = said_so(Turn.model_validate(reply.value), heard(message), named)
        return (turn.model_copy(update={"action": "inspect"}) if attached else turn), _plain(reply.calls)

    def inspect(self, state: ChatState, config: RunnableConfig) -> Update:
        """Inspect what is attached, or the last part again."""
        turn = Turn.model_validate(state["turn"])
        done = list(state.get("inspections", ()))
        earlier = None if state["attached"] else meant(turn, done)
        files = earlier["files"] if earlier else state["attached"]
        product = turn.product or self._product_of(earlier, state)
        missing = self._missing(files, product)
        if missing:
            return {"note": missing}
        number = len(done) + 1
        # The same after a kill, and another one after a part that could not be inspected.
        thread = f"{config['configurable'].get('thread_id') or uuid.uuid4().hex}.{number}.{len(state['messages'])}"
        try:
            report = self._inspected(files, product, turn.alpha, thread)
        except AnomalystError as error:
            return {"note": f"The part could not be inspected: {error}."}
        inspection = Inspection(
            number=number,
            thread=thread,
            product=product,
            files=list(files),
            names=[clean_name(Path(path).name) for path in files],
            verdict=report.verdict,
            report=self._store.put(report.model_dump_json().encode(), "json"),
        )
        fresh = [f"thread.i{number}", *(fact.id for fact in facts_of(report, number) if is_news(fact))]
        return {"inspections": [*done, inspection], "product": product, "fresh": fresh}

    def look(self, state: ChatState) -> Update:
        """Show a place closer, or beside a normal reference."""
        turn = Turn.model_validate(state["turn"])
        inspection = meant(turn, state.get("inspections", ()))
        if inspection is None:
            return {"note": "Nothing has been inspected yet: attach a part first."}
        looks = list(state.get("looks", ()))
        name = f"i{inspection['number']}.x{1 + sum(look['inspection'] == inspection['number'] for look in looks)}"
        try:
            values = _apart(lambda: self._inspector.state_of(inspection["thread"]))
            shown = closer_look(self._inspector, turn, values, self._report_of(inspection), name)
        except (ToolFailure, AnomalystError) as error:
            return {"note": f"That place cannot be shown: {error}."}
        looks.append({"inspection": inspection["number"], **shown})
        return {"looks": looks, "fresh": [name]}

    def answer(self, state: ChatState) -> Update:
        """Say what the facts hold, and nothing else."""
        turn = Turn.model_validate(state["turn"])
        if turn.action == "help" or state["note"]:
            return said(state["note"] or HELP, {}, [], [], self._usage(state.get("asked", ())))
        facts = self._facts(state)
        question = self._question(state, turn, facts)
        reply = self._ask("reasoner", question, ChatAnswer)
        asked = _plain(reply.calls)
        given = ChatAnswer.model_validate(reply.value)
        by_id = named(facts)
        grounded = with_news(ground(given.sentences, by_id), turn, state["fresh"], by_id)
        evidence = {id_: by_id[id_].text for id_ in cited(grounded.sentences)}
        update = said(
            answer_text(grounded, asked_for(given.unknown, heard(last_said(state["messages"])))),
            evidence,
            pictures_of(state.get("looks", ()), evidence),
            grounded.dropped,
            self._usage([*state.get("asked", ()), *asked]),
        )
        return {**update, "calls": [*state.get("calls", ()), *_sent(asked)]}

    def _wanted(self, state: ChatState, message: HumanMessage, attached: Sequence[str]) -> list[BaseMessage]:
        briefing = {
            "question": "understand",
            "text": without_names(heard(message), state.get("inspections", ()), attached),
            "attached": len(attached),
            "products": self._inspector.known_products(),
            "inspections": [
                {"number": each["number"], "product": each["product"], "verdict": each["verdict"]}
                for each in state.get("inspections", ())
            ],
        }
        return [SystemMessage(prompts.UNDERSTAND), HumanMessage(briefing_text(briefing))]

    def _question(self, state: ChatState, turn: Turn, facts: Sequence[Fact]) -> list[BaseMessage]:
        done = state.get("inspections", ())
        about = turn.inspection or (done[-1]["number"] if done else None)
        briefing = {
            "question": "answer",
            "text": without_names(heard(last_said(state["messages"])), done, state["attached"]),
            "action": turn.action,
            "inspection": about,
            "fresh": state["fresh"],
            "facts": [fact.model_dump(mode="json") for fact in limited(facts, about, state["fresh"])],
        }
        return [SystemMessage(prompts.ANSWER), HumanMessage(briefing_text(briefing))]

    def _ask(self, role: str, messages: list[BaseMessage], schema: type[Answer]) -> Reply:
        members: Role = getattr(self._inspector.workshop.roles, role)
        return in_turn(members, lambda member: ask(member, messages, schema))

    def _product_of(self, earlier: Inspection | None, state: ChatState) -> str:
        """What a part is of which the words say nothing: as before, as the last one, as the only one that is known."""
        own = earlier["product"] if earlier else state.get("product", "")
        done = state.get("inspections", ())
        return own or (done[-1]["product"] if done else "") or self._only_product()

    def _only_product(self) -> str:
        known = self._inspector.known_products()
        return known[0] if len(known) == 1 else ""

    def _missing(self, files: Sequence[str], product: str) -> str:
        """What an inspection lacks, or an empty string."""
        if not files:
            return "There is no part yet: attach a picture, a scan, a recording or a video of one."
        known = self._inspector.known_products()
        if product in known:
            return ""
        which = f"{one_line(product)!r} is not a product that is known." if product else "Which product is it?"
        return f"{which} Known are: {', '.join(known) or 'none; learn one with anomalyst enroll'}."

    def _inspected(self, files: Sequence[str], product: str, alpha: float | None, thread: str) -> InspectionReport:
        listen = _writer()
        request = new_request(
            [Path(path) for path in files],
            product,
            alpha=alpha,
            thread_id=thread,
            **self._inspector.asked_settings(),
        )
        report: InspectionReport = _apart(lambda: self._inspector.arun(request, listen))
        return report

    def _facts(self, state: ChatState) -> list[Fact]:
        records = [(each, self._report_of(each)) for each in state.get("inspections", ())]
        return facts_of_thread(records, state.get("looks", ()), state.get("calls", ()))

    def _usage(self, calls: Sequence[Mapping[str, Any]]) -> UsageInfo:
        return usage_of([ModelCall.model_validate(call) for call in calls], self._inspector.settings.price)

    def _report_of(self, inspection: Inspection) -> InspectionReport:
        return InspectionReport.model_validate_json(self._store.get(inspection["report"]))

    def _may_read(self, path: Path) -> bool:
        return self._paths or path.resolve().is_relative_to((self._inspector.home / "attachments").resolve())


def _plain(calls: Sequence[ModelCall]) -> list[dict[str, Any]]:
    return [call.model_dump(mode="json") for call in calls]


def _sent(calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call for call in calls if call["remote"]]


def _apart(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run an inspection's own graph in a context of its own, or it would be taken for a part of this one."""
    return contextvars.Context().run(lambda: asyncio.run(work()))


def _writer() -> Callable[[Mapping[str, Any]], None]:
    """Tells whoever watches the conversation of each step; bound now, for the steps run in another context."""
    try:
        write = get_stream_writer()
    except RuntimeError:
        return lambda event: None
    here = contextvars.copy_context()
    return lambda event: here.run(write, dict(event))


def _nothing(note: str) -> Update:
    turn = Turn(action="ask").model_dump(mode="json")
    return {
        "turn": turn,
        "attached": [],
        "fresh": [],
        "note": note[:1].upper() + note[1:],
        "asked": [],
        "status": "open",
    }


def _slim(message: HumanMessage, files: list[str]) -> Update:
    """Pictures leave the messages as soon as they lie in files."""
    return {} if isinstance(message.content, str) else {"messages": [without_files(message, files)]}

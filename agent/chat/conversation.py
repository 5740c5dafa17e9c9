"""A conversation about parts: a graph that understands a turn, does what it asks for, and answers from facts alone."""

import asyncio
import base64
import binascii
import contextvars
import hashlib
import re
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from agent.chat import prompts
from agent.chat.facts import Fact, facts_of, named
from agent.chat.grounding import NOT_KNOWN, Grounded, cited, ground
from agent.chat.places import Place, place_of
from agent.chat.turn import ChatAnswer, Turn
from agent.inspection import Inspector
from agent.report import InspectionReport
from agent.request import new_request
from knowledge import AnomalystError, RequestError, ToolFailure, write_atomically
from tools import (
    Answer,
    EvidenceLog,
    Member,
    ModelCall,
    PlaceSeen,
    Reply,
    Role,
    ask,
    briefing_text,
    clean_name,
    compare_place,
    in_turn,
    see_place,
)

HELP = (
    "Attach a picture, a scan, a recording or a video of a part to have it inspected. Then ask: why; where; how large; "
    "how sure; about a rule or a claim by its id; what was not checked; what was sent to whom; which steps were taken; "
    "about earlier parts of this thread. Or: look closer at a1.r1, at the top left, at [x0, y0, x1, y1]; compare "
    "finding 1 with the second reference; inspect again with alpha 0.01."
)

_MOST_FACTS = 400
_MOST_ATTACHED = 16
_LONGEST = 4000
"""Letters of what is said in a turn that are read."""


_FILE_NAME = re.compile(
    r"\S+\.(?:png|jpe?g|tiff?|bmp|webp|gif|npy|ply|pcd|xyz|obj|stl|csv|tsv|parquet|mp4|avi|mov|mkv|webm)\b",
    re.IGNORECASE,
)


class Inspection(TypedDict):
    """One inspection of a thread."""

    number: int
    thread: str
    product: str
    files: list[str]
    names: list[str]
    verdict: str
    report: str
    """Artifact id of the record."""


class ChatState(TypedDict, total=False):
    """A conversation. Pictures and records lie in the artifact store."""

    messages: Annotated[list[AnyMessage], add_messages]
    product: str
    """Of the parts that are attached, where the words name none."""
    attached: list[str]
    """Paths of files that came with the last turn."""
    inspections: list[Inspection]
    looks: list[dict[str, Any]]
    """Facts of closer looks, with the artifact ids of their pictures."""
    turn: dict[str, Any]
    fresh: list[str]
    """Ids of the facts that this turn has brought."""
    note: str
    """What stood in the way of what was asked for."""
    calls: list[dict[str, Any]]
    """Questions that were put to models about the conversation."""
    status: Literal["open", "answered"]


Update = dict[str, Any]
Graph = CompiledStateGraph[ChatState, None, ChatState, ChatState]


def build_conversation(inspector: Inspector, checkpointer: BaseCheckpointSaver[Any] | None = None) -> Graph:
    """Compile the graph of a conversation over an inspector."""
    talk = _Conversation(inspector)
    graph = StateGraph(ChatState)
    graph.add_node("understand", talk.understand)
    graph.add_node("inspect", talk.inspect)
    graph.add_node("look", talk.look)
    graph.add_node("answer", talk.answer)
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


class _Conversation:
    """The stations of a turn: plain functions, which LangGraph runs in threads, for they read files and ask models."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._store = inspector.store

    def understand(self, state: ChatState) -> Update:
        """What is wanted; a turn that came as such from a program is taken as it is."""
        message = _last_human(state["messages"])
        attached = [str(path) for path in message.additional_kwargs.get("files", ())][:_MOST_ATTACHED]
        try:
            attached += self._unpack(message)
        except (ValueError, binascii.Error) as error:
            return self._nothing(state, f"an attached picture cannot be read: {error}")
        given = message.additional_kwargs.get("turn")
        calls = list(state.get("calls", ()))
        if given is not None:
            turn = Turn.model_validate(given)
        else:
            reply = self._ask("planner", self._wanted(state, message, attached), Turn)
            turn = Turn.model_validate(reply.value)
            calls += _plain(reply.calls)
        done = state.get("inspections", ())
        about = turn.inspection or _named_inspection(_text(message), done)
        absent = "" if attached or turn.action != "inspect" else _absent_file(_text(message), done)
        return {
            "turn": turn.model_copy(update={"inspection": about}).model_dump(mode="json"),
            "attached": attached,
            "product": turn.product or state.get("product", ""),
            "fresh": [],
            "note": f"There is no file {absent} among what was attached." if absent else "",
            "calls": calls,
            "status": "open",
        }

    def inspect(self, state: ChatState, config: RunnableConfig) -> Update:
        """Inspect what is attached, or the last part again."""
        turn = Turn.model_validate(state["turn"])
        done = list(state.get("inspections", ()))
        earlier = _meant(turn, done)
        files = state["attached"] or (earlier["files"] if earlier else [])
        product = state["product"] or (earlier["product"] if earlier else "") or self._only_product()
        if not files:
            return {"note": "There is no part yet: attach a picture, a scan, a recording or a video of one."}
        if not product:
            known = ", ".join(self._inspector.known_products()) or "none; learn one with anomalyst enroll"
            return {"note": f"Which product is it? Known are: {known}."}
        number = len(done) + 1
        # The same after a kill, and another one after a part that could not be inspected.
        thread = f"{config['configurable'].get('thread_id') or uuid.uuid4().hex}.{number}.{len(state['messages'])}"
        listen = _writer()
        try:
            request = new_request(
                [Path(path) for path in files],
                product,
                alpha=turn.alpha,
                thread_id=thread,
                **self._inspector.asked_settings(),
            )
            report = _apart(lambda: self._inspector.arun(request, listen))
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
        fresh = [f"thread.i{number}", *(fact.id for fact in facts_of(report, number) if _is_news(fact))]
        return {"inspections": [*done, inspection], "product": product, "fresh": fresh}

    def look(self, state: ChatState) -> Update:
        """Show a place closer, or beside a normal reference."""
        turn = Turn.model_validate(state["turn"])
        inspection = _meant(turn, state.get("inspections", ()))
        if inspection is None:
            return {"note": "Nothing has been inspected yet: attach a part first."}
        looks = list(state.get("looks", ()))
        name = f"i{inspection['number']}.x{1 + sum(look['inspection'] == inspection['number'] for look in looks)}"
        try:
            values = _apart(lambda: self._inspector.state_of(inspection["thread"]))
            shown = self._look(turn, values, name)
        except (ToolFailure, AnomalystError) as error:
            return {"note": f"That place cannot be shown: {error}."}
        looks.append({"inspection": inspection["number"], **shown})
        return {"looks": looks, "fresh": [name]}

    def answer(self, state: ChatState) -> Update:
        """Say what the facts hold, and nothing else."""
        turn = Turn.model_validate(state["turn"])
        if turn.action == "help" or state["note"]:
            return _said(state["note"] or HELP, {}, [], [])
        facts = self._facts(state)
        question = self._question(state, turn, facts)
        reply = self._ask("reasoner", question, ChatAnswer)
        given = ChatAnswer.model_validate(reply.value)
        by_id = named(facts)
        grounded = ground(given.sentences, by_id)
        evidence = {id_: by_id[id_].text for id_ in cited(grounded.sentences)}
        update = _said(_words(grounded, given.unknown), evidence, self._pictures(state, evidence), grounded.dropped)
        return {**update, "calls": [*state.get("calls", ()), *_plain(reply.calls)]}

    def _unpack(self, message: HumanMessage) -> list[str]:
        """Pictures inside of a message, as chat pages send them, become files of the home."""
        if isinstance(message.content, str):
            return []
        found = []
        for block in message.content:
            data = _picture_data(block) if isinstance(block, dict) else ""
            if data:
                content = base64.b64decode(data, validate=True)
                if len(content) > self._inspector.settings.max_bytes:
                    raise ValueError(f"it is larger than {self._inspector.settings.max_bytes} bytes")
                path = self._inspector.home / "attachments" / hashlib.sha256(content).hexdigest()
                write_atomically(path, content)
                found.append(str(path))
        return found[:_MOST_ATTACHED]

    def _wanted(self, state: ChatState, message: HumanMessage, attached: Sequence[str]) -> list[BaseMessage]:
        briefing = {
            "question": "understand",
            "text": _without_names(_text(message), state.get("inspections", ()))[:_LONGEST],
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
            "text": _without_names(_text(_last_human(state["messages"])), done)[:_LONGEST],
            "action": turn.action,
            "inspection": about,
            "fresh": state["fresh"],
            "facts": [fact.model_dump(mode="json") for fact in _limited(facts, about, state["fresh"])],
        }
        return [SystemMessage(prompts.ANSWER), HumanMessage(briefing_text(briefing))]

    def _ask(self, role: str, messages: list[BaseMessage], schema: type[Answer]) -> Reply:
        members: Role = getattr(self._inspector.workshop.roles, role)
        return in_turn(members, lambda member: _asked(member, messages, schema))

    def _facts(self, state: ChatState) -> list[Fact]:
        """Everything that is known of the thread."""
        done = state.get("inspections", ())
        facts: list[Fact] = []
        for inspection in done:
            report = InspectionReport.model_validate_json(self._store.get(inspection["report"]))
            facts.append(_history(inspection, report))
            facts += facts_of(report, inspection["number"])
        facts.insert(
            0, Fact(id="thread.count", topic="history", text=f"{len(done)} inspection(s) were made in this thread.")
        )
        facts += [Fact.model_validate(look["fact"]) for look in state.get("looks", ())]
        return facts + _sent_facts(state.get("calls", ()))

    def _look(self, turn: Turn, values: Mapping[str, Any], name: str) -> dict[str, Any]:
        log = EvidenceLog.read(values["evidence"])
        place = place_of(turn, log)
        if turn.action == "compare" and place.region is not None and place.region.members:
            return self._compare_native(place, values, name)
        if turn.action == "compare":
            seen = compare_place(self._store, log, place.view, place.box, name, turn.reference)
        else:
            seen = see_place(self._store, log, place.view, place.box, name)
        pictures = [{"title": f"{name}: closer", "artifact": seen.crop}]
        if seen.reference_crop:
            pictures.append(
                {"title": f"{name}: the same place on reference {seen.reference}", "artifact": seen.reference_crop}
            )
        fact = Fact(id=name, topic="look", text=_seen(seen, place), about=(seen.view, *seen.regions))
        return {"fact": fact.model_dump(mode="json"), "pictures": pictures}

    def _compare_native(self, place: Place, values: Mapping[str, Any], name: str) -> dict[str, Any]:
        assert place.region is not None  # noqa: S101 - asked by the caller
        outcome = self._inspector.instruments.compare_with_reference(place.region.id, dict(values))  # type: ignore[arg-type]
        first, second = outcome["artifacts"]
        fact = Fact(id=name, topic="look", text=f"{outcome['summary']}.", about=(place.region.id,))
        pictures = [
            {"title": f"{name}: closer", "artifact": first},
            {"title": f"{name}: the same place on a normal reference", "artifact": second},
        ]
        return {"fact": fact.model_dump(mode="json"), "pictures": pictures}

    def _pictures(self, state: ChatState, evidence: Mapping[str, str]) -> list[dict[str, str]]:
        """Pictures of the looks that an answer cites."""
        shown = [look for look in state.get("looks", ()) if look["fact"]["id"] in evidence]
        return [picture for look in shown for picture in look["pictures"]]

    def _only_product(self) -> str:
        known = self._inspector.known_products()
        return known[0] if len(known) == 1 else ""

    def _nothing(self, state: ChatState, note: str) -> Update:
        turn = Turn(action="ask").model_dump(mode="json")
        return {"turn": turn, "attached": [], "fresh": [], "note": note, "status": "open"}


def _asked(member: Member, messages: list[BaseMessage], schema: type[Answer]) -> Reply:
    return ask(member, messages, schema)


def _plain(calls: Sequence[ModelCall]) -> list[dict[str, Any]]:
    return [call.model_dump(mode="json") for call in calls if call.remote]


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


def _last_human(messages: Sequence[AnyMessage]) -> HumanMessage:
    found = next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)
    if found is None:
        raise RequestError("a turn of a conversation begins with what a person says")
    return found


def _text(message: BaseMessage) -> str:
    return str(message.text)


def _picture_data(block: Mapping[str, Any]) -> str:
    """Base64 of a picture block, in the shapes that chat pages use."""
    if block.get("type") in ("image", "file"):
        source = block.get("source")
        nested = source.get("data", "") if isinstance(source, dict) else ""
        return str(block.get("base64") or block.get("data") or nested)
    if block.get("type") == "image_url":
        link = block.get("image_url")
        url = str(link.get("url", "") if isinstance(link, dict) else link)
        return url.partition(";base64,")[2] if url.startswith("data:") else ""
    return ""


def _named_inspection(text: str, inspections: Sequence[Inspection]) -> int | None:
    """The last inspection one of whose files is named."""
    said = text.lower()
    found = [
        each["number"]
        for each in inspections
        for name in each["names"]
        if name.lower() in said or (len(Path(name).stem) > 3 and Path(name).stem.lower() in said)
    ]
    return found[-1] if found else None


def _absent_file(text: str, inspections: Sequence[Inspection]) -> str:
    """A name of a file that is neither attached nor known: another part must not be inspected in its place."""
    known = {name.lower() for each in inspections for name in each["names"]}
    named = [Path(word).name for word in _FILE_NAME.findall(text)]
    return next((clean_name(name) for name in named if name.lower() not in known), "")


def _without_names(text: str, inspections: Sequence[Inspection]) -> str:
    """Models know inspections by number, and names of files not at all."""
    for inspection in inspections:
        for name in sorted(inspection["names"], key=len, reverse=True):
            text = re.sub(re.escape(name), f"inspection {inspection['number']}", text, flags=re.IGNORECASE)
    return text


def _meant(turn: Turn, inspections: Sequence[Inspection]) -> Inspection | None:
    return next(
        (each for each in inspections if each["number"] == turn.inspection), inspections[-1] if inspections else None
    )


def _is_news(fact: Fact) -> bool:
    """What is told of an inspection that has just been made."""
    return fact.topic == "verdict" or (fact.topic == "finding" and not fact.quoted)


def _history(inspection: Inspection, report: InspectionReport) -> Fact:
    p_value = "no p-value" if report.decision.p_value is None else f"p-value {report.decision.p_value:.4g}"
    alpha = "" if report.decision.alpha is None else f", alpha {report.decision.alpha:g}"
    return Fact(
        id=f"thread.i{inspection['number']}",
        topic="history",
        text=f"Inspection {inspection['number']} of this thread, {len(report.inputs)} asset(s) as "
        f"{inspection['product']}{alpha}: {report.verdict}, {p_value}, {len(report.findings)} finding(s).",
    )


def _seen(seen: PlaceSeen, place: Place) -> str:
    where = f"box {seen.source_box.as_list()} of view {seen.view}"
    words = f"Closer look at {where}" + (f", around region {place.region.id}" if place.region else "") + ": "
    if seen.peak is None:
        words += "it was not localised."
    elif seen.threshold is None:
        words += f"the anomaly map peaks at {seen.peak:.4g} inside, and no threshold can be promised."
    else:
        side = "above" if seen.peak > seen.threshold else "not above"
        words += f"the anomaly map peaks at {seen.peak:.4g} inside, {side} the threshold of {seen.threshold:.4g}."
    if seen.regions:
        words += f" Regions that reach into it: {', '.join(seen.regions)}."
    if seen.difference is not None:
        tone = "brighter" if seen.difference > 0 else "darker"
        words += (
            f" It is {abs(seen.difference):.4f} of full white {tone} than the same place on reference {seen.reference}."
        )
    return words


def _sent_facts(calls: Sequence[Mapping[str, Any]]) -> list[Fact]:
    return [
        Fact(
            id=f"thread.sent{number}",
            topic="sent",
            text=f"For this conversation text was sent to {call['model']}"
            f"{' at ' + call['address'] if call['address'] else ''}: {call['bytes']} bytes.",
        )
        for number, call in enumerate(calls, start=1)
    ]


def _limited(facts: Sequence[Fact], about: int | None, fresh: Sequence[str]) -> list[Fact]:
    """All of the inspection that is meant; of the others the first, up to what a model can be told."""
    prefix = f"i{about}."
    own = [fact for fact in facts if fact.id.startswith((prefix, "thread.")) or fact.id in fresh]
    others = [fact for fact in facts if fact not in own]
    return [*own, *others][:_MOST_FACTS]


def _words(grounded: Grounded, unknown: Sequence[str]) -> str:
    if grounded.sentences:
        return "\n".join(f"{sentence.text} [{', '.join(sentence.evidence)}]" for sentence in grounded.sentences)
    asked = ", ".join(f"“{word}”" for word in unknown)
    return NOT_KNOWN + (f" Nothing in it speaks of {asked}." if asked else "")


def _said(text: str, evidence: Mapping[str, str], pictures: Sequence[Any], dropped: Sequence[str]) -> Update:
    told = {"evidence": dict(evidence), "pictures": list(pictures), "dropped": list(dropped)}
    return {"messages": [AIMessage(text, additional_kwargs=told)], "status": "answered"}

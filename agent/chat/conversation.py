"""A conversation about parts: a graph that understands a turn, does what it asks for, and answers from facts alone."""

import asyncio
import contextvars
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
from pydantic import ValidationError
from typing_extensions import TypedDict

from agent.chat import prompts
from agent.chat.attachments import unpacked, without_files
from agent.chat.facts import Fact, facts_of, named, one_line
from agent.chat.figures import Number, figures
from agent.chat.grounding import NOT_KNOWN, Grounded, cited, ground
from agent.chat.names import absent_file, inspection_named, without_names
from agent.chat.places import Place, place_of
from agent.chat.turn import ChatAnswer, Sentence, Turn
from agent.inspection import Inspector
from agent.report import InspectionReport
from agent.request import new_request
from knowledge import AnomalystError, RequestError, ToolFailure
from tools import (
    Answer,
    Asset,
    EvidenceLog,
    KnowledgeFound,
    ModelCall,
    PlaceSeen,
    Region,
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
_LONGEST = 4000
"""Letters of what is said in a turn that are read."""
_LONGEST_UNKNOWN = 60
_ALPHA = re.compile(r"\balpha\b\s*(?:=|:|of|to|is|at)?\s*-?\d")


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


def build_conversation(
    inspector: Inspector, checkpointer: BaseCheckpointSaver[Any] | None = None, *, paths: bool = True
) -> Graph:
    """Compile the graph of a conversation over an inspector.

    `paths` says that messages may name files of this machine; without it they must bring their files with them.
    """
    talk = _Conversation(inspector, paths=paths)
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

    def __init__(self, inspector: Inspector, *, paths: bool) -> None:
        self._inspector = inspector
        self._paths = paths
        self._store = inspector.store

    def understand(self, state: ChatState) -> Update:
        """What is wanted; a turn that came as such from a program is taken as it is."""
        message = _last_human(state["messages"])
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
            "note": _obstacle(turn, _heard(message), attached, done),
            "calls": [*state.get("calls", ()), *calls],
            "status": "open",
        }

    def _understood(
        self, state: ChatState, message: HumanMessage, attached: Sequence[str]
    ) -> tuple[Turn, list[dict[str, Any]]]:
        """The turn, and the calls that it took to understand it."""
        given = message.additional_kwargs.get("turn")
        named = inspection_named(_heard(message), state.get("inspections", ()))
        if given is not None:
            try:
                turn = Turn.model_validate(given)
            except ValidationError as error:
                raise RequestError(f"the turn that was given is none: {one_line(str(error))[:300]}") from error
            return turn if turn.inspection is not None else turn.model_copy(update={"inspection": named}), []
        reply = self._ask("planner", self._wanted(state, message, attached), Turn)
        turn = _said_so(Turn.model_validate(reply.value), _heard(message), named)
        return (turn.model_copy(update={"action": "inspect"}) if attached else turn), _plain(reply.calls)

    def inspect(self, state: ChatState, config: RunnableConfig) -> Update:
        """Inspect what is attached, or the last part again."""
        turn = Turn.model_validate(state["turn"])
        done = list(state.get("inspections", ()))
        earlier = None if state["attached"] else _meant(turn, done)
        files = earlier["files"] if earlier else state["attached"]
        own = earlier["product"] if earlier else state.get("product", "")
        product = turn.product or own or (done[-1]["product"] if done else "") or self._only_product()
        if not files:
            return {"note": "There is no part yet: attach a picture, a scan, a recording or a video of one."}
        known = self._inspector.known_products()
        if product not in known:
            which = f"{one_line(product)!r} is not a product that is known." if product else "Which product is it?"
            return {"note": f"{which} Known are: {', '.join(known) or 'none; learn one with anomalyst enroll'}."}
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
            shown = self._look(turn, values, name, self._report_of(inspection))
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
        grounded = _with_news(ground(given.sentences, by_id), turn, state["fresh"], by_id)
        evidence = {id_: by_id[id_].text for id_ in cited(grounded.sentences)}
        update = _said(
            _words(grounded, _asked_for(given.unknown, _heard(_last_human(state["messages"])))),
            evidence,
            self._pictures(state, evidence),
            grounded.dropped,
        )
        return {**update, "calls": [*state.get("calls", ()), *_plain(reply.calls)]}

    def _wanted(self, state: ChatState, message: HumanMessage, attached: Sequence[str]) -> list[BaseMessage]:
        briefing = {
            "question": "understand",
            "text": without_names(_heard(message), state.get("inspections", ()), attached),
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
            "text": without_names(_heard(_last_human(state["messages"])), done, state["attached"]),
            "action": turn.action,
            "inspection": about,
            "fresh": state["fresh"],
            "facts": [fact.model_dump(mode="json") for fact in _limited(facts, about, state["fresh"])],
        }
        return [SystemMessage(prompts.ANSWER), HumanMessage(briefing_text(briefing))]

    def _ask(self, role: str, messages: list[BaseMessage], schema: type[Answer]) -> Reply:
        members: Role = getattr(self._inspector.workshop.roles, role)
        return in_turn(members, lambda member: ask(member, messages, schema))

    def _facts(self, state: ChatState) -> list[Fact]:
        """Everything that is known of the thread."""
        done = state.get("inspections", ())
        facts: list[Fact] = []
        for inspection in done:
            report = self._report_of(inspection)
            facts.append(_history(inspection, report))
            facts += facts_of(report, inspection["number"])
        facts.insert(
            0, Fact(id="thread.count", topic="history", text=f"{len(done)} inspection(s) were made in this thread.")
        )
        facts += [Fact.model_validate(look["fact"]) for look in state.get("looks", ())]
        return facts + _sent_facts(state.get("calls", ()))

    def _report_of(self, inspection: Inspection) -> InspectionReport:
        return InspectionReport.model_validate_json(self._store.get(inspection["report"]))

    def _look(self, turn: Turn, values: Mapping[str, Any], name: str, report: InspectionReport) -> dict[str, Any]:
        log = EvidenceLog.read(values["evidence"])
        called = {finding.region: f"{finding.title} {finding.defect_type or ''}" for finding in report.findings}
        place = place_of(turn, log, called)
        if turn.action == "compare" and place.region is not None and place.region.members:
            return self._compare_native(place.region, turn.reference, values, log, name)
        if turn.action == "compare":
            seen = compare_place(self._store, log, place.view, place.box, name, turn.reference)
        else:
            seen = see_place(self._store, log, place.view, place.box, name)
        fact = Fact(id=name, topic="look", text=one_line(_seen(seen, place)), about=(seen.view, *seen.regions))
        return _shown(fact, seen.crop, seen.reference_crop, seen.reference)

    def _compare_native(
        self, region: Region, rank: int, values: Mapping[str, Any], log: EvidenceLog, name: str
    ) -> dict[str, Any]:
        """A region of a scan or a recording beside the same place on a reference."""
        asset_id = log.view(region.view_id).asset_id
        asset = next(Asset.model_validate(value) for value in values["inputs"] if value["id"] == asset_id)
        views = {view.id for view in log.views_of(asset_id)}
        found = next((shown.references for _, shown in log.of(KnowledgeFound) if shown.view in views), ())
        if len(found) < rank:
            raise ToolFailure(f"there is no reference number {rank}: {len(found)} were retrieved")
        learned = self._inspector.products.get(values["product"])
        compared = self._inspector.workshop.native.compare(asset, learned, log, region, found[rank - 1].id)
        text = (
            f"Region {region.id} beside the same place on reference {compared.reference}: its anomaly value peaks at "
            f"{compared.difference:.4g}."
        )
        fact = Fact(id=name, topic="look", text=text, about=(region.id,))
        return _shown(fact, compared.crop, compared.reference_crop, compared.reference)

    def _pictures(self, state: ChatState, evidence: Mapping[str, str]) -> list[dict[str, str]]:
        """Pictures of the looks that an answer cites."""
        shown = [look for look in state.get("looks", ()) if look["fact"]["id"] in evidence]
        return [picture for look in shown for picture in look["pictures"]]

    def _may_read(self, path: Path) -> bool:
        return self._paths or path.resolve().is_relative_to((self._inspector.home / "attachments").resolve())

    def _only_product(self) -> str:
        known = self._inspector.known_products()
        return known[0] if len(known) == 1 else ""


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


def _heard(message: BaseMessage) -> str:
    """What is read of what was said."""
    return _text(message)[:_LONGEST]


def _nothing(note: str) -> Update:
    turn = Turn(action="ask").model_dump(mode="json")
    return {"turn": turn, "attached": [], "fresh": [], "note": note[:1].upper() + note[1:], "status": "open"}


def _slim(message: HumanMessage, files: list[str]) -> Update:
    """Pictures leave the messages as soon as they lie in files."""
    return {} if isinstance(message.content, str) else {"messages": [without_files(message, files)]}


def _said_so(turn: Turn, text: str, named: int | None) -> Turn:
    """A turn without what a model made up: what decides on a verdict is the person's own number, or none."""
    values = [abs(each.value) for each in figures(text).numbers if isinstance(each, Number)]
    heard = [value for each in values for value in (each, each / 100)]
    changes: dict[str, Any] = {"inspection": named if turn.inspection is None else turn.inspection}
    if turn.alpha is not None and not any(abs(turn.alpha - value) < 1e-9 for value in heard):
        changes["alpha"] = None
    if turn.product is not None and turn.product.lower() not in text.lower():
        changes["product"] = None
    return turn.model_copy(update=changes)


def _obstacle(turn: Turn, text: str, attached: Sequence[str], done: Sequence[Inspection]) -> str:
    """Why what is asked for cannot be done, before it is tried."""
    absent = "" if attached else absent_file(text, done)
    if absent:
        return f"There is no file {absent} among what was attached."
    if turn.action == "help":
        return ""
    if turn.inspection is not None and not attached and turn.inspection not in [each["number"] for each in done]:
        named = f"inspection {turn.inspection}" if turn.inspection > 0 else "earlier inspection"
        return f"There is no {named}: this thread has {len(done)}."
    if turn.action == "inspect" and turn.alpha is None and _ALPHA.search(text.lower()):
        return "Alpha, the accepted false-alarm rate, lies between 0 and 1, such as 0.01."
    return ""


def _asked_for(unknown: Sequence[str], text: str) -> list[str]:
    """What a model says that it does not know, as far as it was asked for at all."""
    lower = text.lower()
    return [one_line(each) for each in unknown if len(each) <= _LONGEST_UNKNOWN and each.lower() in lower][:8]


def _with_news(grounded: Grounded, turn: Turn, fresh: Sequence[str], facts: Mapping[str, Fact]) -> Grounded:
    """What a turn was asked to find out is told even where a model does not: the verdict, the place that was seen."""
    if turn.action == "ask":
        return grounded
    told = cited(grounded.sentences)
    news = [id_ for id_ in fresh if id_.endswith(".verdict") or ".x" in id_]
    missing = [facts[id_] for id_ in (news if grounded.sentences else fresh) if id_ not in told]
    own = tuple(Sentence(text=fact.text[:1200], evidence=(fact.id,)) for fact in missing)
    return grounded._replace(sentences=(*own, *grounded.sentences))


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


def _shown(fact: Fact, crop: str, reference_crop: str, reference: str) -> dict[str, Any]:
    pictures = [{"title": f"{fact.id}: closer", "artifact": crop}]
    if reference_crop:
        pictures.append({"title": f"{fact.id}: the same place on reference {reference}", "artifact": reference_crop})
    return {"fact": fact.model_dump(mode="json"), "pictures": pictures}


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
    first = (f"i{about}.", "thread.")
    ranked = sorted(facts, key=lambda fact: not (fact.id.startswith(first) or fact.id in fresh))
    return ranked[:_MOST_FACTS]


def _words(grounded: Grounded, unknown: Sequence[str]) -> str:
    if grounded.sentences:
        return "\n".join(f"{sentence.text} [{', '.join(sentence.evidence)}]" for sentence in grounded.sentences)
    asked = ", ".join(f"“{word}”" for word in unknown)
    return NOT_KNOWN + (f" Nothing in it speaks of {asked}." if asked else "")


def _said(text: str, evidence: Mapping[str, str], pictures: Sequence[Any], dropped: Sequence[str]) -> Update:
    told = {"evidence": dict(evidence), "pictures": list(pictures), "dropped": list(dropped)}
    plain = "\n".join(map(one_line, text.splitlines()))
    return {"messages": [AIMessage(plain, additional_kwargs=told)], "status": "answered"}

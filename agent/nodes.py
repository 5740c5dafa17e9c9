"""The stations of an inspection: each reads the state, does one thing, and returns what has changed."""

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.types import interrupt
from pydantic import Field

from agent import prompts
from agent.costs import cost_of_calls
from agent.embedded_model import EMBEDDED_VERSION
from agent.model_options import EMBEDDED
from agent.plan import InspectionPlan, PlannedStep, StepStatus, next_steps, validate_plan, with_status
from agent.policy import Decision, Verdict, decide
from agent.record import build_report
from agent.request import InspectionRequest
from agent.roles import Roles
from agent.state import State, Usage
from agent.verification import ClaimVerifier, Verified
from knowledge import Frozen, Modality, rules_for
from tools import (
    REASONER_PROMPT_VERSION,
    ArtifactStore,
    Asset,
    Evidence,
    EvidenceLog,
    Failed,
    LearnedProduct,
    LearnedProducts,
    Limits,
    Member,
    ModelCall,
    NativeInstruments,
    NativeRecheck,
    NoAnswer,
    Reply,
    Role,
    ask,
    briefing_text,
    in_turn,
    load_asset,
)

MAX_ROUNDS = 4
"""How often the planner is asked in one inspection, at most."""

Update = dict[str, Any]


class Node(Protocol):
    """A station of the graph."""

    def __call__(self, state: State) -> Awaitable[Update]: ...


@dataclass(frozen=True)
class Workshop:
    """What the nodes work with; nothing of it is ever written into a checkpoint."""

    store: ArtifactStore
    products: LearnedProducts
    roles: Roles
    limits: Limits
    native: NativeInstruments


class Review(Frozen):
    """What a person answers when an inspection asks for review."""

    verdict: Verdict
    reviewer: str = Field(min_length=1, max_length=120)
    comment: str = Field(default="", max_length=4000)


def timed(node: Callable[[Workshop, State], Update], workshop: Workshop) -> Node:
    """A node that adds the time it took to the inspection's usage; in a thread, for it reads files and asks models."""

    async def run(state: State) -> Update:
        start = time.perf_counter()
        update = await asyncio.to_thread(node, workshop, state)
        usage = update.get("usage", {})
        return {**update, "usage": {**usage, "seconds": usage.get("seconds", 0.0) + time.perf_counter() - start}}

    return run


def intake(workshop: Workshop, state: State) -> Update:
    """Read the files and the product's knowledge; a file that cannot be read ends the inspection with its error."""
    request = InspectionRequest.model_validate(state["request"])
    learned = workshop.products.get(request.product)
    inputs = []
    for number, path in enumerate(request.inputs, start=1):
        loaded = load_asset(Path(path), learned.product, workshop.limits, asset_id=f"a{number}")
        workshop.store.put(loaded.content, "bin")
        workshop.native.remember(loaded, learned.product)
        inputs.append(loaded.asset.model_dump(mode="json"))
    return {
        "status": "running",
        "product": request.product,
        "product_version": learned.version,
        "alpha": request.alpha or learned.product.alpha,
        "conditions": list(request.conditions),
        "inputs": inputs,
        "plan": [],
        "rounds": 0,
        "evidence": [],
        "stopped": "",
        "claims": [],
        "calls": [],
        "models": [
            _model("planner", workshop.roles.planner.members[0].name, prompts.PLANNER_PROMPT_VERSION),
            *(_model(role.name, role.members[0].name, REASONER_PROMPT_VERSION) for role in workshop.roles.reasoners),
            *_localizers(learned, [value["modality"] for value in inputs]),
        ],
        "events": [_event("intake", inputs=[value["sha256"] for value in inputs], product_version=learned.version)],
    }


def plan(workshop: Workshop, state: State) -> Update:
    """Ask the planner for the next steps; what it gets wrong goes back to it once, then the embedded model plans."""
    stopped = _stop_reason(state)
    if not stopped and state["rounds"] >= MAX_ROUNDS:
        stopped = f"the planner wanted more after {MAX_ROUNDS} rounds"
    if stopped:
        return {"stopped": stopped}
    known = [PlannedStep.model_validate(step) for step in state["plan"]]
    planned = _ask_planner(workshop.roles.planner, state, known)
    steps = planned.steps
    return {
        "models": _with_model(state["models"], "planner", planned.model, prompts.PLANNER_PROMPT_VERSION),
        "calls": [*state["calls"], *(call.model_dump(mode="json") for call in planned.calls)],
        "plan": [step.model_dump(mode="json") for step in (*known, *steps)],
        "rounds": state["rounds"] + 1,
        "usage": _usage(planned.calls, state),
        "events": [
            _event("plan", steps=[step.model_dump(mode="json") for step in steps], complaints=list(planned.complaints)),
        ],
    }


def act(workshop: Workshop, state: State) -> Update:
    """Call the tools of the next stage, as far as the budget goes."""
    steps = [PlannedStep.model_validate(step) for step in state["plan"]]
    batch = next_steps(steps)
    budget = InspectionRequest.model_validate(state["request"]).allowance
    left = budget.steps - int(state["usage"].get("steps", 0))
    stopped = _stop_reason(state) or ("" if len(batch) <= left else f"the budget of {budget.steps} steps is spent")
    runnable = () if _stop_reason(state) else batch[: max(left, 0)]
    changes: dict[str, tuple[StepStatus, str]] = {step.id: ("running", "") for step in runnable}
    if stopped:
        waiting = [step for step in steps if step.status == "planned" and step not in runnable]
        changes |= {step.id: ("skipped", stopped) for step in waiting}
    update: Update = {"plan": with_status(steps, changes), "stopped": stopped}
    if runnable:
        calls = [{"name": step.tool, "args": step.arguments, "id": step.id, "type": "tool_call"} for step in runnable]
        update["messages"] = [AIMessage("", tool_calls=calls, id=f"act-{runnable[0].id}")]
        update["events"] = [
            _event("tool_call", step=step.id, tool=step.tool, arguments=step.arguments) for step in runnable
        ]
    return update


def observe(workshop: Workshop, state: State) -> Update:
    """Take the tools' answers into the evidence."""
    answers = _latest_answers(state["messages"])
    evidence = list(state["evidence"])
    calls: list[ModelCall] = []
    models = state["models"]
    changes: dict[str, tuple[StepStatus, str]] = {}
    events = []
    longest = 0.0  # the tools of one batch run together
    for answer in answers:
        if answer.artifact is None:
            changes[answer.tool_call_id] = ("refused", str(answer.content))
            events.append(_event("error", step=answer.tool_call_id, message=str(answer.content)))
            continue
        record = Evidence.model_validate({**answer.artifact, "id": f"e{len(evidence) + 1}"})
        failed = isinstance(record.shown, Failed)
        changes[answer.tool_call_id] = ("failed" if failed else "done", record.summary if failed else "")
        evidence.append(record.model_dump(mode="json"))
        calls += record.calls
        for _, judged in EvidenceLog([record]).judged():
            models = _with_model(models, judged.role, judged.model, REASONER_PROMPT_VERSION)
        longest = max(longest, record.seconds)
        events.append(_event("tool_result", step=answer.tool_call_id, evidence=record.id, summary=record.summary))
    steps = [PlannedStep.model_validate(step) for step in state["plan"]]
    return {
        "evidence": evidence,
        "models": models,
        "plan": with_status(steps, changes),
        # The evidence now holds what the messages carried: state keeps it once.
        "messages": [answer.model_copy(update={"artifact": None}) for answer in answers],
        "usage": {"steps": len(answers), "seconds": longest, **_usage(calls, state)},
        "events": events,
    }


def verify(workshop: Workshop, state: State) -> Update:
    """Check every claim by code."""
    log = EvidenceLog.read(state["evidence"])
    learned = workshop.products.get(state["product"])
    assets = [Asset.model_validate(value) for value in state["inputs"]]
    recheck = NativeRecheck(workshop.native, learned, assets, log)
    verifier = ClaimVerifier(log, workshop.store, learned.product, recheck, _modalities(state))
    drafts = [(judged.source, draft) for _, judged in log.judged() for draft in judged.assessment.claims]
    claims = [verifier.verify(draft, f"c{number}", source) for number, (source, draft) in enumerate(drafts, start=1)]
    values = [claim.model_dump(mode="json") for claim in claims]
    return {"claims": values, "events": [_event("claim", claim=value) for value in values]}


def judge(workshop: Workshop, state: State) -> Update:
    """Apply the policy."""
    product, modalities = workshop.products.get(state["product"]).product, _modalities(state)
    rules = [rule.id for kind in dict.fromkeys(modalities.values()) for rule in rules_for(product, kind)]
    missing = [kind for kind in product.modality if kind not in modalities.values()]
    evidence = EvidenceLog.read(state["evidence"])
    due = {asset: [rule.id for rule in rules_for(product, kind)] for asset, kind in modalities.items()}
    claims = [Verified.model_validate(value) for value in state["claims"]]
    refused = [f"{step['tool']}: {step['note']}" for step in state["plan"] if step["status"] == "refused"]
    decision = decide(
        evidence, state["alpha"], state["stopped"], rules, modalities, missing, due, claims=claims, refused=refused
    )
    value = decision.model_dump(mode="json")
    return {"decision": value, "events": [_event("verdict", **value)]}


def review(workshop: Workshop, state: State) -> Update:
    """Ask a person; what they say stands, and the record says that they said it."""
    thread = InspectionRequest.model_validate(state["request"]).thread
    question = {"thread": thread, "reasons": state["decision"]["reasons"]}
    answer: Review = interrupt(question, response_schema=Review)
    said = f"{answer.reviewer} reviewed the part and decided {answer.verdict}" + (
        f": {answer.comment}" if answer.comment else "."
    )
    decision = Decision.model_validate(state["decision"])
    changed = decision.model_copy(update={"verdict": answer.verdict, "reasons": (said, *decision.reasons)})
    value = changed.model_dump(mode="json")
    return {"decision": value, "events": [_event("interrupt", **answer.model_dump(mode="json"))]}


def report(workshop: Workshop, state: State) -> Update:
    """Write the record into the artifact store."""
    product = workshop.products.get(state["product"]).product
    record = build_report(state, product)
    artifact = workshop.store.put(record.model_dump_json(indent=1).encode(), "json")
    return {"report": artifact, "status": "done", "events": [_event("report", artifact=artifact)]}


def after_plan(state: State) -> Literal["act", "verify"]:
    return "act" if any(step["status"] == "planned" for step in state["plan"]) and not state["stopped"] else "verify"


def after_act(state: State) -> Literal["tools", "verify"]:
    return "tools" if any(step["status"] == "running" for step in state["plan"]) else "verify"


def after_observe(state: State) -> Literal["act", "plan"]:
    return "act" if any(step["status"] == "planned" for step in state["plan"]) else "plan"


def after_judge(state: State) -> Literal["review", "report"]:
    return "review" if state["request"]["interrupt"] and state["decision"]["verdict"] == "review" else "report"


def _modalities(state: State) -> dict[str, Modality]:
    """Asset id -> what it is."""
    return {value["id"]: value["modality"] for value in state["inputs"]}


def _localizers(learned: LearnedProduct, modalities: Sequence[Modality]) -> list[dict[str, str]]:
    """What localises each modality that is given; raises `FittedPartError` where one was not learned."""
    found = []
    for modality in dict.fromkeys(modalities):
        if modality == "image":
            name, tensors = learned.images.backbone.name, learned.images.manifest.tensors_sha256
        else:
            name, tensors = modality, learned.native(modality).tensors_sha256
        found.append({"role": "localizer", "id": name, "version": tensors[:12]})
    return found


class _Planned(NamedTuple):
    """What asking for a plan gave."""

    steps: tuple[PlannedStep, ...]
    calls: tuple[ModelCall, ...]
    complaints: tuple[str, ...]
    model: str
    """Who planned."""


def _ask_planner(planner: Role, state: State, known: list[PlannedStep]) -> _Planned:
    """Ask the planner, tell it once what is wrong with its steps, and then ask who stands in for it."""
    log = EvidenceLog.read(state["evidence"])
    assets = [value["id"] for value in state["inputs"]]
    text = briefing_text(_planner_briefing(state, known, log))
    messages: list[AnyMessage] = [SystemMessage(prompts.PLANNER), HumanMessage(text)]
    complaints: list[str] = []
    steps: tuple[PlannedStep, ...] = ()

    def plan_with(member: Member) -> Reply:
        nonlocal steps
        conversation = list(messages)
        calls: tuple[ModelCall, ...] = ()
        for _ in range(2):
            reply = ask(member, conversation, InspectionPlan)
            calls += reply.calls
            steps, wrong = validate_plan(InspectionPlan.model_validate(reply.value), known, assets, log.regions())
            if not wrong:
                return reply._replace(calls=calls)
            complaints.extend(wrong)
            conversation = [*messages, HumanMessage(f"These steps cannot be run: {'; '.join(wrong)}. Plan again.")]
        if member.name == EMBEDDED:
            raise AssertionError(f"the embedded planner proposed steps that cannot be run: {complaints}")
        raise NoAnswer(f"the model {member.name} planned steps that cannot be run", calls)

    reply = in_turn(planner, plan_with)
    return _Planned(steps, reply.calls, (*complaints, *reply.passed_over), reply.model)


def _planner_briefing(state: State, known: list[PlannedStep], log: EvidenceLog) -> dict[str, Any]:
    budget = InspectionRequest.model_validate(state["request"]).allowance
    return {
        "question": "plan",
        "assets": [{"id": value["id"], "modality": value["modality"]} for value in state["inputs"]],
        "tools": prompts.TOOL_PURPOSES,
        "done": [
            {"tool": step.tool, "target": next(iter(step.arguments.values())), "status": step.status, "note": step.note}
            for step in known
        ],
        "evidence": [{"id": record.id, "tool": record.tool, "summary": record.summary} for record in log.records],
        "regions": [
            {"id": region.id, "asset": log.view(region.view_id).asset_id, "peak": round(region.peak, 3)}
            for region in log.regions().values()
        ],
        "budget": {"steps_left": budget.steps - int(state["usage"].get("steps", 0))},
    }


def _usage(calls: Sequence[ModelCall], state: State) -> dict[str, float]:
    cost = cost_of_calls(calls, InspectionRequest.model_validate(state["request"]).price)
    return {"model_calls": len(calls), "tokens": sum(call.tokens for call in calls), "cost": cost.known}


def _stop_reason(state: State) -> str:
    if state.get("stopped"):
        return state["stopped"]
    budget = InspectionRequest.model_validate(state["request"]).allowance
    return Usage.model_validate(state["usage"]).spent(budget)


def _latest_answers(messages: list[AnyMessage]) -> list[ToolMessage]:
    """Answers to the latest calls, in the order of the calls."""
    last_call = max(index for index, message in enumerate(messages) if isinstance(message, AIMessage))
    call = messages[last_call]
    order = {tool_call["id"]: position for position, tool_call in enumerate(getattr(call, "tool_calls", []))}
    answers = [message for message in messages[last_call + 1 :] if isinstance(message, ToolMessage)]
    return sorted(answers, key=lambda answer: order[answer.tool_call_id])


def _model(role: str, name: str, prompt: str) -> dict[str, str]:
    version = f"rules {EMBEDDED_VERSION}" if name == EMBEDDED else f"prompt {prompt}"
    return {"role": role, "id": name, "version": version}


def _with_model(models: list[dict[str, str]], role: str, name: str, prompt: str) -> list[dict[str, str]]:
    """The inspection's models with one that stood in, where it is not among them yet."""
    model = _model(role, name, prompt)
    return models if model in models else [*models, model]


def _event(kind: str, **payload: Any) -> dict[str, Any]:
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return {"at": at, "kind": kind, **payload}

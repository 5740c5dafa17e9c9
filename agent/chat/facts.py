"""What a thread knows, one sentence a fact, each with an id that answers can cite.

Facts are drawn from the records of inspections and from closer looks, never from what was said in the conversation. Names
of files are not among them: facts are what models are told.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from agent.exports.markdown import plainly
from agent.report import FindingInfo, InputInfo, InspectionReport, RuleInfo
from knowledge import Frozen

Topic = Literal[
    "verdict",
    "finding",
    "claim",
    "rule",
    "reference",
    "opinion",
    "evidence",
    "plan",
    "unchecked",
    "cost",
    "sent",
    "model",
    "input",
    "look",
    "history",
]


_STATUSES = ("supported", "refuted", "unverified")


class Fact(Frozen):
    """One thing that is known of a thread."""

    id: str
    """`i2.f1`: finding 1 of inspection 2."""
    topic: Topic
    text: str
    about: tuple[str, ...] = ()
    """Ids of regions, rules and evidence within the inspection that it speaks of."""
    quoted: bool = False
    """The words of a model or of a person, not of code."""


def facts_of(report: InspectionReport, number: int) -> tuple[Fact, ...]:
    """Everything that the record of inspection `number` of a thread says, most telling first."""
    makers = (
        _verdict,
        _inputs,
        _findings,
        _rules,
        _claims,
        _opinions,
        _references,
        _unchecked,
        _evidence,
        _plan,
        _costs,
    )
    facts = [fact for make in makers for fact in make(report)]
    return tuple(fact.model_copy(update={"id": f"i{number}.{fact.id}", "text": one_line(fact.text)}) for fact in facts)


def one_line(text: str) -> str:
    """A text from outside as one line that steers no terminal: no control characters, and none that turn letters round."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _verdict(report: InspectionReport) -> Iterator[Fact]:
    text = f"The verdict on the part, as {report.product.name}, is {report.verdict}."
    yield Fact(id="verdict", topic="verdict", text=text)
    for number, reason in enumerate(report.decision.reasons, start=1):
        yield Fact(id=f"d{number}", topic="verdict", text=reason)
    decision = report.decision
    if decision.score is None or decision.p_value is None:
        yield Fact(id="score", topic="verdict", text="No anomaly score was measured.")
        return
    threshold = "no threshold can be promised" if decision.threshold is None else f"threshold {decision.threshold:.4g}"
    alpha = "" if decision.alpha is None else f", accepted false-alarm rate (alpha) {decision.alpha:g}"
    text = f"Anomaly score {decision.score:.4g}, {threshold}, p-value {decision.p_value:.4g}{alpha}."
    yield Fact(id="score", topic="verdict", text=text)


def _inputs(report: InspectionReport) -> Iterator[Fact]:
    for shown in report.inputs:
        yield Fact(id=shown.id, topic="input", text=_input(shown), about=(shown.id,))


def _input(shown: InputInfo) -> str:
    kind = (shown.modality or "unreadable file").replace("_", " ")
    size = f", {shown.width} x {shown.height} pixels" if shown.width else ""
    facts = "".join(f", {name.replace('_', ' ')} {plainly(value)}" for name, value in shown.facts.items())
    notes = "".join(f" {note}." for note in shown.notes)
    own = f" Alone it is {shown.verdict}." if shown.verdict and shown.p_value is not None else ""
    return f"Asset {shown.id} is a {kind}{size}{facts}, {len(shown.views)} view(s).{own}{notes}"


def _findings(report: InspectionReport) -> Iterator[Fact]:
    if not report.findings:
        yield Fact(id="f0", topic="finding", text="There is no finding: no region is over threshold.")
    for finding in report.findings:
        region = finding.region
        named = f", named {finding.defect_type.replace('_', ' ')}" if finding.defect_type else ""
        yield Fact(
            id=finding.id,
            topic="finding",
            text=f"Finding {finding.id[1:]} is {plainly(finding.title)} ({finding.severity}{named}), region {region} "
            f"on view {finding.view}, peak {finding.score:.4g}: {_place(finding)}.",
            about=(region, finding.id),
        )
        if finding.measurements:
            measured = ", ".join(
                f"{each.name.replace('_', ' ')} {each.value:.4g}{_unit(each.unit)}" for each in finding.measurements
            )
            yield Fact(
                id=f"{finding.id}.size",
                topic="finding",
                text=f"Measured of finding {finding.id[1:]}, region {region}: {measured}.",
                about=(region, finding.id),
            )
        if finding.explanation:
            yield Fact(
                id=f"{finding.id}.words",
                topic="finding",
                text=f"Of finding {finding.id[1:]} the reasoner says: {finding.explanation}",
                about=(region, finding.id),
                quoted=True,
            )


def _unit(unit: str) -> str:
    return "" if unit in ("", "1") else f" {unit}"


def _place(finding: FindingInfo) -> str:
    told = [
        f"{name.replace('_', ' ')} {plainly(value)}"
        for name, value in finding.native.items()
        if value is not None and name != "unit"
    ]
    unit = finding.native.get("unit")
    return f"box {list(finding.box)}" + (f"; {', '.join(told)}" if told else "") + (f" (in {unit})" if unit else "")


def _rules(report: InspectionReport) -> Iterator[Fact]:
    if not report.rules:
        yield Fact(id="rules", topic="rule", text="No normality rule is known for this product.")
    else:
        results = [rule.result for rule in report.rules]
        told = f"{results.count('passed')} kept, {results.count('violated')} violated"
        text = f"Of {len(results)} rule(s) code found {told}; {results.count('not_checked')} were not checked."
        yield Fact(id="rules", topic="rule", text=text)
    for rule in report.rules:
        yield Fact(id=f"rule.{rule.id}", topic="rule", text=_rule(rule), about=(rule.id, *rule.evidence))


def _rule(rule: RuleInfo) -> str:
    by = f", as {rule.by} found" if rule.by else ""
    answers = "".join(
        f" {answer.by} answers {answer.answer.replace('_', ' ')}{': ' if answer.reason else ''}{answer.reason}."
        for answer in rule.answers
    )
    reason = f" ({rule.reason})" if rule.reason else ""
    result = {"passed": "is kept", "violated": "is violated", "not_checked": "was not checked"}[rule.result]
    return f"Rule {rule.id}, “{rule.text}”, {result}{by}{reason}.{answers}"


def _claims(report: InspectionReport) -> Iterator[Fact]:
    counts = {status: sum(claim.status == status for claim in report.claims) for status in _STATUSES}
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    yield Fact(id="claims", topic="claim", text=f"Of {len(report.claims)} claim(s) code calls {told}.")
    for claim in report.claims:
        checked = f": {claim.checked}" if claim.checked else ""
        text = f"{claim.source} claims: {claim.text} Code calls it {claim.status}{checked}."
        yield Fact(id=claim.id, topic="claim", text=text, about=claim.evidence)


def _opinions(report: InspectionReport) -> Iterator[Fact]:
    for number, opinion in enumerate(report.opinions, start=1):
        with_it = {True: ", as the localiser does", False: ", against the localiser", None: ""}[opinion.agrees]
        text = f"The {opinion.role} {opinion.model} finds the part {opinion.opinion}{with_it}: {opinion.explanation}"
        yield Fact(id=f"o{number}", topic="opinion", text=text, quoted=True)
        for reason in opinion.passed_over:
            yield Fact(id=f"o{number}.before", topic="opinion", text=f"Asked before it: {reason}.", quoted=True)
    if report.reasoners_agree is not None:
        word = "agree" if report.reasoners_agree else "disagree"
        yield Fact(id="agreement", topic="opinion", text=f"The two reasoners {word}.")


def _references(report: InspectionReport) -> Iterator[Fact]:
    for number, reference in enumerate(report.references, start=1):
        text = f"Normal reference {number} is {reference.id}, similarity {reference.similarity:.4g}: {reference.why}."
        yield Fact(id=f"ref{number}", topic="reference", text=text, about=(reference.id,))


def _unchecked(report: InspectionReport) -> Iterator[Fact]:
    if not report.not_checked:
        yield Fact(id="n0", topic="unchecked", text="The record names nothing that was not checked.")
    for number, text in enumerate(report.not_checked, start=1):
        yield Fact(id=f"n{number}", topic="unchecked", text=f"Not checked: {text}")


def _evidence(report: InspectionReport) -> Iterator[Fact]:
    for record in report.evidence:
        yield Fact(
            id=record.id,
            topic="evidence",
            text=f"{record.tool.replace('_', ' ')}: {record.summary}",
            about=(record.id,),
        )


def _plan(report: InspectionReport) -> Iterator[Fact]:
    done = [step for step in report.plan if step.status == "done"]
    steps = "; ".join(f"{step.tool.replace('_', ' ')} {' '.join(step.arguments.values())}" for step in done)
    yield Fact(id="plan", topic="plan", text=f"{len(done)} of {len(report.plan)} planned steps were done: {steps}.")


def _costs(report: InspectionReport) -> Iterator[Fact]:
    usage = report.usage
    cost = "of unknown cost" if usage.cost is None else f"${usage.cost:.4g}"
    text = (
        f"{usage.steps} steps, {usage.model_calls} model calls, {usage.tokens} tokens, {cost}, {usage.seconds:.2f} s."
    )
    yield Fact(id="usage", topic="cost", text=text)
    models = "; ".join(f"{model.role} {model.id} ({model.version})" for model in report.models)
    yield Fact(id="models", topic="model", text=f"Models: {models}.")
    if not report.sent_to:
        yield Fact(id="sent", topic="sent", text="Nothing was sent to any model outside this program.")
    for number, sent in enumerate(report.sent_to, start=1):
        shown = ", ".join(sent.panels) or "text alone"
        text = f"Sent to {sent.to} for {sent.purpose.replace('_', ' ')}: {shown}, {sent.bytes} bytes."
        yield Fact(id=f"sent{number}", topic="sent", text=text)


def named(facts: Sequence[Fact]) -> dict[str, Fact]:
    """By their ids."""
    return {fact.id: fact for fact in facts}

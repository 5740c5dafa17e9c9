"""Evidence -> verdict. The instrument proposes, the reasoner explains or objects, code verifies, this decides.

- Whatever could not be done, read or trusted makes `review`, with the reason; never `normal`.
- A calibrated p-value at or below alpha, or a rule that a measurement shows violated, makes `anomalous`.
- A reasoner can turn `normal` into `review`; it can never turn `anomalous` into `normal`.
"""

from collections.abc import Collection, Sequence
from typing import Literal

from knowledge import Frozen
from tools import Assessed, EvidenceLog, Failed, Localized, RuleChecked, RulesChecked, ViewsShown

Verdict = Literal["normal", "anomalous", "review"]


class Decision(Frozen):
    """A verdict with its numbers and reasons."""

    verdict: Verdict
    score: float | None
    p_value: float | None
    alpha: float
    threshold: float | None
    reasons: tuple[str, ...]


def decide(log: EvidenceLog, alpha: float, stopped: str, rules: Collection[str] = ()) -> Decision:
    """Apply the policy to all evidence of an inspection; `rules` are the ids of those that the product has."""
    localized = [shown for _, shown in log.of(Localized)]
    against = _against(log, localized)
    doubts = [*_unfinished(log, localized, stopped, rules), *([] if against else _objections(log))]
    if doubts:
        verdict: Verdict = "review"
        reasons = (*dict.fromkeys(doubts), *against)
    elif against:
        verdict, reasons = "anomalous", (*against, *_dissent(log))
    else:
        verdict, reasons = "normal", _in_favour(log, localized)
    worst = min(localized, key=lambda shown: (shown.p_value, -shown.score), default=None)
    return Decision(
        verdict=verdict,
        score=worst.score if worst else None,
        p_value=worst.p_value if worst else None,
        alpha=alpha,
        threshold=worst.threshold if worst else None,
        reasons=reasons,
    )


def _against(log: EvidenceLog, localized: Sequence[Localized]) -> tuple[str, ...]:
    """Reasons to call the part anomalous."""
    reasons = [
        f"A normal part looks this unusual with probability {shown.p_value:.3g}, "
        f"at or below the accepted false-alarm rate of {shown.alpha:g}."
        for shown in localized
        if shown.threshold is not None and shown.p_value <= shown.alpha
    ]
    reasons += [f"Rule {rule.id} is violated: {rule.text}" for rule in _rules(log) if rule.result == "violated"]
    return tuple(reasons)


def _unfinished(log: EvidenceLog, localized: Sequence[Localized], stopped: str, rules: Collection[str]) -> list[str]:
    """What could not be done, read or promised: a person must look."""
    doubts = [f"The inspection did not finish: {stopped}."] if stopped else []
    doubts += [reason for _, shown in log.of(ViewsShown) for reason in shown.unsuitable]
    doubts += [f"An instrument failed: {shown.reason}." for _, shown in log.of(Failed)]
    views = [view.id for _, shown in log.of(ViewsShown) for view in shown.views]
    if not views or set(views) - {shown.view for shown in localized}:
        doubts.append("The part was not localised.")
    doubts += [reason for shown in localized for reason in shown.unlike]
    doubts += [f"Nothing can be promised: {shown.promise}." for shown in localized if shown.threshold is None]
    doubts += [f"Rule {rule.id} could not be checked: {rule.reason}." for rule in _rules(log) if rule.failed]
    if rules and not log.of(RulesChecked):
        doubts.append("The rules were not checked.")
    if not log.of(Assessed):
        doubts.append("No reasoner judged the part.")
    return doubts


def _objections(log: EvidenceLog) -> list[str]:
    """What a reasoner has against a part that the instruments call normal; what code measured it cannot overrule."""
    measured = {rule.id for rule in _rules(log) if rule.result == "passed"}
    objections = []
    for _, shown in log.of(Assessed):
        who, assessment = f"The reasoner ({shown.model})", shown.assessment
        if assessment.opinion != "normal":
            objections.append(f"{who} finds the part {assessment.opinion}: {assessment.explanation}")
        objections += [f"{who} names a finding: {finding.title}." for finding in assessment.findings]
        objections += [
            f"{who} claims that rule {claim.subject} is violated: {claim.text}"
            for claim in assessment.claims
            if claim.kind == "rule" and claim.word == "violated" and claim.subject not in measured
        ]
        objections += [
            f"{who} answers no to rule {answer.rule}: {answer.reason}"
            for answer in assessment.rule_answers
            if answer.answer == "no" and answer.rule not in measured
        ]
    return objections


def _dissent(log: EvidenceLog) -> list[str]:
    """A reasoner that does not see what the instruments found is heard, and overrules nothing."""
    return [
        f"The reasoner ({shown.model}) finds the part {shown.assessment.opinion}, which clears nothing: "
        f"{shown.assessment.explanation}"
        for _, shown in log.of(Assessed)
        if shown.assessment.opinion != "anomalous"
    ]


def _rules(log: EvidenceLog) -> list[RuleChecked]:
    return [result for _, shown in log.of(RulesChecked) for result in shown.results]


def _in_favour(log: EvidenceLog, localized: Sequence[Localized]) -> tuple[str, ...]:
    reasons = [
        f"Normal parts look at least this unusual with probability {shown.p_value:.3g}, "
        f"above the accepted false-alarm rate of {shown.alpha:g}."
        for shown in localized
    ]
    passed = [rule.id for rule in _rules(log) if rule.result == "passed"]
    if passed:
        reasons.append(f"{len(passed)} measurable rule(s) are kept: {', '.join(passed)}.")
    unchecked = [rule.id for rule in _rules(log) if rule.result == "not_checked"]
    if unchecked:
        reasons.append(f"No measurement checks {', '.join(unchecked)}.")
    return tuple(reasons)

"""Evidence -> verdict. The instrument proposes, the reasoner explains or objects, code verifies, this decides.

- Whatever could not be done, read or trusted makes `review`, with the reason; never `normal`.
- A calibrated p-value at or below alpha, or a rule that a measurement shows violated, makes `anomalous`.
- A reasoner can turn `normal` into `review`; it can never turn `anomalous` into `normal`.
"""

from collections.abc import Sequence
from typing import Literal

from agent.verification import Verified
from knowledge import Frozen
from tools import Assessed, EvidenceLog, Failed, Localized, RulesChecked, ViewsShown

Verdict = Literal["normal", "anomalous", "review"]


class Decision(Frozen):
    """A verdict with its numbers and reasons."""

    verdict: Verdict
    score: float | None
    p_value: float | None
    alpha: float
    threshold: float | None
    reasons: tuple[str, ...]


def decide(log: EvidenceLog, claims: Sequence[Verified], alpha: float, stopped: str) -> Decision:
    """Apply the policy to all evidence of an inspection."""
    localized = next((shown for _, shown in log.of(Localized)), None)
    against = _against(log, localized)
    doubts = _doubts(log, localized, claims, stopped, found_anomalous=bool(against))
    if doubts:
        verdict: Verdict = "review"
        reasons = (*doubts, *against)
    elif against:
        verdict, reasons = "anomalous", against
    else:
        verdict, reasons = "normal", _in_favour(log, localized)
    return Decision(
        verdict=verdict,
        score=localized.score if localized else None,
        p_value=localized.p_value if localized else None,
        alpha=alpha,
        threshold=localized.threshold if localized else None,
        reasons=reasons,
    )


def _against(log: EvidenceLog, localized: Localized | None) -> tuple[str, ...]:
    """Reasons to call the part anomalous."""
    reasons = []
    if localized is not None and localized.threshold is not None and localized.p_value <= localized.alpha:
        reasons.append(
            f"A normal part looks this unusual with probability {localized.p_value:.3g}, "
            f"at or below the accepted false-alarm rate of {localized.alpha:g}."
        )
    for _, shown in log.of(RulesChecked):
        reasons += [
            f"Rule {result.id} is violated: {result.text}" for result in shown.results if result.result == "violated"
        ]
    return tuple(reasons)


def _doubts(
    log: EvidenceLog, localized: Localized | None, claims: Sequence[Verified], stopped: str, found_anomalous: bool
) -> tuple[str, ...]:
    """Reasons why a person must look."""
    doubts = [f"The inspection did not finish: {stopped}."] if stopped else []
    doubts += [reason for _, shown in log.of(ViewsShown) for reason in shown.unsuitable]
    doubts += [f"An instrument failed: {shown.reason}." for _, shown in log.of(Failed)]
    if localized is None:
        doubts.append("The part was not localised.")
    elif localized.threshold is None:
        doubts.append(f"Nothing can be promised: {localized.promise}.")
    assessments = [shown for _, shown in log.of(Assessed)]
    if not assessments:
        doubts.append("No reasoner judged the part.")
    if not found_anomalous:
        doubts += [doubt for shown in assessments for doubt in _objections(shown, claims)]
    return tuple(dict.fromkeys(doubts))


def _objections(assessed: Assessed, claims: Sequence[Verified]) -> list[str]:
    """What a reasoner has against a part that the instruments call normal; claims that code refuted carry nothing."""
    assessment = assessed.assessment
    objections = []
    if assessment.opinion != "normal":
        objections.append(
            f"The reasoner ({assessed.model}) finds the part {assessment.opinion}: {assessment.explanation}"
        )
    refuted = {claim.subject for claim in claims if claim.kind == "rule" and claim.status == "refuted"}
    objections += [
        f"The reasoner ({assessed.model}) answers {answer.answer.replace('_', ' ')} to rule {answer.rule}: {answer.reason}"
        for answer in assessment.rule_answers
        if answer.answer == "no" and answer.rule not in refuted
    ]
    return objections


def _in_favour(log: EvidenceLog, localized: Localized | None) -> tuple[str, ...]:
    reasons = []
    if localized is not None:
        reasons.append(
            f"Normal parts look at least this unusual with probability {localized.p_value:.3g}, "
            f"above the accepted false-alarm rate of {localized.alpha:g}."
        )
    checked = [result for _, shown in log.of(RulesChecked) for result in shown.results if result.result == "passed"]
    if checked:
        reasons.append(f"{len(checked)} measurable rule(s) are kept: {', '.join(result.id for result in checked)}.")
    return tuple(reasons)

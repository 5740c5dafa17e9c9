"""Evidence -> verdict. The instrument proposes, the reasoner explains or objects, code verifies, this decides.

- Whatever could not be done, read or trusted makes `review`, with the reason; never `normal`.
- A calibrated p-value at or below alpha, or a rule that a measurement shows violated, makes `anomalous`.
- A reasoner can turn `normal` into `review`; it can never turn `anomalous` into `normal`.
- A claim that code refuted drives nothing: an objection of which nothing else is left is noted, and no more.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from agent.model_options import EMBEDDED
from agent.verification import Verified
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


def decide(
    log: EvidenceLog,
    alpha: float,
    stopped: str,
    rules: Collection[str] = (),
    modalities: Mapping[str, str] | None = None,
    missing: Collection[str] = (),
    due: Mapping[str, Collection[str]] | None = None,
    *,
    claims: Sequence[Verified] = (),
    refused: Sequence[str] = (),
) -> Decision:
    """Apply the policy to all evidence of an inspection.

    `rules` are the ids of those that the product has for what was given, `modalities` says what each asset is, and
    `missing` are those by which the product is inspected and of which nothing was given; `due` are the ids of the rules
    that must have been checked on each asset. `claims` are the reasoners', as code found them, and `refused` the steps
    that no instrument took.
    """
    localized = [_Seen(shown.view.partition(".")[0], modalities or {}, shown) for _, shown in log.of(Localized)]
    against = _against(log, localized)
    absent = [f"No {kind.replace('_', ' ')} of the part was given, by which it is inspected too." for kind in missing]
    doubts = [*_unfinished(log, localized, stopped, rules, modalities or {}), *_unchecked(log, due or {})]
    doubts += [f"A step of the plan was refused: {step}." for step in refused]
    stand_ins, unfounded = _stand_ins(log), _unfounded(log, claims)
    doubts += [] if against else [*absent, *stand_ins, *_objections(log, unfounded)]
    if doubts:
        verdict: Verdict = "review"
        reasons = (*dict.fromkeys(doubts), *against)
    elif against:
        verdict, reasons = (
            "anomalous",
            (
                *against,
                *_unmoved(localized),
                *absent,
                *stand_ins,
                *_dissent(log, localized),
            ),
        )
    else:
        verdict, reasons = "normal", (*_in_favour(log, localized), *unfounded.values())
    worst = min((seen.shown for seen in localized), key=lambda shown: (shown.p_value, -shown.score), default=None)
    return Decision(
        verdict=verdict,
        score=worst.score if worst else None,
        # Of several assets the least likely counts, as often over as there were tries (Bonferroni).
        p_value=min(1.0, worst.p_value * max(1, len(modalities or {}))) if worst else None,
        alpha=alpha,
        threshold=worst.threshold if worst else None,
        reasons=reasons,
    )


class _Seen(NamedTuple):
    """The answer for one asset."""

    asset: str
    modalities: Mapping[str, str]
    shown: Localized

    @property
    def subject(self) -> str:
        """Which asset is spoken of, where there are several."""
        if len(self.modalities) < 2:
            return ""
        return f"{self.modalities[self.asset].replace('_', ' ').capitalize()} {self.asset}: "

    @property
    def anomalous(self) -> bool:
        return self.shown.threshold is not None and self.shown.p_value <= self.shown.alpha


def _unmoved(localized: Sequence[_Seen]) -> list[str]:
    """Assets of the same part that look normal do not clear it, and are named."""
    return [
        f"{seen.subject}nothing unusual (p = {seen.shown.p_value:.3g}), which does not clear what the others show."
        for seen in localized
        if len(seen.modalities) > 1 and not seen.anomalous
    ]


def _against(log: EvidenceLog, localized: Sequence[_Seen]) -> tuple[str, ...]:
    """Reasons to call the part anomalous."""
    reasons = [
        f"{seen.subject}A normal part looks this unusual with probability {seen.shown.p_value:.3g}, "
        f"at or below the accepted false-alarm rate of {seen.shown.alpha:g}."
        for seen in localized
        if seen.anomalous
    ]
    reasons += [f"Rule {rule.id} is violated: {rule.text}" for rule in _rules(log) if rule.result == "violated"]
    return tuple(reasons)


def _unfinished(
    log: EvidenceLog, localized: Sequence[_Seen], stopped: str, rules: Collection[str], modalities: Mapping[str, str]
) -> list[str]:
    """What could not be done, read or promised: a person must look."""
    doubts = [f"The inspection did not finish: {stopped}."] if stopped else []
    doubts += [reason for _, shown in log.of(ViewsShown) for reason in shown.unsuitable]
    doubts += [f"An instrument failed: {shown.reason}." for _, shown in log.of(Failed)]
    rendered = {view.asset_id for _, shown in log.of(ViewsShown) for view in shown.views}
    if not rendered or (rendered | set(modalities)) - {seen.asset for seen in localized}:
        doubts.append("The part was not localised.")
    doubts += [seen.subject + reason for seen in localized for reason in seen.shown.unlike]
    doubts += [
        f"{seen.subject}Nothing can be promised: {seen.shown.promise}."
        for seen in localized
        if seen.shown.threshold is None
    ]
    doubts += [f"Rule {rule.id} could not be checked: {rule.reason}." for rule in _rules(log) if rule.failed]
    if rules and not log.of(RulesChecked):
        doubts.append("The rules were not checked.")
    if len(log.of(Assessed)) < max(1, len(modalities)):
        doubts.append("No reasoner judged the part." if len(modalities) < 2 else "No reasoner judged all of the part.")
    return doubts


def _unchecked(log: EvidenceLog, due: Mapping[str, Collection[str]]) -> list[str]:
    """Rules that nobody checked on an asset that they are about."""
    doubts = []
    for asset, rules in due.items():
        checked = {result.id for _, shown in log.about(asset).of(RulesChecked) for result in shown.results}
        doubts += [f"Rule {rule} was not checked on asset {asset}." for rule in rules if rule not in checked]
    return doubts


def _stand_ins(log: EvidenceLog) -> list[str]:
    """Reasoners that gave no answer: rules over measurements did not look at the part, whatever they say of it."""
    found = [
        f"The {judged.role} gave no usable answer, so {judged.model} judged in its place: {'; '.join(judged.passed_over)}."
        for _, judged in log.judged()
        if judged.passed_over and judged.model == EMBEDDED
    ]
    found += [f"No usable answer from {reason}." for _, shown in log.of(Assessed) for reason in shown.unanswered]
    return list(dict.fromkeys(found))


def _unfounded(log: EvidenceLog, claims: Sequence[Verified]) -> dict[tuple[str, str], str]:
    """Answers that find the part anomalous on claims of which code refuted every one, with words for each."""
    words = {}
    for record, judged in log.judged():
        texts = {draft.text for draft in judged.assessment.claims}
        own = [claim for claim in claims if claim.source == judged.source and claim.text in texts]
        # A place to which it points and that no region covers is a doubt that no refuted claim takes back.
        pointed = any(finding.box for finding in judged.assessment.findings)
        refuted = own and all(claim.status == "refuted" for claim in own)
        if judged.assessment.opinion == "anomalous" and refuted and not pointed:
            words[record.id, judged.source] = (
                f"The {judged.role} ({judged.model}) finds the part anomalous, and code refuted every one of the "
                f"{len(own)} claim(s) that it rests on: {judged.assessment.explanation}"
            )
    return words


def _objections(log: EvidenceLog, unfounded: Collection[tuple[str, str]]) -> list[str]:
    """What reasoners have against a part that the instruments call normal; what code measured they cannot overrule."""
    measured = {rule.id for rule in _rules(log) if rule.result == "passed"}
    objections = []
    for record, judged in log.judged():
        who, assessment = f"The {judged.role} ({judged.model})", judged.assessment
        founded = (record.id, judged.source) not in unfounded
        if founded:
            if assessment.opinion != "normal":
                objections.append(f"{who} finds the part {assessment.opinion}: {assessment.explanation}")
            objections += [f"{who} names a finding: {finding.title}." for finding in assessment.findings]
        objections += [
            f"{who} claims that rule {claim.subject} is violated: {claim.text}"
            for claim in assessment.claims
            if founded and claim.kind == "rule" and claim.word == "violated" and claim.subject not in measured
        ]
        objections += [
            f"{who} answers no to rule {answer.rule}: {answer.reason}"
            for answer in assessment.rule_answers
            if answer.answer == "no" and answer.rule not in measured
        ]
    return objections


def _dissent(log: EvidenceLog, localized: Sequence[_Seen]) -> list[str]:
    """A reasoner that does not see what the instruments found is heard, and overrules nothing."""
    unsuspected = {seen.asset for seen in localized if not seen.anomalous}
    return [
        f"The {judged.role} ({judged.model}) finds the part {judged.assessment.opinion}, which clears nothing: "
        f"{judged.assessment.explanation}"
        for record, judged in log.judged()
        if judged.assessment.opinion != "anomalous" and record.arguments.get("asset") not in unsuspected
    ]


def _rules(log: EvidenceLog) -> list[RuleChecked]:
    return [result for _, shown in log.of(RulesChecked) for result in shown.results]


def _in_favour(log: EvidenceLog, localized: Sequence[_Seen]) -> tuple[str, ...]:
    reasons = [
        f"{seen.subject}Normal parts look at least this unusual with probability {seen.shown.p_value:.3g}, "
        f"above the accepted false-alarm rate of {seen.shown.alpha:g}."
        for seen in localized
    ]
    passed = [rule.id for rule in _rules(log) if rule.result == "passed"]
    if passed:
        reasons.append(f"{len(passed)} measurable rule(s) are kept: {', '.join(passed)}.")
    unchecked = [rule.id for rule in _rules(log) if rule.result == "not_checked"]
    if unchecked:
        reasons.append(f"No measurement checks {', '.join(unchecked)}.")
    return tuple(reasons)

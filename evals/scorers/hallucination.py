"""hallucination: what was said to be there and is not. All are lower where they are better."""

from collections.abc import Mapping
from pathlib import Path

from evals.cases import Case
from evals.results import CaseResult, Found, Score
from evals.scorers.locations import found_on, touches
from evals.scorers.measure import Measure, Trial, scores_of, unscored, yes_or_no


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """`defect_on_normal`, `finding_outside` and `answered_unanswerable`.

    The first is 1 where a normal part has a finding, or a claim of presence that code did not refute. The second is the
    share of the findings on assets whose places are known that meet none of them, a margin allowed. The third is the
    share of the unanswerable questions that were answered.
    """
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def _defect_on_normal(trial: Trial) -> Score:
    claimed = [c.text for c in trial.result.claims if c.kind == "presence" and c.status != "refuted"]
    said = [*(found.title for found in trial.result.findings), *claimed]
    return yes_or_no(bool(said), said[0] if said else "")


def _finding_outside(trial: Trial) -> Score:
    found = found_on(trial.result, [place.asset for place in trial.case.expected.places])
    known = [outside for outside in (_is_outside(each, trial) for each in found) if outside is not None]
    if not known:
        return unscored("it has no finding whose place could be compared with the true one")
    return Score(sum(known) / len(known))


def _is_outside(found: Found, trial: Trial) -> bool | None:
    own = [place for place in trial.case.expected.places if place.asset == found.asset]
    met = [touches(found, place, trial.case, trial.folder) for place in own]
    return None if all(each is None for each in met) else not any(met)


def _answered_unanswerable(trial: Trial) -> Score:
    asked = {question.id for question in trial.case.questions if question.unanswerable}
    answered = [answer for answer in trial.result.answers if answer.question in asked and answer.known]
    return Score(len(answered) / len(asked))


def _not_normal(case: Case) -> str:
    return "" if case.expected.verdict == "normal" else "not a part that is known to be normal"


def _no_place(case: Case) -> str:
    return "" if case.expected.places else "no true place is known"


def _answerable(case: Case) -> str:
    asked = any(question.unanswerable for question in case.questions)
    return "" if asked else "no question was asked that cannot be answered"


MEASURES = {
    "defect_on_normal": Measure(_defect_on_normal, _not_normal, "lower"),
    "finding_outside": Measure(_finding_outside, _no_place, "lower"),
    "answered_unanswerable": Measure(_answered_unanswerable, _answerable, "lower"),
}

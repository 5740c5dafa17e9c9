"""faithfulness: whether the verdict follows the part. One thing is changed, and what must follow is known.

Each is asked of the changed part alone, and needs the result of the part that it was made of.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from evals.cases import Case, Change
from evals.results import CaseResult, Score
from evals.scorers.measure import Measure, Trial, scores_of, unscored, yes_or_no

STEADY = 0.2
"""Share by which a score may move where nothing that matters was changed."""

_Compare = Callable[[CaseResult, CaseResult], Score]
"""(the changed part, the part that it was made of)"""


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """`falls`, `stays`, `review` and `same`, each 0 or 1.

    falls: the score is lower than it was and the finding gone (p-value above alpha). stays: the score is within a fifth
    of what it was, and the verdict the same. review: so it is judged. same: the verdict is the same.
    """
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def _falls(changed: CaseResult, before: CaseResult) -> Score:
    if before.verdict != "anomalous" or before.p_value is None or before.alpha is None or before.p_value > before.alpha:
        return unscored("the defect was not found before it was taken out")
    if changed.score is None or changed.p_value is None or changed.alpha is None or before.score is None:
        return Score(0.0, "it has no score")
    return yes_or_no(changed.score < before.score and changed.p_value > changed.alpha)


def _stays(changed: CaseResult, before: CaseResult) -> Score:
    if changed.score is None or before.score is None:
        return Score(0.0, "one of the two has no score")
    near = abs(changed.score - before.score) <= STEADY * abs(before.score)
    return yes_or_no(near and changed.verdict == before.verdict, f"{before.score:.4g} became {changed.score:.4g}")


def _review(changed: CaseResult, before: CaseResult) -> Score:
    return yes_or_no(changed.verdict == "review", f"called {changed.verdict}")


def _same(changed: CaseResult, before: CaseResult) -> Score:
    return yes_or_no(changed.verdict == before.verdict, f"{before.verdict} became {changed.verdict}")


def _compared(change: Change, compare: _Compare) -> Measure:
    def value(trial: Trial) -> Score:
        pair = trial.case.pair
        before = trial.results.get(pair.of) if pair else None
        if before is None or before.error:
            return unscored(f"the part that it was made of, {pair.of if pair else ''}, was not run")
        return compare(trial.result, before)

    def unasked(case: Case) -> str:
        asked = case.pair is not None and case.pair.change == change
        return "" if asked else f"not a changed part of which {change} is to follow"

    return Measure(value, unasked, of_variants=True)


MEASURES = {
    "falls": _compared("falls", _falls),
    "stays": _compared("stays", _stays),
    "review": _compared("review", _review),
    "same": _compared("same", _same),
}

"""consistency: whether the same part, shown or asked of otherwise, is judged alike."""

import functools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from evals.cases import CASES_FILE, Case, SuiteError, read_suite
from evals.results import CaseResult, Score
from evals.scorers.measure import Measure, Trial, scores_of, unscored, yes_or_no


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """`verdict`: 1 where it is that of most cases of the group that were run; 0 for all where no verdict has most."""
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def _verdict(trial: Trial) -> Score:
    try:
        members = _groups(trial.folder, _age(trial.folder)).get(trial.case.group, ())
    except SuiteError as error:
        return unscored(f"the cases of its group are not known: {error}")
    ran = [trial.results[id_] for id_ in members if id_ in trial.results and not trial.results[id_].error]
    if len(ran) < 2:
        return unscored("no other case of its group was run")
    ranks = Counter(result.verdict for result in ran).most_common(2)
    if len(ranks) == 2 and ranks[0][1] == ranks[1][1]:
        return Score(0.0, "no verdict has most of its group")
    return yes_or_no(trial.result.verdict == ranks[0][0], f"{trial.result.verdict}, most are {ranks[0][0]}")


def _age(folder: Path) -> float:
    """When the cases were written, so that a suite that was written anew is read anew."""
    try:
        return (folder / CASES_FILE).stat().st_mtime
    except OSError:
        return 0.0


@functools.lru_cache(maxsize=4)
def _groups(folder: Path, age: float) -> dict[str, tuple[str, ...]]:
    """Group -> ids of its cases, for results do not say what group they are of."""
    groups: dict[str, tuple[str, ...]] = {}
    for case in read_suite(folder).cases:
        groups[case.group] = (*groups.get(case.group, ()), case.id)
    return groups


MEASURES = {"verdict": Measure(_verdict, lambda case: "" if case.group else "it is of no group")}

"""trajectory: whether the right instruments were used, in the right order, without waste.

Only steps that ran count, in order, those that failed among them; what was refused or skipped did not run.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evals.cases import Case
from evals.results import CaseResult, Score, StepTaken
from evals.scorers.measure import Measure, Trial, scores_of, unscored, yes_or_no

_RAN = frozenset({"done", "failed"})


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """Each 0 or 1.

    `strict`, `unordered`, `subset` and `superset` are the trajectory matches of agentevals with one call a message and
    `tool_args_match_mode="ignore"`: the same names in order, the same names as often, none besides the reference's, and
    none of them missing. `must`: all these tools ran. `must_not`: none of these did. `order`: of each pair, where both
    ran, the first ran before the second did so for the first time. `no_repeats`: no call twice with the same arguments.
    `within_budget`: not more steps than `most`.
    """
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def steps_run(result: CaseResult) -> list[StepTaken]:
    return [step for step in result.steps if step.status in _RAN]


def _names(trial: Trial) -> list[str]:
    return [step.tool for step in steps_run(trial.result)]


def _matching(matches: Callable[[Sequence[str], Sequence[str]], bool]) -> Measure:
    def value(trial: Trial) -> Score:
        return yes_or_no(matches(_names(trial), trial.case.expected.steps.reference))

    return Measure(value, lambda case: "" if case.expected.steps.reference else "no right trajectory is known")


def _strict(ran: Sequence[str], reference: Sequence[str]) -> bool:
    return list(ran) == list(reference)


def _unordered(ran: Sequence[str], reference: Sequence[str]) -> bool:
    return Counter(ran) == Counter(reference)


def _subset(ran: Sequence[str], reference: Sequence[str]) -> bool:
    return Counter(ran) <= Counter(reference)


def _superset(ran: Sequence[str], reference: Sequence[str]) -> bool:
    return Counter(ran) >= Counter(reference)


def _must(trial: Trial) -> Score:
    missing = set(trial.case.expected.steps.must) - set(_names(trial))
    return yes_or_no(not missing, ", ".join(sorted(missing)))


def _must_not(trial: Trial) -> Score:
    forbidden = set(trial.case.expected.steps.must_not) & set(_names(trial))
    return yes_or_no(not forbidden, ", ".join(sorted(forbidden)))


def _order(trial: Trial) -> Score:
    names = _names(trial)
    both = [pair for pair in trial.case.expected.steps.order if set(pair) <= set(names)]
    if not both:
        return unscored("of no pair did both run")
    wrong = [f"{first} after {second}" for first, second in both if names.index(first) > names.index(second)]
    return yes_or_no(not wrong, ", ".join(wrong))


def _no_repeats(trial: Trial) -> Score:
    calls = Counter((step.tool, *sorted(step.arguments.items())) for step in steps_run(trial.result))
    twice = sorted({str(call[0]) for call, times in calls.items() if times > 1})
    return yes_or_no(not twice, ", ".join(twice))


def _within_budget(trial: Trial) -> Score:
    taken, most = len(steps_run(trial.result)), trial.case.expected.steps.most
    return yes_or_no(most is not None and taken <= most, f"{taken} steps, at most {most}")


MEASURES = {
    "strict": _matching(_strict),
    "unordered": _matching(_unordered),
    "subset": _matching(_subset),
    "superset": _matching(_superset),
    "must": Measure(_must, lambda case: "" if case.expected.steps.must else "no tool must be used"),
    "must_not": Measure(_must_not, lambda case: "" if case.expected.steps.must_not else "no tool is forbidden"),
    "order": Measure(_order, lambda case: "" if case.expected.steps.order else "no order is asked for"),
    "no_repeats": Measure(_no_repeats),
    "within_budget": Measure(
        _within_budget, lambda case: "no budget is set" if case.expected.steps.most is None else ""
    ),
}

"""What a judge made of a run, for a terminal: marked as a model's, beside how far it agrees with others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from evals.judge.scores import JUDGED_LOWER_IS_BETTER
from evals.judge.store import JUDGED_FILE

AGREEMENTS = {
    "people": "the judge with people",
    "deterministic": "the judge with the deterministic scorer",
    "people_deterministic": "people with the deterministic scorer",
}
"""Who is compared with whom."""


def judge_table(judge: Mapping[str, Any]) -> Table:
    """The judge's own scores, which are in no table of others."""
    title = f"judged by a model, never alone a gate: {judge['model']}"
    table = Table("score", "mean", "95 % interval", "n", "unscored", title=escape(title))
    for name, found in judge["scores"].items():
        label = name + (" (lower is better)" if name in JUDGED_LOWER_IS_BETTER else "")
        interval = "-" if found["low"] is None else f"{found['low']:.3f} .. {found['high']:.3f}"
        mean = "-" if found["mean"] is None else f"{found['mean']:.3f}"
        table.add_row(label, mean, interval, str(found["n"]), str(found["unscored"]))
    return table


def judge_lines(judge: Mapping[str, Any], folder: Path) -> list[str]:
    """What was asked and spent, and every agreement."""
    labels = judge["labels"]
    found = [_asked(judge)]
    if judge["agreement"]["people"] is None:
        path = folder / JUDGED_FILE
        found.append(f'agreement with people: not measured; fill "person" in {path} and give it with --judge-labels')
    found += [
        f"agreement of {who}: {agreement_words(judge['agreement'][name])}"
        for name, who in AGREEMENTS.items()
        if judge["agreement"][name] is not None
    ]
    if labels["stale"]:
        found.append(f"labels of {labels['stale']} answers that have changed since are left out")
    if labels["strangers"]:
        found.append(f"{labels['strangers']} labels are of questions that this run did not judge")
    return found


def agreement_words(found: Mapping[str, Any]) -> str:
    """One agreement, with its table of grades."""
    undecided = f"; {found['undecided']} more not decided" if found["undecided"] else ""
    if not found["n"]:
        return f"not known{undecided}"
    kappa = "kappa not known, for all grades are the same"
    if found["kappa"] is not None:
        spread = "" if found["kappa_low"] is None else f" ({found['kappa_low']:.3f} .. {found['kappa_high']:.3f})"
        kappa = f"kappa {found['kappa']:.3f}{spread or ', without an interval'}"
    table = found["confusion"]
    apart = f"right-wrong {table['right']['wrong']}, wrong-right {table['wrong']['right']}"
    share = f"{found['share']:.3f} ({found['low']:.3f} .. {found['high']:.3f})"
    return f"{found['same']} of {found['n']} alike, {share}; {kappa}; {apart}{undecided}"


def _asked(judge: Mapping[str, Any]) -> str:
    cost = "a cost that is not known" if judge["cost"] is None else f"${judge['cost']:.4g}"
    failed = f", {judge['failed']} of them without a usable reply" if judge["failed"] else ""
    return (
        f"judge: {judge['answers']} answers, {judge['taken_over']} taken over, {judge['cannot_say']} not decided{failed}; "
        f"{judge['tokens']} tokens, {cost} for all of them"
    )

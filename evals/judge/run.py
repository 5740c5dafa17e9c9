"""Judging the answers of a run: what was judged before is taken over, the rest is asked, and the whole put in figures."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from evals.cases import Case
from evals.judge.agreement import DECIDED, UNDECIDED, Agreement, Pair, agreement
from evals.judge.answers import Worded, words_of
from evals.judge.grader import Judge
from evals.judge.labels import Labelled, LabelLine, labelled
from evals.judge.prompt import JUDGE_PROMPT_VERSION
from evals.judge.scores import Scores, judged_scores
from evals.judge.store import Judgement, JudgementStore, Subject
from evals.results import CaseResult
from evals.summaries import figures_of
from tools import Progress


class JudgedRun(NamedTuple):
    """What a judge made of a run."""

    judgements: tuple[Judgement, ...]
    scores: dict[str, Scores]
    """Of each case, as `judged.<name>`."""
    summary: dict[str, Any]
    """In plain values."""


def judge_run(
    judge: Judge,
    cases: Sequence[Case],
    results: Mapping[str, CaseResult],
    folder: Path,
    labels: Sequence[LabelLine] = (),
    *,
    workers: int = 2,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> JudgedRun:
    """Judge every answer in words of which it is known what is right; what is judged is kept in `judged.jsonl` at once."""
    worded = [each for case in cases for each in words_of(case, results[case.id])]
    with JudgementStore(folder) as store:
        missing = [each for each in worded if not _is_judged(_kept(store, judge, each))]
        _ask(judge, missing, store, workers, progress)
        current = [_as_now(judgement, each) for each in worded if (judgement := _kept(store, judge, each))]
        found = labelled(current, store.people(), labels)
        store.finish(found.judgements)
    scores = judged_scores(cases, results, found.judgements)
    counted = {"answers": len(worded), "taken_over": len(worded) - len(missing)}
    return JudgedRun(found.judgements, scores, {**_head(judge), **counted, **_figures(found, scores, seed)})


def _kept(store: JudgementStore, judge: Judge, worded: Worded) -> Judgement | None:
    return store.get(Subject(worded.case, worded.question.id, worded.digest), judge.name, JUDGE_PROMPT_VERSION)


def _as_now(judgement: Judgement, worded: Worded) -> Judgement:
    """Of the same words code may say otherwise than it did: it looks at what an answer cites, too."""
    return judgement.model_copy(update={"deterministic": worded.deterministic})


def _is_judged(judgement: Judgement | None) -> bool:
    """A judge that gave no usable reply is asked again."""
    return judgement is not None and not judgement.failed


def _ask(judge: Judge, missing: Sequence[Worded], store: JudgementStore, workers: int, progress: Progress) -> None:
    """Several at a time, each kept as soon as it is there."""
    with ThreadPoolExecutor(workers, "judge") as pool:
        asked = pool.map(lambda worded: store.add(judge.judge(worded)), missing)
        for done, _ in enumerate(asked, start=1):
            progress("judging answers", done, len(missing))


def _head(judge: Judge) -> dict[str, Any]:
    return {"model": judge.name, "prompt": JUDGE_PROMPT_VERSION}


def _figures(found: Labelled, scores: Mapping[str, Scores], seed: int) -> dict[str, Any]:
    judgements = found.judgements
    grades = Counter(judgement.grade for judgement in judgements)
    costs = [judgement.cost for judgement in judgements]
    return {
        **{grade: grades[grade] for grade in (*DECIDED, UNDECIDED)},
        "failed": sum(judgement.failed for judgement in judgements),
        "tokens": sum(judgement.tokens for judgement in judgements),
        "cost": None if None in costs else sum(cost for cost in costs if cost is not None),
        "labels": {
            "used": sum(bool(judgement.person) for judgement in judgements),
            "stale": found.stale,
            "strangers": found.strangers,
        },
        "scores": figures_of(scores.values(), seed),
        "agreement": agreements(judgements, seed),
    }


def agreements(judgements: Iterable[Judgement], seed: int) -> dict[str, dict[str, Any] | None]:
    """The judge with people, with the deterministic scorer, and people with that one; null where nobody can be compared."""
    pairs: dict[str, list[Pair]] = {"people": [], "deterministic": [], "people_deterministic": []}
    for judgement in judgements:
        pairs["deterministic"].append(Pair(judgement.grade, judgement.deterministic))
        if judgement.person:
            pairs["people"].append(Pair(judgement.grade, judgement.person))
            pairs["people_deterministic"].append(Pair(judgement.person, judgement.deterministic))
    return {name: _values(agreement(of, seed)) for name, of in pairs.items()}


def _values(found: Agreement | None) -> dict[str, Any] | None:
    return None if found is None else found._asdict()

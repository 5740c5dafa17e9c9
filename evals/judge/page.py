"""What a judge made of a run, for its page: the figures, and the answers that people should label first."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from evals.judge.lines import AGREEMENTS
from evals.judge.scores import JUDGED_LOWER_IS_BETTER
from evals.judge.store import Judgement, judgements_of_run

if TYPE_CHECKING:
    from evals.comparing import Run

_MOST_SHOWN = 200
_MOST_TEXT = 1200


class Compared(NamedTuple):
    """An agreement, and whose."""

    who: str
    found: Mapping[str, Any] | None


class JudgeSection(NamedTuple):
    summary: Mapping[str, Any]
    """As `summary.json` holds it."""
    agreements: tuple[Compared, ...]
    disputed: tuple[Judgement, ...]
    """Where the judge says otherwise than code, and then where it cannot say."""
    more: int
    """Such answers beyond those that are shown."""
    lower_is_better: frozenset[str] = JUDGED_LOWER_IS_BETTER


def judge_section(run: "Run") -> JudgeSection | None:
    """`None` for a run that nobody judged."""
    summary = run.summary.get("judge")
    if not isinstance(summary, Mapping):
        return None
    disputed = _disputed(judgements_of_run(run.folder))
    return JudgeSection(
        summary=summary,
        agreements=tuple(Compared(who, summary["agreement"].get(name)) for name, who in AGREEMENTS.items()),
        disputed=tuple(_shortened(judgement) for judgement in disputed[:_MOST_SHOWN]),
        more=max(0, len(disputed) - _MOST_SHOWN),
    )


def _disputed(judgements: Sequence[Judgement]) -> list[Judgement]:
    apart = [judgement for judgement in judgements if judgement.grade != judgement.deterministic]
    return sorted(apart, key=lambda judgement: judgement.grade == "cannot_say")


def _shortened(judgement: Judgement) -> Judgement:
    return judgement.model_copy(update={"asked": _short(judgement.asked), "answer": _short(judgement.answer)})


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"

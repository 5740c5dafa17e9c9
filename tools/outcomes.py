"""What an instrument hands to the recorder, and the sentences that are the same for every modality."""

from collections.abc import Callable
from typing import TypedDict

from tools.assets import Asset
from tools.evidence import KnowledgeFound, ModelCall, Shown
from tools.learned import LearnedProduct

Learned = Callable[[], LearnedProduct]
"""What was learned of the product, for who needs it."""


class Outcome(TypedDict, total=False):
    """What an instrument hands to the recorder."""

    summary: str
    shown: Shown
    artifacts: tuple[str, ...]
    calls: tuple[ModelCall, ...]


def retrieved(shown: KnowledgeFound) -> Outcome:
    return {
        "summary": f"{len(shown.references)} most similar normal references"
        + "".join(f"; {reference.id}, similarity {reference.similarity:.3f}" for reference in shown.references)
        + f". {len(shown.rules)} normality rules apply: {', '.join(shown.rules) or 'none'}.",
        "shown": shown,
        "artifacts": tuple(reference.image for reference in shown.references),
    }


def unseen(asset: Asset) -> tuple[str, ...]:
    """Frames that nobody looks at could hold the defect."""
    return tuple(f"Only the {note} of the file was looked at." for note in asset.notes if note.startswith("first of "))


def beside_alpha(p_value: float, alpha: float) -> str:
    """On which side of alpha a p-value lies."""
    return f"{'at or below' if p_value <= alpha else 'above'} alpha {alpha:g}"

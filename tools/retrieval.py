"""View -> the references most like it, and the rules that apply to it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import NormalityRule, ReferenceImage
from tools.evidence import SimilarReference
from tools.learned import LearnedProduct
from tools.views import RenderedView


class Similar(NamedTuple):
    """A reference with the reason why it was chosen."""

    reference: ReferenceImage
    similarity: float
    why: str


class Retrieved(NamedTuple):
    references: tuple[Similar, ...]
    rules: tuple[NormalityRule, ...]


def others(references: Sequence[SimilarReference], view: RenderedView, count: int) -> tuple[SimilarReference, ...]:
    """The first of those that do not show the very picture that is judged, however its file was written."""
    return tuple(reference for reference in references if reference.image != view.image)[:count]


def retrieve(learned: LearnedProduct, embedding: NDArray[np.float32], query_sha256: str, count: int = 3) -> Retrieved:
    """The `count` nearest references, never the query itself, and every rule of the product."""
    matches = learned.references.search(embedding, count, keep=lambda item: item.sha256 != query_sha256)
    similar = tuple(
        Similar(match.item, match.similarity, f"number {rank} of {len(learned.references)} by likeness of its features")
        for rank, match in enumerate(matches, start=1)
    )
    return Retrieved(similar, learned.product.rules)

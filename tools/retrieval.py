"""View -> the references most like it, and the rules that apply to it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import NormalityRule, ReferenceImage
from tools.learned import LearnedProduct


class Similar(NamedTuple):
    """A reference with the reason why it was chosen."""

    reference: ReferenceImage
    similarity: float
    why: str


class Retrieved(NamedTuple):
    references: tuple[Similar, ...]
    rules: tuple[NormalityRule, ...]


def retrieve(learned: LearnedProduct, embedding: NDArray[np.float32], query_sha256: str, count: int = 3) -> Retrieved:
    """The `count` nearest references, never the query itself, and every rule of the product."""
    matches = learned.references.search(embedding, count, keep=lambda item: item.sha256 != query_sha256)
    similar = tuple(
        Similar(match.item, match.similarity, f"number {rank} of {len(learned.references)} by likeness of its features")
        for rank, match in enumerate(matches, start=1)
    )
    return Retrieved(similar, learned.product.rules)

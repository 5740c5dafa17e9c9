"""Exact cosine search over reference images; the embedder is an argument, so that no floor above is known here."""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Vectors = NDArray[np.float32]


class Match(NamedTuple, Generic[Item]):
    """A reference and its cosine similarity to the query, in [-1, 1]."""

    item: Item
    similarity: float


class ReferenceIndex(Generic[Item]):
    """Items with their embeddings; a few hundred references need no approximate index, and exact is auditable."""

    def __init__(self, items: Sequence[Item], embeddings: Vectors) -> None:
        """`embeddings` is (N, D) float32, one row an item; rows are normalised to unit length here."""
        if embeddings.ndim != 2 or len(embeddings) != len(items):
            raise ValueError(f"expected one embedding row an item: {len(items)} items, embeddings {embeddings.shape}")
        self._items = tuple(items)
        self._embeddings = _unit(embeddings.astype(np.float32))

    @classmethod
    def build(cls, items: Sequence[Item], embed: Callable[[Item], Vectors]) -> "ReferenceIndex[Item]":
        """Embed every item; `embed` returns a (D,) vector."""
        return cls(items, np.stack([embed(item) for item in items]) if items else np.zeros((0, 1), np.float32))

    @property
    def items(self) -> tuple[Item, ...]:
        return self._items

    def __len__(self) -> int:
        return len(self._items)

    def search(
        self, query: Vectors, count: int, keep: Callable[[Item], bool] = lambda item: True
    ) -> tuple[Match[Item], ...]:
        """The `count` most similar items that `keep` accepts, best first; ties in the order of the items."""
        if not self._items:
            return ()
        if query.size != self._embeddings.shape[1]:
            raise ValueError(f"expected a query of size {self._embeddings.shape[1]}, got {query.size}")
        # Not a matrix product: its blocks would sum equal rows in unequal order, and break ties at random.
        similarity = np.einsum("nd,d->n", self._embeddings, _unit(query.astype(np.float32).reshape(1, -1))[0])
        similarity = np.clip(similarity, -1.0, 1.0)
        order = np.argsort(-similarity, kind="stable")
        kept = [index for index in order if keep(self._items[index])]
        return tuple(Match(self._items[index], float(similarity[index])) for index in kept[:count])


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, np.float32(1e-12)), np.float32)

"""The nearest references of a query, by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge import NormalityRule, Product, ReferenceImage, ReferenceIndex
from tools.learned import LearnedProduct
from tools.retrieval import retrieve

RULES = tuple(NormalityRule(id=f"R-{number}", text="It is so.") for number in range(3))


def learned(*vectors: tuple[float, float]) -> LearnedProduct:
    """References `sha0`, `sha1` ... with these embeddings; a localiser is not asked for."""
    references = [ReferenceImage(path=f"{number}.png", sha256=f"sha{number}") for number in range(len(vectors))]
    index = ReferenceIndex(references, np.array(vectors, np.float32).reshape(-1, 2))
    nobody: Any = None
    return LearnedProduct(Product(name="p", description="d", rules=RULES), "v", Path(), nobody, index)


def test_the_nearest_come_first_by_angle() -> None:
    found = retrieve(learned((0, 5), (3, 3), (7, 0)), np.array([2, 0], np.float32), "new")
    assert [similar.reference.sha256 for similar in found.references] == ["sha2", "sha1", "sha0"]
    assert [similar.similarity for similar in found.references] == pytest.approx([1, 0.5**0.5, 0], abs=1e-6)
    assert found.references[0].why == "number 1 of 3 by likeness of its features"
    assert found.rules == RULES


def test_a_part_is_never_its_own_reference() -> None:
    found = retrieve(learned((1, 0), (1, 0.1), (0, 1)), np.array([1, 0], np.float32), "sha0")
    assert [similar.reference.sha256 for similar in found.references] == ["sha1", "sha2"]


@pytest.mark.parametrize(("known", "count", "given"), [(5, 3, 3), (2, 3, 2), (0, 3, 0), (3, 0, 0)])
def test_no_more_are_given_than_asked_for_or_known(known, count, given) -> None:
    found = retrieve(learned(*[(1.0, float(i)) for i in range(known)]), np.array([1, 0], np.float32), "new", count)
    assert len(found.references) == given
    assert found.rules == RULES


def test_the_only_reference_is_the_part_itself() -> None:
    assert retrieve(learned((1, 0)), np.array([1, 0], np.float32), "sha0").references == ()

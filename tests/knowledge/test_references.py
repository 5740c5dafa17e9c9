"""Exact cosine search."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from knowledge import ReferenceIndex


def vectors(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


Rows = arrays.arrays(np.float32, st.tuples(st.integers(1, 8), st.just(5)), elements=st.integers(-9, 9))
Query = arrays.arrays(np.float32, 5, elements=st.integers(-9, 9))


# --- by hand


def test_two_vectors_and_a_query_between_them() -> None:
    index = ReferenceIndex(["right", "up"], vectors([2, 0], [0, 5]))
    first, second = index.search(np.array([3, 4], np.float32), 2)
    assert (first.item, second.item) == ("up", "right")
    assert (first.similarity, second.similarity) == pytest.approx((0.8, 0.6))


def test_the_opposite_and_the_orthogonal_by_hand() -> None:
    index = ReferenceIndex("abcd", vectors([-1, 0], [0, 1], [1, 1], [1, 0]))
    found = index.search(np.array([10, 0], np.float32), 4)
    assert [match.item for match in found] == ["d", "c", "b", "a"]
    assert [match.similarity for match in found] == pytest.approx([1, 0.5**0.5, 0, -1], abs=1e-6)


# --- search


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (3, 3), (9, 3)])
def test_at_most_so_many_are_found(count, expected) -> None:
    assert len(ReferenceIndex([1, 2, 3], np.eye(3, dtype=np.float32)).search(np.ones(3, np.float32), count)) == expected


def test_a_filter_is_asked_before_the_count_is_filled() -> None:
    index = ReferenceIndex([1, 2, 3, 4], vectors([9, 1], [9, 2], [9, 3], [9, 4]))
    found = index.search(np.array([1, 0], np.float32), 2, keep=lambda item: item % 2 == 0)
    assert [match.item for match in found] == [2, 4]
    assert index.search(np.array([1, 0], np.float32), 2, keep=lambda item: False) == ()


def test_nothing_is_found_where_nothing_is() -> None:
    empty = ReferenceIndex.build([], lambda item: np.zeros(7, np.float32))
    assert len(empty) == 0
    assert empty.search(np.ones(7, np.float32), 5) == ()


def test_each_item_is_embedded_once_and_in_order() -> None:
    asked = []

    def embed(item: int) -> np.ndarray:
        asked.append(item)
        return np.array([item, 1], np.float32)

    index = ReferenceIndex.build([5, 0, 2], embed)
    assert asked == [5, 0, 2]
    assert [match.item for match in index.search(np.array([1, 0], np.float32), 3)] == [5, 2, 0]


@given(Rows, Query)
@settings(derandomize=True, max_examples=60)
def test_the_search_agrees_with_the_formula(rows, query) -> None:
    found = ReferenceIndex(range(len(rows)), rows).search(query, len(rows))
    for item, similarity in found:
        lengths = float(np.linalg.norm(rows[item]) * np.linalg.norm(query))
        assert similarity == pytest.approx(float(rows[item] @ query) / lengths if lengths else 0.0, abs=1e-5)
    assert sorted(match.item for match in found) == list(range(len(rows)))
    assert all(before.similarity >= after.similarity for before, after in pairwise(found))


@given(Rows, Query, st.floats(2**-10, 2**10, width=32))
@settings(derandomize=True, max_examples=40)
def test_lengths_do_not_matter(rows, query, factor) -> None:
    plain = ReferenceIndex(range(len(rows)), rows).search(query, len(rows))
    scaled = ReferenceIndex(range(len(rows)), rows * np.float32(factor)).search(query * np.float32(factor), len(rows))
    assert [match.similarity for match in scaled] == pytest.approx([match.similarity for match in plain], abs=1e-5)


def test_a_vector_of_length_zero_is_like_nothing() -> None:
    found = ReferenceIndex("ab", vectors([0, 0], [-1, 0])).search(np.array([1, 0], np.float32), 2)
    assert [tuple(match) for match in found] == [("a", 0.0), ("b", -1.0)]
    assert ReferenceIndex("a", vectors([1, 0])).search(np.zeros(2, np.float32), 1)[0].similarity == 0.0


def test_the_index_keeps_its_own_copy() -> None:
    embeddings = np.eye(2, dtype=np.float32)
    items = ["a", "b"]
    index = ReferenceIndex(items, embeddings)
    embeddings[:] = 0
    items.clear()
    assert index.search(np.array([0, 1], np.float32), 1)[0] == ("b", 1.0)


def test_ties_stand_in_the_order_of_the_items() -> None:
    random = np.random.default_rng(0)
    for count in (17, 37, 129, 300):
        for length in (17, 100, 320, 512, 1000, 1280):
            same = np.repeat(random.normal(size=(1, length)), count, axis=0).astype(np.float32)
            query = random.normal(size=length).astype(np.float32)
            found = ReferenceIndex(range(count), same).search(query, count)
            assert [match.item for match in found] == list(range(count))


def test_a_similarity_never_leaves_its_range() -> None:
    random = np.random.default_rng(0)
    for length in range(1, 400):
        row = random.normal(size=(1, length)).astype(np.float32)
        assert ReferenceIndex([0], row).search(row[0], 1)[0].similarity <= 1.0
        assert ReferenceIndex([0], row).search(-row[0], 1)[0].similarity >= -1.0


# --- errors


@pytest.mark.parametrize("embeddings", [np.zeros((2, 3)), np.zeros((3,)), np.zeros((0, 3)), np.zeros((3, 2, 2))])
def test_one_row_an_item_or_nothing(embeddings) -> None:
    with pytest.raises(ValueError, match="expected one embedding row an item: 3 items"):
        ReferenceIndex([1, 2, 3], embeddings.astype(np.float32))


def test_a_query_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        ReferenceIndex([1], vectors([1, 0])).search(np.ones(3, np.float32), 1)

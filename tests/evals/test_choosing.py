"""A part of a suite stands for all of it."""

from collections import Counter
from typing import Any

from evals.cases import Case, Expected, Pair
from evals.choosing import drawn


def case(id_: str, verdict: Any = "normal", tag: str = "image", **more: Any) -> Case:
    return Case(id=id_, product="p", assets=("a.png",), expected=Expected(verdict=verdict), tags=(tag,), **more)


def many(count: int, verdict: Any, tag: str) -> list[Case]:
    return [case(f"{tag}/{verdict}/{number}", verdict, tag) for number in range(count)]


MIXED = [*many(60, "normal", "image"), *many(30, "anomalous", "image"), *many(10, "anomalous", "video")]


def ids(cases: Any) -> list[str]:
    return [case.id for case in cases]


def kinds(cases: Any) -> Counter[str]:
    return Counter(case.id.rpartition("/")[0] for case in cases)


def test_kinds_of_parts_keep_their_shares_by_hand() -> None:
    assert kinds(drawn(MIXED, 10, 0)) == {"image/normal": 6, "image/anomalous": 3, "video/anomalous": 1}
    assert kinds(drawn(MIXED, 20, 0)) == {"image/normal": 12, "image/anomalous": 6, "video/anomalous": 2}
    # Fewer than there are kinds are of different kinds, the largest first.
    assert kinds(drawn(MIXED, 2, 0)) == {"image/normal": 1, "image/anomalous": 1}


def test_the_draw_is_by_seed_and_in_the_order_of_the_suite() -> None:
    chosen = drawn(MIXED, 20, 0)
    assert ids(chosen) == ids(drawn(MIXED, 20, 0)) != ids(drawn(MIXED, 20, 1))
    assert ids(chosen) == [id_ for id_ in ids(MIXED) if id_ in set(ids(chosen))]
    assert ids(chosen) != ids(MIXED)[:20]
    assert drawn(MIXED, 100, 0) == tuple(MIXED)
    assert drawn(MIXED, 1000, 0) == tuple(MIXED)


def family(number: int) -> list[Case]:
    """A part with a variant, what was made of it, and what was made of that."""
    part = case(f"{number}", "anomalous", group=f"g{number}")
    variant = Case(id=f"{number}/jpeg", product="p", assets=("b.jpg",), group=f"g{number}", variant="jpeg")
    erased = case(f"{number}/erased", pair=Pair(of=f"{number}", change="falls"))
    again = case(f"{number}/again", pair=Pair(of=f"{number}/erased", change="same"))
    return [part, variant, erased, again]


def test_groups_and_pairs_stay_together() -> None:
    cases = [*(case for number in range(10) for case in family(number)), *many(10, "normal", "image")]
    for seed in range(5):
        chosen = Counter(id_.partition("/")[0] for id_ in ids(drawn(cases, 15, seed)))
        alone = chosen.pop("image")
        assert set(chosen.values()) == {4}
        assert 4 * len(chosen) + alone == 15


def test_only_where_nothing_else_is_left_are_the_first_cases_of_a_family_taken() -> None:
    cases = [case for number in range(3) for case in family(number)]
    chosen = ids(drawn(cases, 6, 0))
    whole, cut = Counter(id_.partition("/")[0] for id_ in chosen).most_common()
    assert (whole[1], cut[1]) == (4, 2)
    assert f"{cut[0]}" in chosen
    assert f"{cut[0]}/jpeg" in chosen
    assert len(drawn(cases, 1, 0)) == 1

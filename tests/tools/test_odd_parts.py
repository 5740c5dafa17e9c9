"""Normal parts that stand out from all others."""

import pytest

from tools.localization.odd_parts import odd_parts

ALIKE = [2.0, 3.0, 2.5, 3.5, 2.2, 2.9, 3.1, 2.4, 2.6, 3.3]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (ALIKE, ()),
        ([*ALIKE, 7.0], (10,)),
        ([7.0, *ALIKE], (0,)),
        ([*ALIKE, 6.9], ()),
        ([8.0, *ALIKE, *ALIKE[:8], 7.5], (0, 19)),
        ([8.0, *ALIKE, 7.5], ()),
        ([20.0, 8.0, *ALIKE], (0,)),
        ([*ALIKE[:8], 30.0], ()),
        ([-3.0] * 10 + [-1.0], ()),
        ([-3.0] * 10 + [0.5], (10,)),
        ([2.0] * 12, ()),
        ([], ()),
    ],
)
def test_odd_parts_by_hand(scores: list[float], expected: tuple[int, ...]) -> None:
    assert odd_parts(scores) == expected


def test_a_part_stands_out_by_its_highest_picture_however_many_there_are_of_it() -> None:
    scores, shown = [*ALIKE, 7.0, 9.0, 3.0, 8.0], [*range(10), 10, 10, 10, 10]
    assert odd_parts(scores, shown) == (10, 11, 13), "the one that is like others is not named"
    assert odd_parts(scores, range(14)) == (), "three of fourteen would be too many"
    assert odd_parts(scores, [*range(8), 8, 8, 9, 9, 9, 9]) == (10, 11, 13)


def test_pictures_of_few_parts_do_not_say_which_of_them_is_odd() -> None:
    assert odd_parts([*ALIKE, 30.0], [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4]) == ()

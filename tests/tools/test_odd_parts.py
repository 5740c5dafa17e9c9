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

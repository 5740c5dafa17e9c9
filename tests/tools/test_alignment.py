"""Whether parts are aligned, told from how far held-out references differ from the others: by hand, and on pictures."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tools.localization import LocalizerSettings, Part, fit_localizer
from tools.localization.alignment import alignment
from tools.localization.template import VISIBLE

SMALL = LocalizerSettings(areas=(96 * 96,), memory_size=60, prompts="none")


@pytest.mark.parametrize(
    ("largest", "aligned"),
    [
        ([0.01] * 12, True),
        ([0.01] * 9 + [0.05] * 3, True),
        ([0.01] * 9 + [0.0501] * 3, False),
        ([0.01] * 19 + [0.9], True),
        ([0.0] * 12, True),
        ([0.0] * 9 + [0.005] * 3, True),
        ([0.0] * 9 + [0.006] * 3, False),
        ([0.0001] * 9 + [0.0009] * 3, True),
        ([0.01] * 9, False),
        ([], False),
    ],
)
def test_references_that_differ_alike_are_aligned(largest: Sequence[float], aligned: bool) -> None:
    assert alignment(None, largest, 0.5).aligned is aligned


def test_a_template_that_allows_nearly_everything_tells_nothing() -> None:
    found = alignment(None, [0.01] * 12, 0.51)
    assert not found.aligned
    assert "show 51% of all grey values" in found.reason


@pytest.mark.parametrize("declared", [True, False])
def test_what_the_product_says_stands(declared: bool) -> None:
    found = alignment(declared, [0.01] * 9 + [0.9] * 9, 0.9)
    assert found.aligned is declared
    assert "the product says" in found.reason


def test_differences_count_from_what_nine_of_ten_references_show() -> None:
    assert alignment(None, np.linspace(0.0, 0.1, 11).tolist(), 0.2).visible == pytest.approx(0.09)
    assert alignment(True, [0.5] * 9, 0.2).visible == VISIBLE
    assert alignment(None, [1e-6] * 12, 0.2).visible == VISIBLE


def part(seed: int, reach: int = 0, *, missing: bool = False) -> np.ndarray:
    """A bright square on a ground with noise, up to `reach` pixels from its place."""
    random = np.random.default_rng(seed)
    picture = random.normal(70, 4, (96, 96))
    top, left = 30 + random.integers(-reach, reach + 1), 30 + random.integers(-reach, reach + 1)
    if not missing:
        picture[top : top + 30, left : left + 30] += random.normal(110, 4)
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def parts(picture: Callable[[int], np.ndarray], count: int = 12) -> list[Part]:
    return [Part(str(seed), lambda seed=seed: picture(seed)) for seed in range(count)]


def test_parts_in_one_place_are_compared_place_by_place_and_found_to_miss_something() -> None:
    found = fit_localizer(parts(part), settings=SMALL)
    assert found.manifest.aligned
    assert "compared with the references place by place" in found.manifest.appearance.reason
    without = fit_localizer(parts(part), settings=SMALL.model_copy(update={"aligned": False}))
    assert not without.manifest.aligned
    odd, normal = part(50, missing=True), part(51)
    margins = [each.localize(odd).score / each.localize(normal).score for each in (found, without)]
    assert margins[0] > 2 * margins[1]


def marked(seed: int) -> np.ndarray:
    """A part in its place, and on four of ten a harmless dark mark anywhere."""
    random = np.random.default_rng(seed)
    picture = part(seed)
    if random.random() < 0.4:
        top, left = random.integers(0, 90), random.integers(0, 60)
        picture[top : top + 4, left : left + 30] = 10
    return picture


@pytest.mark.parametrize("picture", [lambda seed: part(seed, reach=25), marked])
def test_parts_that_lie_anywhere_or_vary_anywhere_are_not(picture) -> None:
    found = fit_localizer(parts(picture), settings=SMALL)
    assert not found.manifest.aligned
    assert "not compared with the references place by place" in found.manifest.appearance.reason
    assert found.normal.template is None

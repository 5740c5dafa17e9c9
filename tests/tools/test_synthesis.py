"""Anomalies made on normal pictures: each kind changes what it says, where it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.localization.synthesis import KINDS, perlin, synthesize, visible_change

TEXTURE = np.random.default_rng(9).integers(0, 256, (40, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_a_part_of_the_picture_and_marks_just_that(plate, kind) -> None:
    before = plate(0)
    untouched = before.copy()
    made = synthesize(before, np.random.default_rng(3), [TEXTURE], [kind])
    assert made is not None
    assert made.kind == kind
    assert made.pixels.shape == before.shape
    assert made.pixels.dtype == np.uint8
    assert np.array_equal(before, untouched)
    difference = np.abs(made.pixels.astype(int) - before).max(axis=2)
    assert difference[made.mask].mean() > 8
    assert difference[~made.mask].mean() < 1
    assert 0 < made.mask.mean() < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_anomaly_and_another_does_not(plate, kind) -> None:
    first, again, other = (synthesize(plate(0), np.random.default_rng(s), [TEXTURE], [kind]) for s in (3, 3, 4))
    assert first is not None
    assert again is not None
    assert other is not None
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.integers(0, 2**32 - 1))
def test_pictures_of_any_size_are_taken(height, width, seed) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    made = synthesize(pixels, np.random.default_rng(seed))
    assert made is None or (
        made.pixels.shape == pixels.shape and made.mask.shape == (height, width) and made.mask.any()
    )


def test_what_cannot_be_changed_visibly_gives_nothing() -> None:
    """On one flat colour, moving patches about changes nothing, and a label for it would be a lie."""
    flat = np.full((64, 64, 3), 120, np.uint8)
    assert synthesize(flat, np.random.default_rng(0), kinds=["blended", "blurred", "warped", "missing"]) is None


def test_changes_too_faint_for_an_eye_are_not_labelled() -> None:
    before = np.full((40, 40, 3), 120, np.uint8)
    faint, plain = before.copy(), before.copy()
    faint[10:20, 10:20] += 1
    plain[10:20, 10:20] += 60
    assert not visible_change(before, faint).any()
    assert visible_change(before, plain).sum() == pytest.approx(100, abs=12)


def test_perlin_noise_is_smooth_about_nought_and_has_structure() -> None:
    noise = perlin(640, 480, np.random.default_rng(0))
    assert noise.shape == (640, 480)
    assert abs(noise.mean()) < 0.2
    assert 0.3 < np.abs(noise).max() <= 1.01
    assert np.abs(np.diff(noise, axis=0)).max() < 0.2

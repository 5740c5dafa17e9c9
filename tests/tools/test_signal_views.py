"""Made anomalies, and the second opinion by pictures of windows."""

import numpy as np
import pytest

from knowledge import FittedPartError
from tools.signals.synthesis import KINDS, Kind, put_anomaly
from tools.signals.view_localizer import Opinions, ViewLocalizer, draw_window

WAVE = np.stack([np.sin(np.arange(600) / 4), np.cos(np.arange(600) / 4)]) + 0.05 * np.random.default_rng(0).normal(
    size=(2, 600)
)


@pytest.mark.parametrize("kind", KINDS)
def test_an_anomaly_changes_its_place_alone(kind: Kind) -> None:
    made = put_anomaly(WAVE, kind, 20, np.random.default_rng(1))
    again = put_anomaly(WAVE, kind, 20, np.random.default_rng(1))
    assert np.array_equal(made.piece, again.piece)
    assert np.array_equal(made.piece[:, ~made.truth], WAVE[:, ~made.truth])
    assert not np.array_equal(made.piece[:, made.truth], WAVE[:, made.truth])
    assert 1 <= made.truth.sum() <= 80
    assert np.isfinite(made.piece).all()


def test_a_window_is_drawn_by_hand() -> None:
    pixels = draw_window(np.zeros((2, 100)), 100)
    assert pixels.shape == (224, 224, 3)
    rows = np.flatnonzero(pixels[:, 0, 0] < 255)
    assert len(rows) == 2
    assert abs(rows[0] - 56) <= 2
    assert abs(rows[1] - 168) <= 2
    high = np.flatnonzero(draw_window(np.full((1, 100), 99.0), 100)[:, 5, 0] < 255)
    assert high.tolist() == [1]


def test_pictures_notice_a_level() -> None:
    views = ViewLocalizer.fit([WAVE[:, :250]], 8)
    odd = WAVE[:, :250].copy()
    odd[1, 160:230] += 4
    said = views.judge(odd)
    assert said.shape == odd.shape
    assert said[1, 170:220].mean() > said[1, :120].mean() + 1
    with pytest.raises(FittedPartError, match="two pictures"):
        ViewLocalizer.fit([WAVE[:, :60]], 8)


def test_views_are_preferred_only_where_they_are_better() -> None:
    assert Opinions(0.8, 0.9).prefers_views
    assert not Opinions(0.9, 0.9).prefers_views

"""Made anomalies, and the choice between samples, plots and both."""

import numpy as np
import pytest

from tools.signals.ensemble import Plotting, shares_of
from tools.signals.opinions import chosen, compared, not_compared, plotting_of
from tools.signals.plotted_windows import Eye
from tools.signals.synthesis import KINDS, Kind, put_anomaly

WAVE = np.stack([np.sin(np.arange(600) / 4), np.cos(np.arange(600) / 4)]) + 0.05 * np.random.default_rng(0).normal(
    size=(2, 600)
)
STEPS = np.linspace(-0.1, 0.1, 24)


@pytest.mark.parametrize("kind", KINDS)
def test_an_anomaly_changes_its_place_alone(kind: Kind) -> None:
    made = put_anomaly(WAVE, kind, 20, np.random.default_rng(1))
    again = put_anomaly(WAVE, kind, 20, np.random.default_rng(1))
    assert np.array_equal(made.piece, again.piece)
    assert np.array_equal(made.piece[:, ~made.truth], WAVE[:, ~made.truth])
    assert not np.array_equal(made.piece[:, made.truth], WAVE[:, made.truth])
    assert 1 <= made.truth.sum() <= 80
    assert np.isfinite(made.piece).all()


def test_both_have_one_vote_each() -> None:
    assert shares_of("samples") == pytest.approx([0.2] * 5)
    assert shares_of("views") == [1]
    assert shares_of("both") == pytest.approx([0.1] * 5 + [0.5])


def test_the_best_that_is_surely_better_is_chosen() -> None:
    samples = 0.5 + STEPS
    choice = chosen({"samples": samples, "views": samples + 0.1 + STEPS[::-1] / 10, "both": samples + 0.2 + STEPS})
    assert choice.opinion == "both"
    assert choice.figures == pytest.approx({"samples": 0.5, "views": 0.6, "both": 0.7})
    assert choice.sentence == (
        "judged by the samples and plots of them: surely better than the samples alone on 24 anomalies made on normal "
        "data (mean average precision 0.50 by the samples alone, 0.60 by plots of the samples alone, 0.70 by the samples "
        "and plots of them)"
    )


def test_a_gain_within_what_chance_does_is_none() -> None:
    gains = np.tile([-0.5, 0.7], 12)
    choice = chosen({"samples": 0.5 + STEPS, "views": 0.5 + STEPS + gains, "both": 0.4 + STEPS})
    assert choice.opinion == "samples"
    assert choice.figures["views"] > choice.figures["samples"]
    assert "nothing else is surely better" in choice.sentence
    alike = chosen({"samples": STEPS, "views": STEPS, "both": STEPS})
    assert alike.opinion == "samples"


@pytest.mark.parametrize(
    ("channels", "held_out", "whole", "length"),
    [
        (2, 200, False, 160),
        (2, 160, False, 160),
        (2, 159, False, None),
        (2, 120, True, 120),
        (2, 79, True, None),
        (32, 200, False, 160),
        (33, 200, False, None),
    ],
)
def test_plots_are_filled_by_what_is_held_out(channels: int, held_out: int, whole: bool, length: int | None) -> None:
    folds = [([np.zeros((channels, 900))], [np.zeros((channels, held_out))])]
    found = plotting_of(folds, 20, 3, whole=whole)
    if length is None:
        assert isinstance(found, str)
        assert "alone: " in not_compared(found).sentence
    else:
        assert isinstance(found, Plotting)
        assert (found.length, found.seed) == (length, 3)


@pytest.mark.parametrize("pieces", [[WAVE], [WAVE[:, first : first + 100] for first in range(0, 600, 100)]])
def test_opinions_are_compared_on_the_same_anomalies(pieces: list[np.ndarray]) -> None:
    found = compared(pieces, 10, Plotting(80, 0, Eye(200)))
    assert {opinion: len(precisions) for opinion, precisions in found.items()} == dict.fromkeys(found, 24)
    assert all((precisions > 0).all() and (precisions <= 1).all() for precisions in found.values())
    assert not np.array_equal(found["samples"], found["views"])
    assert not np.array_equal(found["samples"], found["both"])
    assert found["samples"].mean() > 0.5


@pytest.mark.parametrize("rest", [np.zeros((2, 250)), WAVE[:, :20]])
def test_where_little_can_be_changed_nothing_is_chosen(rest: np.ndarray) -> None:
    pieces = [WAVE[:, :100]] * 3 + [rest, rest]
    found = compared(pieces, 10, Plotting(80, 0, Eye(200)))
    assert len(found["samples"]) == 0
    assert chosen(found).opinion == "samples"
    assert "too short or too still" in chosen(found).sentence

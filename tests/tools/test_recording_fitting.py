"""Learning what recordings are like, and by what they are judged."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from knowledge import FittedPartError
from tools.fitted import load_fitted, save_fitted
from tools.signals import Recording, RecordingLocalizer, fit_recording
from tools.signals.detector import Floats
from tools.signals.ensemble import OPINIONS, Opinion, Plotting

CHANNELS = ("Current [A]", "Flow", "Switch")


def made(seed: int, samples: int = 600) -> Recording:
    """Two related channels, one of them periodic, and a switch that never moves."""
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * (np.arange(samples) + 7 * seed) / 40)
    current = 3 + wave + 0.1 * rng.normal(size=samples)
    flow = 20 + 2 * wave + 0.2 * rng.normal(size=samples)
    return Recording(np.stack([current, flow, np.ones(samples)], axis=1), np.arange(samples) / 2, CHANNELS)


def parts(count: int, samples: int = 600) -> list[Callable[[], Recording]]:
    return [lambda seed=seed: made(seed, samples) for seed in range(count)]  # type: ignore[misc]


class Preferring:
    """A comparison whose outcome is known before."""

    def __init__(self, opinion: Opinion) -> None:
        self.opinion = opinion
        self.asked: list[tuple[int, int, int]] = []

    def __call__(self, pieces: Sequence[Floats], window: int, plotting: Plotting) -> dict[Opinion, Floats]:
        self.asked.append((len(pieces), window, plotting.length))
        return {each: np.full(24, 0.9 if each == self.opinion else 0.5) for each in OPINIONS}


@functools.cache
def judged_by(opinion: Opinion) -> RecordingLocalizer:
    return fit_recording(parts(8, 300), compare=Preferring(opinion))


@pytest.fixture(scope="module")
def by_both() -> RecordingLocalizer:
    return judged_by("both")


def test_stretches_and_parts() -> None:
    by_stretch = fit_recording(parts(3))
    assert by_stretch.calibrated_on == f"stretches of {by_stretch.about()['stretch'] / 2:.4g} s"
    assert by_stretch.localize(made(5)).blocks == -(-600 // by_stretch.about()["stretch"])
    by_part = fit_recording(parts(20, 120))
    assert by_part.calibrated_on == "parts"
    assert by_part.calibration.count == 20
    assert by_part.localize(made(40, 120)).blocks == 1
    held_out = fit_recording(parts(3), parts(2))
    assert held_out.calibration.scheme == "split"
    assert by_part.calibration.scheme == "cross"


def test_two_runs_give_the_same(by_both: RecordingLocalizer) -> None:
    again = judged_by.__wrapped__("both")
    assert np.array_equal(again.localize(made(9, 300)).values, by_both.localize(made(9, 300)).values)
    assert np.array_equal(again.calibration.scores, by_both.calibration.scores)


def test_what_cannot_be_learned_from() -> None:
    other = made(1)._replace(channels=("a", "b", "c"))
    for bad, said in [
        ([], "no normal recordings"),
        ([lambda: made(1, 60)], "at least 200"),
        ([lambda: made(1), lambda: other], "different channels"),
        ([lambda: made(1), lambda: made(2)._replace(times=made(2).times * 10)], "sort them apart by their rate"),
        ([lambda: made(1), lambda: made(2)._replace(timed=False)], "some have none"),
        ([lambda: made(1)._replace(values=np.ones((600, 3)))], "no channel"),
    ]:
        with pytest.raises(FittedPartError, match=said):
            fit_recording(bad)


def test_the_comparison_is_of_the_normal_data_and_is_told() -> None:
    stub = Preferring("both")
    learned = fit_recording(parts(8, 300), compare=stub)
    assert stub.asked == [(8, learned.window, 300)]
    choice = learned.about()["choice"]
    assert (choice["opinion"], choice["figures"]["both"], choice["figures"]["samples"]) == ("both", 0.9, 0.5)
    assert learned.reservation == choice["sentence"]
    assert "0.50 by the samples alone" in choice["sentence"]


def test_runs_that_are_held_out_for_good_are_plotted_whole() -> None:
    stub = Preferring("samples")
    fit_recording(parts(2), parts(3, 250), compare=stub)
    assert [length for _, _, length in stub.asked] == [250]


def test_normal_data_too_short_for_plots_are_judged_by_their_samples() -> None:
    stub = Preferring("views")
    learned = fit_recording(parts(3), compare=stub)
    assert not stub.asked
    assert learned.about()["choice"]["opinion"] == "samples"
    assert learned.about()["choice"]["figures"] == {}
    assert "too short for plots of 336" in learned.reservation


def test_plots_are_learned_only_where_they_are_asked(by_both: RecordingLocalizer) -> None:
    of_detectors = {
        opinion: {name.split(".")[0] for name in learned.tensors()}
        for opinion, learned in (("samples", judged_by("samples")), ("views", judged_by("views")), ("both", by_both))
    }
    assert of_detectors["both"] - of_detectors["samples"] == {"plots"}
    assert of_detectors["both"] - of_detectors["views"] >= {"raw_windows", "statistics", "residual"}


@pytest.mark.parametrize("opinion", ["views", "both"])
def test_an_event_is_found_and_normal_runs_are_not(opinion: Opinion) -> None:
    learned = judged_by(opinion)
    cut = learned.threshold(0.05).value
    values = made(9, 300).values.copy()
    values[140:200, 0] += 4
    odd = made(9, 300)._replace(values=values)
    found = learned.localize(odd)
    assert found.score > cut
    place = learned.places(odd, found.values, cut)[0]
    assert place.native["channels"][0] == "Current [A]"
    assert abs(place.native["first"] - 140) <= 15
    assert abs(place.native["last"] - 199) <= 15
    assert np.median([learned.localize(made(seed, 300)).score for seed in range(20, 26)]) < cut


def test_what_is_calibrated_is_the_opinion_that_is_used(by_both: RecordingLocalizer) -> None:
    """Further normal runs have p-values as chance gives them."""
    found = [by_both.localize(made(seed, 300)) for seed in range(20, 28)]
    assert 0.15 < np.median([by_both.calibration.p_value(each.score, each.blocks) for each in found]) < 0.85
    assert not np.array_equal(by_both.calibration.scores, judged_by("samples").calibration.scores)


def test_what_was_learned_of_plots_comes_back_from_disk(by_both: RecordingLocalizer, tmp_path: Path) -> None:
    save_fitted(tmp_path, "time_series", 1, by_both.tensors(), by_both.about())
    again = RecordingLocalizer.of_fitted(load_fitted(tmp_path, "time_series", 1))
    assert np.array_equal(again.localize(made(9, 300)).values, by_both.localize(made(9, 300)).values)
    assert again.reservation == by_both.reservation


@pytest.mark.parametrize("damage", ["weights", "missing", "other opinion"])
def test_damaged_plots_are_refused(by_both: RecordingLocalizer, tmp_path: Path, damage: str) -> None:
    tensors, about = by_both.tensors(), by_both.about()
    if damage == "weights":
        tensors["plots.weights"] = np.zeros(32, np.uint8)
    elif damage == "missing":
        del tensors["plots.patches"]
    else:
        about["choice"]["opinion"] = "hearsay"
    save_fitted(tmp_path, "time_series", 1, tensors, about)
    with pytest.raises(FittedPartError, match="enroll again"):
        RecordingLocalizer.of_fitted(load_fitted(tmp_path, "time_series", 1))


@pytest.mark.parametrize("recordings", [6, 12, 13])
def test_what_every_recording_does_at_the_same_time_is_normal_in_a_new_one(recordings: int) -> None:
    """Eleven and twelve recordings of 600 samples are remembered on different grids; calibration must not notice."""

    def run(seed: int) -> Recording:
        random = np.random.default_rng(seed)
        time = np.arange(600) / 20
        values = np.stack([2 + 0.4 * np.cos(2 * time), np.clip(time - 2, 0, 3)], axis=1)
        return Recording(values + random.normal(0, 0.03, values.shape), time, ("pressure", "speed"))

    localizer = fit_recording([functools.partial(run, seed) for seed in range(recordings)])
    alarms = [localizer.localize(run(1000 + seed)).score > localizer.calibration.scores[-1] for seed in range(8)]
    assert sum(alarms) <= 1

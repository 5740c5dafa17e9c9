"""Learning normal recordings and judging others."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge import FittedPartError, ToolFailure
from tools.fitted import load_fitted, save_fitted
from tools.signals import Recording, RecordingLocalizer, fit_recording, read_recording

CHANNELS = ("Current [A]", "Flow", "Switch")


def made(seed: int, samples: int = 600, *, level: float = 0.0) -> Recording:
    """Two related channels, one of them periodic, and a switch that never moves."""
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * (np.arange(samples) + 7 * seed) / 40)
    current = 3 + wave + 0.1 * rng.normal(size=samples) + level
    flow = 20 + 2 * wave + 0.2 * rng.normal(size=samples)
    return Recording(
        np.stack([current, flow, np.ones(samples)], axis=1),
        np.arange(samples) / 2,
        CHANNELS,
        "2024-05-01T08:00:00+00:00",
    )


def changed(recording: Recording, channel: int, first: int, last: int, by: float) -> Recording:
    values = recording.values.copy()
    values[first : last + 1, channel] += by
    return recording._replace(values=values)


def parts(count: int, samples: int = 600) -> list[Callable[[], Recording]]:
    return [lambda seed=seed: made(seed, samples) for seed in range(count)]  # type: ignore[misc]


@pytest.fixture(scope="module")
def localizer() -> RecordingLocalizer:
    return fit_recording(parts(3))


def test_a_shift_is_found_where_it_is(localizer: RecordingLocalizer) -> None:
    odd = changed(made(9), 0, 300, 359, 2.5)
    found = localizer.localize(odd)
    assert found.values.shape == (3, 600)
    assert found.values.dtype == np.float32
    assert found.score == found.values.max()
    assert not found.unlike
    cut = localizer.threshold(0.05)
    assert found.score > 2 * cut.value
    place = localizer.places(odd, found.values, cut.value)[0]
    assert abs(place.native["first"] - 300) <= 15
    assert abs(place.native["last"] - 359) <= 15
    assert place.native["channels"][0] == "Current [A]"
    assert place.native["start"] == odd.stamp(place.native["first"])
    measured = {item.name: item for item in localizer.measure(odd, found.values, place.members)}
    assert 1 < measured["current_deviation_mean"].value < measured["current_deviation_max"].value < 4.5
    assert measured["current_deviation_mean"].unit == "A"
    assert measured["current_sigmas_max"].value > 2
    samples = place.native["last"] - place.native["first"] + 1
    assert measured["duration"].value == pytest.approx(samples / 2)
    assert measured["samples"].value == samples


@pytest.mark.parametrize(("first", "last"), [(150, 152), (200, 219), (400, 500)])
def test_ends_are_those_of_the_event_and_not_of_the_windows(
    localizer: RecordingLocalizer, first: int, last: int
) -> None:
    odd = changed(made(11), 1, first, last, 6.0)
    found = localizer.localize(odd)
    cut = localizer.threshold(0.05).value
    place = localizer.places(odd, found.values, cut)[0]
    near = max(2, (last - first + 1) / 4)
    assert abs(place.native["first"] - first) <= near
    assert abs(place.native["last"] - last) <= near
    assert cut < place.peak == found.values.ravel()[place.members].max() <= found.score


def test_two_events_that_one_window_covers_are_two_places(localizer: RecordingLocalizer) -> None:
    odd = changed(changed(made(11), 1, 300, 304, 8.0), 1, 330, 334, 8.0)
    found = localizer.localize(odd)
    places = localizer.places(odd, found.values, localizer.threshold(0.05).value)
    found_at = sorted((place.native["first"], place.native["last"]) for place in places)
    assert len(found_at) == 2
    assert np.abs(np.array(found_at) - [(300, 304), (330, 334)]).max() <= 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 599), st.integers(1, 300), st.floats(0, 12), st.floats(0.5, 6))
def test_what_is_over_the_threshold_has_a_place(first: int, lasts: int, by: float, threshold: float) -> None:
    odd = changed(made(12), 0, first, first + lasts - 1, by)
    localizer = WAVES
    values = localizer.localize(odd).values
    places = localizer.places(odd, values, threshold)
    assert bool(places) == bool(values.max() > threshold)
    peaks = [place.peak for place in places]
    assert peaks == sorted(peaks, reverse=True)
    assert all(peak > threshold for peak in peaks)
    members = np.concatenate([place.members for place in places]) if places else np.zeros(0)
    assert len(np.unique(members)) == len(members)


WAVES = fit_recording(parts(3))


def test_normal_recordings_stay_low(localizer: RecordingLocalizer) -> None:
    scores = [localizer.localize(made(seed)).score for seed in range(20, 26)]
    assert np.median(scores) < localizer.threshold(0.05, 30).value


def test_a_switch_that_never_moved_and_moves(localizer: RecordingLocalizer) -> None:
    odd = changed(made(9), 2, 100, 102, 1.0)
    found = localizer.localize(odd)
    place = localizer.places(odd, found.values, localizer.threshold(0.01).value)[0]
    assert place.native["channels"] == ["Switch"]
    assert (place.native["first"], place.native["last"]) == (100, 102)
    assert "switch_sigmas_max" not in {item.name for item in localizer.measure(odd, found.values, place.members)}


def test_channels_may_stand_in_another_order(localizer: RecordingLocalizer) -> None:
    odd = changed(made(9), 1, 200, 240, 8.0)
    turned = odd._replace(values=odd.values[:, [2, 0, 1]], channels=("Switch", "Current [A]", "Flow"))
    assert np.array_equal(localizer.localize(turned).values, localizer.localize(odd).values[[2, 0, 1]])


def test_holes_are_not_judged(localizer: RecordingLocalizer) -> None:
    values = made(9).values.copy()
    values[100:200, 0] = np.nan
    found = localizer.localize(made(9)._replace(values=values))
    assert np.isfinite(found.values).all()
    assert (found.values[0, 100:200] == 0).all()
    assert any("missing" in said for said in found.unlike)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r._replace(values=r.values * [1000, 1, 1]), "another unit"),
        (lambda r: r._replace(values=r.values * [0.001, 1, 1]), "another unit"),
        (lambda r: r._replace(times=r.times * 4), "a sample every 2 s"),
        (lambda r: r._replace(timed=False), "it has none"),
        (lambda r: r._replace(times=r.times + 900 * (np.arange(600) > 300)), "gap of 900"),
        (
            lambda r: r._replace(values=np.hstack([r.values, r.values[:, :1]]), channels=(*r.channels, "More")),
            "were not judged: More",
        ),
    ],
)
def test_what_is_unlike_the_references_is_said(
    localizer: RecordingLocalizer, change: Callable[[Recording], Recording], said: str
) -> None:
    assert any(said in sentence for sentence in localizer.localize(change(made(9))).unlike)


def test_what_cannot_be_judged(localizer: RecordingLocalizer) -> None:
    with pytest.raises(ToolFailure, match="lacks 1 of the references' channels"):
        localizer.localize(made(9)._replace(channels=("Current [A]", "Other", "Switch")))
    with pytest.raises(ToolFailure, match="fewer than a window"):
        localizer.localize(made(9, 10))
    with pytest.raises(ToolFailure, match="known to be normal has 3"):
        localizer.localize(made(9), baseline=slice(0, 3))


def test_a_baseline_brings_recordings_to_one_level() -> None:
    learned = fit_recording([lambda: made(1), lambda: made(2, level=4), lambda: made(3, level=-4)], baseline=120)
    assert learned.localize(made(9, level=50)).score < 2 * learned.threshold(0.05, 30).value
    plain = fit_recording(parts(3))
    raised = made(9, level=5)
    assert plain.localize(raised, baseline=slice(0, 120)).score < 0.5 * plain.localize(raised).score


def test_what_was_learned_comes_back_from_disk(localizer: RecordingLocalizer, tmp_path: Path) -> None:
    save_fitted(tmp_path, "time_series", 1, localizer.tensors(), localizer.about())
    again = RecordingLocalizer.of_fitted(load_fitted(tmp_path, "time_series", 1))
    odd = changed(made(9), 0, 300, 359, 2.5)
    assert np.array_equal(again.localize(odd).values, localizer.localize(odd).values)
    assert again.calibrated_on == localizer.calibrated_on
    assert np.array_equal(again.calibration.scores, localizer.calibration.scores)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("channel.median", lambda t: t[:-1]),
        ("channel.deviation", lambda t: t * 0),
        ("channel.constant", lambda t: t | True),
        ("raw_windows.memory", lambda t: t[:1]),
        ("raw_windows.memory", lambda t: t * np.nan),
        ("residual.vectors", lambda t: t[:, :-1]),
        ("residual.lags", lambda t: t * 0),
        ("statistics.deviation", lambda t: t * 0),
        ("hotelling.of_all", lambda t: t[:1]),
        ("calibration", lambda t: t + np.inf),
        ("least_windows.memory", lambda t: t[:1]),
        ("least_statistics.deviation", lambda t: t * 0),
        ("own_residual.of_channels", lambda t: t[:, :1]),
        ("scale", lambda t: -np.abs(t) - 1),
        ("scale", None),
    ],
)
def test_damaged_parts_are_refused(
    localizer: RecordingLocalizer, tmp_path: Path, name: str, damage: Callable[[object], object] | None
) -> None:
    tensors = localizer.tensors()
    if damage is None:
        del tensors[name]
    else:
        tensors[name] = damage(tensors[name])  # type: ignore[assignment]
    save_fitted(tmp_path, "time_series", 1, tensors, localizer.about())
    with pytest.raises(FittedPartError, match="enroll again"):
        RecordingLocalizer.of_fitted(load_fitted(tmp_path, "time_series", 1))


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_reported_times_fall_on_real_samples(data: st.DataObject) -> None:
    """Also where the file has gaps, rows out of order and rows twice."""
    count = data.draw(st.integers(60, 120))
    steps = data.draw(st.lists(st.sampled_from([250, 500, 500, 500, 7000]), min_size=count, max_size=count))
    moments = np.cumsum(steps).astype("timedelta64[ms]") + np.datetime64("2024-02-28T23:59:00", "ms")
    stamps = [f"{moment}+02:00" for moment in moments]
    lines = [f"{stamp},{index % 7}" for index, stamp in enumerate(stamps)]
    where = data.draw(st.integers(1, count - 2))
    lines[where], lines[where + 1] = lines[where + 1], lines[where]
    lines.append(lines[-1])
    content = io.StringIO("time,a\n" + "\n".join(lines) + "\n").getvalue().encode()
    recording = read_recording(content, "odd.csv")
    values = np.zeros((1, recording.samples), np.float32)
    first, last = sorted(data.draw(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))))
    values[0, first : last + 1] = 9
    place = SMALL.places(recording, values, 5.0)[0]
    written = {np.datetime64(stamp[:-6]) for stamp in stamps}
    for end, row in (("start", "first"), ("end", "last")):
        assert place.native[end].endswith("+02:00")
        assert np.datetime64(place.native[end][:-6]) in written
        assert np.datetime64(lines[place.native[row]].split("+")[0]) == np.datetime64(place.native[end][:-6])


SMALL = fit_recording([lambda: Recording(np.random.default_rng(0).normal(size=(300, 1)), np.arange(300.0), ("a",))])


def test_real_recordings(shared_data: Path) -> None:
    path = shared_data / "timeseries/skab/test/valve1_0.csv"
    recording = read_recording(path.read_bytes(), path.name, ignore=["anomaly", "changepoint"])
    normal = recording._replace(values=recording.values[:400], times=recording.times[:400])
    learned = fit_recording([lambda: normal])
    found = learned.localize(recording)
    levels = found.values.max(axis=0)
    assert levels[573:974].mean() > 2 * levels[400:573].mean()

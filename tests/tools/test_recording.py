"""A recording as data: stamps, facts, measures, and what looks like one."""

import io
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge import AssetError
from tools.signals import Recording, looks_like_recording, measure_part, read_recording
from tools.signals.recording import plain_name, plain_names

TABLE = b"time;Current [A];Flow\n2020-03-09 10:14:33;1,5;2\n2020-03-09 10:14:34;1,75;4\n2020-03-09 10:14:36;2;6\n"


def test_a_file_is_read_in_the_bounded_process() -> None:
    recording = read_recording(TABLE, "pump.csv")
    assert recording.channels == ("Current [A]", "Flow")
    assert [recording.stamp(i) for i in range(3)] == [f"2020-03-09T10:14:{s}" for s in (33, 34, 36)]
    assert recording.unit(0) == "A"
    assert recording.unit(1) == "own unit"
    assert recording.facts()["duration_s"] == 3.0
    assert recording.facts()["samples"] == 3
    with pytest.raises(AssetError, match=r"pump\.csv: has no column of numbers"):
        read_recording(b"a,b\nx,y\nz,w\n", "pump.csv")


def test_the_whole_in_numbers() -> None:
    measured = {item.name: item for item in measure_part(read_recording(TABLE, "pump.csv"))}
    assert measured["duration"].value == 3
    assert measured["duration"].unit == "s"
    assert measured["longest_gap"].value == 2
    assert measured["current_mean"].value == pytest.approx(1.75)
    assert measured["current_mean"].unit == "A"
    assert measured["flow_max"].value == 6


@settings(max_examples=50, deadline=None)
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),
    st.lists(st.integers(1, 10**10), min_size=2, max_size=20),
)
def test_stamps_are_those_of_the_file(start: datetime, steps: list[int]) -> None:
    moments = [start + timedelta(microseconds=int(passed)) for passed in np.cumsum([0, *steps])]
    seconds = np.array([(moment - start).total_seconds() for moment in moments])
    recording = Recording(np.zeros((len(seconds), 1)), seconds, ("a",), start.isoformat())
    assert [recording.stamp(i) for i in range(len(moments))] == [moment.isoformat() for moment in moments]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (TABLE, True),
        (b"a,b\n1,2\n3,4\n", True),
        (b"1\n2\n3\n", True),
        (b"x,y,z\n1,2,3\n4,5,6\n", False),
        (b"ply\nformat ascii 1.0\n", False),
        (b'{"a": 1}', False),
        (b"<svg></svg>", False),
        (b"plain words, and more\nof them, in lines\nto read, slowly\n", False),
        (b"\x89PNG\r\n\x1a\n\0\0", False),
        (b"", False),
        (b"PAR1....PAR1", True),
    ],
)
def test_what_looks_like_a_recording(content: bytes, expected: bool) -> None:
    assert looks_like_recording(content, "file") is expected


@pytest.mark.parametrize(
    ("shape", "expected"), [((500,), True), ((500, 8), True), ((192, 192), False), ((900, 3), False)]
)
def test_which_arrays_look_like_one(shape: tuple[int, ...], expected: bool) -> None:
    file = io.BytesIO()
    np.save(file, np.zeros(shape))
    assert looks_like_recording(file.getvalue(), "array.npy") is expected


def test_names_that_rules_can_write() -> None:
    assert plain_name("Volume Flow RateRMS") == "volume_flow_raterms"
    assert plain_name("Current [A]") == "current"
    assert plain_name("2nd") == "channel_2nd"
    assert plain_name("[V]") == "channel"


def test_real_recordings(shared_data: Path) -> None:
    path = shared_data / "timeseries/skab/test/valve1_0.csv"
    content = path.read_bytes()
    recording = read_recording(content, path.name, ignore=["anomaly", "changepoint"])
    assert recording.values.shape == (1147, 8)
    assert np.isfinite(recording.values).all()
    assert looks_like_recording(content, path.name)
    assert recording.stamp(0) == "2020-03-09T10:14:33"


def test_channels_that_differ_in_a_bracketed_number_alone_keep_apart() -> None:
    assert plain_names(["Temp (1)", "Temp (2)", "Current [A]"]) == ("temp_1", "temp_2", "current")
    assert plain_names(["Flow [l]", "Flow [m3]"]) == ("flow_1", "flow_2")

"""Recordings out of files: what is read, what is repaired and said, what is refused."""

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge import AssetError
from tools.decoding import Decoded
from tools.decoding.recordings import decode_recording


def decode(text: str, **options: object) -> Decoded:
    return decode_recording(text.encode(), **options)  # type: ignore[arg-type]


def notes(decoded: Decoded) -> str:
    return " / ".join(decoded.about["notes"])


def test_a_table_worked_by_hand() -> None:
    found = decode("time;Current [A];Flow\n2020-03-09 10:14:33+01:00;1,5;2\n2020-03-09 10:14:35+01:00;1,75;4\n")
    assert found.arrays["values"].tolist() == [[1.5, 2.0], [1.75, 4.0]]
    assert found.arrays["times"].tolist() == [0.0, 2.0]
    assert found.about["channels"] == ["Current [A]", "Flow"]
    assert found.about["start"] == "2020-03-09T10:14:33+01:00"
    assert found.about["timed"]
    assert not found.about["notes"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=2, max_size=12),
    st.sampled_from([(",", "."), (";", ","), (";", "."), ("\t", ","), ("\t", "."), ("|", ".")]),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_written_table_comes_back(
    rows: list[list[float]], marks: tuple[str, str], header: bool, encoding: str
) -> None:
    separator, decimal = marks
    lines = [separator.join(f"{value:.3f}".replace(".", decimal) for value in row) for row in rows]
    text = "\n".join([separator.join(["a", "b", "c"])] * header + lines) + "\n"
    found = decode_recording(text.encode(encoding), rate=10.0)
    np.testing.assert_allclose(found.arrays["values"], np.round(rows, 3), atol=1e-9)
    np.testing.assert_allclose(found.arrays["times"], np.arange(len(rows)) / 10)
    assert found.about["channels"] == (["a", "b", "c"] if header else ["channel_1", "channel_2", "channel_3"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# made by a logger\n# 3 lines\na,b\n1,2\n3,4\n", "no times"),
        ("a,b\n1,2\n\n3,4\n", "no times"),
        ("index,a\n0,5\n1,6\n2,7\n", "counts the rows"),
        ("time,a\n0,5\n1,6\n2,7\n", "read as seconds"),
        ("a,b\n1,=1+1\n2,3\n3,4\n4,4\n5,5\n6,6\n", "never computed"),
        ("a,b\n1,on\n2,off\n", "1 column without numbers left out: b"),
        ("a,b\n1,\n2,\n", "left out: b"),
        ("a\n1\ninf\n2\n", "1 value taken as missing, infinite or beyond 1e+30"),
        ("a,b\n1,2\nbroken,3\n4,5\n6,7\n", "1 cell of column 'a' taken as missing"),
        ("timestamp,a\n1700000000000,1\n1700000000010,2\n", "milliseconds since 1970"),
        ("timestamp,a\n1700000000,1\n1700000001,2\n", "seconds since 1970"),
        ("time,a\n2020-01-01T00:00:00Z,1\n2020-01-01T02:00:01+01:00,2\n", "2 time zones"),
        ("time,a\n2020-01-01 00:00:00,1\n2020-01-01 00:00:01,2\n", "no time zone"),
        ("time,a\n2020-01-01T00:00:02Z,2\n2020-01-01T00:00:01Z,1\n", "run backwards"),
        ("time,a\n" + "".join(f"{i},{i}\n" for i in [0, 1, 3, 2, 4, 5]), "jump back 1 time;"),
        (
            "time,a\n" + "".join(f"{i},{i}\n" for i in [0, 1, 1, 2, 4, 5]),
            "1 row with the time of an earlier one left out",
        ),
        (
            "time,a\n" + "".join(f"{i},{i}\n" for i in [0, 1, 2, 3, 90, 91, 92]),
            "1 gap in time, the longest 87 s after 3 s",
        ),
    ],
)
def test_what_is_odd_is_said(text: str, said: str) -> None:
    assert said in notes(decode(text))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"a,b\n", "needs at least 2 samples|no rows|no column"),
        (b"a,b\nx,y\nz,w\n", "no column of numbers"),
        (b"a,b\n1,2\n", "at least 2 samples"),
        (b"\x00\x01\x02", "neither a text table"),
        (b"a;b\n1,5;2.5\n2,5;3.5\n", "both with a comma and with a point"),
        (b"timestamp,a\n01/02/2020,1\n02/03/2020,2\n", "day/month or month/day"),
        (b"time,a\n2020-01-01T00:00:00Z,1\n2020-01-01T00:00:01,2\n", "time zone in some rows"),
        (b"a," * 5000 + b"b\n" + b"1," * 5000 + b"1\n", "5001 columns"),
        (b"a\n" + b"1" * 1_000_001 + b"\n2\n", "a million characters"),
        (b"a,b\n1,2\n1,2,3,4\n", "2 names and a row of 4 cells"),
        (b"time,a\n" + b"".join(b"%d,1\n" % (i // 10) for i in range(100)), "finer times"),
        (b"time,a\n" + b"".join(b"%d,1\n" % (i % 5) for i in range(100)), "jumps back in time"),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(AssetError, match=said):
        decode_recording(content)


def test_labels_are_left_out_and_rates_are_compared() -> None:
    found = decode("t_ms,a,anomaly\n0,1,0\n10,2,1\n20,3,0\n", ignore=["anomaly"], rate=50.0)
    assert found.about["channels"] == ["a"]
    assert found.arrays["times"].tolist() == pytest.approx([0.0, 0.01, 0.02])
    assert "100 Hz, not the 50 Hz" in notes(found)
    with pytest.raises(AssetError, match="above 0"):
        decode("a\n1\n2\n", rate=-1.0)


def test_short_holes_are_bridged_and_long_ones_stay() -> None:
    values = [0.0, 1, None, 3, *[None] * 8, 12, 13]
    found = decode("t,a,b\n" + "".join(f"{i},{'' if v is None else v},1\n" for i, v in enumerate(values)))
    column = found.arrays["values"][:, 0]
    assert column[2] == pytest.approx(2.0)
    assert np.isnan(column[4:12]).all()
    assert np.isfinite(column[[3, 12]]).all()
    assert "no data in 8 of 14" in notes(found)


def test_a_slower_channel_is_resampled_and_said() -> None:
    lines = "".join(f"{i},{i},{2 * i if i % 5 == 0 else ''}\n" for i in range(51))
    found = decode("t [s],fast,slow\n" + lines)
    np.testing.assert_allclose(found.arrays["values"][:, 1], 2 * np.arange(51))
    assert "'slow' was sampled every 5 rows" in notes(found)


def test_rows_of_the_file_are_kept_in_mind() -> None:
    found = decode("time,a\n" + "".join(f"{i},{i * 10}\n" for i in [0, 1, 3, 2, 4, 4, 5]))
    assert found.arrays["rows"].tolist() == [0, 1, 3, 2, 4, 6]
    assert found.arrays["values"].ravel().tolist() == [0, 10, 20, 30, 40, 50]


def test_numpy_and_parquet() -> None:
    array = np.arange(12.0).reshape(6, 2)
    assert np.array_equal(decode_recording(saved(array), rate=1.0).arrays["values"], array)
    assert np.array_equal(decode_recording(saved(np.asfortranarray(array))).arrays["values"], array)
    assert decode_recording(saved(array[:, 0])).arrays["values"].shape == (6, 1)
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=6, freq="2s", tz="UTC"), "a": array[:, 0]})
    found = decode_recording(parquet(frame))
    assert found.about["start"] == "2024-01-01T00:00:00+00:00"
    assert found.arrays["times"].tolist() == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:-8], "claims 96 bytes"),
        (lambda content: content + b"12345678", "claims 96 bytes"),
        (lambda content: content.replace(b"(6, 2)", b"(6, 9)"), "claims 432 bytes"),
        (lambda content: content.replace(b"'<f8'", b"'|O8'"), "expected numbers|invalid|O8"),
    ],
)
def test_an_array_whose_header_lies(damage: Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises((AssetError, ValueError), match=said):
        decode_recording(damage(saved(np.arange(12.0).reshape(6, 2))))


def saved(array: np.ndarray) -> bytes:  # type: ignore[type-arg]
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()

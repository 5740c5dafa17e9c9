"""When the rows of a table were taken."""

import numpy as np
import pytest

from tools.decoding.recordings import decode_recording


def table(head: str, row: str, count: int = 20) -> bytes:
    """Rows a quarter of a second apart, written as `row` says."""
    return (head + "\n" + "".join(row.format(s=i // 4, ms=i % 4 * 250, i=i) + "\n" for i in range(count))).encode()


@pytest.mark.parametrize(
    ("content", "start"),
    [
        (table("time;a", "2024-01-01T00:00:0{s},{ms:03d};{i}"), "2024-01-01T00:00:00"),
        (table("time;a", "2024-01-01T00:00:0{s},{ms:03d}+02:00;{i}"), "2024-01-01T00:00:00+02:00"),
        (table("time;a", "2024-01-01T00:00:0{s},{ms:03d}Z;{i},5"), "2024-01-01T00:00:00+00:00"),
        (table("time,a", '"2024-01-01 00:00:0{s},{ms:03d}",{i}'), "2024-01-01T00:00:00"),
        (table("time,a", "2024-01-01 00:00:0{s},{ms:03d},{i}"), "2024-01-01T00:00:00"),
        (table("time;a", "01.02.2024 00:00:0{s},{ms:03d};{i},5"), "2024-02-01T00:00:00"),
        (table("Date;time;a", "2024-02-01;00:00:0{s},{ms:03d};{i},5"), "2024-02-01T00:00:00"),
    ],
)
def test_parts_of_a_second_may_stand_behind_a_comma(content: bytes, start: str) -> None:
    for content_ in (content, content.decode().encode("utf-16")):
        found = decode_recording(content_)
        assert found.about["start"] == start
        np.testing.assert_allclose(found.arrays["times"], np.arange(20) / 4, atol=1e-9)
        assert found.about["channels"] == ["a"]
        assert found.arrays["values"][3, 0] // 1 == 3

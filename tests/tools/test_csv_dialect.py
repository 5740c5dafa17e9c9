"""How a CSV file is written, by its first lines."""

import pytest

from knowledge import AssetError
from tools.decoding.csv_dialect import dialect_of


def test_dialects() -> None:
    assert dialect_of(b"a;b\n1,5;2\n").decimal == ","
    assert dialect_of(b"a;b\n1.234,5;2\n").thousands == "."
    assert dialect_of(b"name;flow\ns;l/min\n1;2\n").names == ("name [s]", "flow [l/min]")
    assert dialect_of(b"1,2\n3,4\n").names is None
    assert dialect_of(b"a,a,\n1,2,3\n").names == ("a", "a.2", "column_3")


def test_a_comma_before_the_parts_of_a_second_is_known_by_the_cell_too_many() -> None:
    assert dialect_of(b"time,a\n2024-01-01 00:00:00,250,1\n2024-01-01 00:00:00,500,2\n").comma_times
    assert not dialect_of(b"time,a,b\n2024-01-01 00:00:00,250,1\n2024-01-01 00:00:01,500,2\n").comma_times
    assert not dialect_of(b"2024-01-01 00:00:00,250,1\n2024-01-01 00:00:01,500,2\n").comma_times


@pytest.mark.parametrize("rows", [b"1,2,3\n4,5,6\n", b"r1,1,2\nr2,3,4\n", b"2024-01-01 00:00:00,2500,1\n"])
def test_a_row_with_more_cells_than_names_is_refused(rows: bytes) -> None:
    with pytest.raises(AssetError, match="has 2 names and a row of 3 cells"):
        dialect_of(b"time,a\n" + rows)


def test_empty_cells_at_the_end_of_rows_are_nothing() -> None:
    assert dialect_of(b"a,b\n1,2,\n3,4,,\n").names == ("a", "b")

"""Which benchmark a folder is for."""

from pathlib import Path

import pytest

from evals.modality_folders import Wanted, benchmarks_of
from knowledge import RequestError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("depth/plate", "pointcloud/riser", "timeseries/skab", "video/station", "image/tile"):
        (tmp_path / name / "test").mkdir(parents=True)
    (tmp_path / "timeseries" / "notes").mkdir()
    return tmp_path


def test_a_folder_of_pictures_is_for_none_of_them(data: Path) -> None:
    assert benchmarks_of(str(data / "image"), []) == ()
    assert benchmarks_of("solar_cells", []) == ()


def test_a_folder_named_by_its_modality_has_its_own_sets(data: Path) -> None:
    assert benchmarks_of(str(data / "timeseries"), []) == (Wanted("recordings", data, ("skab",)),)
    assert benchmarks_of(str(data / "depth"), []) == (Wanted("geometry", data, ("plate",)),)


def test_a_folder_that_holds_several_gives_each_benchmark_its_own(data: Path) -> None:
    assert benchmarks_of(str(data), []) == (
        Wanted("geometry", data, ("plate", "riser")),
        Wanted("recordings", data, ("skab",)),
        Wanted("videos", data, ("station",)),
    )


def test_named_sets_go_to_the_benchmark_that_knows_them(data: Path) -> None:
    assert benchmarks_of(str(data), ["skab"]) == (Wanted("recordings", data, ("skab",)),)
    assert benchmarks_of(str(data), ["depth/plate", "conveyor"]) == (
        Wanted("geometry", data, ("depth/plate",)),
        Wanted("videos", data, ("conveyor",)),
    )


def test_a_set_that_nobody_knows_is_refused(data: Path) -> None:
    with pytest.raises(RequestError, match=r"there is no set 'typo'; known are plate, riser, skab, station, conveyor"):
        benchmarks_of(str(data), ["skab", "typo"])

"""A closer look at any place of a view."""

from pathlib import Path

import numpy as np
import pytest

from knowledge import ToolFailure
from tools import ArtifactStore, Box, Evidence, EvidenceLog, Localized, Region, RenderedView, ViewsShown
from tools.closer_look import compare_place, resized, see_place
from tools.evidence import KnowledgeFound, SimilarReference


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def gray(level: int, width: int = 40, height: int = 20) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def made_view(store: ArtifactStore, level: int = 100, **more: object) -> RenderedView:
    values = {
        "id": "a1.v1",
        "asset_id": "a1",
        "kind": "image",
        "width": 40,
        "height": 20,
        "image": store.put_image(gray(level)),
        "to_source": (2.0, 0.0, 0.0, 0.0, 2.0, 0.0),
        "source_width": 80,
        "source_height": 40,
    }
    return RenderedView.model_validate({**values, **more})


def made_log(store: ArtifactStore, view: RenderedView, values: np.ndarray, levels: tuple[int, ...] = ()) -> EvidenceLog:
    box = Box(x0=10, y0=5, x1=14, y1=8)
    region = Region(id="a1.r1", view_id="a1.v1", box=box, source_box=box, mask="m.npy", peak=9.0)
    localized = Localized(
        view="a1.v1",
        score=9.0,
        p_value=0.01,
        alpha=0.05,
        threshold=5.0,
        promise="",
        map=store.put_array(values),
        heat="h.png",
        regions=(region,),
        region_count=1,
    )
    references = tuple(
        SimilarReference(id=f"ref{level}", similarity=0.9, why="", image=store.put_image(gray(level, 20, 10)))
        for level in levels
    )
    shown = [
        ViewsShown(views=(view,), part=()),
        localized,
        KnowledgeFound(view=view.id, references=references, rules=()),
    ]
    return EvidenceLog(
        Evidence(id=f"e{number}", tool="t", summary="", shown=each) for number, each in enumerate(shown, start=1)
    )


def a_map() -> np.ndarray:
    values = np.zeros((20, 40), np.float32)
    values[6, 12] = 9
    return values


def test_the_highest_value_inside_and_the_regions_that_reach_into_it(store: ArtifactStore) -> None:
    view = made_view(store)
    log = made_log(store, view, a_map())
    inside = see_place(store, log, view, Box(x0=8, y0=2, x1=20, y1=12), "x1")
    assert (inside.peak, inside.threshold, inside.regions) == (9.0, 5.0, ("a1.r1",))
    assert inside.source_box.as_list() == [16, 4, 40, 24]
    outside = see_place(store, log, view, Box(x0=25, y0=8, x1=40, y1=20), "x2")
    assert (outside.peak, outside.regions) == (0.0, ())


def test_a_region_that_only_touches_does_not_reach_into_a_place(store: ArtifactStore) -> None:
    view = made_view(store)
    beside = see_place(store, made_log(store, view, a_map()), view, Box(x0=14, y0=5, x1=26, y1=15), "x1")
    assert beside.regions == ()


def test_a_place_of_one_pixel_is_shown_with_its_surroundings(store: ArtifactStore) -> None:
    view = made_view(store)
    log = made_log(store, view, a_map())
    seen = see_place(store, log, view, Box(x0=0, y0=0, x1=1, y1=1), "x1")
    assert min(seen.box.width, seen.box.height) >= 8
    crop = store.get_image(seen.crop)
    assert crop.shape[0] >= 8


def test_what_was_not_localised_has_no_peak(store: ArtifactStore) -> None:
    view = made_view(store)
    log = EvidenceLog([Evidence(id="e1", tool="t", summary="", shown=ViewsShown(views=(view,), part=()))])
    seen = see_place(store, log, view, Box(x0=0, y0=0, x1=40, y1=20), "x1")
    assert seen.peak is None
    assert seen.threshold is None


def test_views_of_other_modalities_show_the_values_of_what_they_show(store: ArtifactStore) -> None:
    index = np.full((20, 40), -1, np.int32)
    index[4, 6] = 2
    view = made_view(store, inverse=store.put_array(index))
    log = made_log(store, view, np.array([1, 2, 3], np.float32))
    assert see_place(store, log, view, Box(x0=0, y0=0, x1=20, y1=10), "x1").peak == 3.0
    assert see_place(store, log, view, Box(x0=20, y0=10, x1=40, y1=20), "x2").peak == 0.0


def test_a_place_is_compared_with_the_reference_of_the_rank_that_is_asked_for(store: ArtifactStore) -> None:
    view = made_view(store, 100)
    log = made_log(store, view, a_map(), (151, 49))
    place = Box(x0=0, y0=0, x1=20, y1=10)
    darker, brighter = (compare_place(store, log, view, place, "x", rank) for rank in (1, 2))
    assert (darker.reference, brighter.reference) == ("ref151", "ref49")
    assert darker.difference == pytest.approx(-51 / 255, abs=1e-6)
    assert brighter.difference == pytest.approx(51 / 255, abs=1e-6)
    assert store.get_image(darker.reference_crop).shape == store.get_image(darker.crop).shape


@pytest.mark.parametrize("rank", [0, -1, 3])
def test_a_reference_that_does_not_exist_is_told(store: ArtifactStore, rank: int) -> None:
    view = made_view(store)
    with pytest.raises(ToolFailure, match=f"there is no reference number {rank}: 2 were retrieved"):
        compare_place(store, made_log(store, view, a_map(), (1, 2)), view, Box(x0=0, y0=0, x1=9, y1=9), "x", rank)


def test_only_pictures_are_compared_place_by_place(store: ArtifactStore) -> None:
    view = made_view(store, inverse=store.put_array(np.zeros((20, 40), np.int32)))
    with pytest.raises(ToolFailure, match="name a region of a scan or a recording"):
        compare_place(store, made_log(store, view, a_map(), (1,)), view, Box(x0=0, y0=0, x1=9, y1=9), "x")


def test_a_picture_of_its_size_is_left_as_it_is() -> None:
    pixels = gray(7)
    assert resized(pixels, 40, 20) is pixels
    assert resized(pixels, 10, 5).shape == (5, 10, 3)

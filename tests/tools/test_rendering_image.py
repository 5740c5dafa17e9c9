"""Pictures and crops, and that what a view shows lies where its map says."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from knowledge import AnomalystError
from tools import ArtifactStore, Asset, Box, RenderedView
from tools.rendering import render_crop, render_image
from tools.rendering.image import MAX_VIEW_PIXELS, MIN_CROP_SIDE

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def show(store: ArtifactStore) -> Callable[[Pixels], RenderedView]:
    """The one view of a picture."""

    def render(pixels: Pixels) -> RenderedView:
        height, width = pixels.shape[:2]
        facts = {"id": "a1", "modality": "image", "name": "x", "sha256": "0", "media_type": "image/png", "bits": 8}
        (view,) = render_image(Asset.model_validate(facts | {"width": width, "height": height}), pixels, store)
        return view

    return render


def box(x0: int, y0: int, x1: int, y1: int) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


# --- by hand


def test_a_3x3_picture_is_shown_as_it_is(show, store) -> None:
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    view = show(pixels)
    assert store.get_image(view.image).tolist() == pixels.tolist()
    assert (view.id, view.asset_id, view.kind) == ("a1.v1", "a1", "image")
    assert (view.width, view.height, view.source_width, view.source_height) == (3, 3, 3, 3)
    assert view.to_source == (1, 0, 0, 0, 1, 0)


def test_a_crop_of_two_flat_halves_by_hand(show, store) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, 4:] = 200
    crop = render_crop(show(pixels), box(2, 1, 6, 3), "a1.v1.c", store)
    shown = store.get_image(crop.image)
    assert (crop.id, crop.kind, crop.asset_id) == ("a1.v1.c", "crop", "a1")
    assert (crop.width, crop.height) == (256, 128) == shown.shape[1::-1]
    assert crop.to_source == (1 / 64, 0, 2, 0, 1 / 64, 1)
    assert shown[:, :64].max() == 0
    assert shown[:, -64:].min() == 200
    assert crop.point_to_source(128, 64) == (4, 2)


# --- whole pictures


def test_a_large_picture_is_scaled_down_and_maps_back_to_all_of_itself(show, store) -> None:
    pixels = np.zeros((2100, 2600, 3), np.uint8)
    pixels[700:710, 1300:1313] = 255
    view = show(pixels)
    assert view.width * view.height <= MAX_VIEW_PIXELS * 1.001
    assert view.width / view.height == pytest.approx(2600 / 2100, rel=1e-3)
    assert view.point_to_source(view.width, view.height) == pytest.approx((2600, 2100))
    shown = store.get_image(view.image)
    assert shown.shape == (view.height, view.width, 3)
    rows, columns = np.nonzero(shown[..., 0])
    assert view.point_to_source(columns.min(), rows.min()) == pytest.approx((1300, 700), abs=1.2)
    assert view.point_to_source(columns.max() + 1, rows.max() + 1) == pytest.approx((1313, 710), abs=1.2)


def test_what_is_seen_on_a_scaled_picture_lies_inside_its_source_box(show, store) -> None:
    pixels = np.zeros((2100, 2600, 3), np.uint8)
    bright = box(1300, 700, 1313, 710)
    pixels[bright.slices] = 255
    view = show(pixels)
    rows, columns = np.nonzero(store.get_image(view.image)[..., 0])
    seen = view.box_to_source(box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    assert seen.x0 <= bright.x0
    assert seen.y0 <= bright.y0
    assert seen.x1 >= bright.x1
    assert seen.y1 >= bright.y1
    inside = store.get_image(view.image).copy()
    inside[view.box_from_source(bright).slices] = 0
    assert inside.max() == 0, "nothing of it is seen outside its box"


def test_a_long_thin_picture_keeps_at_least_one_pixel_of_its_width(show) -> None:
    view = show(np.zeros((1, 4_100_000, 3), np.uint8))
    assert view.height == 1
    assert view.point_to_source(view.width, view.height) == pytest.approx((4_100_000, 1))


def test_the_same_picture_is_stored_once(show) -> None:
    assert show(noise(20, 20)).image == show(noise(20, 20)).image


# --- crops


@st.composite
def boxes(draw: st.DrawFn, width: int = 60, height: int = 40) -> Box:
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return box(x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height)))


@given(outer=boxes())
@settings(derandomize=True, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_corners_of_a_crop_are_the_corners_of_its_box(show, store, outer) -> None:
    crop = render_crop(show(noise(40, 60)), outer, "c", store)
    assert crop.point_to_source(0, 0) == pytest.approx((outer.x0, outer.y0))
    assert crop.point_to_source(crop.width, crop.height) == pytest.approx((outer.x1, outer.y1))
    assert MIN_CROP_SIDE <= max(crop.width, crop.height) < 2 * MIN_CROP_SIDE
    assert crop.width / crop.height == pytest.approx(outer.width / outer.height)
    assert store.get_image(crop.image).shape == (crop.height, crop.width, 3)


@given(outer=boxes(), data=st.data())
@settings(derandomize=True, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_crop_of_a_crop_of_a_scaled_view_maps_to_the_source(show, store, outer, data) -> None:
    whole = show(noise(40, 60)).model_copy(update={"to_source": (2.5, 0.0, 0.0, 0.0, 3.0, 0.0), "source_width": 150})
    crop = render_crop(whole, outer, "c", store)
    inner = data.draw(boxes(crop.width, crop.height))
    deepest = render_crop(crop, inner, "cc", store)
    assert deepest.point_to_source(0, 0) == pytest.approx(crop.point_to_source(inner.x0, inner.y0))
    assert deepest.point_to_source(deepest.width, deepest.height) == pytest.approx(
        crop.point_to_source(inner.x1, inner.y1)
    )
    assert (deepest.source_width, deepest.source_height) == (150, 40)


@pytest.mark.parametrize("enhance", [False, True])
@pytest.mark.parametrize("at", [(20, 15), (25, 15), (39, 29)])
def test_a_bright_pixel_stands_on_the_crop_where_the_map_says(show, store, at, enhance) -> None:
    pixels = np.full((40, 60, 3), 40, np.uint8)
    pixels[at[1], at[0]] = 250
    crop = render_crop(show(pixels), box(20, 15, 40, 30), "c", store, enhance=enhance)
    shown = store.get_image(crop.image)[..., 0].astype(int)
    rows, columns = np.nonzero(shown == shown.max())
    assert crop.point_to_source(columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx(
        (at[0] + 0.5, at[1] + 0.5), abs=0.5
    )


def test_a_box_of_256_pixels_and_more_is_not_enlarged(show, store) -> None:
    pixels = noise(300, 400)
    crop = render_crop(show(pixels), box(10, 20, 266, 120), "c", store)
    assert np.array_equal(store.get_image(crop.image), pixels[20:120, 10:266])


def test_stretched_contrast_shows_a_faint_mark_better_and_moves_nothing(show, store) -> None:
    pixels = np.random.default_rng(0).integers(100, 108, (64, 64, 3), dtype=np.uint8)
    pixels[28:36, 28:36] -= 12
    plain, stretched = (
        render_crop(show(pixels), box(0, 0, 64, 64), "c", store, enhance=enhance) for enhance in (False, True)
    )
    assert stretched.to_source == plain.to_source
    assert (stretched.width, stretched.height) == (plain.width, plain.height)
    faint, clear = (store.get_image(view.image).astype(int) for view in (plain, stretched))
    around = np.s_[16:80, 16:80]
    mark = np.s_[116:140, 116:140]
    assert clear[around].mean() - clear[mark].mean() > 3 * (faint[around].mean() - faint[mark].mean())


@pytest.mark.parametrize("level", [0, 60])
def test_stretching_a_flat_crop_invents_nothing(show, store, level) -> None:
    crop = render_crop(show(np.full((40, 40, 3), level, np.uint8)), box(0, 0, 40, 40), "c", store, enhance=True)
    assert np.abs(store.get_image(crop.image).astype(int) - level).max() <= 1


@pytest.mark.parametrize("some", [box(0, 0, 1, 1), box(59, 0, 60, 40), box(0, 39, 60, 40), box(59, 39, 60, 40)])
def test_the_smallest_crops_at_the_rim_can_be_stretched(show, store, some) -> None:
    crop = render_crop(show(noise(40, 60)), some, "c", store, enhance=True)
    assert store.get_image(crop.image).shape == (crop.height, crop.width, 3)


@pytest.mark.parametrize("some", [box(50, 30, 70, 50), box(100, 100, 120, 120)])
def test_a_box_that_leaves_the_view_is_refused(show, store, some) -> None:
    with pytest.raises((ValueError, AnomalystError)):
        render_crop(show(noise(40, 60)), some, "c", store)

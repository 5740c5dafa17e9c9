"""Pictures of height maps: what is lit, what is black and white, and the way back into the map."""

import numpy as np
import pytest

from tools.geometry.height_map import HeightMap
from tools.native import shown_members
from tools.rendering import depth
from tools.rendering.depth import NO_DATA, DepthStyle, render_closer, render_depth, style_of


def boss(shift: int = 0) -> HeightMap:
    """Flat ground with a pyramid on it, and a gap in a corner."""
    y, x = np.mgrid[:60, :80].astype(np.float32)
    heights = np.maximum(0, 8 - np.maximum(np.abs(x - 40 - shift), np.abs(y - 30))).astype(np.float32)
    heights[:10, :10] = np.nan
    return HeightMap(heights, "mm", 0.5, "mm")


def test_the_side_towards_the_lamp_is_bright() -> None:
    shaded = render_depth(boss(), style=DepthStyle(0.0, 8.0, 0.7))[0]
    left, right, top, bottom, flat = (shaded.pixels[at][0] for at in ((30, 36), (30, 44), (26, 40), (34, 40), (55, 70)))
    assert left > flat > right
    assert top > flat > bottom
    assert tuple(shaded.pixels[3, 3]) == NO_DATA


def test_views_and_their_way_back() -> None:
    views = render_depth(boss(), np.zeros((60, 80), np.float32), style=DepthStyle(0.0, 8.0, 1.0))
    assert [view.kind for view in views] == ["shaded", "normals", "height", "deviation"]
    for view in views:
        assert view.pixels.shape == (60, 80, 3)
        assert view.pixels.dtype == np.uint8
        assert np.array_equal(view.index, np.arange(4800).reshape(60, 80))
        assert view.index.dtype == np.int32
    normals, height = views[1].pixels, views[2].pixels
    assert normals[30, 44][0] > 200
    assert normals[26, 40][1] > 200
    assert normals[55, 70].tolist() == pytest.approx([128, 128, 255], abs=1)
    assert height[30, 40].min() > 250
    assert height[55, 70].max() < 5
    assert "8 mm" in views[2].title


def test_deviations_are_red_above_and_blue_below() -> None:
    residual = np.random.default_rng(0).normal(0, 0.01, (60, 80)).astype(np.float32)
    residual[40, 20], residual[40, 60], residual[50, 50] = 5.0, -5.0, np.nan
    picture = render_depth(boss(), residual)[-1].pixels
    red, blue = (picture[at].astype(int) for at in ((40, 20), (40, 60)))
    assert red[0] > red[2] + 100
    assert blue[2] > blue[0] + 100
    assert np.median(picture[20:, :20], axis=(0, 1)).min() > 200
    assert picture[50, 50].tolist() == [120, 120, 120]
    assert tuple(picture[3, 3]) == NO_DATA


def test_large_maps_are_scaled_down_and_still_lead_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "MAX_VIEW_PIXELS", 1200)
    view = render_depth(boss())[0]
    assert view.pixels.shape == (30, 40, 3)
    rows, columns = np.divmod(view.index, 80)
    assert rows[3, 5] == 7
    assert columns[3, 5] == 11


def test_a_style_is_of_the_relief_and_not_of_the_tilt() -> None:
    tilted = boss()
    tilted = tilted._replace(heights=tilted.heights + 0.3 * np.arange(80, dtype=np.float32))
    assert style_of(tilted) == pytest.approx(style_of(boss()), abs=0.05)


def test_a_closer_look_and_the_same_place_on_a_reference() -> None:
    part, reference = boss(), boss(shift=3)
    members = np.flatnonzero((np.indices((60, 80))[0] // 4 == 7) & (np.indices((60, 80))[1] // 4 == 10))
    values = np.zeros((60, 80), np.float32)
    enlarged, other = render_closer(part, values, members, reference)
    assert [enlarged.kind, other.kind] == ["enlarged", "reference"]
    assert enlarged.pixels.shape == (*enlarged.index.shape, 3)
    assert set(members) <= set(np.unique(enlarged.index))
    shown = shown_members(enlarged.index, 1, members, 4800)
    marked = (enlarged.pixels == [255, 0, 200]).all(2)
    assert marked.any()
    assert shown[marked].all()
    assert (other.index == -1).all()
    assert "bar is" in enlarged.title
    assert "mm" in enlarged.title
    # the reference lies three pixels beside and is laid under the part
    ground = np.abs(enlarged.pixels[:-30].astype(int) - other.pixels[:-30].astype(int)).mean()
    assert ground < 12

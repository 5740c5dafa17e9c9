"""Boxes, and the way from a view to its source and back."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tools import Box, RenderedView


def view(width: int, height: int, source_width: int, source_height: int, **changes: object) -> RenderedView:
    """A whole picture, scaled to `width` x `height`."""
    scaled = (source_width / width, 0.0, 0.0, 0.0, source_height / height, 0.0)
    values = {"id": "a1.v1", "asset_id": "a1", "kind": "image", "image": "", "to_source": scaled}
    sizes = {"width": width, "height": height, "source_width": source_width, "source_height": source_height}
    return RenderedView.model_validate(values | sizes | changes)


def box(x0: int, y0: int, x1: int, y1: int) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def covers(outer: Box, inner: Box) -> bool:
    return outer.x0 <= inner.x0 and outer.y0 <= inner.y0 and outer.x1 >= inner.x1 and outer.y1 >= inner.y1


# --- by hand


def test_a_view_of_3x3_pixels_over_a_source_of_10x10() -> None:
    third = view(3, 3, 10, 10)
    assert third.box_to_source(box(0, 0, 1, 1)) == box(0, 0, 4, 4)
    assert third.box_to_source(box(1, 1, 2, 3)) == box(3, 3, 7, 10)
    assert third.box_from_source(box(0, 0, 4, 4)) == box(0, 0, 2, 2)
    assert third.box_from_source(box(3, 4, 4, 10)) == box(0, 1, 2, 3)


def test_points_of_a_scaled_view_by_hand() -> None:
    half = view(4, 3, 8, 12)
    assert half.point_to_source(0, 0) == (0, 0)
    assert half.point_to_source(4, 3) == (8, 12)
    assert half.point_to_source(1.5, 0.5) == (3, 2)
    assert half.point_from_source(3, 2) == (1.5, 0.5)
    assert half.source_pixels_per_pixel == 8


def test_a_view_as_large_as_its_source_leaves_boxes_as_they_are() -> None:
    same = view(5, 4, 5, 4)
    for some in (box(0, 0, 5, 4), box(1, 2, 3, 4), box(4, 3, 5, 4)):
        assert same.box_to_source(some) == some
        assert same.box_from_source(some) == some


def test_a_crop_that_stands_inside_its_source_by_hand() -> None:
    crop = view(40, 20, 100, 60, kind="crop", to_source=(0.25, 0.0, 10.0, 0.0, 0.25, 30.0))
    assert crop.box_to_source(box(0, 0, 40, 20)) == box(10, 30, 20, 35)
    assert crop.box_to_source(box(1, 1, 2, 2)) == box(10, 30, 11, 31)
    assert crop.box_from_source(box(11, 31, 13, 32)) == box(4, 4, 12, 8)
    assert crop.source_pixels_per_pixel == 0.0625


def test_a_view_on_its_side_finds_its_way_back() -> None:
    """A quarter turn: the view's x runs up the source's y."""
    turned = view(30, 20, 20, 30, to_source=(0.0, 1.0, 0.0, -1.0, 0.0, 30.0))
    assert turned.point_to_source(0, 0) == (0, 30)
    assert turned.point_from_source(0, 30) == (0, 0)
    assert turned.box_to_source(box(0, 0, 10, 5)) == box(0, 20, 5, 30)
    assert turned.box_from_source(box(0, 20, 5, 30)) == box(0, 0, 10, 5)
    assert turned.source_pixels_per_pixel == 1


def test_a_box_by_hand() -> None:
    some = box(2, 3, 7, 5)
    assert (some.width, some.height) == (5, 2)
    assert some.slices == (slice(3, 5), slice(2, 7))
    assert some.as_list() == [2, 3, 7, 5]
    assert some.grown(1, 100, 100) == box(1, 2, 8, 6)
    assert some.grown(4, 8, 6) == box(0, 0, 8, 6)


# --- properties

Sizes = st.integers(1, 3000)


@st.composite
def scaled_views(draw: st.DrawFn) -> RenderedView:
    source = draw(Sizes), draw(Sizes)
    return view(draw(st.integers(1, source[0])), draw(st.integers(1, source[1])), *source)


@st.composite
def boxes_in(draw: st.DrawFn, width: int, height: int) -> Box:
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return box(x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height)))


def exact(some: Box, across: Fraction, down: Fraction) -> Box:
    """The smallest box of whole pixels around a scaled box, in exact fractions."""
    return box(floor(some.x0 * across), floor(some.y0 * down), ceil(some.x1 * across), ceil(some.y1 * down))


@given(data=st.data(), shown=scaled_views())
@settings(derandomize=True, max_examples=100)
def test_a_box_of_the_view_becomes_the_smallest_source_box_that_covers_it(data, shown) -> None:
    some = data.draw(boxes_in(shown.width, shown.height))
    scale = Fraction(shown.source_width, shown.width), Fraction(shown.source_height, shown.height)
    assert shown.box_to_source(some) == exact(some, *scale)


@given(data=st.data(), shown=scaled_views())
@settings(derandomize=True, max_examples=100)
def test_a_box_of_the_source_becomes_the_smallest_view_box_that_covers_it(data, shown) -> None:
    some = data.draw(boxes_in(shown.source_width, shown.source_height))
    scale = Fraction(shown.width, shown.source_width), Fraction(shown.height, shown.source_height)
    assert shown.box_from_source(some) == exact(some, *scale)


@given(data=st.data(), shown=scaled_views())
@settings(derandomize=True, max_examples=100)
def test_the_way_there_and_back_covers_where_it_began(data, shown) -> None:
    mine = data.draw(boxes_in(shown.width, shown.height))
    assert covers(shown.box_from_source(shown.box_to_source(mine)), mine)
    theirs = data.draw(boxes_in(shown.source_width, shown.source_height))
    assert covers(shown.box_to_source(shown.box_from_source(theirs)), theirs)


@given(data=st.data(), shown=scaled_views())
@settings(derandomize=True, max_examples=100)
def test_a_mapped_box_is_never_empty_and_never_leaves_its_picture(data, shown) -> None:
    there = shown.box_to_source(data.draw(boxes_in(shown.width, shown.height)))
    assert 0 <= there.x0 < there.x1 <= shown.source_width
    assert 0 <= there.y0 < there.y1 <= shown.source_height
    back = shown.box_from_source(data.draw(boxes_in(shown.source_width, shown.source_height)))
    assert 0 <= back.x0 < back.x1 <= shown.width
    assert 0 <= back.y0 < back.y1 <= shown.height


Numbers = st.floats(-50, 50).map(lambda value: round(value, 3))


@given(st.tuples(*[Numbers] * 6), st.floats(-5000, 5000), st.floats(-5000, 5000))
@settings(derandomize=True, max_examples=100)
def test_a_point_comes_back_through_any_map_that_can_be_inverted(to_source, x, y) -> None:
    a, b, _, d, e, _ = to_source
    assume(abs(a * e - b * d) > 0.01)
    shown = view(10, 10, 10, 10, to_source=to_source)
    assert shown.point_from_source(*shown.point_to_source(x, y)) == pytest.approx((x, y), rel=1e-6, abs=1e-4)


@given(st.data(), st.integers(0, 80))
@settings(derandomize=True, max_examples=50)
def test_a_grown_box_covers_the_box_and_stays_in_the_image(data, margin) -> None:
    some = data.draw(boxes_in(60, 40))
    grown = some.grown(margin, 60, 40)
    assert covers(grown, some)
    assert covers(box(0, 0, 60, 40), grown)
    assert grown.grown(0, 60, 40) == grown


# --- errors


@pytest.mark.parametrize("corner", [(-1, 0), (0, -1)])
def test_a_box_outside_the_picture_is_refused(corner) -> None:
    with pytest.raises(ValidationError):
        box(*corner, 5, 5)


@pytest.mark.parametrize("corners", [(5, 5, 3, 9), (5, 5, 9, 3), (0, 0, -5, 1)])
def test_a_box_turned_inside_out_is_refused(corners) -> None:
    with pytest.raises(ValidationError):
        box(*corners)


def test_views_and_boxes_cannot_be_changed() -> None:
    for thing, field in ((box(0, 0, 1, 1), "x0"), (view(1, 1, 1, 1), "width")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(thing, field, 0)
    with pytest.raises(ValidationError, match="extra"):
        Box.model_validate({"x0": 0, "y0": 0, "x1": 1, "y1": 1, "z": 1})

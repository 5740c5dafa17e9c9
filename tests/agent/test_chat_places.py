"""From words to a place on a view."""

import pytest

from agent.chat.places import place_of
from agent.chat.turn import Turn
from knowledge import RequestError
from tools import Box, Evidence, EvidenceLog, Localized, Region, RenderedView, ViewsShown


def view(id_: str, width: int = 90, height: int = 60) -> RenderedView:
    return RenderedView(
        id=id_,
        asset_id=id_.partition(".")[0],
        kind="image",
        width=width,
        height=height,
        image="x.png",
        to_source=(2.0, 0.0, 0.0, 0.0, 2.0, 0.0),
        source_width=2 * width,
        source_height=2 * height,
    )


def region(id_: str, view_id: str, box: tuple[int, int, int, int]) -> Region:
    place = Box(x0=box[0], y0=box[1], x1=box[2], y1=box[3])
    return Region(id=id_, view_id=view_id, box=place, source_box=place, mask="m.npy", peak=9.0)


def localized(view_id: str, *regions: Region) -> Localized:
    return Localized(
        view=view_id,
        score=9.0,
        p_value=0.01,
        alpha=0.05,
        threshold=5.0,
        promise="",
        map="m.npy",
        heat="h.png",
        regions=regions,
        region_count=len(regions),
    )


def log(*shown: ViewsShown | Localized) -> EvidenceLog:
    return EvidenceLog(
        Evidence(id=f"e{number}", tool="tool", summary="", shown=each) for number, each in enumerate(shown, start=1)
    )


SEEN = log(
    ViewsShown(views=(view("a1.v1"),), part=()),
    ViewsShown(views=(view("a2.v1", 30, 30), view("a2.v2", 60, 30)), part=()),
    localized("a1.v1", region("a1.r1", "a1.v1", (40, 20, 50, 30)), region("a1.r2", "a1.v1", (0, 0, 6, 6))),
    localized("a2.v1", region("a2.r1", "a2.v2", (3, 3, 9, 9))),
)
CALLED = {"a1.r1": "Scratch in the centre scratch", "a1.r2": "Stain in the top left stain", "a2.r1": "Unlike"}


def seen(target: str = "", box: tuple[float, ...] | None = None) -> tuple[str, list[int], str]:
    place = place_of(Turn(action="look_closer", target=target, box=box), SEEN, CALLED)
    return place.view.id, place.box.as_list(), place.region.id if place.region else ""


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("", "a1.r1"), ("a1.r2", "a1.r2"), ("A1.R2", "a1.r2"), ("finding 2", "a1.r2"), ("Finding 3", "a2.r1"),
        ("region 1", "a1.r1"), ("the stain", "a1.r2"), ("scratch", "a1.r1"), ("the main finding", "a1.r1"), ("it", "a1.r1"),
    ],
)  # fmt: skip
def test_findings_by_id_by_number_and_by_what_they_are_called(target: str, expected: str) -> None:
    assert seen(target)[2] == expected


def test_a_region_is_shown_with_its_surroundings() -> None:
    assert seen("a1.r1") == ("a1.v1", [24, 4, 66, 46], "a1.r1")
    assert seen("a1.r2") == ("a1.v1", [0, 0, 22, 22], "a1.r2")


@pytest.mark.parametrize(
    ("target", "box"),
    [
        ("top left", [0, 0, 30, 20]), ("upper-right", [60, 0, 90, 20]), ("centre", [30, 20, 60, 40]),
        ("bottom", [0, 40, 90, 60]), ("left", [0, 0, 30, 60]), ("middle left", [0, 20, 30, 40]),
        ("top center", [30, 0, 60, 20]),
    ],
)  # fmt: skip
def test_sides_are_ninths_rows_and_columns(target: str, box: list[int]) -> None:
    assert seen(target) == ("a1.v1", box, "")


def test_sides_and_boxes_of_another_asset_or_view() -> None:
    assert seen("top left of a2") == ("a2.v1", [0, 0, 10, 10], "")
    assert seen("a2.v2 right") == ("a2.v2", [40, 0, 60, 30], "")
    assert seen("a2") == ("a2.v1", [0, 0, 30, 30], "")
    assert seen("a2", (0, 0, 20, 20)) == ("a2.v1", [0, 0, 10, 10], "")


def test_boxes_are_in_pixels_of_the_original() -> None:
    assert seen(box=(20, 40, 60, 80)) == ("a1.v1", [10, 20, 30, 40], "")
    assert seen(box=(0, 0, 180, 120)) == ("a1.v1", [0, 0, 90, 60], "")


@pytest.mark.parametrize(
    "box",
    [(-1, 0, 10, 10), (0, 0, 181, 10), (10, 10, 10, 20), (20, 0, 10, 10), (0, 0, 1e9, 1e9), (0.4, 0.4, 0.4, 0.4)],
)
def test_a_box_that_is_not_inside_the_picture_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(RequestError, match="not inside the picture, which is 180 x 120 pixels"):
        seen(box=box)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("finding 4", "there is no finding 4: the inspection has 3"),
        ("finding 0", "there is no finding 0"),
        ("a1.r9", "there is no place 'a1.r9'; known are the regions a1.r1, a1.r2, a2.r1"),
        ("bolt", "there is no place 'bolt'"),
        ("[1,2,3]", r"there is no place '\[1,2,3\]'"),
        ("a7", "there is no view a7; known are a1.v1, a2.v1, a2.v2"),
        ("top left of a2.v9", "there is no view a2.v9"),
    ],
)
def test_a_place_that_does_not_exist_is_named(target: str, says: str) -> None:
    with pytest.raises(RequestError, match=f"^{says}"):
        seen(target)


def test_without_a_finding_the_whole_view_is_shown_and_without_a_view_nothing() -> None:
    clean = log(ViewsShown(views=(view("a1.v1"),), part=()), localized("a1.v1"))
    assert place_of(Turn(action="look_closer"), clean).box.as_list() == [0, 0, 90, 60]
    with pytest.raises(RequestError, match="could not be rendered"):
        place_of(Turn(action="look_closer"), log())


def test_the_turn_schema_takes_no_numbers_that_are_none() -> None:
    with pytest.raises(ValueError, match="finite"):
        Turn(action="look_closer", box=(0, 0, float("inf"), 1))
    with pytest.raises(ValueError, match="less than 1"):
        Turn(action="inspect", alpha=1.0)

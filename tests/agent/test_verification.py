"""Claims about a part painted by hand: each kind once true, and false in every way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.verification import ClaimVerifier, Verified
from knowledge import NormalityRule, Product
from tools import (
    ArtifactStore,
    Box,
    ClaimDraft,
    Compared,
    Evidence,
    EvidenceLog,
    KnowledgeFound,
    Localized,
    Measurement,
    Region,
    RegionMeasured,
    RenderedView,
    ViewsShown,
    as_values,
    measure_part,
)

HEIGHT, WIDTH = 60, 90
DARK = (slice(6, 18), slice(60, 84))
"""12 x 24 pixels, at 0.8, 0.2 of width and height: the top right."""
BRIGHT = (slice(40, 50), slice(10, 20))
"""10 x 10 pixels, at 0.167, 0.75: the bottom left."""
PRODUCT = Product(
    name="part",
    description="d",
    unit="mm",
    pixel_size=0.5,
    rules=(
        NormalityRule(id="P-1", text="It is bright.", check="part.brightness > 0.3"),
        NormalityRule(id="P-2", text="No region is dark.", check="!regions.exists(r, r.contrast < -0.1)"),
        NormalityRule(id="P-3", text="It is clean.", question="Is it clean?"),
    ),
)
Slices = tuple[slice, slice]


class Case:
    """A gray part with painted regions, its map over a threshold of 3, and the evidence of both."""

    def __init__(
        self, folder: Path, *painted: tuple[Slices, int], product: Product = PRODUCT, **localized: Any
    ) -> None:
        store = ArtifactStore(folder)
        pixels = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        anomaly_map = np.zeros((HEIGHT, WIDTH), np.float32)
        regions = []
        for number, (place, level) in enumerate(painted, start=1):
            mask = np.zeros((HEIGHT, WIDTH), bool)
            mask[place] = True
            pixels[mask], anomaly_map[mask] = level, 10 - number
            box = Box(x0=place[1].start, y0=place[0].start, x1=place[1].stop, y1=place[0].stop)
            regions.append(
                Region(
                    id=f"a1.r{number}",
                    view_id="a1.v1",
                    box=box,
                    source_box=box,
                    mask=store.put_array(mask),
                    peak=10.0 - number,
                )
            )
        view = RenderedView(
            id="a1.v1",
            asset_id="a1",
            kind="image",
            width=WIDTH,
            height=HEIGHT,
            image=store.put_image(pixels),
            source_width=WIDTH,
            source_height=HEIGHT,
        )
        values: dict[str, Any] = {
            "view": "a1.v1",
            "score": 9.0,
            "p_value": 0.01,
            "alpha": 0.05,
            "threshold": 3.0,
            "promise": "too few parts",
            "map": store.put_array(anomaly_map),
            "heat": "h.png",
            "regions": tuple(regions),
            "region_count": len(regions),
        }
        shown = [ViewsShown(views=(view,), part=measure_part(pixels)), Localized(**{**values, **localized})]
        lie = Measurement(name="elongation", value=9.0, unit="1")
        shown += [RegionMeasured(region=region.id, measurements=(lie,)) for region in regions]
        self.records = [
            Evidence(id=f"e{number}", tool="t", summary="s", shown=content)
            for number, content in enumerate(shown, start=1)
        ]
        self.store, self.product = store, product

    def check(self, kind: Any, subject: str, evidence: tuple[str, ...] = ("e1",), **said: Any) -> Verified:
        verifier = ClaimVerifier(EvidenceLog(self.records), self.store, self.product)
        # Past the schema, which lets no infinite number in: the verifier must not rest on that.
        draft = ClaimDraft.model_construct(kind=kind, text="I claim.", subject=subject, evidence=evidence, **said)
        return verifier.verify(draft, "c1", "m")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("store"), (DARK, 40), (BRIGHT, 200))


def test_a_claim_keeps_what_was_said_and_gets_what_was_found(case) -> None:
    verified = case.check("colour", "a1.r1", ("e1", "e3"), word="darker")
    assert verified == Verified(
        id="c1",
        text="I claim.",
        kind="colour",
        subject="a1.r1",
        status="supported",
        evidence=("e1", "e3"),
        source="m",
        checked="inside minus surroundings is -0.3137 of full white",
    )


AREA = 12 * 24 / (HEIGHT * WIDTH)


@pytest.mark.parametrize(
    ("kind", "subject", "said", "status"),
    [
        ("presence", "a1.r1", {}, "supported"),
        ("presence", "a1.r9", {}, "refuted"),
        ("presence", "a1.v1", {}, "unverified"),
        ("count", "a1.v1", {"number": 2}, "supported"),
        ("count", "a1.v1", {"number": 1}, "refuted"),
        ("count", "a1.v1", {"number": 2.5}, "refuted"),
        ("count", "a1.v1", {"number": float("nan")}, "refuted"),
        ("count", "a1.v9", {"number": 2}, "refuted"),
        ("count", "a1.v1", {}, "unverified"),
        ("place", "a1.r1", {"word": "top right"}, "supported"),
        ("place", "a1.r1", {"word": "Top-Right"}, "supported"),
        ("place", "a1.r1", {"word": "right"}, "supported"),
        ("place", "a1.r1", {"word": "top left"}, "refuted"),
        ("place", "a1.r1", {"word": "bottom right"}, "refuted"),
        ("place", "a1.r1", {"word": "middle right"}, "refuted"),
        ("place", "a1.r1", {"word": "centre"}, "refuted"),
        ("place", "a1.r1", {"word": "left right"}, "refuted"),
        ("place", "a1.r2", {"word": "bottom left"}, "supported"),
        ("place", "a1.r2", {"word": "top right"}, "refuted"),
        ("place", "a1.r9", {"word": "top right"}, "refuted"),
        ("place", "a1.r1", {"word": "at three o'clock"}, "unverified"),
        ("place", "a1.r1", {"word": ""}, "unverified"),
        ("size", "a1.r1", {"number": AREA}, "supported"),
        ("size", "a1.r1", {"number": AREA * 1.09}, "supported"),
        ("size", "a1.r1", {"number": AREA * 1.2}, "refuted"),
        ("size", "a1.r1", {"number": AREA * 100}, "refuted"),
        ("size", "a1.r1", {"number": 0}, "refuted"),
        ("size", "a1.r1", {"number": -AREA}, "refuted"),
        ("size", "a1.r9", {"number": AREA}, "refuted"),
        ("size", "a1.r1", {}, "unverified"),
        ("colour", "a1.r1", {"word": "darker"}, "supported"),
        ("colour", "a1.r1", {"word": "brighter"}, "refuted"),
        ("colour", "a1.r2", {"word": "brighter"}, "supported"),
        ("colour", "a1.r2", {"word": "darker"}, "refuted"),
        ("colour", "a1.r9", {"word": "darker"}, "refuted"),
        ("colour", "a1.r1", {"word": "blue"}, "unverified"),
        ("number", "a1.r1", {"attribute": "area", "number": 288}, "supported"),
        ("number", "a1.r1", {"attribute": "area", "number": 300}, "refuted"),
        ("number", "a1.r1", {"attribute": "area_mm2", "number": 72}, "supported"),
        ("number", "a1.r1", {"attribute": "area_mm2", "number": 288}, "refuted"),
        ("number", "a1.r1", {"attribute": "contrast", "number": -80 / 255}, "supported"),
        ("number", "a1.r1", {"attribute": "contrast", "number": 80 / 255}, "refuted"),
        ("number", "a1.r1", {"attribute": "elongation", "number": 9.0}, "refuted"),
        ("number", "a1.r9", {"attribute": "area", "number": 288}, "refuted"),
        ("number", "a1.r1", {"attribute": "weight", "number": 1}, "unverified"),
        ("number", "a1.r1", {"attribute": "area"}, "unverified"),
        ("rule", "P-1", {"word": "kept"}, "supported"),
        ("rule", "P-1", {"word": "violated"}, "refuted"),
        ("rule", "P-2", {"word": "violated"}, "supported"),
        ("rule", "P-2", {"word": "kept"}, "refuted"),
        ("rule", "P-3", {"word": "kept"}, "unverified"),
        ("rule", "P-3", {"word": "violated"}, "unverified"),
        ("rule", "P-9", {"word": "kept"}, "refuted"),
        ("rule", "P-1", {"word": "perhaps"}, "unverified"),
    ],
)
def test_true_claims_are_supported_and_false_ones_refuted(case, kind, subject, said, status) -> None:
    verified = case.check(kind, subject, **said)
    assert verified.status == status, verified.checked
    assert verified.checked


@pytest.mark.parametrize(
    ("kind", "subject", "said", "measured", "scale"),
    [
        ("count", "a1.v1", {"number": 1}, 2, 2),
        ("size", "a1.r1", {"number": 2 * AREA}, AREA, AREA),
        ("number", "a1.r1", {"attribute": "area", "number": 300}, 288, 288),
        ("number", "a1.r1", {"attribute": "contrast", "number": 0.5}, -80 / 255, 80 / 255),
    ],
)
def test_a_number_is_kept_beside_what_was_measured(case, kind, subject, said, measured, scale) -> None:
    verified = case.check(kind, subject, **said)
    assert (verified.stated, verified.measured, verified.scale) == pytest.approx((said["number"], measured, scale))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("colour", {"word": "darker", "number": 3.0}),
        ("number", {"attribute": "weight", "number": 1}),
        ("number", {"attribute": "area", "number": float("inf")}),
    ],
)
def test_a_number_that_nobody_measured_is_not_kept(case, kind, said) -> None:
    verified = case.check(kind, "a1.r1", **said)
    assert (verified.stated, verified.measured, verified.scale) == (None, None, None)


def test_an_error_of_what_is_nothing_is_measured_by_what_is_shown(tmp_path) -> None:
    nothing = Case(tmp_path).check("count", "a1.v1", number=3)
    assert (nothing.stated, nothing.measured, nothing.scale) == (3, 0, 1)
    faint = Case(tmp_path, (BRIGHT, 120)).check("number", "a1.r1", attribute="contrast", number=0.5)
    assert (faint.measured, faint.scale) == pytest.approx((0, 1e-4), abs=1e-9)


@pytest.mark.parametrize("evidence", [("e99",), ("e1", "e99"), ("",), ("e1; DROP",)])
def test_a_true_claim_that_cites_what_does_not_exist_is_refuted(case, evidence) -> None:
    verified = case.check("colour", "a1.r1", evidence, word="darker")
    assert verified.status == "refuted"
    assert "does not exist" in verified.checked


def test_a_true_claim_that_cites_nothing_is_unverified(case) -> None:
    assert case.check("colour", "a1.r1", (), word="darker").status == "unverified"


def centred_at(x: int, y: int) -> Slices:
    return slice(y - 2, y + 2), slice(x - 2, x + 2)


@pytest.mark.parametrize(
    ("x", "y", "words", "supported"),
    [
        # the grid lines are at 30 and 60 of 90, and at 20 and 40 of 60; 0.04 are 3.6 and 2.4 pixels
        (30, 10, ("top left", "top centre"), True),
        (33, 10, ("top left", "top centre"), True),
        (34, 10, ("top centre",), True),
        (34, 10, ("top left", "left"), False),
        (26, 10, ("top left",), True),
        (26, 10, ("top centre",), False),
        (45, 20, ("top centre", "centre"), True),
        (30, 20, ("top left", "top centre", "middle left", "centre"), True),
        (30, 20, ("right", "bottom", "top right"), False),
        (45, 30, ("centre", "center", "middle"), True),
        (45, 30, ("left", "top", "top centre"), False),
        (88, 58, ("bottom right",), True),
        (2, 2, ("top left",), True),
    ],
)
def test_a_place_near_a_grid_line_may_be_called_by_either_side(tmp_path, x, y, words, supported) -> None:
    case = Case(tmp_path, (centred_at(x, y), 200))
    expected = "supported" if supported else "refuted"
    assert {word: case.check("place", "a1.r1", word=word).status for word in words} == dict.fromkeys(words, expected)


@pytest.mark.parametrize(
    ("x", "y", "word"), [(45, 10, "top middle"), (10, 30, "centre left"), (80, 30, "center right")]
)
def test_a_true_place_in_other_words_is_not_refuted(tmp_path, x, y, word) -> None:
    assert Case(tmp_path, (centred_at(x, y), 200)).check("place", "a1.r1", word=word).status != "refuted"


@pytest.mark.parametrize(("level", "status"), [(120, "unverified"), (121, "unverified"), (122, "supported")])
def test_a_colour_within_one_level_is_too_close_to_call(tmp_path, level, status) -> None:
    assert Case(tmp_path, (BRIGHT, level)).check("colour", "a1.r1", word="brighter").status == status


@pytest.mark.parametrize("claimed", [0.0, 2.0])
def test_a_wrong_size_of_a_small_region_is_refuted(tmp_path, claimed) -> None:
    share = 9 / (HEIGHT * WIDTH)
    case = Case(tmp_path, ((slice(10, 13), slice(10, 13)), 200))
    assert case.check("size", "a1.r1", number=share).status == "supported"
    assert case.check("size", "a1.r1", number=share * claimed).status == "refuted"


def test_a_wrong_length_in_a_large_unit_is_refuted(tmp_path) -> None:
    product = PRODUCT.model_copy(update={"unit": "m", "pixel_size": 0.0001})
    case = Case(tmp_path, (DARK, 40), product=product)
    length = 4 * ((24**2 - 1) / 12) ** 0.5 * 0.0001
    assert case.check("number", "a1.r1", attribute="length_m", number=length).status == "supported"
    assert case.check("number", "a1.r1", attribute="length_m", number=length * 2).status == "refuted"


def test_a_wrong_sign_of_a_faint_contrast_is_refuted(tmp_path) -> None:
    case = Case(tmp_path, (BRIGHT, 121))
    assert case.check("number", "a1.r1", attribute="contrast", number=1 / 255).status == "supported"
    assert case.check("number", "a1.r1", attribute="contrast", number=-0.0005).status == "refuted"


def test_a_count_is_taken_from_the_map_and_not_from_the_log(tmp_path) -> None:
    case = Case(tmp_path, (DARK, 40), (BRIGHT, 200), regions=())
    assert case.check("count", "a1.v1", number=2).status == "supported"
    assert case.check("count", "a1.v1", number=0).status == "refuted"


@pytest.mark.parametrize(("kind", "subject", "said"), [("presence", "a1.r1", {}), ("count", "a1.v1", {"number": 1})])
def test_where_no_threshold_is_promised_nothing_over_it_can_be_claimed(tmp_path, kind, subject, said) -> None:
    verified = Case(tmp_path, (DARK, 40), threshold=None).check(kind, subject, **said)
    assert verified.status == "unverified"
    assert "too few parts" in verified.checked


def test_on_a_part_that_was_not_localised_nothing_can_be_counted(tmp_path) -> None:
    case = Case(tmp_path)
    case.records = case.records[:1]
    assert case.check("count", "a1.v1", number=0).status == "unverified"


def test_a_rule_about_regions_is_not_kept_because_nobody_looked_for_them(tmp_path) -> None:
    case = Case(tmp_path)
    case.records = case.records[:1]
    assert case.check("rule", "P-2", word="kept").status == "unverified"


def test_a_rule_on_a_part_that_was_not_rendered_cannot_be_told(tmp_path) -> None:
    case = Case(tmp_path)
    case.records = case.records[1:]
    assert case.check("rule", "P-1", ("e2",), word="kept").status == "unverified"


def test_an_empty_mask_leaves_a_claim_unverified(tmp_path) -> None:
    case = Case(tmp_path, ((slice(5, 6), slice(5, 6)), 40))
    [region] = EvidenceLog(case.records).regions().values()
    emptied = region.model_copy(update={"mask": case.store.put_array(np.zeros((HEIGHT, WIDTH), np.bool_))})
    localized = case.records[1].shown.model_copy(update={"regions": (emptied,)})
    case.records[1] = case.records[1].model_copy(update={"shown": localized})
    assert case.check("size", "a1.r1", number=0.0).status == "unverified"


def test_looking_twice_gives_the_same(case) -> None:
    first, second = (case.check("number", "a1.r1", attribute="area", number=288) for _ in range(2))
    assert first == second
    assert as_values(case.records[0].shown.part)["width"] == WIDTH


# -- comparisons -----------------------------------------------------------------------------------------------------

SMALL = (slice(30, 36), slice(40, 46))
"""6 x 6 pixels."""


def with_reference(case: Case, level: int, region: str = "a1.r1") -> Case:
    """The same evidence, and a comparison of a region with a reference of one gray level."""
    picture = case.store.put_image(np.full((HEIGHT, WIDTH, 3), level, np.uint8))
    reference = {"id": "abc", "similarity": 0.9, "why": "nearest", "image": picture}
    # What the log says of the difference is a lie.
    lie = Compared(region=region, reference="abc", difference=0.0, crop="c.png", reference_crop="r.png")
    found = KnowledgeFound.model_validate({"view": "a1.v1", "references": [reference], "rules": ()})
    case.records += [
        Evidence(id=id_, tool="t", summary="s", shown=content) for id_, content in (("e91", found), ("e92", lie))
    ]
    return case


@pytest.mark.parametrize(
    ("subject", "word", "other", "status"),
    [
        ("a1.r1", "larger", "a1.r2", "supported"),
        ("a1.r1", " Larger ", "a1.r2", "supported"),
        ("a1.r1", "smaller", "a1.r2", "refuted"),
        ("a1.r2", "smaller", "a1.r1", "supported"),
        ("a1.r1", "darker", "a1.r2", "supported"),
        ("a1.r1", "brighter", "a1.r2", "refuted"),
        ("a1.r2", "brighter", "a1.r1", "supported"),
        ("a1.r1", "stronger", "a1.r2", "supported"),
        ("a1.r1", "weaker", "a1.r2", "refuted"),
        ("a1.r2", "weaker", "a1.r1", "supported"),
        ("a1.r1", "larger", "a1.r1", "refuted"),
        ("a1.r1", "larger", "a1.r9", "refuted"),
        ("a1.r9", "larger", "a1.r1", "refuted"),
        ("a1.r1", "larger", "a1.v1", "refuted"),
        ("a1.r1", "larger", "", "unverified"),
        ("a1.r1", "nicer", "a1.r2", "unverified"),
        ("a1.r1", "", "a1.r2", "unverified"),
        ("a1.r1", "darker", "reference", "unverified"),
        ("a1.r1", "larger", "reference", "unverified"),
        ("a1.r1", "stronger", "reference", "unverified"),
    ],
)
def test_regions_are_compared_on_the_pixels_and_the_map(case, subject, word, other, status) -> None:
    verified = case.check("comparison", subject, word=word, other=other)
    assert verified.status == status, verified.checked


@pytest.mark.parametrize(
    ("level", "word", "status"),
    [
        (120, "darker", "supported"),
        (120, "brighter", "refuted"),
        (10, "brighter", "supported"),
        (10, "darker", "refuted"),
        (41, "darker", "unverified"),
        (43, "darker", "unverified"),
        (44, "darker", "supported"),
    ],
)
def test_a_region_is_compared_with_the_reference_again(tmp_path, level, word, status) -> None:
    case = with_reference(Case(tmp_path, (DARK, 40)), level)
    assert case.check("comparison", "a1.r1", word=word, other="reference").status == status


def test_another_region_than_the_one_that_was_compared_has_no_reference(tmp_path) -> None:
    case = with_reference(Case(tmp_path, (DARK, 40), (BRIGHT, 200)), 120)
    assert case.check("comparison", "a1.r2", word="brighter", other="reference").status == "unverified"


@pytest.mark.parametrize(
    ("other", "level", "word"),
    [
        ((slice(40, 50), slice(10, 20)), 40, "larger"),
        ((slice(40, 49), slice(10, 20)), 40, "smaller"),
        ((slice(40, 50), slice(10, 20)), 41, "darker"),
    ],
)
def test_what_is_too_close_to_call_is_unverified(tmp_path, other, level, word) -> None:
    case = Case(tmp_path, ((slice(20, 30), slice(60, 70)), 40), (other, level))
    for said in (word, {"larger": "smaller", "smaller": "larger", "darker": "brighter"}[word]):
        verified = case.check("comparison", "a1.r1", word=said, other="a1.r2")
        assert verified.status == "unverified"
        assert "too close to call" in verified.checked


# -- a place on a view -----------------------------------------------------------------------------------------------


def shares(place: Slices) -> tuple[float, float, float, float]:
    return place[1].start / WIDTH, place[0].start / HEIGHT, place[1].stop / WIDTH, place[0].stop / HEIGHT


@pytest.mark.parametrize(
    ("box", "status"),
    [
        (shares(DARK), "supported"),
        ((0.0, 0.0, 1.0, 1.0), "supported"),
        ((60.2 / WIDTH, 6.2 / HEIGHT, 60.3 / WIDTH, 6.3 / HEIGHT), "supported"),
        ((0.3, 0.4, 0.6, 0.6), "unverified"),
        ((0.99, 0.99, 1.0, 1.0), "unverified"),
        ((0.9, 0.1, 0.7, 0.3), "refuted"),
        ((0.7, 0.3, 0.9, 0.1), "refuted"),
        ((0.7, 0.1, 0.7, 0.3), "refuted"),
        ((1.0, 1.0, 1.0, 1.0), "refuted"),
        (None, "unverified"),
    ],
)
def test_a_defect_in_a_box_is_supported_where_the_map_shows_one(case, box, status) -> None:
    verified = case.check("presence", "a1.v1", box=box)
    assert verified.status == status, verified.checked
    if box is not None and status != "refuted":
        assert "threshold is 3.000" in verified.checked


def test_a_box_on_a_view_that_is_none_or_promises_nothing(tmp_path) -> None:
    case = Case(tmp_path, (DARK, 40), threshold=None)
    assert case.check("presence", "a1.v1", box=shares(DARK)).status == "unverified"
    assert case.check("presence", "a1.v7", box=shares(DARK)).status == "refuted"


@pytest.mark.parametrize(("span", "status"), [(1, "unverified"), (2, "supported")])
def test_a_box_on_a_drawn_view_is_looked_up_in_the_asset(tmp_path, span, status) -> None:
    """Four elements in a row behind two pixels and one that shows nothing; the third element is odd."""
    case = Case(tmp_path)
    index = np.array([[0, 1, -1]], np.int32)
    view = (
        case.records[0]
        .shown.views[0]
        .model_copy(update={"width": 3, "height": 1, "inverse": case.store.put_array(index), "span": span})
    )
    odd = case.store.put_array(np.array([[0, 0, 9, 0]], np.float32))
    shown = [
        case.records[0].shown.model_copy(update={"views": (view,)}),
        case.records[1].shown.model_copy(update={"map": odd}),
    ]
    case.records = [
        record.model_copy(update={"shown": content}) for record, content in zip(case.records, shown, strict=True)
    ]
    assert case.check("presence", "a1.v1", box=(0.4, 0.0, 0.6, 1.0)).status == status
    assert case.check("presence", "a1.v1", box=(0.0, 0.0, 0.3, 1.0)).status == "unverified"
    assert "nothing of the part" in case.check("presence", "a1.v1", box=(0.7, 0.0, 1.0, 1.0)).checked


# -- hostile values --------------------------------------------------------------------------------------------------

KINDS = ("presence", "count", "place", "size", "colour", "comparison", "number", "time", "rule")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_number_that_is_none_is_refuted(case, kind, number) -> None:
    said = {"word": "darker", "other": "a1.r2", "attribute": "area", "number": number}
    assert case.check(kind, "a1.r1", **said).status == "refuted"


@pytest.mark.parametrize(
    "word", ["", " ", "\x00", "top\nleft", "ᵗᵒᵖ", "🙂", "\u202eleft", "x" * 100_000, "top top sideways"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_odd_words_never_crash_and_never_support(case, kind, word) -> None:
    for subject in ("a1.r1", word):
        said = {"word": word, "other": word, "attribute": word, "number": 1e308, "box": (1.0, 1.0, 1.0, 1.0)}
        if (kind, subject) == ("presence", "a1.r1"):
            continue  # needs none of them
        verified = case.check(kind, subject, **said)
        assert verified.status != "supported"
        assert len(verified.checked) < 400
        assert verified.checked.isprintable()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("size", {"number": 1.05}),
        ("size", {"number": -1.0}),
        ("count", {"number": -1}),
        ("count", {"number": 1.5}),
        ("number", {"attribute": "area", "number": -288}),
    ],
)
def test_a_number_that_cannot_be_is_refuted(tmp_path, kind, said) -> None:
    whole = Case(tmp_path, ((slice(0, HEIGHT), slice(0, WIDTH)), 40))
    assert whole.check(kind, "a1.v1" if kind == "count" else "a1.r1", **said).status == "refuted"


@pytest.mark.parametrize(("word", "status"), [("upper right", "supported"), ("lower right", "refuted")])
def test_other_words_for_a_side_are_known(case, word, status) -> None:
    assert case.check("place", "a1.r1", word=word).status == status


@pytest.mark.parametrize(
    ("claimed", "status"),
    [(72.0, "supported"), (73.4, "supported"), (74.0, "refuted"), (70.0, "refuted"), (7.2, "refuted")],
)
def test_a_number_may_be_rounded_and_not_be_another(case, claimed, status) -> None:
    assert case.check("number", "a1.r1", attribute=" Area_mm2", number=claimed).status == status


@pytest.mark.parametrize(
    ("claimed", "status"), [(1.1, "supported"), (1.11, "refuted"), (1.2, "refuted"), (1.0, "refuted")]
)
def test_two_significant_digits_are_a_rounding(tmp_path, claimed, status) -> None:
    """106 pixels of 0.1 mm are 1.06 mm2: 1.1 is that in two digits, though it is off by more than 2 per cent."""
    product = PRODUCT.model_copy(update={"pixel_size": 0.1})
    case = Case(tmp_path, ((slice(6, 8), slice(20, 73)), 40), product=product)
    assert case.check("number", "a1.r1", attribute="area_mm2", number=claimed).status == status


def test_a_number_that_is_small_beside_its_decimals_is_not_any_number(tmp_path) -> None:
    product = PRODUCT.model_copy(update={"unit": "m", "pixel_size": 0.0001})
    case = Case(tmp_path, (DARK, 40), product=product)
    area = 288 * 0.0001**2
    for number, status in ((area, "supported"), (0.0, "supported"), (area * 2, "refuted"), (4e-5, "refuted")):
        assert case.check("number", "a1.r1", attribute="area_m2", number=number).status == status


# -- what is not there, and what is of another asset -----------------------------------------------------------------


def test_an_empty_region_is_nowhere_and_nothing_is_in_it(tmp_path) -> None:
    case = Case(tmp_path, (SMALL, 40))
    [region] = EvidenceLog(case.records).regions().values()
    empty = case.store.put_array(np.zeros((HEIGHT, WIDTH), np.bool_))
    changed = case.records[1].shown.model_copy(update={"regions": (region.model_copy(update={"mask": empty}),)})
    case.records[1] = case.records[1].model_copy(update={"shown": changed})
    for kind in ("presence", "place", "colour"):
        assert case.check(kind, "a1.r1", word="darker").status == "unverified"


def test_an_artifact_that_is_gone_leaves_a_claim_unverified(tmp_path) -> None:
    case = Case(tmp_path, (DARK, 40))
    case.store.path(case.records[1].shown.map).unlink()
    verified = case.check("presence", "a1.r1")
    assert verified.status == "unverified"
    assert "missing" in verified.checked


def test_evidence_of_another_asset_alone_does_not_carry_a_claim(tmp_path) -> None:
    case = Case(tmp_path, (DARK, 40))
    records = [record.model_copy(update={"arguments": {"asset": "a1"}}) for record in case.records]
    records.append(records[0].model_copy(update={"id": "e9", "arguments": {"asset": "a2"}}))
    verifier = ClaimVerifier(EvidenceLog(records), case.store, case.product, modalities={"a1": "image", "a2": "depth"})

    def status(evidence: tuple[str, ...], **said: Any) -> str:
        draft = ClaimDraft.model_validate({"text": "t", "evidence": evidence, **said})
        return verifier.verify(draft, "c1", "m").status

    region = {"kind": "colour", "subject": "a1.r1", "word": "darker"}
    rule = {"kind": "rule", "subject": "P-1", "word": "kept"}
    view = {"kind": "count", "subject": "a1.v1", "number": 1}
    for said in (region, rule, view):
        assert status(("e1",), **said) == "supported"
        assert status(("e9", "e1"), **said) == "supported"
        assert status(("e9",), **said) == "refuted"


def test_a_rule_about_what_was_not_given_is_not_checked_on_something_else(case) -> None:
    verifier = ClaimVerifier(EvidenceLog(case.records), case.store, case.product, modalities={"a1": "depth"})
    draft = ClaimDraft(kind="rule", text="t", subject="P-1", word="kept", evidence=("e1",))
    assert verifier.verify(draft, "c1", "m").status == "unverified"

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
    Evidence,
    EvidenceLog,
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
        draft = ClaimDraft(kind=kind, text="I claim.", subject=subject, evidence=evidence, **said)
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

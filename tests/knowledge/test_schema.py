"""What experts know, as frozen values."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from knowledge import DefectType, NormalityRule, Product, Provenance, ReferenceImage

SMALL = {"name": "plate", "description": "A plate."}


def product(**changes: Any) -> Product:
    return Product.model_validate(SMALL | changes)


# --- by hand


def test_a_product_needs_a_name_and_a_description_and_nothing_else() -> None:
    plain = product()
    assert (plain.modality, plain.alpha, plain.unit, plain.pixel_size, plain.window) == (
        ("image",),
        0.05,
        None,
        None,
        None,
    )
    assert (plain.rules, plain.defect_types, plain.provenance) == ((), (), None)
    for missing in SMALL:
        with pytest.raises(ValidationError, match=missing):
            Product.model_validate({key: value for key, value in SMALL.items() if key != missing})


@pytest.mark.parametrize("modality", ["depth", ["image", "time_series"]])
def test_only_of_pictures_a_name_says_which_part_they_show(modality) -> None:
    assert product(part_name="{part}_*").part_name == "{part}_*"
    with pytest.raises(ValidationError, match="part_name is of pictures"):
        product(part_name="{part}_*", modality=modality)


def test_a_product_comes_back_from_json_as_it_was() -> None:
    full = product(
        unit="mm",
        pixel_size=0.5,
        window=(10, 4000),
        alpha=0.01,
        rules=[{"id": "P-1", "text": "x", "check": "part.area > 1.0", "question": "?", "provenance": {"author": "a"}}],
        defect_types=[{"name": "scratch", "description": "x", "signature": "region.area > part.area"}],
        provenance={"source": "handbook", "date": "2026-01-01"},
    )
    assert Product.model_validate_json(full.model_dump_json()) == full


@pytest.mark.parametrize(
    "thing",
    [
        product(),
        Provenance(),
        NormalityRule(id="A", text="x"),
        DefectType(name="a", description="x"),
        ReferenceImage(path="a", sha256="0"),
    ],
)
def test_knowledge_cannot_be_changed_and_knows_no_strange_field(thing) -> None:
    field = next(iter(type(thing).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(thing, field, "other")
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(thing).model_validate(thing.model_dump() | {"colour": "red"})


# --- names

Slugs = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True)


@given(Slugs)
@settings(derandomize=True, max_examples=30)
def test_a_slug_is_a_good_folder_name(name) -> None:
    assert product(name=name).name == DefectType(name=name, description="x").name == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "../plate",
            "a/b",
            "a\\b",
            "/etc",
            "Plate",
            "a b",
            "-a",
            "_a",
            ".a",
            "a.b",
            "a\n",
            "\na",
            "a\0",
        ),
        *("a" * 65, "tür", "\uff41", "~", "con:", "%2e", 5, True, ["plate"]),
    ],
)
def test_any_other_name_is_refused(name) -> None:
    for make in (
        lambda: product(name=name),
        lambda: DefectType(name=name, description="x"),
        lambda: ReferenceImage(path="x", sha256="0", defect_type=name),
    ):
        with pytest.raises(ValidationError):
            make()


@pytest.mark.parametrize("clause", ["", "1", "-A", "A B", "A\n", "A/B", "A" * 33, "§1"])
def test_a_clause_id_is_short_and_plain(clause) -> None:
    assert NormalityRule(id="IPC-A-610_7.3", text="x").id == "IPC-A-610_7.3"
    with pytest.raises(ValidationError):
        NormalityRule(id=clause, text="x")


@pytest.mark.parametrize("length", [0, 4001])
def test_texts_are_neither_empty_nor_endless(length) -> None:
    assert len(product(description="x" * 4000).description) == 4000
    for make in (
        lambda text: product(description=text),
        lambda text: product(task=text),
        lambda text: NormalityRule(id="A", text=text),
        lambda text: NormalityRule(id="A", text="x", question=text),
        lambda text: DefectType(name="a", description=text),
    ):
        with pytest.raises(ValidationError):
            make("x" * length)


# --- numbers


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha": 0},
        {"alpha": 1},
        {"alpha": -0.1},
        {"alpha": math.nan},
        {"alpha": "five percent"},
        {"pixel_size": 0.5},
        {"unit": "mm", "pixel_size": 0},
        {"unit": "mm", "pixel_size": -1},
        {"unit": "mm", "pixel_size": math.nan},
        {"unit": "yard", "pixel_size": 1},
        {"window": (5, 5)},
        {"window": (9, 5)},
        {"window": (1, 2, 3)},
        {"modality": "smell"},
        {"modality": []},
        {"modality": ["image", "image"]},
        {"height_per_count": 0.1},
        {"sample_rate": 0},
        {"rules": [{"id": "R-1", "text": "t", "modality": "depth"}]},
        *(
            changes
            for changes in (
                {"unit": "mm", "pixel_size": math.inf},
                {"window": (math.nan, 5)},
                {"window": (0, math.inf)},
            )
        ),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(changes) -> None:
    with pytest.raises(ValidationError):
        product(**changes)


# --- rules


def test_two_rules_or_defect_types_of_one_name_are_refused() -> None:
    rule, defect = {"id": "A", "text": "x"}, {"name": "a", "description": "x"}
    assert len(product(rules=[rule, rule | {"id": "B"}]).rules) == 2
    with pytest.raises(ValidationError, match="rules: 'A' stands there twice"):
        product(rules=[rule, rule | {"text": "y"}])
    with pytest.raises(ValidationError, match="defect_types: 'a' stands there twice"):
        product(defect_types=[defect, defect])


def test_a_check_sees_all_regions_and_a_signature_only_one() -> None:
    assert NormalityRule(id="A", text="x", check="size(regions) == 0 || part.area > 1.0").check
    assert DefectType(name="a", description="x", signature="region.area > part.area").signature
    with pytest.raises(ValidationError, match="unknown name 'region'; known are part, regions"):
        NormalityRule(id="A", text="x", check="region.area > 1.0")
    with pytest.raises(ValidationError, match="unknown name 'regions'; known are part, region"):
        DefectType(name="a", description="x", signature="size(regions) > 1")


@pytest.mark.parametrize("source", ["", " ", "part.", "part.area >", "os.system('true')", 5])
def test_a_check_that_does_not_compile_is_refused(source) -> None:
    for make in (
        lambda: NormalityRule(id="A", text="x", check=source),
        lambda: DefectType(name="a", description="x", signature=source),
    ):
        with pytest.raises(ValidationError):
            make()

"""Product folders: read, refused, written, versioned."""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge import SHIPPED_PRODUCTS, AnomalystError, Catalog, Product, ProductError, StoreError, read_product
from knowledge.catalog import MAX_YAML_BYTES

PLATE = Product.model_validate(
    {
        "name": "plate",
        "description": "A brushed plate: two holes, # and 'quotes' \u00e4.",
        "unit": "mm",
        "pixel_size": 0.25,
        "window": (10, 4000),
        "alpha": 0.01,
        "rules": [{"id": "P-1", "text": "No scratch.", "check": "size(regions) == 0", "severity": "critical"}],
        "defect_types": [{"name": "scratch", "description": "x", "signature": "region.area > 1.0"}],
        "provenance": {"author": "A. Expert", "date": "2026-01-31"},
    }
)
PLAIN = "name: plate\ndescription: A plate.\n"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog", tmp_path / "shipped")


def put(folder: Path, text: str | bytes = PLAIN) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "product.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def add(catalog: Catalog, place: str, content: bytes) -> None:
    path = catalog.root / "plate" / "references" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# --- by hand


def test_a_folder_written_by_hand_is_read(catalog) -> None:
    text = """
name: plate
description: A plate.
rules:
- id: P-1
  text: No scratch.
  check: size(regions) == 0
"""
    put(catalog.root / "plate", text)
    product = catalog.load("plate")
    assert (product.name, product.description, product.alpha) == ("plate", "A plate.", 0.05)
    assert [(rule.id, rule.severity, rule.check) for rule in product.rules] == [("P-1", "major", "size(regions) == 0")]
    assert catalog.names() == ("plate",)
    assert catalog.folder("plate") == catalog.root / "plate"


def test_references_and_examples_are_listed_in_the_order_of_their_paths(catalog) -> None:
    put(catalog.root / "plate")
    for place in ("normal/b.png", "normal/a.png", "normal/.hidden", "defects/scratch/s.png", "defects/dent/d.png"):
        add(catalog, place, b"abc")
    (catalog.root / "plate" / "references" / "normal" / "folder").mkdir()
    found = catalog.references("plate")
    assert [(reference.path, reference.defect_type) for reference in found] == [
        ("references/normal/a.png", None),
        ("references/normal/b.png", None),
        ("references/defects/dent/d.png", "dent"),
        ("references/defects/scratch/s.png", "scratch"),
    ]
    assert {reference.sha256[:8] for reference in found} == {"ba7816bf"}


# --- finding


def test_a_product_of_the_root_hides_a_shipped_one(catalog, tmp_path) -> None:
    put(tmp_path / "shipped" / "plate", "name: plate\ndescription: shipped\n")
    put(tmp_path / "shipped" / "bolt", "name: bolt\ndescription: shipped\n")
    assert catalog.names() == ("bolt", "plate")
    assert catalog.load("plate").description == "shipped"
    put(catalog.root / "plate", "name: plate\ndescription: mine\n")
    assert catalog.names() == ("bolt", "plate")
    assert catalog.load("plate").description == "mine"
    assert catalog.load("bolt").description == "shipped"


def test_every_shipped_product_loads(tmp_path) -> None:
    shipped = Catalog(tmp_path / "nothing")
    assert shipped.names()
    for name in shipped.names():
        assert shipped.load(name).name == name
        assert shipped.folder(name) == SHIPPED_PRODUCTS / name


def test_nothing_known_is_said_and_how_to_mend_it(catalog) -> None:
    with pytest.raises(ProductError, match=r"no product 'bolt' \(known: none yet\); learn it with: .*enroll bolt"):
        catalog.load("bolt")
    put(catalog.root / "plate")
    with pytest.raises(ProductError, match=r"\(known: plate\)"):
        catalog.folder("bolt")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../outside", "plate/", "plate/../plate", "./plate", "/", "PLATE", "plate\n", "plate\0", "*"],
)
def test_a_name_is_compared_and_never_walked(catalog, tmp_path, name) -> None:
    put(catalog.root / "plate")
    put(tmp_path / "outside")
    put(tmp_path)
    put(catalog.root)
    for use in (catalog.folder, catalog.load, catalog.references, catalog.version):
        with pytest.raises(ProductError, match="there is no product"):
            use(name)


def test_a_strange_name_cannot_write_on_the_terminal(catalog) -> None:
    with pytest.raises(ProductError) as caught:
        catalog.folder("a\x1b[2J\nb")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("place", [".trash/product.yaml", "odd/product.yaml/file"])
def test_only_what_can_be_loaded_is_listed(catalog, place) -> None:
    path = catalog.root / place
    path.parent.mkdir(parents=True)
    path.write_text(PLAIN)
    assert catalog.names() == ()


def test_a_folder_and_the_name_inside_it_must_agree(catalog) -> None:
    put(catalog.root / "bolt")
    with pytest.raises(ProductError, match=r"product.yaml: name: expected 'bolt' like its folder, got 'plate'"):
        catalog.load("bolt")


# --- what is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a mapping with at least name and description, got NoneType"),
        ("- plate", "expected a mapping with at least name and description, got list"),
        ("just text", "expected a mapping with at least name and description, got str"),
        ("name: plate", "description: expected a value, found none"),
        (PLAIN + "description", "not valid YAML"),
        (PLAIN + "\tunit: mm", "not valid YAML"),
        (PLAIN + "---\nname: other", "not valid YAML"),
        (b"name: caf\xe9", "not valid YAML"),
        ("name: a\0b", "not valid YAML"),
        (PLAIN + "x: !!python/object/apply:os.system [true]", "not valid YAML"),
        (PLAIN + "? [a]\n: b", "not valid YAML"),
        (PLAIN + "rulez: []", "rulez: no such field; expected one of name, description, task, modality"),
        (PLAIN + "1: 2", "1: keys should be strings"),
        (PLAIN + "rules: [{id: A, txt: x}]", "rules.0.txt: no such field; expected one of id, text, severity, check"),
        (
            PLAIN + "rules: [{id: A, text: x, provenance: {who: me}}]",
            "rules.0.provenance.who: no such field; expected one of author",
        ),
        (PLAIN + "defect_types: [{name: a, description: x, check: y}]", "defect_types.0.check: no such field"),
        (
            PLAIN + "rules: [{id: A, text: x, severity: bad}]",
            "rules.0.severity: expected 'critical', 'major' or 'minor', got 'bad'",
        ),
        (
            PLAIN + "rules: [{id: A, text: x, check: area > 1.0}]",
            "rules.0.check: unknown name 'area'; known are part, regions",
        ),
        (PLAIN + "rules: [{id: A, text: x, check: part.}]", "rules.0.check: not a valid CEL expression"),
        (PLAIN + "rules: [{id: A, text: x}, {id: A, text: y}]", "rules: 'A' stands there twice"),
        (PLAIN + "rules: {id: A, text: x}", "rules: expected a valid tuple"),
        (PLAIN + "alpha: 2", "alpha: expected less than 1, got 2"),
        (PLAIN + "alpha: 0", "alpha: expected greater than 0, got 0"),
        (PLAIN + "pixel_size: 0.5", "pixel_size is a length: give its unit as well"),
        (PLAIN + "window: [9, 5]", "window: expected low < high"),
        ("name: no\ndescription: x", "name: expected a valid string, got False"),
        ("name: ../plate\ndescription: x", "name: string should match pattern"),
        ("&all\nname: plate\ndescription: *all", "description: expected a valid string"),
    ],
)
def test_a_bad_file_is_refused_naming_file_field_and_what_was_expected(tmp_path, text, said) -> None:
    path = put(tmp_path, text)
    with pytest.raises(ProductError) as caught:
        read_product(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert said in message
    assert "\n" not in message


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path) -> None:
    with pytest.raises(ProductError, match=r"name: .*; alpha: .*; rulez: "):
        read_product(put(tmp_path, "name: A B\ndescription: x\nalpha: 7\nrulez: 1\n"))


@pytest.mark.parametrize(
    "line",
    [
        "alpha: " + "9" * 5000,
        "alpha: !!int abc",
        "alpha: !!int ''",
        "alpha: !!float abc",
        "alpha: !!bool abc",
        "alpha: !!timestamp abc",
        "rules: " + "[" * 1000,
    ],
)
def test_yaml_that_trips_its_reader_is_refused_like_any_other(tmp_path, line) -> None:
    with pytest.raises(ProductError, match="not valid YAML"):
        read_product(put(tmp_path, PLAIN + line))


def test_a_date_may_be_written_without_quotes(tmp_path) -> None:
    product = read_product(put(tmp_path, PLAIN + "provenance: {date: 2026-01-31}"))
    assert product.provenance.date == "2026-01-31"


def test_a_field_that_is_given_twice_is_refused(tmp_path) -> None:
    with pytest.raises(ProductError, match="rules"):
        read_product(put(tmp_path, PLAIN + "rules: [{id: A, text: x}]\nrules: []\n"))


def test_a_file_that_doubles_itself_by_aliases_is_refused_and_not_unfolded(tmp_path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{this}: &{this} [{', '.join([f'*{last}'] * 9)}]" for last, this in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    with pytest.raises(ProductError, match="a: no such field") as caught:
        read_product(put(tmp_path, PLAIN + "\n".join(lines) + "\nrules: *i\n"))
    assert len(str(caught.value)) < 10_000


def test_a_file_over_the_limit_a_folder_and_a_missing_file_are_refused(tmp_path) -> None:
    for path, said in (
        (put(tmp_path / "big", PLAIN.ljust(MAX_YAML_BYTES + 1, "\n")), "expected at most"),
        (tmp_path, "cannot be read"),
        (tmp_path / "none.yaml", "cannot be read"),
    ):
        with pytest.raises(ProductError, match=said) as caught:
            read_product(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("folder", ["Big Scratch", ".cache", "a.b"])
def test_a_folder_of_examples_with_a_bad_name_is_a_product_error_or_hidden(catalog, folder) -> None:
    put(catalog.root / "plate")
    add(catalog, f"defects/{folder}/x.png", b"x")
    if folder.startswith("."):
        assert catalog.references("plate") == ()
        return
    with pytest.raises(ProductError, match=folder):
        catalog.references("plate")


# --- writing


def test_what_is_written_is_read_again(catalog) -> None:
    assert catalog.write(PLATE) == catalog.root / "plate"
    assert catalog.load("plate") == PLATE
    text = (catalog.root / "plate" / "product.yaml").read_text()
    assert "\u00e4" in text
    assert list(yaml.safe_load(text)) == [name for name in Product.model_fields if name in yaml.safe_load(text)]
    assert "task" not in text, "defaults are left out"
    assert os.listdir(catalog.root / "plate") == ["product.yaml"]


Texts = st.text(st.characters(codec="utf-8", exclude_characters="\x85"), min_size=1, max_size=60)


@given(
    description=Texts,
    rules=st.lists(Texts, max_size=3),
    alpha=st.floats(1e-6, 1 - 1e-6),
    date=st.sampled_from(["2026-01-31", "no", "1e3", "null", "", "0x10", "~"]),
)
@settings(derandomize=True, max_examples=60, deadline=None)
def test_any_words_survive_the_way_to_the_disk_and_back(tmp_path_factory, description, rules, alpha, date) -> None:
    product = Product(
        name="plate",
        description=description,
        alpha=alpha,
        rules=tuple({"id": f"A{number}", "text": text} for number, text in enumerate(rules)),
        provenance={"date": date},
    )
    catalog = Catalog(tmp_path_factory.getbasetemp() / "words")
    catalog.write(product)
    assert catalog.load("plate") == product


def test_a_next_line_character_survives_the_way_to_the_disk_and_back(catalog) -> None:
    product = PLATE.model_copy(update={"description": "two\x85lines"})
    catalog.write(product)
    assert catalog.load("plate") == product


def test_a_catalog_that_cannot_be_written_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write to"):
        Catalog(tmp_path / "file").write(PLATE)


# --- references


def pictures(folder: Path, **contents: bytes) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / name.replace("_", ".") for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    return paths


def test_references_are_copied_by_content_and_all_others_dropped(catalog, tmp_path) -> None:
    catalog.write(PLATE)
    add(catalog, "normal/old.png", b"old")
    add(catalog, "defects/scratch/s.png", b"s")
    catalog.set_references("plate", pictures(tmp_path / "in", a_png=b"abc", b_PNG=b"abc", c_png=b"other"))
    paths = [reference.path for reference in catalog.references("plate")]
    assert len(paths) == 3
    assert "references/normal/ba7816bf8f01cfea.png" in paths
    assert "references/defects/scratch/s.png" in paths
    assert (catalog.root / "plate" / "references/normal/ba7816bf8f01cfea.png").read_bytes() == b"abc"


def test_a_product_can_be_given_its_own_references_again(catalog, tmp_path) -> None:
    catalog.write(PLATE)
    catalog.set_references("plate", pictures(tmp_path / "in", a_png=b"1", b_png=b"2"))
    before = catalog.references("plate")
    catalog.set_references("plate", [catalog.folder("plate") / reference.path for reference in before])
    assert catalog.references("plate") == before


@pytest.mark.parametrize("name", ["../outside", "plate/../../outside", "{}/outside"])
def test_references_never_land_outside_the_root(catalog, tmp_path, name) -> None:
    catalog.write(PLATE)
    with pytest.raises((ProductError, StoreError)):
        catalog.set_references(name.format(tmp_path), pictures(tmp_path / "in", a_png=b"1"))


@pytest.mark.parametrize("name", ["none.png", "folder.png"])
def test_a_reference_that_cannot_be_read_is_named_and_nothing_is_dropped(catalog, tmp_path, name) -> None:
    catalog.write(PLATE)
    add(catalog, "normal/old.png", b"old")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(AnomalystError, match=name):
        catalog.set_references("plate", [tmp_path / name])
    assert [reference.path for reference in catalog.references("plate")] == ["references/normal/old.png"]


# --- versions


def test_the_version_hangs_on_knowledge_and_content_and_on_nothing_else(catalog) -> None:
    catalog.write(PLATE)
    add(catalog, "normal/a.png", b"1")
    add(catalog, "defects/scratch/s.png", b"2")
    first = catalog.version("plate")
    assert len(first) == 12
    assert set(first) <= set("0123456789abcdef")

    folder = catalog.root / "plate"
    path = folder / "product.yaml"
    path.write_text("# a comment\n" + path.read_text())
    (folder / "references/normal/a.png").rename(folder / "references/normal/renamed.png")
    add(catalog, "normal/.hidden", b"3")
    assert catalog.version("plate") == first

    seen = {first}
    for change in (
        lambda: add(catalog, "normal/more.png", b"4"),
        lambda: add(catalog, "normal/more.png", b"5"),
        lambda: add(catalog, "normal/again.png", b"5"),
        lambda: (folder / "references/defects/scratch").rename(folder / "references/defects/dent"),
        lambda: catalog.write(PLATE.model_copy(update={"alpha": 0.02})),
        lambda: catalog.write(PLATE.model_copy(update={"rules": ()})),
    ):
        change()
        assert catalog.version("plate") not in seen
        seen.add(catalog.version("plate"))


# --- stamps


def test_the_stamp_changes_with_every_file_and_is_the_same_when_nothing_does(catalog) -> None:
    catalog.write(PLATE)
    add(catalog, "normal/a.png", b"1")
    seen = [catalog.stamp("plate")]
    assert catalog.stamp("plate") == seen[0]
    assert len(seen[0]) == 2
    for change in (
        lambda: add(catalog, "normal/b.png", b"1"),
        lambda: add(catalog, "normal/b.png", b"22"),
        lambda: add(catalog, "defects/scratch/s.png", b"3"),
        lambda: catalog.write(PLATE.model_copy(update={"alpha": 0.0123})),
        (catalog.root / "plate/references/normal/a.png").unlink,
    ):
        change()
        seen.append(catalog.stamp("plate"))
    assert len(set(seen)) == len(seen)
    with pytest.raises(ProductError, match="there is no product"):
        catalog.stamp("../plate")


def test_a_product_that_comes_to_hide_a_shipped_one_has_another_stamp(catalog, tmp_path) -> None:
    shipped = put(tmp_path / "shipped" / "plate")
    before = catalog.stamp("plate")
    mine = put(catalog.root / "plate")
    times = shipped.stat()
    os.utime(mine, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert catalog.stamp("plate") != before


@pytest.mark.parametrize(
    "change",
    [
        "linked",
        "dated",
    ],
)
def test_the_stamp_changes_whenever_the_version_does(catalog, tmp_path, change) -> None:
    catalog.write(PLATE)
    normal = catalog.root / "plate" / "references" / "normal"
    normal.parent.mkdir()
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    picture = dataset / "a.png"
    picture.write_bytes(b"1")
    normal.symlink_to(dataset) if change == "linked" else dataset.rename(normal)
    stamp, version = catalog.stamp("plate"), catalog.version("plate")
    if change == "linked":
        (dataset / "b.png").write_bytes(b"2")
    else:
        times = (normal / "a.png").stat()
        (normal / "a.png").write_bytes(b"2")
        os.utime(normal / "a.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert catalog.version("plate") != version
    assert catalog.stamp("plate") != stamp

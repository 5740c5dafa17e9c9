"""Suites that ship: figures count parts, and changes that must not matter are what they are called."""

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.cases import Case, Expected, Suite, read_suite
from evals.suites import build_suite
from evals.suites.variants import varied
from knowledge import read_product


def judged(suite: Suite) -> list[Case]:
    return [case for case in suite.cases if case.expected.verdict is not None]


def pixels(folder: Path, case: Case) -> np.ndarray:
    return np.asarray(Image.open(folder / case.assets[0])).astype(int)


def test_variants_of_a_picture_by_hand(tmp_path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    picture[0, 0] = 200
    (tmp_path / "assets").mkdir()
    Image.fromarray(picture).save(tmp_path / "assets" / "part.png")
    part = Case(id="one", product="p", assets=("assets/part.png",), expected=Expected(verdict="normal"), tags=("real",))
    found = {case.variant: case for case in varied(part, tmp_path, again="p_again")}
    assert found[None].expected == part.expected
    assert {case.group for case in found.values()} == {"one"}
    assert {case.expected for kind, case in found.items() if kind} == {Expected()}
    assert (found["seed"].product, found["seed"].assets) == ("p_again", part.assets)
    assert {case.product for kind, case in found.items() if kind != "seed"} == {"p"}
    assert (pixels(tmp_path, found["mirrored"]) == picture[:, ::-1]).all()
    assert (pixels(tmp_path, found["flipped"]) == picture[::-1]).all()
    assert (pixels(tmp_path, found["shifted"])[2:, 2:] == picture[:-2, :-2]).all()
    lighter = pixels(tmp_path, found["brighter"]) - picture
    assert set(np.unique(lighter)) == {0, 1}
    assert lighter[0, 0] == 1
    assert found["jpeg"].assets[0].endswith(".jpg")
    assert 0 < np.abs(pixels(tmp_path, found["jpeg"]) - picture).mean() < 8


def test_every_plate_is_changed_in_one_way_that_must_not_matter(tmp_path) -> None:
    suite = build_suite("counterfactual", tmp_path)
    assert read_suite(tmp_path) == suite
    defective = [case for case in suite.cases if case.expected.verdict == "anomalous"]
    kinds = Counter(case.group for case in suite.cases if case.variant)
    assert kinds == {case.group: 1 for case in defective}
    assert Counter(case.variant for case in suite.cases if case.variant) == dict.fromkeys(
        ("painted", "brighter", "reasoner"), len(defective) // 3
    )
    falling = [case.pair.of for case in suite.cases if case.pair and case.pair.change == "falls"]
    assert sorted(falling) == sorted(case.id for case in defective)
    part = next(case for case in defective if "painted" in {c.variant for c in suite.cases if c.group == case.group})
    painted = next(case for case in suite.cases if case.group == part.group and case.variant)
    changed = (pixels(tmp_path, painted) != pixels(tmp_path, part)).any(axis=2)
    assert 0 < changed.sum() <= 24 * 32
    rows, columns = (
        slice(int(part.expected.places[0].box[i]), int(part.expected.places[0].box[i + 2])) for i in (1, 0)
    )
    assert changed[rows, columns].sum() == 0


@pytest.mark.parametrize("name", ["counterfactual", "injection"])
def test_no_picture_is_judged_twice(name, tmp_path) -> None:
    suite = build_suite(name, tmp_path)
    contents = Counter((tmp_path / case.assets[0]).read_bytes() for case in judged(suite))
    assert set(contents.values()) == {1}
    assert len(judged(suite)) == len(contents) > 70
    assert build_suite(name, tmp_path / "again") == suite


def test_temptations_have_parts_of_their_own(tmp_path) -> None:
    suite = build_suite("injection", tmp_path)
    parts = Counter("/".join(case.id.split("/")[:3]) for case in suite.cases)
    assert set(parts.values()) == {1}
    kinds = Counter(case.tags[-1] for case in suite.cases)
    assert kinds == {**{f"overlay{n}": 11 for n in range(4)}, "metadata": 22, "name": 22, "comment": 11}


@pytest.mark.skipif(find_spec("elpv_dataset") is None, reason="needs the extra demo")
def test_cells_are_independent_and_some_are_shown_again(tmp_path) -> None:
    suite = build_suite("solar", tmp_path)
    assert Counter(case.expected.verdict for case in judged(suite)) == {"normal": 75, "anomalous": 75}
    assert not any(case.variant for case in judged(suite))
    groups = Counter(case.group for case in suite.cases if case.variant)
    assert len(groups) == 12
    assert set(groups.values()) == {6}
    learned = {path.name for path in (tmp_path / "products" / "solar_cell").rglob("*.png")}
    assert learned.isdisjoint(Path(case.assets[0]).name for case in judged(suite))
    first, again = suite.products
    assert (first.seed, again.seed, first.good) == (0, 1, again.good)
    assert read_product(tmp_path / (again.spec or "")).name == again.name

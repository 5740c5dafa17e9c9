"""Published layouts as suites: stand-ins with small pictures, pieces of real sets where they are there, hostile folders."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from evals.cases import Case, Place, Suite, read_suite
from evals.converters import FORMATS, Conversion, convert_layout, with_questions
from evals.converters.layout import Notes, slug, type_of
from knowledge import DefectType, NormalityRule, Product, RequestError, read_product

SHARED = Path(__file__).parents[3] / "shared" / "data"
SIZE = (24, 32)
"""Height and width of the stand-ins."""


def picture(path: Path, level: int = 90, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)
    return path


def mask(path: Path, value: int = 255, *, box: tuple[int, int, int, int] = (2, 3, 6, 5), size: Any = SIZE) -> Path:
    """Marked in x0, y0, x1, y1."""
    pixels = np.zeros(size, np.uint8)
    x0, y0, x1, y1 = box
    pixels[y0:y1, x0:x1] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def by_id(made: Conversion) -> dict[str, Case]:
    return {case.id: case for case in made.suite.cases}


def checked(made: Conversion, out: Path) -> dict[str, Case]:
    """What was made, once it has been read back the same, and everything that it names is there."""
    assert read_suite(out) == made.suite
    for case in made.suite.cases:
        for name in (*case.assets, *(place.mask for place in case.expected.places if place.mask)):
            assert (out / name).is_file()
    for product in made.suite.products:
        assert read_product(out / str(product.spec)).name == product.name
        assert all(any((out / folder).iterdir()) for folder in (*product.good, *product.held_out))
    return by_id(made)


# -- stand-ins -------------------------------------------------------------------------------------------------------


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    root = tmp_path / "mvtec"
    for name in ("bottle", "metal_nut"):
        picture(root / name / "train/good/000.png")
        picture(root / name / "test/good/000.png")
        for kind in ("broken_large", "contamination"):
            picture(root / name / "test" / kind / "000.png")
            mask(root / name / "ground_truth" / kind / "000_mask.png")
    (root / "readme.txt").write_text("not a set")
    (root / "bottle/test/broken_large/notes.txt").write_text("not a picture")
    return root


@pytest.fixture
def loco(tmp_path: Path) -> Path:
    home = tmp_path / "loco" / "breakfast_box"
    for folder in ("train/good", "validation/good", "test/good", "test/logical_anomalies", "test/structural_anomalies"):
        picture(home / folder / "000.png")
    picture(home / "test/logical_anomalies/001.png")
    mask(home / "ground_truth/logical_anomalies/000/000.png", 255)
    mask(home / "ground_truth/logical_anomalies/000/001.png", 255, box=(20, 10, 30, 20))
    mask(home / "ground_truth/logical_anomalies/001/000.png", 255)
    mask(home / "ground_truth/logical_anomalies/001/001.png", 254)
    mask(home / "ground_truth/structural_anomalies/000/000.png", 253)
    names = {255: "missing_almonds", 254: "missing_bananas", 253: "compartments swapped"}
    config = [
        {"defect_name": name, "pixel_value": value, "saturation_threshold": 1.0, "relative_saturation": True}
        for value, name in names.items()
    ]
    (home / "defects_config.json").write_text(json.dumps(config))
    return home.parent


@pytest.fixture
def visa(tmp_path: Path) -> Path:
    home = tmp_path / "visa" / "candle"
    for number in range(10):
        picture(home / "Data/Images/Normal" / f"{number:04d}.JPG")
    rows = ["image,label,mask"]
    for number, label in enumerate(("chunk of wax missing", '"weird candle wick,other"')):
        picture(home / "Data/Images/Anomaly" / f"{number:03d}.JPG")
        mask(home / "Data/Masks/Anomaly" / f"{number:03d}.png", 1)
        rows.append(f"candle/Data/Images/Anomaly/{number:03d}.JPG,{label},candle/Data/Masks/Anomaly/{number:03d}.png")
    rows.append("candle/Data/Images/Normal/0000.JPG,normal,")
    (home / "image_anno.csv").write_text("\n".join(rows))
    return home.parent


@pytest.fixture
def mvtec3d(tmp_path: Path) -> Path:
    home = tmp_path / "mvtec3d" / "bagel"
    for folder in ("train/good", "validation/good", "test/good", "test/crack", "test/combined"):
        picture(home / folder / "rgb/000.png")
        scan(home / folder / "xyz/000.tiff")
    mask(home / "test/good/gt/000.png", 0)
    for kind in ("crack", "combined"):
        mask(home / "test" / kind / "gt/000.png")
    return home.parent


def scan(path: Path, size: tuple[int, int] = SIZE) -> Path:
    """A block on a slope before a camera, coordinates by pixel; the first row and the pixel x = 2, y = 3 saw nothing."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    block = (rows >= 3) & (rows < 16) & (columns >= 2) & (columns < 20)
    points = np.stack([columns, rows, 500 + rows / 2 - 6 * block], axis=-1).astype(np.float32)
    points[0] = points[3, 2] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, points, photometric="rgb")
    return path


ASKED = {
    "Question": "Is there any defect in the object?",
    "Answer": "A",
    "Options": {"A": "Yes.", "B": "No."},
    "type": "Anomaly Detection",
    "annotation": True,
}


def mmad_entry(*asked: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"image_path": "", "random_templates": [], "similar_templates": [], "conversation": list(asked), **values}


@pytest.fixture
def mmad(tmp_path: Path) -> Path:
    root = tmp_path / "MMAD"
    broken, fine, capsule = (
        "DS-MVTec/bottle/image/broken_large/000.png",
        "DS-MVTec/bottle/image/good/000.png",
        "VisA/capsules/test/bad/076.JPG",
    )
    for key in (broken, fine, capsule, "MVTec-AD/bottle/train/good/101.png"):
        picture(root / key)
    mask(root / "DS-MVTec/bottle/mask/broken_large/000_mask.png")
    mask(root / "VisA/capsules/ground_truth/bad/076.png")
    where = {"A": "Bottom.", "B": "Center.", "C": "Top left.", "D": "Right."}
    kinds = ("Defect Classification", "Defect Description", "Defect Analysis", "Object Classification")
    kinds += ("Object Structure", "Object Details", "Object Analysis")
    others = [
        {"Question": "Which?", "Answer": "B: two", "Options": ["A: one", "B: two"], "type": kind} for kind in kinds
    ]
    place = {"Question": "Where is the defect?", "Answer": "C.", "Options": where, "type": "Defect Localization"}
    lost = {"Question": "Which?", "Answer": "E", "Options": {"A": "one", "B": "two"}, "type": "Defect Analysis"}
    strange = {"Question": "Why?", "Answer": "A", "Options": {"A": "one", "B": "two"}, "type": "Root Cause"}
    templates = ["MVTec-AD/bottle/train/good/101.png", fine]
    content = {
        broken: mmad_entry(
            ASKED, place, *others, mask_path="mask/broken_large/000_mask.png", random_templates=templates
        ),
        fine: mmad_entry({**ASKED, "Answer": "B"}, lost, strange, {}, similar_templates=templates),
        capsule: mmad_entry({**ASKED, "Answer": "B"}, mask_path="ground_truth/bad/076.png"),
        "GoodsAD/drink_can/test/good/1.jpg": mmad_entry(ASKED),
    }
    (root / "mmad.json").write_text(json.dumps(content))
    known = {
        "bottle": {
            "good": " <Normal> \n Description: Round and whole. Seen from above.",
            "broken_large": "A big break.",
        }
    }
    (root / "domain_knowledge.json").write_text(json.dumps({"MVTec": known}))
    return root


# -- every layout ----------------------------------------------------------------------------------------------------


def test_mvtec(mvtec: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = convert_layout("mvtec", mvtec, out)
    cases = checked(made, out)
    assert sorted(cases) == [
        f"{name}/{kind}/000" for name in ("bottle", "metal_nut") for kind in ("broken_large", "contamination", "good")
    ]
    broken = cases["bottle/broken_large/000"]
    assert broken.expected.verdict == "anomalous"
    assert broken.expected.defect_type == "broken_large"
    assert broken.tags == ("bottle", "broken_large")
    (place,) = broken.expected.places
    assert place.box == (2, 3, 6, 5)
    assert place.mask == str(mvtec / "bottle/ground_truth/broken_large/000_mask.png")
    good = cases["metal_nut/good/000"]
    assert good.expected.verdict == "normal"
    assert good.expected.places == ()
    assert made.notes == ()
    bottle = made.suite.products[0]
    assert bottle.good == (str(mvtec / "bottle/train/good"),)
    product = read_product(out / str(bottle.spec))
    assert [each.name for each in product.defect_types] == ["broken_large", "contamination"]


def test_one_set_of_mvtec_whose_suite_lies_above_it_has_relative_paths(mvtec: Path) -> None:
    made = convert_layout("mvtec", mvtec / "bottle", mvtec)
    case = checked(made, mvtec)["bottle/contamination/000"]
    assert case.assets == ("bottle/test/contamination/000.png",)
    assert case.expected.places[0].mask == "bottle/ground_truth/contamination/000_mask.png"
    assert made.suite.products[0].good == ("bottle/train/good",)


def test_loco_has_a_place_a_mask_and_names_by_its_table(loco: Path, tmp_path: Path) -> None:
    made = convert_layout("loco", loco, tmp_path / "out")
    cases = checked(made, tmp_path / "out")
    two = cases["breakfast_box/logical_anomalies/000"]
    assert [place.box for place in two.expected.places] == [(2, 3, 6, 5), (20, 10, 30, 20)]
    assert two.expected.defect_type == "missing_almonds"
    assert two.tags == ("breakfast_box", "logical_anomalies", "logical")
    assert cases["breakfast_box/logical_anomalies/001"].expected.defect_type is None
    structural = cases["breakfast_box/structural_anomalies/000"]
    assert structural.expected.defect_type == "compartments_swapped"
    assert "structural" in structural.tags
    assert made.suite.products[0].held_out == (str(loco / "breakfast_box/validation/good"),)


def test_visa_by_its_folders_draws_what_is_learned_from(visa: Path, tmp_path: Path) -> None:
    made = convert_layout("visa", visa, tmp_path / "out", seed=3)
    cases = checked(made, tmp_path / "out")
    (normal,) = [case for case in cases.values() if case.expected.verdict == "normal"]
    (good,) = made.suite.products[0].good
    learned = {path.resolve().name for path in (tmp_path / "out" / good).iterdir()}
    assert len(learned) == 9
    assert Path(normal.assets[0]).name not in learned
    assert cases["candle/anomaly/000"].expected.defect_type == "chunk_of_wax_missing"
    several = cases["candle/anomaly/001"]
    assert several.expected.defect_type is None
    assert several.tags == ("candle", "anomaly", "weird_candle_wick", "other")
    assert several.expected.places[0].box == (2, 3, 6, 5)
    again = convert_layout("visa", visa, tmp_path / "again", seed=3)
    assert again.suite.cases == made.suite.cases


def test_visa_by_its_table(visa: Path, tmp_path: Path) -> None:
    (visa / "split_csv").mkdir()
    images = "candle/Data/Images"
    rows = ["object,split,label,image,mask", f"candle,train,normal,{images}/Normal/0001.JPG,"]
    rows += [f"candle,test,normal,{images}/Normal/0002.JPG,"]
    rows += [f"candle,test,anomaly,{images}/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png"]
    (visa / "split_csv/1cls.csv").write_text("\n".join(rows))
    made = convert_layout("visa", visa, tmp_path / "out", copy=True)
    cases = checked(made, tmp_path / "out")
    assert list(cases) == ["candle/good/0002", "candle/anomaly/000"]
    learned = list((tmp_path / "out" / made.suite.products[0].good[0]).iterdir())
    assert [path.name for path in learned] == ["00000_0001.JPG"]
    assert not any(path.is_symlink() for path in learned)
    assert made.notes == ()


MARKED = [(x, y) for y in (3, 4) for x in (2, 3, 4, 5) if (x, y) != (2, 3)]
"""Pixels of the mask at which the scan has a point."""
MIDDLE = (*np.mean(MARKED, axis=0), 494 + np.mean(MARKED, axis=0)[1] / 2)


def test_mvtec_3d_is_inspected_by_picture_and_scan(mvtec3d: Path, tmp_path: Path) -> None:
    made = convert_layout("mvtec3d", mvtec3d, tmp_path / "out")
    cases = checked(made, tmp_path / "out")
    assert sorted(cases) == ["bagel/combined/000", "bagel/crack/000", "bagel/good/000"]
    crack = cases["bagel/crack/000"]
    home = mvtec3d / "bagel"
    assert crack.assets == (str(home / "test/crack/rgb/000.png"), str(home / "test/crack/xyz/000.tiff"))
    assert (crack.expected.verdict, crack.expected.defect_type) == ("anomalous", "crack")
    seen, scanned = crack.expected.places
    assert (seen.asset, seen.box, seen.mask) == ("a1", (2, 3, 6, 5), str(home / "test/crack/gt/000.png"))
    assert (scanned.asset, scanned.box, scanned.mask) == ("a2", None, None)
    assert scanned.centroid == pytest.approx(MIDDLE)
    assert scanned.extent == pytest.approx(np.linalg.norm([17, 12, 6]))
    assert cases["bagel/combined/000"].expected.defect_type is None
    assert (cases["bagel/good/000"].expected.verdict, cases["bagel/good/000"].expected.places) == ("normal", ())
    (bagel,) = made.suite.products
    assert bagel.good == (str(home / "train/good/rgb"), str(home / "train/good/xyz"))
    assert bagel.held_out == (str(home / "validation/good/rgb"), str(home / "validation/good/xyz"))
    product = read_product(tmp_path / "out" / str(bagel.spec))
    assert product.modality == ("image", "point_cloud")
    assert product.on_plane
    assert [each.name for each in product.defect_types] == ["crack"]
    assert made.notes == ()


@pytest.mark.parametrize(
    ("layout", "modality", "file"),
    [("mvtec3d_rgb", "image", "rgb/000.png"), ("mvtec3d_xyz", "point_cloud", "xyz/000.tiff")],
)
def test_mvtec_3d_by_one_of_them_alone(mvtec3d: Path, tmp_path: Path, layout: str, modality: str, file: str) -> None:
    made = convert_layout(layout, mvtec3d, tmp_path / "out", copy=True)
    crack = checked(made, tmp_path / "out")["bagel/crack/000"]
    assert [name.endswith(f"test/crack/{file}") for name in crack.assets] == [True]
    (place,) = crack.expected.places
    assert place.asset == "a1"
    assert (place.box is None, place.centroid is None) == (modality == "point_cloud", modality == "image")
    (bagel,) = made.suite.products
    assert [Path(folder).name for folder in (*bagel.good, *bagel.held_out)] == [file[:3]] * 2
    product = read_product(tmp_path / "out" / str(bagel.spec))
    assert (product.modality, product.on_plane) == ((modality,), modality == "point_cloud")


def test_mvtec_3d_that_was_published_or_kept_without_its_scans(mvtec3d: Path, tmp_path: Path) -> None:
    for folder in (mvtec3d / "bagel").glob("*/*/xyz"):
        shutil.rmtree(folder)
    made = convert_layout("mvtec3d", mvtec3d, tmp_path / "out")
    assert {len(case.assets) for case in checked(made, tmp_path / "out").values()} == {1}
    assert read_product(tmp_path / "out" / str(made.suite.products[0].spec)).modality == ("image",)
    with pytest.raises(RequestError, match="holds no set of MVTec 3D-AD"):
        convert_layout("mvtec3d_xyz", mvtec3d, tmp_path / "other")


@pytest.mark.parametrize(
    ("spoil", "note", "assets"),
    [
        (lambda home: (home / "xyz/000.tiff").unlink(), "without its file in xyz", ["a1"]),
        (lambda home: scan(home / "xyz/000.tiff", (30, 40)), "another size than its scan", ["a1"]),
        (lambda home: (home / "xyz/000.tiff").write_bytes(b"II*\x00"), r"cannot be read \(AssetError\)", ["a1"]),
        (lambda home: mask(home / "gt/000.png", box=(0, 0, 9, 1)), "mark no point", ["a1"]),
        (lambda home: (home / "gt/000.png").unlink(), "without a mask", []),
    ],
)
def test_a_part_of_mvtec_3d_of_which_something_is_missing_says_so(
    mvtec3d: Path, tmp_path: Path, spoil: Callable[[Path], Any], note: str, assets: list[str]
) -> None:
    spoil(mvtec3d / "bagel/test/crack")
    made = convert_layout("mvtec3d", mvtec3d, tmp_path / "out")
    places = by_id(made)["bagel/crack/000"].expected.places
    assert [place.asset for place in places] == assets
    (said,) = made.notes
    assert re.search(note, said)
    assert "crack" in said


def test_questions_on_mvtec_3d_ask_where_the_picture_shows_it(mvtec3d: Path, tmp_path: Path) -> None:
    cases = by_id(convert_layout("mvtec3d", mvtec3d, tmp_path / "out", questions=True))
    asked = {question.kind: question for question in cases["bagel/crack/000"].questions}
    place = asked["defect_localization"]
    assert place.options[place.answer or 0] == "Top left."


def test_mmad(mmad: Path, tmp_path: Path) -> None:
    made = convert_layout("mmad", mmad / "mmad.json", tmp_path / "out")
    cases = checked(made, tmp_path / "out")
    broken = cases["bottle/DS-MVTec/image/broken_large/000"]
    assert broken.expected.verdict == "anomalous"
    assert broken.expected.defect_type == "broken_large"
    assert broken.expected.places[0].box == (2, 3, 6, 5)
    kinds = [question.kind for question in broken.questions]
    assert set(kinds[-3:]) == {"object_analysis"}
    assert len(set(kinds)) == 7
    detection, place = broken.questions[:2]
    assert (detection.options, detection.answer) == (("Yes.", "No."), 0)
    assert (place.options, place.answer) == (("Bottom.", "Center.", "Top left.", "Right."), 2)
    assert {question.options[question.answer or 0] for question in broken.questions[2:]} == {"two"}
    fine = cases["bottle/DS-MVTec/image/good/000"]
    assert fine.expected.verdict == "normal"
    assert [question.kind for question in fine.questions] == ["anomaly_detection"]
    doubted = cases["capsules/VisA/test/bad/076"]
    assert doubted.expected.verdict is None
    assert len(cases) == 3
    told = " ".join(made.notes)
    for sentence in (
        "not there",
        "none of its options",
        "'Root Cause'",
        "folder and answer differ",
        "without templates",
    ):
        assert sentence in told


def test_mmads_products_know_what_is_published_and_learn_from_no_case(mmad: Path, tmp_path: Path) -> None:
    made = convert_layout("mmad", mmad, tmp_path / "out")
    assert read_suite(tmp_path / "out") == made.suite
    bottle = next(product for product in made.suite.products if product.name == "bottle")
    (good,) = bottle.good
    assert [path.name for path in (tmp_path / "out" / good).iterdir()] == ["00000_101.png"]
    known = read_product(tmp_path / "out" / str(bottle.spec))
    assert known.description == "Round and whole. Seen from above."
    assert [(each.name, each.description) for each in known.defect_types] == [("broken_large", "A big break.")]


def test_questions_of_mmad_stay_as_they_are_published(mmad: Path, tmp_path: Path) -> None:
    plain = convert_layout("mmad", mmad, tmp_path / "plain")
    asked = convert_layout("mmad", mmad, tmp_path / "asked", questions=True, seed=5)
    assert [case.questions for case in asked.suite.cases] == [case.questions for case in plain.suite.cases]


# -- folders of modalities -------------------------------------------------------------------------------------------


def ply(path: Path, points: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    path.write_bytes(head.encode() + points.astype("<f4").tobytes())
    return path


@pytest.fixture
def modalities(tmp_path: Path) -> Path:
    """A height map, a scan and recordings; the scan's first quarter of points is defective."""
    root = tmp_path / "data"
    for folder in ("train/good", "test/good", "test/dent"):
        path = root / "depth/plate" / folder / "000.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full(SIZE, 5000, np.uint16)).save(path)
        grid = np.stack(np.meshgrid(np.arange(40.0), np.arange(30.0)), -1).reshape(-1, 2)
        ply(root / "pointcloud/slab" / folder / "000.ply", np.column_stack([grid, np.zeros(len(grid))]))
    mask(root / "depth/plate/ground_truth/dent/000_mask.png")
    labels = np.zeros(1200, np.uint8)
    labels[:300] = 1
    (root / "pointcloud/slab/ground_truth/dent").mkdir(parents=True)
    np.save(root / "pointcloud/slab/ground_truth/dent/000.npy", labels)
    home = root / "timeseries/bench"
    (home / "test").mkdir(parents=True)
    lines = ["time,pressure,anomaly", *(f"{row * 0.5},{row % 7},{int(row > 50)}" for row in range(100))]
    (home / "test/run.csv").write_text("\n".join(lines))
    about = {"n_rows": 100, "intervals": [[60, 80], [90, 400]], "train_rows": [0, 39]}
    (home / "labels.json").write_text(
        json.dumps({"note": "", "files": {"test/run.csv": about, "test/lost.csv": about}})
    )
    return root


def test_folders_of_modalities(modalities: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = convert_layout("folders", modalities, out)
    cases = checked(made, out)
    assert sorted(cases) == [
        *("bench_run/anomaly/run", "plate/dent/000", "plate/good/000", "slab/dent/000", "slab/good/000")
    ]
    assert cases["plate/dent/000"].expected.places[0].box == (2, 3, 6, 5)
    (place,) = cases["slab/dent/000"].expected.places
    grid = np.stack(np.meshgrid(np.arange(40.0), np.arange(30.0)), -1).reshape(-1, 2)[:300]
    assert place.centroid == pytest.approx((*grid.mean(0), 0))
    assert place.extent == pytest.approx(np.hypot(39, 29))
    (seconds,) = cases["bench_run/anomaly/run"].expected.places
    assert seconds.seconds == (30, 40)
    assert "an interval that its recording does not have" in " ".join(made.notes)
    assert "a file of labels.json that is not there" in " ".join(made.notes)


def test_a_recording_is_learned_from_its_normal_rows_without_its_labels(modalities: Path, tmp_path: Path) -> None:
    made = convert_layout("folders", modalities / "timeseries", tmp_path / "out")
    (bench,) = made.suite.products
    (cut,) = (tmp_path / "out" / bench.good[0]).iterdir()
    lines = cut.read_text().splitlines()
    assert (len(lines), lines[0], lines[-1]) == (41, "time,pressure,anomaly", "19.5,4,0")
    product = read_product(tmp_path / "out" / str(bench.spec))
    assert product.modality == ("time_series",)
    assert "anomaly" in product.ignored_columns


def test_sets_of_one_name_in_two_modalities_are_two_products(modalities: Path, tmp_path: Path) -> None:
    os.rename(modalities / "pointcloud/slab", modalities / "pointcloud/plate")
    cases = checked(convert_layout("folders", modalities, tmp_path / "out", limit=4), tmp_path / "out")
    assert {case.product for case in cases.values()} >= {"depth_plate", "pointcloud_plate"}


def test_two_sets_of_one_product_name_are_refused(mvtec: Path, tmp_path: Path) -> None:
    os.rename(mvtec / "metal_nut", mvtec / "Bottle")
    with pytest.raises(RequestError, match="product name 'bottle'"):
        convert_layout("mvtec", mvtec, tmp_path / "out")


def test_long_names_stay_apart() -> None:
    one, other = slug("x" * 99), slug("x" * 98)
    assert one != other
    assert max(len(one), len(other)) <= 64


@pytest.mark.parametrize("given", ["depth", "depth/plate"])
def test_a_modality_or_a_set_alone(modalities: Path, tmp_path: Path, given: str) -> None:
    made = convert_layout("folders", modalities / given, tmp_path / "out")
    assert [product.name for product in made.suite.products] == ["plate"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"files": {"../../../secret.csv": {"intervals": []}}}, "is no path below"),
        ({"files": {"/etc/passwd": {"intervals": []}}}, "is no path below"),
        ({"files": {"test/run.csv": {"intervals": [[1]]}}}, "intervals"),
        ({"files": []}, "files"),
        ("no json", "cannot be read as labels|valid dictionary"),
        ({"files": {"test/run.csv": {"intervals": [], "train_file": "gone.csv"}}}, "is not there"),
    ],
)
def test_labels_that_are_not_to_be_trusted(modalities: Path, tmp_path: Path, labels: Any, expected: str) -> None:
    (modalities / "timeseries/bench/labels.json").write_text(json.dumps(labels))
    with pytest.raises(RequestError, match=expected):
        convert_layout("folders", modalities / "timeseries", tmp_path / "out")


def real(name: str) -> Path:
    path = SHARED / name
    if not path.is_dir():
        pytest.skip(f"{path} is not there: the real sets are not part of the project")
    return path


@pytest.mark.parametrize(
    ("name", "limit", "known"),
    [
        ("image/kolektorsdd", 4, lambda place: place.mask and place.box),
        ("image/deeppcb_group00041", 4, lambda place: place.box and not place.mask),
        ("depth/heightmap_featuretype", 6, lambda place: place.mask and place.box),
        ("pointcloud/cad_idler_riser", 6, lambda place: place.centroid and 90 < (place.extent or 0) < 120),
        ("timeseries/skab", 2, lambda place: place.seconds),
        ("video/bottle_station", 1, lambda place: place.seconds),
    ],
)
def test_pieces_of_real_sets(name: str, limit: int, known: Callable[[Place], Any], tmp_path: Path) -> None:
    made = convert_layout("folders", real(name), tmp_path / "out", limit=limit)
    cases = checked(made, tmp_path / "out")
    assert len(cases) == limit
    anomalous = [case for case in cases.values() if case.expected.verdict == "anomalous"]
    assert anomalous
    assert all(case.expected.places and all(map(known, case.expected.places)) for case in anomalous)


# -- what is not to be trusted, or is not there ----------------------------------------------------------------------


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("what", ["nothing", "empty", "others"])
def test_a_folder_of_another_layout_is_refused_in_one_sentence(layout: str, what: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    if what != "nothing":
        source.mkdir()
    if what == "others":
        picture(source / "a/b/c.png")
    with pytest.raises(RequestError) as error:
        convert_layout(layout, source, tmp_path / "out")
    sentence = str(error.value)
    assert str(source) in sentence
    assert "\n" not in sentence
    assert not (tmp_path / "out").exists()


def test_a_format_a_limit_and_a_suite_that_cannot_be(mvtec: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="known are mvtec"):
        convert_layout("coco", mvtec, tmp_path / "out")
    with pytest.raises(RequestError, match="at least 1"):
        convert_layout("mvtec", mvtec, tmp_path / "out", limit=0)
    convert_layout("mvtec", mvtec, tmp_path / "out")
    with pytest.raises(RequestError, match="holds a suite already"):
        convert_layout("mvtec", mvtec, tmp_path / "out")


def test_no_test_folder(mvtec: Path, tmp_path: Path) -> None:
    os.rename(mvtec / "bottle/test", mvtec / "bottle/tests")
    with pytest.raises(RequestError, match="holds no set"):
        convert_layout("mvtec", mvtec / "bottle", tmp_path / "out")


def test_loco_given_as_mvtec_and_the_other_way_round(loco: Path, mvtec: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="format loco"):
        convert_layout("mvtec", loco, tmp_path / "out")
    with pytest.raises(RequestError, match="no set of MVTec LOCO"):
        convert_layout("loco", mvtec, tmp_path / "out")


@pytest.mark.parametrize(
    ("spoil", "note"),
    [
        (lambda path: path.unlink(), "without a mask"),
        (lambda path: mask(path, size=(30, 40)), "another size"),
        (lambda path: mask(path, 0), "nothing is marked"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\nno"), "cannot be read"),
    ],
)
def test_a_mask_that_says_nothing_leaves_the_place_unknown(
    mvtec: Path, tmp_path: Path, spoil: Callable[[Path], Any], note: str
) -> None:
    spoil(mvtec / "bottle/ground_truth/contamination/000_mask.png")
    made = convert_layout("mvtec", mvtec / "bottle", tmp_path / "out")
    expected = by_id(made)["bottle/contamination/000"].expected
    assert (expected.verdict, expected.defect_type, expected.places) == ("anomalous", "contamination", ())
    (said,) = made.notes
    assert note in said
    assert "000" in said


def test_notes_count_what_they_say_once() -> None:
    notes = Notes()
    for name in ("a\x1b.png", "b.png"):
        notes.add("odd", name)
    assert notes.sentences() == ("odd (2 of them; first: a?.png)",)


@pytest.mark.parametrize(
    "where", ["test/good/000.png", "train/good/000.png", "ground_truth/contamination/000_mask.png"]
)
def test_links_out_of_the_folder_are_refused(mvtec: Path, tmp_path: Path, where: str) -> None:
    outside = picture(tmp_path / "outside.png")
    path = mvtec / "bottle" / where
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(RequestError, match=r"leads out of .* by a link"):
        convert_layout("mvtec", mvtec, tmp_path / "out")


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("loco", "breakfast_box/test/good/000.png"),
        ("visa", "candle/Data/Images/Anomaly/000.JPG"),
        ("mvtec3d", "bagel/test/crack/rgb/000.png"),
        ("mvtec3d", "bagel/test/crack/xyz/000.tiff"),
        ("mvtec3d", "bagel/test/crack/gt/000.png"),
        ("mvtec3d", "bagel/train/good/xyz/000.tiff"),
        ("mmad", "DS-MVTec/bottle/image/good/000.png"),
    ],
)
def test_links_out_of_other_layouts_are_refused(
    layout: str, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = request.getfixturevalue(layout)
    outside = picture(tmp_path / "outside.png")
    (source / name).unlink()
    (source / name).symlink_to(outside)
    with pytest.raises(RequestError, match="by a link"):
        convert_layout(layout, source, tmp_path / "out")


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "a/b/../../../x.png", "C:/x/y.png", "..\\..\\x\\y.png", "a\x00b/c/d.png"],
)
@pytest.mark.parametrize("field", ["key", "mask_path", "similar_templates"])
def test_paths_of_mmad_that_lead_elsewhere_are_refused(mmad: Path, tmp_path: Path, name: str, field: str) -> None:
    content = json.loads((mmad / "mmad.json").read_text())
    if field == "key":
        content[name] = mmad_entry(ASKED)
    else:
        first = next(iter(content.values()))
        first[field] = name if field == "mask_path" else [name]
    (mmad / "mmad.json").write_text(json.dumps(content))
    with pytest.raises(RequestError, match=r"is no path below"):
        convert_layout("mmad", mmad, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[" * 100_000, "cannot be read"),
        ("[]", "expected a mapping"),
        ('{"DS-MVTec/bottle/image/good/000.png": 3}', "expected a mapping with mask_path"),
        ('{"DS-MVTec/bottle/image/good/000.png": {"conversation": [{"Question": 1}]}}', "conversation"),
        ('{"DS-MVTec/bottle/image/good/000.png": {"conversation": 5}}', "conversation"),
        ('{"a/b/gone.png": {}}', "none of the pictures"),
        ('{"b/gone.png": {}}', "no path of SET/PRODUCT"),
        ('{"": {}}', "no path below"),
    ],
)
def test_a_damaged_mmad(mmad: Path, tmp_path: Path, content: str, expected: str) -> None:
    (mmad / "mmad.json").write_text(content)
    with pytest.raises(RequestError, match=expected):
        convert_layout("mmad", mmad, tmp_path / "out")


def test_a_damaged_table_of_loco(loco: Path, tmp_path: Path) -> None:
    (loco / "breakfast_box/defects_config.json").write_text('[{"defect_name": "x"}]')
    with pytest.raises(RequestError, match="defect_name and pixel_value"):
        convert_layout("loco", loco, tmp_path / "out")


# -- options ---------------------------------------------------------------------------------------------------------


def test_copies_make_a_suite_whole_in_itself(mvtec: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = convert_layout("mvtec", mvtec, out, copy=True)
    checked(made, out)
    assert str(mvtec) not in (out / "cases.jsonl").read_text() + (out / "suite.yaml").read_text()


def test_a_limit_draws_evenly_and_the_same_for_a_seed(mvtec: Path, tmp_path: Path) -> None:
    for number in range(1, 30):
        picture(mvtec / "bottle/test/good" / f"{number:03d}.png")
    drawn = [convert_layout("mvtec", mvtec, tmp_path / f"out{n}", limit=6, seed=s) for n, s in enumerate((1, 1, 2))]
    assert drawn[0].suite.cases == drawn[1].suite.cases
    assert drawn[0].suite.cases != drawn[2].suite.cases
    kinds = {(case.product, case.tags) for case in drawn[0].suite.cases}
    assert len(kinds) == 6


def test_pictures_of_one_name_and_two_suffixes_are_two_cases(mvtec: Path, tmp_path: Path) -> None:
    picture(mvtec / "bottle/test/good/000.jpg")
    long = picture(mvtec / "bottle/test/good" / f"{'x' * 240}.png")
    cases = checked(convert_layout("mvtec", mvtec, tmp_path / "out"), tmp_path / "out")
    assert "bottle/good/000~2" in cases
    assert len([case for case in cases.values() if case.assets == (str(long),) and len(case.id) == 200]) == 1


def test_the_command(mvtec: Path, tmp_path: Path) -> None:
    import typer

    from evals.convert_command import convert

    app = typer.Typer()
    app.command()(convert)
    (mvtec / "bottle/ground_truth/contamination/000_mask.png").unlink()
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["mvtec", str(mvtec), str(out), "--limit", "4", "--seed", "2", "--questions"])
    assert done.exit_code == 0, done.output
    assert "4 cases of 2 products" in done.output
    assert len(read_suite(out).cases) == 4


@pytest.mark.parametrize(
    ("name", "expected"), [("Chunk of wax!", "chunk_of_wax"), ("***", "unnamed"), ("x" * 64, "x" * 64)]
)
def test_slugs(name: str, expected: str) -> None:
    assert slug(name) == expected


@pytest.mark.parametrize(("kind", "expected"), [("Scratch Head", "scratch_head"), ("combined", None), ("good", None)])
def test_a_folders_name_may_say_no_type(kind: str, expected: str | None) -> None:
    assert type_of(kind) == expected


# -- questions by template -------------------------------------------------------------------------------------------

BOTTLE = Product(
    name="bottle",
    description="A bottle seen from above. It is of glass.",
    rules=(
        NormalityRule(id="B-1", text="The rim is whole."),
        NormalityRule(id="B-2", text="Nothing lies inside."),
    ),
    defect_types=(
        DefectType(name="broken_large", description="A large piece of the rim is missing.", severity="critical"),
        DefectType(name="contamination", description="Something lies in the bottle.", severity="minor"),
    ),
)
NUT = Product(name="metal_nut", description="A nut of metal. It has four wings.")


def asked(suite: Suite, folder: Path, seed: int = 0, **products: Product) -> dict[str, dict[str, Any]]:
    """Case -> kind -> question."""
    made = with_questions(suite, products, folder, seed)
    return {case.id: {question.kind: question for question in case.questions} for case in made.cases}


def test_seven_kinds_from_mask_type_and_product(mvtec: Path, tmp_path: Path) -> None:
    suite = convert_layout("mvtec", mvtec, tmp_path / "out").suite
    questions = asked(suite, tmp_path / "out", bottle=BOTTLE, metal_nut=NUT)["bottle/broken_large/000"]
    right = {kind: question.options[question.answer] for kind, question in questions.items()}
    assert right == {
        "anomaly_detection": "Yes.",
        "defect_classification": "Broken large.",
        "defect_localization": "Top left.",
        "defect_description": "A large piece of the rim is missing.",
        "defect_analysis": "Critical.",
        "object_classification": "Bottle.",
        "object_analysis": "The rim is whole.",
    }
    assert all(2 <= len(set(question.options)) == len(question.options) <= 4 for question in questions.values())
    assert set(questions["object_analysis"].options) == {"The rim is whole.", "A nut of metal."}


def test_the_rule_that_is_violated_is_asked_where_it_is_known(mvtec: Path, tmp_path: Path) -> None:
    suite = convert_layout("mvtec", mvtec, tmp_path / "out", limit=1).suite
    (case,) = suite.cases
    expected = case.expected.model_copy(update={"rules_violated": ("B-2",)})
    suite = suite.model_copy(update={"cases": (case.model_copy(update={"expected": expected, "product": "bottle"}),)})
    (questions,) = asked(suite, tmp_path / "out", bottle=BOTTLE).values()
    question = questions["defect_analysis"]
    assert question.options[question.answer] == "Nothing lies inside."


def test_nothing_is_asked_where_the_truth_is_missing(mvtec: Path, tmp_path: Path) -> None:
    for path in (mvtec / "bottle/ground_truth").glob("*/*.png"):
        path.unlink()
    suite = convert_layout("mvtec", mvtec / "bottle", tmp_path / "out").suite
    questions = asked(suite, tmp_path / "out")
    assert set(questions["bottle/good/000"]) == {"anomaly_detection"}
    assert set(questions["bottle/contamination/000"]) == {"anomaly_detection", "defect_classification"}
    unknown = suite.model_copy(
        update={"cases": tuple(case.model_copy(update={"expected": type(case.expected)()}) for case in suite.cases)}
    )
    assert all(not found for found in asked(unknown, tmp_path / "out").values())


def test_a_name_that_nobody_described_is_no_description(mvtec: Path, tmp_path: Path) -> None:
    made = convert_layout("mvtec", mvtec, tmp_path / "out", questions=True)
    kinds = {question.kind for case in made.suite.cases for question in case.questions}
    assert kinds == {"anomaly_detection", "defect_classification", "defect_localization", "object_classification"}


def test_defects_in_several_places_are_not_asked_for_one(loco: Path, tmp_path: Path) -> None:
    cases = by_id(convert_layout("loco", loco, tmp_path / "out", questions=True))
    kinds = [question.kind for question in cases["breakfast_box/logical_anomalies/000"].questions]
    assert "defect_localization" not in kinds
    assert "defect_localization" in [q.kind for q in cases["breakfast_box/structural_anomalies/000"].questions]


@pytest.mark.parametrize(
    ("box", "side"), [((0, 0, 4, 4), "Top left."), ((12, 8, 20, 16), "Centre."), ((28, 20, 32, 24), "Bottom right.")]
)
def test_a_box_alone_says_where(mvtec: Path, tmp_path: Path, box: Any, side: str) -> None:
    suite = convert_layout("mvtec", mvtec, tmp_path / "out", limit=1).suite
    (case,) = suite.cases
    expected = case.expected.model_copy(update={"places": (Place(box=box),), "verdict": "anomalous"})
    suite = suite.model_copy(update={"cases": (case.model_copy(update={"expected": expected}),)})
    (questions,) = asked(suite, tmp_path / "out").values()
    question = questions["defect_localization"]
    assert question.options[question.answer] == side
    assert len(question.options) == 4


def test_a_seed_draws_the_same_questions_whatever_else_is_in_the_suite(mvtec: Path, tmp_path: Path) -> None:
    suite = convert_layout("mvtec", mvtec, tmp_path / "out").suite
    one, other, third = (asked(suite, tmp_path / "out", seed, bottle=BOTTLE) for seed in (7, 7, 8))
    assert one == other
    assert one != third
    turned = suite.model_copy(update={"cases": suite.cases[::-1]})
    assert asked(turned, tmp_path / "out", 7, bottle=BOTTLE) == one


def test_right_answers_are_spread_over_the_positions(mvtec: Path, tmp_path: Path) -> None:
    suite = convert_layout("mvtec", mvtec, tmp_path / "out").suite
    template = by_id(Conversion(suite, ()))["bottle/broken_large/000"]
    many = tuple(template.model_copy(update={"id": f"case{number}"}) for number in range(800))
    found = asked(suite.model_copy(update={"cases": many}), tmp_path / "out", bottle=BOTTLE).values()
    for kind, count in (("defect_localization", 4), ("anomaly_detection", 2)):
        positions = np.bincount([questions[kind].answer for questions in found], minlength=count)
        expected = 800 / count
        assert float(((positions - expected) ** 2 / expected).sum()) < 16.3  # chi-square, three degrees, p = 0.001

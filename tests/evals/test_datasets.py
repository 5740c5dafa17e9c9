"""Sets as their makers lay them out, by stand-ins with painted pictures; and tables that are not to be trusted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.datasets import LabelledImage, LabelledSet, read_distinct, read_sets
from evals.simulated import write_plate, write_plates
from knowledge import RequestError

HEADER = "object,split,label,image,mask"
MVTEC = (
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw"),
    *("tile", "toothbrush", "transistor", "wood", "zipper"),
)

Save = Callable[[Path, np.ndarray], Path]


def write_table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """A folder of VisA whose table has these rows; gives the folder back."""
    table = folder / "split_csv" / "1cls.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("\n".join([header, *rows, ""]))
    return folder


@pytest.fixture
def visa(tmp_path: Path, save: Save) -> Path:
    """Two objects of VisA as downloaded; the mask of the candle's anomaly holds the ids of two defects."""
    folder = tmp_path / "VisA"
    rows = []
    for name in ("candle", "pcb1"):
        pictures = f"{name}/Data/Images"
        for number in range(3):
            write_plate(folder / pictures / "Normal" / f"{number:04d}.JPG", number)
        write_plate(folder / pictures / "Anomaly" / "000.JPG", 200, "scratch")
        mask = np.zeros((96, 128), np.uint8)
        mask[2:4, 5:10] = 1
        mask[50:53, 60:70] = 3
        save(folder / name / "Data" / "Masks" / "Anomaly" / "000.png", mask)
        rows += [f"{name},train,normal,{pictures}/Normal/{number:04d}.JPG," for number in (2, 0)]
        rows += [f"{name},test,normal,{pictures}/Normal/0001.JPG,"]
        rows += [f"{name},test,anomaly,{pictures}/Anomaly/000.JPG,{name}/Data/Masks/Anomaly/000.png"]
    for beside in ("split_csv/2cls_fewshot.csv", "LICENSE-DATASET", "candle/image_anno.csv"):
        (folder / beside).parent.mkdir(exist_ok=True)
        (folder / beside).write_text("not to be read")
    return write_table(folder, *rows)


def test_visa_as_downloaded(visa: Path) -> None:
    candle, pcb1 = read_sets(str(visa), [], 0)
    assert [candle.name, pcb1.name] == ["candle", "pcb1"]
    assert candle.train == tuple(visa / "candle/Data/Images/Normal" / name for name in ("0002.JPG", "0000.JPG"))
    assert candle.held_out == ()
    assert [(image.path.name, image.anomalous) for image in candle.test] == [("0001.JPG", False), ("000.JPG", True)]
    assert candle.test[0].pixels().shape == (96, 128, 3)
    assert all("pcb1" in path.parts for path in pcb1.train)


def test_every_defect_id_of_a_visa_mask_is_anomalous_and_a_normal_part_is_normal_everywhere(visa: Path) -> None:
    normal, anomalous = (image.truth(96, 128) for image in read_sets(str(visa), ["candle"], 0)[0].test)
    assert not normal.any()
    assert anomalous.dtype == np.bool_
    assert anomalous.sum() == 2 * 5 + 3 * 10
    assert anomalous[2, 5]
    assert anomalous[52, 69]


def test_a_part_of_visa_is_enough_for_the_sets_that_it_has(visa: Path) -> None:
    (visa / "pcb1/Data/Images/Normal/0002.JPG").unlink()
    assert [found.name for found in read_sets(str(visa), ["candle"], 0)] == ["candle"]
    with pytest.raises(RequestError, match=r"1cls.csv, line 6: image 'pcb1/.*/0002.JPG' is not there; unpack .*--sets"):
        read_sets(str(visa), [], 0)


def test_a_visa_anomaly_without_a_mask_has_no_ground_truth(visa: Path) -> None:
    table = visa / "split_csv/1cls.csv"
    table.write_text(table.read_text().replace("candle/Data/Masks/Anomaly/000.png", ""))
    assert read_sets(str(visa), ["candle"], 0)[0].test[1].truth(96, 128) is None


NORMAL = "candle/Data/Images/Normal/0000.JPG"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"candle,validation,normal,{NORMAL},", "line 2: split is 'validation'; expected train or test"),
        (f"candle,train,good,{NORMAL},", "line 2: label is 'good'; expected normal or anomaly"),
        (f"candle,train,anomaly,{NORMAL},", "line 2: an anomaly in the train split; expected normal"),
        (f"[red],train,normal,{NORMAL},", r"line 2: object is '\[red\]'; expected a name of letters"),
        ("candle,train,normal,../outside.JPG,", "line 2: image '../outside.JPG' leads out of .*; give a path inside"),
        ("candle,train,normal,/etc/passwd,", "line 2: image '/etc/passwd' leads out of"),
        ("candle,train,normal,candle/none.JPG,", "line 2: image 'candle/none.JPG' is not there"),
        ("candle,train,normal,candle,", "line 2: image 'candle' is not there"),
        ("candle,train,normal,,", "line 2: image '' is not there"),
        ("candle,train", "line 2: label is ''"),
        ("candle,train,normal,can\0dle,", r"line 2: image 'can\?dle' is not there"),
        (f"candle,train,normal,{'long' * 200},", "line 2: image '.*long' is not there"),
        (f"candle,test,anomaly,{NORMAL},../mask.png", "line 2: mask '../mask.png' leads out of"),
        (f"candle,test,anomaly,{NORMAL},candle/mask.png", "line 2: mask 'candle/mask.png' is not there"),
        (f"candle,train,normal,{NORMAL},", "candle has no test pictures"),
        (f"candle,test,normal,{NORMAL},", "candle has no train pictures"),
        (f'candle,train,normal,"{"x" * 200_000}",', r"1cls.csv: cannot be read as a table \(field larger"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused_in_one_sentence(visa: Path, row: str, message: str) -> None:
    write_plate(visa.parent / "outside.JPG", 0)
    with pytest.raises(RequestError, match=message) as refused:
        read_sets(str(write_table(visa, row)), [], 0)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


def test_a_link_that_leads_out_is_refused(visa: Path) -> None:
    outside = write_plate(visa.parent / "outside.JPG", 0)
    (visa / "candle" / "link.JPG").symlink_to(outside)
    with pytest.raises(RequestError, match=r"image 'candle/link.JPG' leads out of"):
        read_sets(str(write_table(visa, "candle,train,normal,candle/link.JPG,")), [], 0)


def test_a_whole_folder_may_stand_behind_a_link(visa: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "VisA"
    link.symlink_to(visa)
    assert len(read_sets(str(link), [], 0)) == 2


def test_a_table_without_its_columns_rows_or_letters_is_refused(visa: Path) -> None:
    with pytest.raises(RequestError, match="no column 'label'; expected object, split, label, image, mask"):
        read_sets(str(write_table(visa, header="object,split,image,mask")), [], 0)
    with pytest.raises(RequestError, match=r"1cls.csv: names no picture"):
        read_sets(str(write_table(visa)), [], 0)
    (visa / "split_csv/1cls.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match=r"1cls.csv: cannot be read as a table"):
        read_sets(str(visa), [], 0)


def test_a_byte_order_mark_and_columns_in_another_order_change_nothing(visa: Path) -> None:
    expected = read_sets(str(visa), [], 0)
    table = visa / "split_csv/1cls.csv"
    turned = [",".join(reversed(line.split(","))) for line in table.read_text().splitlines()]
    table.write_text("\ufeff" + "\r\n".join(turned), encoding="utf-8")
    assert read_sets(str(visa), [], 0) == expected


def test_mvtec_ad_as_downloaded(tmp_path: Path, save: Save) -> None:
    for name in MVTEC:
        pictures = ("train/good/000", "train/good/001", "test/good/000", "test/broken/000", "test/broken/001")
        for light, picture in enumerate(pictures):
            save(tmp_path / name / f"{picture}.png", np.full((8, 8), 100 + light, np.uint8))
        for number, rows in enumerate((1, 3)):
            mask = np.zeros((8, 8), np.uint8)
            mask[:rows] = 255
            save(tmp_path / name / "ground_truth" / "broken" / f"{number:03d}_mask.png", mask)
        (tmp_path / name / "license.txt").write_text("CC BY-NC-SA 4.0")
        (tmp_path / name / "readme.txt").write_text("MVTec AD")
    (tmp_path / "license.txt").write_text("CC BY-NC-SA 4.0")
    sets = read_sets(str(tmp_path), [], 0)
    assert tuple(found.name for found in sets) == MVTEC
    assert {len(found.train) for found in sets} == {2}
    assert truths(sets[0]) == [(True, 8), (True, 24), (False, 0)]
    assert read_sets(str(tmp_path / "screw"), [], 0)[0] == sets[9]


def test_copies_are_learned_from_once_and_what_is_tested_never(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write_plates(folder / "train" / "good", 4)
    first, second, third, fourth = sorted((folder / "train" / "good").iterdir())
    (folder / "test" / "good").mkdir(parents=True)
    third.write_bytes(first.read_bytes())
    (folder / "test" / "good" / "other_name.png").write_bytes(second.read_bytes())
    [labelled] = read_distinct(str(folder), [], 0)
    assert labelled.train == (first, fourth)
    assert labelled.left_out == 2
    assert len(labelled.test) == 1
    assert len(read_sets(str(folder), [], 0)[0].train) == 4
    first.write_bytes(second.read_bytes())
    third.write_bytes(second.read_bytes())
    fourth.write_bytes(second.read_bytes())
    with pytest.raises(RequestError, match="all train pictures of s are test pictures too"):
        read_distinct(str(folder), [], 0)


def truths(labelled: LabelledSet) -> list[tuple[bool, int]]:
    return [(image.anomalous, int(image.truth(8, 8).sum())) for image in labelled.test]


def test_boxes_become_masks(tmp_path: Path) -> None:
    write_plates(tmp_path / "s" / "train" / "good", 2)
    part = write_plate(tmp_path / "s" / "test" / "mixed" / "a.png", 200, "scratch")
    truth = tmp_path / "s" / "ground_truth" / "mixed" / "boxes_coco.json"
    truth.parent.mkdir(parents=True)
    boxes = {"images": [{"id": 7, "file_name": part.name}], "annotations": [{"image_id": 7, "bbox": [2, 3, 4, 5]}]}
    truth.write_text(json.dumps(boxes))
    image = read_sets(str(tmp_path), [], 0)[0].test[0]
    mask = image.truth(96, 128)
    assert mask is not None
    assert mask.sum() == 20
    assert mask[3:8, 2:6].all()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no set; .*, as in MVTec AD, or split_csv/1cls.csv, as in VisA"):
        read_sets(str(tmp_path), [], 0)
    with pytest.raises(RequestError, match="there is no such folder"):
        read_sets(str(tmp_path / "nowhere"), [], 0)
    with pytest.raises(RequestError, match="no set 'nothing'"):
        read_sets("solar_cells", ["nothing"], 0)


def test_a_set_without_pictures_is_refused(tmp_path: Path) -> None:
    write_plates(tmp_path / "s" / "train" / "good", 2)
    (tmp_path / "s" / "test").mkdir()
    with pytest.raises(RequestError, match="s has no test pictures"):
        read_sets(str(tmp_path), [], 0)


def test_a_mask_that_is_no_picture_is_refused(visa: Path) -> None:
    (visa / "candle/Data/Masks/Anomaly/000.png").write_text("not a picture")
    with pytest.raises(RequestError, match=r"000.png: cannot be read as a mask"):
        read_sets(str(visa), ["candle"], 0)[0].test[1].truth(96, 128)


def test_a_mask_of_sixteen_bits_keeps_its_smallest_id(visa: Path) -> None:
    ids = np.zeros((96, 128), np.uint16)
    ids[0, 0], ids[1, 1] = 1, 300
    Image.fromarray(ids).save(visa / "candle/Data/Masks/Anomaly/000.png")
    assert read_sets(str(visa), ["candle"], 0)[0].test[1].truth(96, 128).sum() == 2


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"images": []}', '{"images": [], "annotations": [{"bbox": [1, 2, 3, 4], "image_id": 7}]}'],
)
def test_boxes_that_cannot_be_read_say_which_file(tmp_path: Path, content: str) -> None:
    for folder in ("train/good", "test/good", "test/mixed", "ground_truth/mixed"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for path in ("train/good/a.png", "test/good/b.png", "test/mixed/c.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / "set" / path)
    boxes = tmp_path / "set" / "ground_truth" / "mixed" / "boxes_coco.json"
    boxes.write_text(content)
    with pytest.raises(RequestError, match="boxes_coco"):
        read_sets(str(tmp_path), [], 0)


def test_boxes_that_leave_the_picture_are_cut_at_its_border() -> None:
    truth = LabelledImage(Path("x.png"), anomalous=True, boxes=((-3.0, -2.0, 5.0, 4.0), (6.0, 6.0, 9.0, 9.0))).truth(
        8, 8
    )
    assert truth is not None
    assert truth[:2, :2].all()
    assert truth[6:, 6:].all()
    assert truth.sum() == 8

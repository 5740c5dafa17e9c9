"""The geometry benchmark on a folder made here, and its peer."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from evals.fpfh import FpfhMemory, geometry_peers, points_of
from evals.geometry import geometry_sets, geometry_table, run_geometry
from knowledge import RequestError
from tools.geometry.height_map import HeightMap


def heights(seed: int, *, dented: bool = False) -> np.ndarray:
    generator = np.random.default_rng(seed)
    found = np.full((48, 48), 20.0)
    found[16:34, 14:32] = 26.0
    if dented:
        found[36:42, 34:40] -= 3.0
    found[:5], found[-5:], found[:, :5], found[:, -5:] = (0.0,) * 4
    valid = found > 0
    found += generator.normal(0, 0.05, found.shape)
    return np.where(valid, found * 256, 0).astype(np.uint16)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("geometry")
    folder = root / "depth" / "plate"
    for kind, seeds in (("train/good", range(4)), ("test/good", range(10, 12)), ("test/dent", range(20, 22))):
        (folder / kind).mkdir(parents=True)
        for seed in seeds:
            content = imagecodecs.png_encode(heights(seed, dented="dent" in kind))
            (folder / kind / f"{seed:03}.png").write_bytes(content)
    truth = folder / "ground_truth" / "dent"
    truth.mkdir(parents=True)
    mask = np.zeros((48, 48), np.uint8)
    mask[36:42, 34:40] = 255
    for seed in (20, 21):
        Image.fromarray(mask).save(truth / f"{seed:03}_mask.png")
    return root


def test_sets_are_read_by_their_folders(source: Path) -> None:
    (found,) = geometry_sets(source)
    assert (found.name, found.modality, len(found.train), len(found.test)) == ("plate", "depth", 4, 4)
    assert [part.anomalous for part in found.test] == [True, True, False, False]
    assert geometry_sets(source, ["depth/plate"]) == [found]
    with pytest.raises(RequestError, match="no set screw"):
        geometry_sets(source, ["screw"])
    with pytest.raises(RequestError, match="no set at all"):
        geometry_sets(source / "depth")


def test_a_plain_dent_is_found_by_both(source: Path) -> None:
    told: list[str] = []
    result = run_geometry(source, [], 0, lambda what, done, total: told.append(what), ["fpfh"])
    (row,) = result["sets"]
    assert row["object_auroc"] == 1.0
    assert row["element_auroc"] > 0.99
    assert row["element_ap"] > 0.7
    assert (row["detected"], row["located"], row["false_at_highest"]) == (2, 2, 0)
    assert row["false_alarm"] is None
    assert "no threshold can be promised" in row["promise"]
    assert set(result["peers"]) == {"fpfh_5", "fpfh_10", "fpfh_20"}
    assert result["peers"]["fpfh_5"]["sets"][0]["element_auroc"] > 0.5
    assert "plate" in told
    table = geometry_table(result, markdown=True)
    assert table.row_count == 8
    assert len(table.columns) == 15


def test_a_height_map_is_a_cloud_of_its_pixels() -> None:
    grid = np.array([[1.0, np.nan], [3.0, 4.0]], np.float32)
    assert points_of(HeightMap(grid, "mm", 0.5, "mm")).tolist() == [[0, 0, 1], [0, 0.5, 3], [0.5, 0.5, 4]]


def test_the_peer_knows_no_pose() -> None:
    part = HeightMap(np.where((raw := heights(0)) > 0, raw / 256, np.nan).astype(np.float32), "px", 1.0, "px")
    turned = part._replace(heights=np.ascontiguousarray(np.rot90(part.heights)))
    peer = FpfhMemory(5.0, seed=0)
    peer.fit([lambda: part])
    one, other = peer.judge(part), peer.judge(turned)
    assert one.values.shape == (48 * 48,)
    # where two are as near as rounding can tell, the second may be taken
    assert one.score < 1
    # a quarter turn changes only by rounding what neighbours count
    assert other.values.mean() < 10
    assert [each.name for each in geometry_peers([], 0)] == []
    with pytest.raises(ValueError, match="fpfh"):
        geometry_peers(["bolt"], 0)

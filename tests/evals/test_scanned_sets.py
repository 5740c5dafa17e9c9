"""A stand-in for a set of MVTec 3D-AD, from its files to verdicts: blocks on a table that are dented, or not."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation

from evals.cases import Case
from evals.converters import convert_layout
from evals.results import CaseResult
from evals.running import Evaluation

SIDE = 64
AWAY = 400.0
"""Millimetres from the camera to the table, which it sees at one pixel a millimetre."""


def scanned(seed: int, dent: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(H, W, 3) coordinates of a stepped block that lies anyhow on a table, and where it is dented."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    turn, (x, y) = random.uniform(-np.pi, np.pi), random.uniform(-4, 4, 2)
    along = np.cos(turn) * (columns - x) + np.sin(turn) * (rows - y)
    across = np.cos(turn) * (rows - y) - np.sin(turn) * (columns - x)
    block = (np.abs(along) < 17) & (np.abs(across) < 11)
    low = dent * np.exp(-((along + 8) ** 2 + (across + 2) ** 2) / (2 * 3**2))
    heights = np.where(block, 12 - 5 * ((along > 4) & (across > 0)) - low, 0)
    depth = AWAY - heights + 0.02 * columns + random.normal(0, 0.05, heights.shape)
    points = np.stack([columns * depth / AWAY, rows * depth / AWAY, depth], axis=-1).astype(np.float32)
    edges = binary_dilation(np.hypot(*np.gradient(heights)) > 2)
    points[(edges & (random.random(edges.shape) < 0.5)) | (random.random(edges.shape) < 0.01)] = 0
    return points, block & (low > dent / 2)


def write(folder: Path, name: str, seed: int, dent: float = 0.0) -> None:
    points, marked = scanned(seed, dent)
    for kind in ("rgb", "xyz", "gt"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / "xyz" / f"{name}.tiff", points, photometric="rgb")
    shade = np.clip((AWAY - points[..., 2:]) * 8 + 80, 0, 255).astype(np.uint8)
    Image.fromarray(np.repeat(shade, 3, axis=2)).save(folder / "rgb" / f"{name}.png")
    Image.fromarray(marked.astype(np.uint8) * 255).save(folder / "gt" / f"{name}.png")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("mvtec3d") / "block"
    for seed in range(5):
        write(home / "train/good", f"{seed:03d}", seed)
    for seed in range(5):
        write(home / "validation/good", f"{seed:03d}", 50 + seed)
    write(home / "test/good", "000", 100)
    write(home / "test/dent", "000", 101, dent=2.0)
    return home.parent


def inspected(source: Path, layout: str, out: Path) -> dict[str, tuple[Case, CaseResult]]:
    """Case id -> the case and what became of it, at a false-alarm rate that five scans can promise."""
    suite = convert_layout(layout, source, out / "suite").suite
    evaluation = Evaluation(suite, out / "suite", out)
    evaluation.prepare()
    cases = [case.model_copy(update={"alpha": 0.2}) for case in suite.cases]
    return {case.id: (case, evaluation.run(case, evaluation.fingerprint(case))) for case in cases}


@pytest.mark.slow
def test_a_dented_block_is_told_from_a_sound_one_by_its_scan(blocks: Path, tmp_path: Path) -> None:
    found = inspected(blocks, "mvtec3d_xyz", tmp_path)
    _, sound = found["block/good/000"]
    assert sound.verdict == "normal", sound.error
    case, dented = found["block/dent/000"]
    assert dented.verdict == "anomalous", dented.error
    (place,) = case.expected.places
    assert place.centroid is not None
    top = max(dented.findings, key=lambda each: each.score)
    assert np.linalg.norm(np.subtract(top.native["centroid"], place.centroid)) < 2
    assert top.asset == "a1"


@pytest.mark.slow
def test_picture_and_scan_together_are_one_verdict(blocks: Path, tmp_path: Path) -> None:
    case, dented = inspected(blocks, "mvtec3d", tmp_path)["block/dent/000"]
    assert [place.asset for place in case.expected.places] == ["a1", "a2"]
    assert not dented.error
    assert "a2" in {each.asset for each in dented.findings}

"""Parts of every modality with defects planted by formula, so that it is known what is where: simulated, all of them.

Several defects a part, each at a place, of an extent and of a strength drawn from a seed.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent import CONVEYOR_KINDS, write_conveyor
from evals.simulated import paint_plate
from knowledge import Modality, NormalityRule, Product, write_atomically

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RATE = 20.0
"""Samples a second of recordings."""
CHANNELS = ("speed", "current", "vibration", "pressure")

_UNSEEN = 20_000
"""Seeds of normal parts begin here that nothing was learned from."""

_SIDE = 128
"""Of height maps."""
_PIXEL = 0.25
"""Millimetres a pixel of height maps."""
_POINTS = 3000
_SAMPLES = 600


class Defect(NamedTuple):
    """What was planted."""

    covers: Mask
    """One value for each element of the asset, flat: pixels, points, samples channel by channel; of a video its frames."""
    centre: tuple[float, float] | None = None
    """In shares of the width and height of a picture or height map."""
    level: float = 0.0
    """Grey level 0 to 255 of a spot, height of a bump; of other modalities nothing."""


class PlantedPart(NamedTuple):
    path: Path
    raw: Any
    """What was written: RGB pixels, heights, points or (T, C) samples; None for a video."""
    offsets: Floats | None
    """(H, W) or (N,): how far each pixel or point lies above where it should be, noise included."""
    defects: tuple[Defect, ...]
    rules: dict[str, bool]
    """Rule id -> whether it is kept."""


class PlantedProduct(NamedTuple):
    product: Product
    good: list[Path]
    make: Callable[[Path, int], PlantedPart]
    """Writes a defective part, of a seed, to a folder."""
    normal: Callable[[Path, int], Path]
    """Writes another normal part, of a seed, to a folder."""


def plant(modality: Modality, folder: Path) -> PlantedProduct:
    """Write the normal parts of one modality's product."""
    return {"image": _plates, "depth": _reliefs, "point_cloud": _blocks, "time_series": _runs, "video": _belts}[
        modality
    ](folder)


def _chosen(random: np.random.Generator, places: list[Any], most: int) -> list[Any]:
    count = int(random.integers(1, most + 1))
    return [places[index] for index in random.choice(len(places), count, replace=False)]


def _saved(path: Path, array: NDArray[Any]) -> Path:
    content = io.BytesIO()
    np.save(content, array)
    write_atomically(path, content.getvalue())
    return path


# -- pictures --------------------------------------------------------------------------------------------------------

_SPOTS = [(20, 18), (64, 18), (108, 18), (20, 78), (64, 78), (108, 78)]
"""x, y in pixels, clear of the plate's holes and of each other."""


def _plates(folder: Path) -> PlantedProduct:
    product = Product(
        name="spotted_plate",
        description="A brushed metal plate with two drilled holes (simulated).",
        unit="mm",
        pixel_size=0.5,
        alpha=0.1,
        rules=(
            NormalityRule(id="I-1", text="The plate is not dark.", check="part.brightness > 0.2"),
            NormalityRule(id="I-2", text="The plate is very bright.", check="part.brightness > 0.8"),
            NormalityRule(id="I-3", text="No bright stain.", check="!regions.exists(r, r.contrast > 0.02)"),
            NormalityRule(id="I-4", text="No dark stain.", check="!regions.exists(r, r.contrast < -0.02)"),
        ),
    )
    good = [_picture(folder / "good" / f"{seed}.png", paint_plate(seed)) for seed in range(20)]
    return PlantedProduct(product, good, _spotted_plate, _plain_plate)


def _picture(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def _plain_plate(folder: Path, seed: int) -> Path:
    return _picture(folder / f"{seed}.png", paint_plate(_UNSEEN + seed))


def _spotted_plate(folder: Path, seed: int) -> PlantedPart:
    random = np.random.default_rng([seed, 1])
    pixels = paint_plate(10_000 + seed)
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    defects = []
    for spot in _chosen(random, _SPOTS, 3):
        x, y = int(spot[0] + random.integers(-4, 5)), int(spot[1] + random.integers(-3, 4))
        level = int(random.choice([15, 40, 220, 245]))
        inside = ((columns - x) / random.integers(6, 12)) ** 2 + ((rows - y) / random.integers(6, 10)) ** 2 < 1
        pixels[inside] = level
        centre = ((x + 0.5) / pixels.shape[1], (y + 0.5) / pixels.shape[0])
        defects.append(Defect(inside.ravel(), centre, level))
    brightness = pixels.mean() / 255
    rules = {
        "I-1": bool(brightness > 0.2),
        "I-2": bool(brightness > 0.8),
        "I-3": all(defect.level < 128 for defect in defects),
        "I-4": all(defect.level > 128 for defect in defects),
    }
    return PlantedPart(_picture(folder / f"{seed}.png", pixels), pixels, None, tuple(defects), rules)


# -- height maps -----------------------------------------------------------------------------------------------------


_DENTS = [(20, 20), (60, 18), (96, 22), (18, 66), (96, 70), (22, 108), (62, 110), (96, 108)]
"""x, y in pixels, clear of the boss, of the groove and of each other."""


def _reliefs(folder: Path) -> PlantedProduct:
    product = Product(
        name="relief",
        description="A plate with a boss and a groove, as a height map (simulated).",
        modality="depth",
        unit="mm",
        pixel_size=_PIXEL,
        alpha=0.1,
        rules=(
            NormalityRule(id="H-1", text="No dent.", check="!regions.exists(r, r.depth < -0.1)"),
            NormalityRule(id="H-2", text="No bump.", check="!regions.exists(r, r.depth > 0.1)"),
            NormalityRule(id="H-3", text="It is complete.", check="part.missing_share < 0.05"),
        ),
    )
    good = [_saved(folder / "good" / f"{seed}.npy", _ground(seed)[0]) for seed in range(10)]
    return PlantedProduct(product, good, _dented_relief, _plain_relief)


def _ground(seed: int) -> tuple[NDArray[np.float32], Floats]:
    """(H, W) heights of a normal part, and how far they lie above its form: noise."""
    random = np.random.default_rng([seed, 2])
    rows, columns = np.mgrid[:_SIDE, :_SIDE] + 0.5
    form = 5 + 3 / (1 + np.exp(np.hypot(columns - 60, rows - 66) - 18)) - 0.8 * np.exp(-(((columns - 112) / 3) ** 2))
    tilt = random.uniform(-0.002, 0.002, 2)
    noise = random.normal(0, 0.01, form.shape)
    return (form + tilt[0] * columns + tilt[1] * rows + noise).astype(np.float32), noise


def _plain_relief(folder: Path, seed: int) -> Path:
    return _saved(folder / f"{seed}.npy", _ground(_UNSEEN + seed)[0])


def _dented_relief(folder: Path, seed: int) -> PlantedPart:
    random = np.random.default_rng([seed, 3])
    heights, above = _ground(10_000 + seed)
    rows, columns = np.mgrid[:_SIDE, :_SIDE] + 0.5
    defects = []
    for place in _chosen(random, _DENTS, 3):
        (x, y), wide = place + random.uniform(-4, 4, 2), random.uniform(2.5, 5.0)
        level = float(random.choice([-1, 1]) * random.uniform(0.25, 0.6))
        change = level * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * wide**2))
        heights, above = (heights + change).astype(np.float32), above + change
        covers = np.abs(change) > abs(level) / 2
        defects.append(Defect(covers.ravel(), (float(x) / _SIDE, float(y) / _SIDE), level))
    rules = {
        "H-1": all(defect.level > 0 for defect in defects),
        "H-2": all(defect.level < 0 for defect in defects),
        "H-3": True,
    }
    return PlantedPart(_saved(folder / f"{seed}.npy", heights), heights, above, tuple(defects), rules)


# -- point clouds ----------------------------------------------------------------------------------------------------


def _blocks(folder: Path) -> PlantedProduct:
    product = Product(
        name="block",
        description="A block with a step, scanned as a point cloud in any pose within a few degrees (simulated).",
        modality="point_cloud",
        unit="mm",
        alpha=0.1,
        rules=(
            NormalityRule(id="C-1", text="No dent.", check="!regions.exists(r, r.depth < -0.5)"),
            NormalityRule(id="C-2", text="No bump.", check="!regions.exists(r, r.depth > 0.5)"),
            NormalityRule(id="C-3", text="Enough points.", check="part.points > 1000.0"),
        ),
    )
    good = [_saved(folder / "good" / f"{seed}.npy", _block(seed)[0]) for seed in range(9)]
    return PlantedProduct(product, good, _bumped_block, _plain_block)


def _block(seed: int, bumps: tuple[tuple[float, float, float, float], ...] = ()) -> tuple[NDArray[np.float32], Floats]:
    """(N, 3) points in a pose of their own, and (N, 1 + bumps) how far each lies out of its face and by which bump."""
    random = np.random.default_rng([seed, 4])
    points, normals = _faces(random)
    noise = random.normal(0, 0.05, len(points))
    up = normals[:, 2] > 0.5
    shares = [
        np.where(up, level * np.exp(-(np.hypot(points[:, 0] - x, points[:, 1] - y) ** 2) / (2 * wide**2)), 0.0)
        for x, y, wide, level in bumps
    ]
    out = noise + np.sum(shares, axis=0) if shares else noise
    a, b, c = np.radians(random.uniform(-5, 5, 3))
    turn = np.array([[1, -c, b], [c, 1, -a], [-b, a, 1]])
    turn = np.linalg.qr(turn)[0] * np.sign(np.diag(np.linalg.qr(turn)[1]))
    placed = (points + out[:, None] * normals) @ turn.T + random.uniform(-2, 2, 3)
    return placed.astype(np.float32), np.column_stack([out, *shares])


def _faces(random: np.random.Generator) -> tuple[Floats, Floats]:
    """(N, 3) points on a block of 60 x 40 x 10, lower by 4 where x > 12, and (N, 3) their outward normals."""
    faces = [(2, 1), (2, -1), (1, 1), (1, -1), (0, 1), (0, -1)]
    half = np.array([30.0, 20.0, 5.0])
    areas = np.array([np.prod(np.delete(2 * half, axis)) for axis, _ in faces])
    points, normals = [], []
    for (axis, side), count in zip(faces, random.multinomial(_POINTS, areas / areas.sum()), strict=True):
        face = random.uniform(-half, half, (count, 3))
        face[:, axis] = side * half[axis]
        normal = np.zeros_like(face)
        normal[:, axis] = side
        points.append(face)
        normals.append(normal)
    placed, outward = np.concatenate(points), np.concatenate(normals)
    low = placed[:, 0] > 12
    placed[low & (outward[:, 2] > 0.5), 2] -= 4
    kept = ~(low & (outward[:, 2] == 0) & (placed[:, 2] > 1))
    return placed[kept], outward[kept]


def _plain_block(folder: Path, seed: int) -> Path:
    return _saved(folder / f"{seed}.npy", _block(_UNSEEN + seed)[0])


def _bumped_block(folder: Path, seed: int) -> PlantedPart:
    random = np.random.default_rng([seed, 5])
    bumps = tuple(
        (x, y, random.uniform(2.5, 4.0), float(random.choice([-1, 1]) * random.uniform(1.2, 2.4)))
        for x, y in _chosen(random, [(-20, -10), (-20, 10), (0, -9), (0, 10), (21, -9), (21, 10)], 3)
    )
    points, out = _block(10_000 + seed, bumps)
    defects = tuple(
        Defect(np.abs(share) > abs(bump[3]) / 2, None, bump[3]) for share, bump in zip(out.T[1:], bumps, strict=True)
    )
    rules = {"C-1": all(bump[3] > 0 for bump in bumps), "C-2": all(bump[3] < 0 for bump in bumps), "C-3": True}
    return PlantedPart(_saved(folder / f"{seed}.npy", points), points, out[:, 0], defects, rules)


# -- recordings ------------------------------------------------------------------------------------------------------


def _runs(folder: Path) -> PlantedProduct:
    product = Product(
        name="test_run",
        description="A test run recorded by four sensors (simulated).",
        modality="time_series",
        alpha=0.1,
        rules=(
            NormalityRule(id="T-1", text="It lasts 25 seconds.", check="part.duration >= 25.0"),
            NormalityRule(id="T-2", text="The current stays below 4.", check="part.current_max < 4.0"),
            NormalityRule(id="T-3", text="The pressure stays below 4.", check="part.pressure_max < 4.0"),
        ),
    )
    good = [_table(folder / "good" / f"{seed}.csv", _samples(seed)) for seed in range(12)]
    return PlantedProduct(product, good, _disturbed_run, _plain_run)


def _samples(seed: int) -> Floats:
    """(T, C) samples of `CHANNELS`."""
    random = np.random.default_rng([seed, 6])
    time = np.arange(_SAMPLES) / RATE
    ramp = np.clip((time - 1.5) / 3, 0, 1) * np.clip((28.5 - time) / 3, 0, 1)
    channels = [ramp * 3, 0.4 + 1.8 * ramp + 0.1 * np.sin(8 * time), 0.3 + 0.5 * ramp, 2 + 0.4 * np.cos(2 * time)]
    return np.stack(channels, axis=1) + random.normal(0, 0.03, (_SAMPLES, len(CHANNELS)))


def _table(path: Path, values: Floats) -> Path:
    rows = [f"{index / RATE:.2f}," + ",".join(f"{value:.6g}" for value in row) for index, row in enumerate(values)]
    write_atomically(path, "\n".join([",".join(("time", *CHANNELS)), *rows, ""]).encode())
    return path


def _plain_run(folder: Path, seed: int) -> Path:
    return _table(folder / f"{seed}.csv", _samples(_UNSEEN + seed))


def _disturbed_run(folder: Path, seed: int) -> PlantedPart:
    random = np.random.default_rng([seed, 7])
    values = _samples(10_000 + seed)
    defects: list[Defect] = []
    for begin, channel in _chosen(random, [(7, 1), (7, 3), (14, 1), (14, 2), (14, 3), (21, 1), (21, 3)], 3):
        first, last = int((begin + random.uniform(-1, 1)) * RATE), int(random.uniform(0.8, 2.5) * RATE)
        last += first
        covers = np.zeros(values.T.shape, np.bool_)
        if any(defect.covers.reshape(values.T.shape)[:, first - 60 : last + 60].any() for defect in defects):
            continue
        covers[channel, first : last + 1] = True
        values[first : last + 1, channel] += random.uniform(2.5, 4.0)
        defects.append(Defect(covers.ravel()))
    rules = {"T-1": True, "T-2": bool(values[:, 1].max() < 4), "T-3": bool(values[:, 3].max() < 4)}
    return PlantedPart(_table(folder / f"{seed}.csv", values), values, None, tuple(defects), rules)


# -- videos ----------------------------------------------------------------------------------------------------------


def _belts(folder: Path) -> PlantedProduct:
    product = Product(
        name="belt",
        description="Red, green and blue parts pass on a belt, in this order (simulated).",
        modality="video",
        alpha=0.1,
        rules=(
            NormalityRule(id="V-1", text="It lasts ten seconds.", check="part.duration >= 10.0"),
            NormalityRule(id="V-2", text="It lasts a minute.", check="part.duration >= 60.0"),
            NormalityRule(id="V-3", text="Nothing lasts.", check="!regions.exists(r, r.duration > 0.5)"),
        ),
    )
    good = [write_conveyor(folder / "good", "normal", seed, seconds=30.0).path for seed in range(4)]
    return PlantedProduct(product, good, _wrong_belt, _plain_belt)


def _plain_belt(folder: Path, seed: int) -> Path:
    return write_conveyor(folder, "normal", _UNSEEN + seed, seconds=12.0).path


def _wrong_belt(folder: Path, seed: int) -> PlantedPart:
    kind = CONVEYOR_KINDS[1 + seed % (len(CONVEYOR_KINDS) - 1)]
    video = write_conveyor(folder, kind, 100 + seed, seconds=12.0)
    times = np.arange(12 * 15) / 15
    defects = tuple(Defect((times >= begin) & (times <= end)) for begin, end in video.events)
    return PlantedPart(video.path, None, None, defects, {"V-1": True, "V-2": False, "V-3": False})

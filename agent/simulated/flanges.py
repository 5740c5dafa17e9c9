"""Simulated height maps of a flange, painted by formula."""

from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from knowledge import write_atomically

DEFECTS = ("dent", "scratch")

SIDE = 160
PIXEL = 0.25
"""Millimetres."""
COUNT = 0.001
"""Millimetres a count."""

DENT_AT = (42.0, 104.0)
"""x, y in pixels of the flange's own frame."""
DENT_DEPTH = 0.35
SCRATCH_DEPTH = 0.2


def write_flange(path: Path, seed: int, defect: str = "") -> Path:
    """A 16-bit PNG of SIDE x SIDE pixels; 0 is no data, outside of the flange."""
    heights = paint_flange(seed, defect)
    counts = np.where(np.isfinite(heights), np.rint(np.nan_to_num(heights) / COUNT), 0).astype(np.uint16)
    write_atomically(path, bytes(imagecodecs.png_encode(counts)))
    return path


def paint_flange(seed: int, defect: str = "") -> NDArray[np.float64]:
    """(SIDE, SIDE) heights in millimetres, NaN outside; shifted by up to 1.5 pixels and tilted a little."""
    random = np.random.default_rng([seed, DEFECTS.index(defect) + 1 if defect else 0])
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    shift = random.uniform(-1.5, 1.5, 2)
    x, y = columns - shift[0], rows - shift[1]
    radius = np.hypot(x - SIDE / 2, y - SIDE / 2)
    heights = 5.0 + 3.0 * _step(radius, 30) + 0.6 * _step(np.abs(radius - 58), 4)
    for angle in np.arange(6) * np.pi / 3:
        hole = np.hypot(x - SIDE / 2 - 46 * np.cos(angle), y - SIDE / 2 - 46 * np.sin(angle))
        heights -= 2.0 * _step(hole, 5)
    if defect == "dent":
        heights -= DENT_DEPTH * np.exp(-((x - DENT_AT[0]) ** 2 + (y - DENT_AT[1]) ** 2) / (2 * 4.0**2))
    if defect == "scratch":
        along, across = (x - 60) * 0.8 + (y - 60) * 0.6, (y - 60) * 0.8 - (x - 60) * 0.6
        heights -= SCRATCH_DEPTH * _step(np.abs(across), 1.2) * _step(np.abs(along), 16)
    tilt = random.uniform(-0.002, 0.002, 2)
    heights += tilt[0] * columns + tilt[1] * rows + random.uniform(-0.1, 0.1)
    heights += random.normal(0, 0.012, heights.shape)
    return np.where(radius < 72, heights, np.nan)


def _step(distance: NDArray[np.float64], edge: float) -> NDArray[np.float64]:
    """1 inside of `edge`, 0 outside, a soft flank of about two pixels between."""
    inside: NDArray[np.float64] = 1 / (1 + np.exp((distance - edge) * 2.5))
    return inside

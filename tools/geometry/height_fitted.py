"""What was learned of height maps, back from disk: arrays of the expected shape, numbers that are numbers.

What is not as expected raises as Python does, `ValueError` or `KeyError` mostly; who reads a file says what that means.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.geometry.height_normal import Normal
from tools.geometry.height_patches import FEATURES, PatchMemory
from tools.geometry.height_reference import CHANNELS, Common, HeightReference
from tools.localization.calibration import ConformalCalibration, Scheme

Tensors = Mapping[str, NDArray[Any]]
About = Mapping[str, Any]


def reference_from(tensors: Tensors) -> HeightReference:
    heights = _checked(tensors["heights"], 2, gaps=True)
    shape = heights.shape
    stacked = (CHANNELS, *shape)
    common = Common(heights, _checked(tensors["presence"], 2, shape, gaps=True))
    spread = _checked(tensors["spread"], 3, stacked)
    if not (spread > 0).all() or not np.isfinite(heights).any():
        raise ValueError("spreads that are not above 0, or no heights")
    weights = _checked(tensors["weights"], 1, (CHANNELS,))
    return HeightReference(common, _checked(tensors["mean"], 3, stacked), spread, weights)


def patches_from(tensors: Tensors, about: About) -> PatchMemory:
    pieces = _checked(tensors["pieces"], 2)
    sources = np.asarray(tensors["pieces_sources"], np.int32)
    scale = _checked(tensors["pieces_scale"], 1, (FEATURES,))
    usual = _checked(tensors["pieces_usual"], 1, (len(pieces),))
    if pieces.shape[1] != FEATURES or not (usual > 0).all() or sources.shape != (len(pieces),) or not (scale > 0).all():
        raise ValueError("pieces without their sources or scale")
    median, deviation = _finite(about["pieces_median"]), positive(about["pieces_deviation"])
    return PatchMemory(pieces, sources, scale, usual, positive(about["relief"]), median, deviation)


def calibration_from(tensors: Tensors, about: About) -> ConformalCalibration:
    scheme: Scheme = "split" if about["scheme"] == "split" else "cross"
    scores = np.asarray(tensors["calibration"], np.float64)
    return ConformalCalibration(scores.ravel().tolist(), scheme)


def normal_from(found: About) -> Normal:
    low, high = found["height_range"]
    offsets, tilts = found["lying"]
    return Normal(
        unit=str(found["unit"]),
        pixel_size=_finite(found["pixel_size"]),
        shape=(int(found["shape"][0]), int(found["shape"][1])),
        factor=max(1, int(found["factor"])),
        height_range=(positive(low), positive(high)),
        least_data=_finite(found["least_data"]),
        agreement=_finite(found["agreement"]),
        overlap=_finite(found["overlap"]),
        lying=((_finite(offsets[0]), _finite(offsets[1])), (_finite(tilts[0]), _finite(tilts[1]))),
        parts=int(found["parts"]),
    )


def _checked(
    array: NDArray[Any], dimensions: int, shape: tuple[int, ...] | None = None, *, gaps: bool = False
) -> NDArray[np.float32]:
    """float32 of the expected shape, without infinities, and without NaN unless there may be gaps."""
    if array.ndim != dimensions or (shape is not None and array.shape != shape) or not array.size:
        raise ValueError(f"an array of shape {array.shape}, expected {shape or f'{dimensions} dimensions'}")
    if array.dtype != np.float32 or np.isinf(array).any() or (not gaps and np.isnan(array).any()):
        raise ValueError("an array that is not of finite 32-bit numbers")
    return array


def _finite(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"expected a finite number, got {number}")
    return number


def positive(value: Any) -> float:
    number = _finite(value)
    if number <= 0:
        raise ValueError(f"expected a number above 0, got {number}")
    return number

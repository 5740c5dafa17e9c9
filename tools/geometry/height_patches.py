"""Small pieces of normal height maps, for parts that cannot be laid on each other.

As in PatchCore (Roth et al. 2022) the distance to the nearest normal piece says how unlike normal a piece is. A piece is
described by how its surface bends, which does not change when the part is shifted, turned or tilted: at each scale the
two eigenvalues of the Hessian (the shape index of Koenderink & van Doorn 1992 is made of them), the height over the
surroundings, and how much data there is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from tools.geometry.height_alignment import Floats, smoothed
from tools.geometry.height_map import Heights

SCALES = (1.0, 2.0, 4.0)
"""Gaussian widths in pixels."""
FEATURES = 4 * len(SCALES)

_MEMORY = 30_000
"""Pieces that are kept, over all references."""
_JUDGED = 5_000
"""Pieces of a part by which distances are brought to scale."""
_NEIGHBOURS = 5
"""Pieces from which it is learned what is usual."""
_SMOOTHED = 1.5
"""Pixels over which distances are averaged: one odd piece is noise, a defect has neighbours."""
_STEADY = 0.1
"""Of the spread of a feature over all pieces; no feature is believed to be steadier than that."""


class PatchMemory(NamedTuple):
    """Normal pieces."""

    features: NDArray[np.float32]
    """(M, FEATURES) in units of `scale`."""
    sources: NDArray[np.int32]
    """(M,) number of the part that each is from."""
    scale: NDArray[np.float32]
    """(FEATURES,) by which features are divided."""
    usual: NDArray[np.float32]
    """(M,) distance of each to the nearest piece of another part: small on flat ground, large at edges."""
    relief: float
    """Height that is surely seen; higher steps count ever less."""
    median: float
    """Of the distances of normal parts to the pieces of others."""
    deviation: float

    @classmethod
    def fit(cls, parts: Sequence[Heights], relief: float, seed: int) -> "PatchMemory":
        """Pieces of every part, by chance; distances are brought to scale by parts that are left out in turn."""
        generator = np.random.default_rng(seed)
        features, sources = [], []
        for number, part in enumerate(parts):
            found = _described(part, relief)[np.isfinite(part)]
            chosen = generator.permutation(len(found))[: max(1, _MEMORY // len(parts))]
            features.append(found[chosen])
            sources.append(np.full(len(chosen), number, np.int32))
        pieces = np.concatenate(features)
        # by quartiles: most pieces of most parts are flat, and it is their noise that counts
        low, high = np.percentile(pieces, (25, 75), axis=0)
        scale = np.maximum((high - low) / 1.349, np.maximum(_STEADY * pieces.std(0), 1e-3)).astype(np.float32)
        flat = np.ones(len(pieces), np.float32)
        memory = cls((pieces / scale).astype(np.float32), np.concatenate(sources), scale, flat, relief, 0.0, 1.0)
        return memory._brought_to_scale(len(parts)) if len(parts) > 1 else memory

    def values(self, heights: Heights, without: int | None = None) -> Heights:
        """(h, w) distances in robust deviations of normal ones; `without` the pieces of one part."""
        valid = np.isfinite(heights)
        distances = np.full(heights.shape, self.median)
        described = _described(heights, self.relief)[valid] / self.scale
        distances[valid] = self._distances(described, self.sources != (-1 if without is None else without))
        mean, weight = smoothed(distances, valid.astype(np.float64), _SMOOTHED)
        mean = np.where(weight > 0.1, mean, self.median)
        return np.asarray((mean - self.median) / self.deviation, np.float32)

    def _distances(self, described: NDArray[np.float32], kept: NDArray[np.bool_]) -> Floats:
        """(N,) distances to the nearest piece, as multiples of what is usual there."""
        distance, nearest = cKDTree(self.features[kept]).query(described, _NEIGHBOURS, eps=0.1)
        return np.asarray(distance[:, 0] / self.usual[kept][nearest].mean(1), np.float64)

    def _brought_to_scale(self, parts: int) -> "PatchMemory":
        usual = np.ones(len(self.features), np.float32)
        for number in range(parts):
            own = self.sources == number
            usual[own] = cKDTree(self.features[~own]).query(self.features[own], eps=0.1)[0]
        memory = self._replace(usual=np.maximum(usual, max(_STEADY * float(np.median(usual)), 1e-6)))
        found = []
        for number in range(parts):
            own = self.sources == number
            found.append(memory._distances(self.features[own][:_JUDGED], ~own))
        distances = np.concatenate(found)
        median = float(np.median(distances))
        return memory._replace(
            median=median, deviation=max(1.4826 * float(np.median(np.abs(distances - median))), 1e-6)
        )


def _described(heights: Heights, relief: float) -> NDArray[np.float32]:
    """(h, w, FEATURES) features of the piece about each pixel; heights are compressed above the relief."""
    valid = np.isfinite(heights).astype(np.float64)
    known = np.nan_to_num(heights)
    around = [smoothed(known, valid, sigma) for sigma in (*SCALES, 2 * SCALES[-1])]
    # where nothing is near, the widest mean that there is goes on
    found = []
    for scale, (mean, weight), (wider, _) in zip(SCALES, around, around[1:], strict=False):
        filled = np.where(weight > 1e-3, mean, wider)
        bent = _hessian_eigenvalues(filled) * scale**2
        over = filled - wider
        found += [*np.arcsinh(bent / relief), np.arcsinh(over / relief), ndimage.gaussian_filter(valid, scale)]
    return np.stack(found, axis=-1).astype(np.float32)


def _hessian_eigenvalues(heights: Floats) -> Floats:
    """(2, h, w), the larger first."""
    down, right = np.gradient(heights)
    (yy, yx), xx = np.gradient(down), np.gradient(right)[1]
    middle, half = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    return np.stack([middle + half, middle - half])

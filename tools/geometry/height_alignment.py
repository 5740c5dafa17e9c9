"""Laying a height map on a reference: in the plane by shift and small turn, in height by offset and tilt.

Registration is phase-free correlation over a fan of angles for a start, then Gauss-Newton on smoothed heights and on
the smoothed presence of data (Lucas & Kanade 1981, coarse to fine, with the robust weights of Black & Rangarajan 1996).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from tools.geometry.height_map import Heights, fit_plane

Floats = NDArray[np.float64]

FARTHEST_TURN = math.radians(20)
_COARSE_SIDE = 96
"""Pixels on the longer side while angles are searched."""
_COARSE_STEP = math.radians(2.5)
_CANDIDATES = 3
_FINE_SIDE = 512
"""Pixels on the longer side for the last step; what is larger is aligned scaled down, to a fraction of a pixel there."""
_LEVELS = (4.0, 2.0, 1.0)
"""Smoothing in pixels, coarse to fine."""
_ROUNDS = 12
_CONVERGED = 1e-3
"""Pixels of movement at the edge of the map below which a level is done."""
_TUKEY = 4.685
_PRESENCE_SPREAD = 0.15
"""Of smoothed presence, 0 to 1: what a difference of half a pixel does at a silhouette."""


class Pose(NamedTuple):
    """Reference pixel p -> pixel of the part: turned by `angle` about the middle of the map, then shifted.

    The part's height there is the reference's plus `offset` + `slope_x` x + `slope_y` y, with x and y in reference
    pixels from its middle. Pixels; radians, clockwise as seen since y points down.
    """

    angle: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    offset: float = 0.0
    slope_x: float = 0.0
    slope_y: float = 0.0

    def scaled(self, factor: float) -> "Pose":
        """The same for maps with `factor` times as many pixels on a side."""
        return self._replace(
            shift_x=self.shift_x * factor,
            shift_y=self.shift_y * factor,
            slope_x=self.slope_x / factor,
            slope_y=self.slope_y / factor,
        )

    def plane(self, shape: tuple[int, int]) -> Floats:
        """(H, W) heights to add to the reference, in its frame."""
        y, x = _centred(shape)
        return np.asarray(self.offset + self.slope_x * x + self.slope_y * y)


class Alignment(NamedTuple):
    """How well a part could be laid on the reference."""

    pose: Pose
    overlap: float
    """Pixels with data in both, as a share of those with data in either; of the frame that both share."""
    agreement: float
    """1 - spread of what is left / spread of the reference's heights: 1 where all is explained, 0 where nothing is."""


def align(part: Heights, reference: Heights, start: Pose | None = None) -> Alignment:
    """The pose of (h, w) heights on an (H, W) reference, both with NaN where there is no data.

    With `start` no angles are searched. Never fails: the quality says what it is worth.
    """
    factor = max(1, -(-max(*part.shape, *reference.shape) // _FINE_SIDE))
    small_part, small_reference = shrink(part, factor), shrink(reference, factor)
    if start is None:
        # the coarsest level tells the candidates apart
        found = [
            _refined(small_part, small_reference, pose, _LEVELS[:1]) for pose in _starts(small_part, small_reference)
        ]
        start = max(found, key=lambda each: each.overlap + each.agreement).pose
    else:
        start = start.scaled(1 / factor)
    fine = _refined(small_part, small_reference, start, _LEVELS)
    return fine._replace(pose=fine.pose.scaled(factor))


def to_reference(array: NDArray[np.floating[Any]], pose: Pose, shape: tuple[int, int]) -> Floats:
    """Sample (..., h, w) of a part at the reference's (H, W) pixels; NaN outside, or where most of it is NaN."""
    matrix, offset = _forward(pose, shape, array.shape[-2:])
    return _sampled(array, matrix, offset, shape)


def to_part(array: NDArray[np.floating[Any]], pose: Pose, shape: tuple[int, int]) -> Floats:
    """Sample (..., H, W) of the reference at the part's (h, w) pixels; NaN outside, or where most of it is NaN."""
    matrix, offset = _forward(pose, array.shape[-2:], shape)
    inverse: Floats = np.linalg.inv(matrix).astype(np.float64)
    return _sampled(array, inverse, -inverse @ offset, shape)


def smoothed(values: NDArray[np.floating[Any]], weights: Floats, sigma: float) -> tuple[Floats, Floats]:
    """Gaussian mean of the values with weights, and the mean weight; values are 0 where hardly any weight is near."""
    mean_weight = _gaussian(weights, sigma)
    total = _gaussian(np.where(weights > 0, values, 0.0) * weights, sigma)
    return np.where(mean_weight > 1e-3, total / np.maximum(mean_weight, 1e-3), 0.0), mean_weight


def shrink(heights: Heights, factor: int) -> Heights:
    """Mean of `factor` x `factor` pixels with data, where at least half of them have some; incomplete edges are cut off."""
    if factor == 1:
        return heights
    rows, columns = heights.shape[0] // factor, heights.shape[1] // factor
    blocks = heights[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    valid = np.isfinite(blocks)
    count = valid.sum((1, 3))
    total = np.where(valid, blocks, 0).sum((1, 3), dtype=np.float64)
    return np.where(2 * count >= factor**2, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _gaussian(array: Floats, sigma: float) -> Floats:
    return np.asarray(ndimage.gaussian_filter(array.astype(np.float64), sigma, mode="nearest", truncate=3.0))


def _centred(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Open grids (H, 1) and (1, W) of y and x from the middle."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return y - (shape[0] - 1) / 2, x - (shape[1] - 1) / 2


def _forward(pose: Pose, reference: tuple[int, ...], part: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Matrix and offset over (row, column): reference pixel -> part pixel."""
    cosine, sine = math.cos(pose.angle), math.sin(pose.angle)
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    middle = (np.array(reference) - 1) / 2
    target = (np.array(part) - 1) / 2 + [pose.shift_y, pose.shift_x]
    return matrix, target - matrix @ middle


def _sampled(array: NDArray[np.floating[Any]], matrix: Floats, offset: Floats, shape: tuple[int, int]) -> Floats:
    """(..., h, w) -> (..., H, W), NaN where more than half of what is near is NaN."""
    stack = array.reshape(-1, *array.shape[-2:])
    valid = np.isfinite(stack)
    sampled = _bilinear(np.concatenate([np.where(valid, stack, 0.0), valid]), matrix, offset, shape)
    total, weight = sampled[: len(stack)], sampled[len(stack) :]
    found = np.where(weight >= 0.5, total / np.maximum(weight, 0.5), np.nan)
    return found.reshape(*array.shape[:-2], *shape)


def _bilinear(stack: Floats, matrix: Floats, offset: Floats, shape: tuple[int, int]) -> Floats:
    """(C, h, w) sampled at `matrix` (row, column) + `offset` of (H, W) pixels; 0 outside.

    As `scipy.ndimage.affine_transform` has it, in a fifth of the time since channels share their weights.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    # PyTorch counts from -1 to 1, x before y
    size = np.maximum(np.array(stack.shape[1:]) - 1, 1) / 2
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    y = (matrix[0, 0] * rows + matrix[0, 1] * columns + offset[0]) / size[0] - 1
    x = (matrix[1, 0] * rows + matrix[1, 1] * columns + offset[1]) / size[1] - 1
    grid = torch.from_numpy(np.stack([x, y], axis=-1))[None]
    values = torch.from_numpy(np.ascontiguousarray(stack, np.float64))[None]
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=True)[0].numpy()


def _starts(part: Heights, reference: Heights) -> list[Pose]:
    """Poses worth a try: for each angle the shift with the highest correlation, the best few of these."""
    factor = max(1, -(-max(*part.shape, *reference.shape) // _COARSE_SIDE))
    small_part, small_reference = shrink(part, factor), shrink(reference, factor)
    size = [fft.next_fast_len(a + b, real=True) for a, b in zip(small_part.shape, small_reference.shape, strict=True)]
    spectra = [fft.rfft2(channel, size) for channel in _features(small_part)]
    found = []
    for angle in np.arange(-FARTHEST_TURN, FARTHEST_TURN + 1e-6, _COARSE_STEP):
        # the reference as it would lie in the part's frame; then only a shift is left
        turned = to_part(small_reference, Pose(angle=float(angle)), small_reference.shape).astype(np.float32)
        if np.isfinite(turned).sum() < 3:
            continue
        channels = zip(spectra, _features(turned), strict=True)
        correlation = fft.irfft2(sum(ours * np.conj(fft.rfft2(theirs, size)) for ours, theirs in channels), size)
        row, column = np.unravel_index(int(correlation.argmax()), correlation.shape)
        # the corners of both frames coincide at no shift, their middles need not
        shift_y = _signed(int(row), size[0]) + (small_reference.shape[0] - small_part.shape[0]) / 2
        shift_x = _signed(int(column), size[1]) + (small_reference.shape[1] - small_part.shape[1]) / 2
        pose = Pose(angle=float(angle), shift_x=shift_x * factor, shift_y=shift_y * factor)
        found.append((float(correlation.max()), pose))
    found.sort(key=lambda each: -each[0])
    plain = Pose(offset=_level(part) - _level(reference))
    best = [_levelled(pose, plain.offset) for _, pose in found[:_CANDIDATES]]
    return [*best, plain]


def _signed(index: int, size: int) -> int:
    return index - size if index > size // 2 else index


def _level(heights: Heights) -> float:
    return float(np.nanmedian(heights)) if np.isfinite(heights).any() else 0.0


def _levelled(pose: Pose, offset: float) -> Pose:
    return pose._replace(offset=offset)


def _features(heights: Heights) -> tuple[Floats, Floats]:
    """Heights over their plane, clipped, and the presence of data; each of unit energy, or zero where it says nothing."""
    valid = np.isfinite(heights)
    over = np.where(valid, heights - fit_plane(heights).over((heights.shape[0], heights.shape[1])), 0.0)
    spread = 1.4826 * float(np.median(np.abs(over[valid]))) or float(over[valid].std()) or 1.0
    relief = np.where(valid, np.clip(over / spread, -4, 4), 0.0)
    relief -= np.where(valid, relief[valid].mean(), 0.0)
    presence = valid - float(valid.mean())
    return _unit(relief), _unit(presence)


def _unit(channel: Floats) -> Floats:
    energy = float(np.sqrt((channel**2).sum()))
    return channel / energy if energy > 1e-9 else channel


def _refined(part: Heights, reference: Heights, pose: Pose, levels: tuple[float, ...]) -> Alignment:
    alignment = Alignment(pose, 0.0, 0.0)
    for sigma in levels:
        alignment = _Level(part, reference, sigma).refine(alignment.pose)
    return alignment


class _Level:
    """Both maps, smoothed alike."""

    def __init__(self, part: Heights, reference: Heights, sigma: float) -> None:
        self._shape = (reference.shape[0], reference.shape[1])
        self._part_heights, self._part_presence = smoothed(part, np.isfinite(part).astype(np.float64), sigma)
        self._heights, self._presence = smoothed(reference, np.isfinite(reference).astype(np.float64), sigma)
        self._has_data = np.isfinite(part)
        self._expects_data = np.isfinite(reference)
        self._gradient = np.asarray(np.gradient(self._heights))
        self._presence_gradient = np.asarray(np.gradient(self._presence))
        self._delta = sigma / 2
        """Pixels of misalignment that are expected while this level begins."""
        y, x = _centred(self._shape)
        self._y, self._x = np.broadcast_to(y, self._shape), np.broadcast_to(x, self._shape)
        self._reach = float(max(self._shape)) / 2

    def refine(self, pose: Pose) -> Alignment:
        pose = self._levelled(pose)
        for _ in range(_ROUNDS):
            step = self._step(pose)
            if step is None:
                break
            pose = Pose(*(a + b for a, b in zip(pose, step, strict=True)))
            if max(abs(step[0]) * self._reach, abs(step[1]), abs(step[2])) < _CONVERGED:
                break
        return self._judged(pose)

    def _levelled(self, pose: Pose) -> Pose:
        """With a wrong offset every pixel would count as an outlier."""
        residual, _, both, _ = self._residuals(pose)
        return pose._replace(offset=pose.offset + float(np.median(residual[both]))) if both.any() else pose

    def _residuals(self, pose: Pose) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.bool_]]:
        """Of heights and of presence, where both have heights, and where the frames overlap."""
        matrix, offset = _forward(pose, self._shape, self._part_heights.shape)

        # outside the part's frame all is 0: presence is raised, so that it tells
        stack = np.stack([self._part_presence + 1, self._part_heights, self._has_data])
        raised, heights, has_data = _bilinear(stack, matrix, offset, self._shape)
        inside = raised > 1 - 1e-6
        both = inside & (has_data > 0.75) & self._expects_data
        return heights - self._heights - pose.plane(self._shape), raised - 1 - self._presence, both, inside

    def _step(self, pose: Pose) -> Floats | None:
        """Gauss-Newton step of the six numbers of a pose; `None` where too little overlaps."""
        residual, missing, both, inside = self._residuals(pose)
        if np.count_nonzero(both) < 32:
            return None
        slope = np.hypot(*self._gradient)[both]
        noise = _spread(residual[both])
        # at a step in height a small shift makes a large residual: each such pixel tells of the shift alike
        spread = np.sqrt(noise**2 + (slope * self._delta) ** 2)
        weights = np.clip(1 - (residual[both] / (_TUKEY * spread)) ** 2, 0, None) ** 2 / spread**2
        flat = np.zeros((6, np.count_nonzero(both)))
        flat[:3] = self._movement(self._gradient, pose, both)
        flat[3], flat[4], flat[5] = -1.0, -self._x[both], -self._y[both]
        normal, right = (flat * weights) @ flat.T, (flat * weights) @ residual[both]
        edge = inside & (np.hypot(*self._presence_gradient) > 1e-3)
        if edge.any():
            moved = self._movement(self._presence_gradient, pose, edge)
            of_edge = 1 / (_PRESENCE_SPREAD**2 * (1 + (missing[edge] / (2 * _PRESENCE_SPREAD)) ** 2))
            normal[:3, :3] += (moved * of_edge) @ moved.T
            right[:3] += (moved * of_edge) @ missing[edge]
        return self._solved(normal, right)

    def _movement(self, gradient: Floats, pose: Pose, where: NDArray[np.bool_]) -> Floats:
        """(3, N) derivatives by angle and shift, with the reference's gradient in place of the part's."""
        cosine, sine = math.cos(pose.angle), math.sin(pose.angle)
        by_y, by_x = gradient[0][where], gradient[1][where]
        x, y = self._x[where], self._y[where]
        along_x, along_y = cosine * by_x - sine * by_y, sine * by_x + cosine * by_y
        turned = along_x * (-sine * x - cosine * y) + along_y * (cosine * x - sine * y)
        return np.stack([turned, along_x, along_y])

    def _solved(self, normal: Floats, right: Floats) -> Floats:
        """Damped, so that what the maps do not tell is left as it is."""
        scale = np.sqrt(np.maximum(np.diag(normal), 1e-12))
        damped = normal / np.outer(scale, scale) + 1e-4 * np.eye(6)
        step: Floats = -np.linalg.solve(damped, right / scale) / scale
        # no farther at once than the linear model can be trusted
        longest = max(abs(step[0]) * self._reach, abs(step[1]), abs(step[2])) / (4 * self._delta)
        return np.asarray(step / max(1.0, longest))

    def _judged(self, pose: Pose) -> Alignment:
        residual, _, both, inside = self._residuals(pose)
        matrix, offset = _forward(pose, self._shape, self._part_heights.shape)
        has = _bilinear(self._has_data[None], matrix, offset, self._shape)[0] > 0.5
        either = inside & (has | self._expects_data)
        if np.count_nonzero(both) < 32:
            return Alignment(pose, 0.0, 0.0)
        overlap = float(np.count_nonzero(both)) / max(float(np.count_nonzero(either)), 1.0)
        relief = (self._heights + pose.plane(self._shape))[both]
        left = float(np.abs(residual[both]).mean()) / max(float(np.abs(relief - np.median(relief)).mean()), 1e-12)
        return Alignment(pose, min(overlap, 1.0), float(np.clip(1 - left, 0.0, 1.0)))


def _spread(residual: Floats) -> float:
    return max(1.4826 * float(np.median(np.abs(residual - np.median(residual)))), 1e-9)

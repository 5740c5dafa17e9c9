"""What aligned normal height maps have in common: a height and the presence of data for each pixel, and their spread."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tools.geometry.height_alignment import Alignment, Floats, Pose, align, smoothed, to_part, to_reference
from tools.geometry.height_map import Heights, fit_plane

HEIGHT_SCALES = (0.6, 1.5, 3.0, 6.0)
"""Gaussian widths in pixels at which heights are compared: from a scratch to a wide dent."""
PRESENCE_SCALES = (1.5, 3.0, 6.0)
"""The same for the presence of data; single pixels drop out on every part."""
CHANNELS = len(HEIGHT_SCALES) + len(PRESENCE_SCALES)

_ROUNDS = 2
_SHARED = 0.5
"""A pixel has a height where this share of the references has data."""
_PRIOR = 4.0
"""How many parts the spread of the surroundings counts for, beside the pixel's own."""
_SURROUNDINGS = 2.0
"""Pixels, Gaussian: over so many the spread is shared, since edges of other parts fall a little beside."""
_FLOOR = 0.5
"""Of the typical spread on the map; no pixel is believed to be steadier than that."""
_FINEST = 0.6
_DROPOUTS = 0.01
"""Share of pixels without data that is expected of any sensor."""
_SMOOTHED = 1.0
"""Pixels, Gaussian, of the values."""
_ENOUGH = 2
"""Parts besides the first, with which spread is learned and not modelled."""
_KNOWN = 0.3
"""Share of the neighbourhood that has data, below which heights are not compared."""


class Common(NamedTuple):
    """Heights and presence that normal parts share, in the reference's frame."""

    heights: Heights
    """(H, W), NaN where most parts have no data."""
    presence: NDArray[np.float32]
    """(H, W) share of parts with data, NaN where no part was seen."""

    @classmethod
    def of(cls, warped: Sequence[Floats], valid: Sequence[Floats]) -> "Common":
        """From parts laid on the reference, with their presence, NaN outside their frames."""
        presence = _nan_mean(np.stack(valid))
        stack = np.stack(warped).astype(np.float32)
        enough = np.isfinite(stack).sum(0) >= np.maximum(1, _SHARED * np.isfinite(np.stack(valid)).sum(0))
        heights = np.full(stack.shape[1:], np.nan, np.float32)
        heights[enough] = np.nanmedian(stack[:, enough], axis=0)
        return cls(heights, presence.astype(np.float32))


def _nan_mean(stack: Floats) -> Floats:
    count = np.isfinite(stack).sum(0)
    return np.where(count > 0, np.nansum(stack, axis=0) / np.maximum(count, 1), np.nan)


class Laid(NamedTuple):
    """A part and how it lies."""

    heights: Heights
    alignment: Alignment

    def warped(self, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        """Its heights without the plane, and its presence, in the reference's frame."""
        pose = self.alignment.pose
        heights = to_reference(self.heights, pose, shape) - pose.plane(shape)
        return heights, to_reference(np.isfinite(self.heights).astype(np.float64), pose, shape)


def lay_together(
    parts: Sequence[Heights], progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Common, list[Laid]]:
    """Lay parts on the most central one, then twice on what they have in common."""
    first = parts[_central(parts)]
    level = fit_plane(first)
    shape = (first.shape[0], first.shape[1])
    common = Common((first - level.over(shape)).astype(np.float32), np.isfinite(first).astype(np.float32))
    laid: list[Laid] = []
    for done, part in enumerate(parts):
        progress(done, len(parts))
        laid.append(Laid(part, align(part, common.heights)))
    for _ in range(_ROUNDS):
        common = common_of(laid, shape)
        laid = [
            Laid(part, align(part, common.heights, old.alignment.pose)) for part, old in zip(parts, laid, strict=True)
        ]
    progress(len(parts), len(parts))
    return common_of(laid, shape), laid


def common_of(laid: Sequence[Laid], shape: tuple[int, int]) -> Common:
    warped, valid = zip(*(each.warped(shape) for each in laid), strict=True)
    return Common.of(warped, valid)


def _central(parts: Sequence[Heights]) -> int:
    """The part whose data lie the least far from where the others' do."""
    middles = np.array([np.mean(np.nonzero(np.isfinite(part)), axis=1) for part in parts])
    return int(np.hypot(*(middles - np.median(middles, axis=0)).T).argmin())


def residual(heights: Heights, common: Common, pose: Pose) -> Floats:
    """(h, w) height above what is common, in the part's own frame; NaN where either has no data."""
    shape = (heights.shape[0], heights.shape[1])
    plane = pose.plane((common.heights.shape[0], common.heights.shape[1]))
    return np.asarray(heights - to_part(common.heights + plane, pose, shape))


class Fields(NamedTuple):
    """Signed differences between a part and what is common, in the part's frame."""

    values: Floats
    """(C, h, w): heights at each scale, then presence at each scale, positive where data is missing."""
    missing: Floats
    """(h, w) presence at the finest scale."""


def fields_of(heights: Heights, common: Common, pose: Pose) -> Fields:
    above = residual(heights, common, pose)
    known = np.isfinite(above).astype(np.float64)
    presence = to_part(common.presence, pose, (heights.shape[0], heights.shape[1]))
    missing = np.nan_to_num(presence - np.isfinite(heights))
    of_heights = [_mean_near(np.nan_to_num(above), known, sigma) for sigma in HEIGHT_SCALES]
    of_presence = [_gaussian(missing, sigma) for sigma in PRESENCE_SCALES]
    return Fields(np.stack([*of_heights, *of_presence]), _gaussian(missing, _FINEST))


def _mean_near(above: Floats, known: Floats, sigma: float) -> Floats:
    mean, weight = smoothed(above, known, sigma)
    return np.where(weight >= _KNOWN, mean, 0.0)


def _gaussian(array: Floats, sigma: float) -> Floats:
    return np.asarray(ndimage.gaussian_filter(array, sigma, mode="nearest", truncate=3.0))


class Sums(NamedTuple):
    """Of the fields of parts laid on the reference, and how many parts were seen at each pixel.

    With sums each part can be left out of the mean and the spread that it is compared with, at no cost.
    """

    values: Floats
    """(C, H, W)"""
    squares: Floats
    """(C, H, W)"""
    seen: Floats
    """(H, W)"""

    @classmethod
    def none(cls, shape: tuple[int, int]) -> "Sums":
        return cls(np.zeros((CHANNELS, *shape)), np.zeros((CHANNELS, *shape)), np.zeros(shape))

    def plus(self, values: Floats, pose: Pose, sign: float = 1.0) -> "Sums":
        """With the (C, h, w) fields of one part more, or with `sign` -1 without them."""
        shape = (self.seen.shape[0], self.seen.shape[1])
        laid = to_reference(values, pose, shape)
        here = np.isfinite(laid[0]).astype(np.float64)
        known = np.nan_to_num(laid)
        return Sums(self.values + sign * known, self.squares + sign * known**2, self.seen + sign * here)

    def mean(self) -> Floats:
        return np.asarray(self.values / np.maximum(self.seen, 1.0))

    def spread(self, expected: Floats) -> Floats:
        """(C, H, W) standard deviation of one part more from the mean.

        `expected` is the variance where hardly any part was seen. Elsewhere the variance is that of the parts there,
        steadied by that of the surroundings as if those were some parts more.
        """
        within = np.maximum(self.squares - self.values**2 / np.maximum(self.seen, 1.0), 0.0)
        freedom = np.maximum(self.seen - 1, 0.0)
        if freedom.max() >= _ENOUGH:
            near = np.maximum(_gaussian(freedom, _SURROUNDINGS), 1e-3)
            expected = np.stack([_gaussian(each, _SURROUNDINGS) / near for each in within])
        variance = (within + _PRIOR * expected) / (freedom + _PRIOR)
        typical = np.array([np.median(each[each > 0]) if (each > 0).any() else 0.0 for each in variance])
        floored = np.maximum(variance, np.maximum(_FLOOR**2 * typical, 1e-18)[:, None, None])
        return np.asarray(np.sqrt(floored * (1 + 1 / np.maximum(self.seen, 1.0))))


def expected_variance(common: Common, noise: float) -> Floats:
    """(C, H, W) for parts of which too few are known: white noise, and half a pixel of misalignment.

    The mean of white noise of variance s2 under a Gaussian of width a has the variance s2 / (4 pi a2).
    """
    valid = np.isfinite(common.heights).astype(np.float64)
    presence = np.nan_to_num(common.presence, nan=0.5).astype(np.float64)
    found = []
    for sigma in HEIGHT_SCALES:
        mean = smoothed(np.nan_to_num(common.heights), valid, max(sigma, 1.0))[0]
        found.append(noise**2 / (4 * np.pi * sigma**2) + _half_pixel(mean))
    for sigma in PRESENCE_SCALES:
        found.append(_DROPOUTS / (4 * np.pi * sigma**2) + _half_pixel(_gaussian(presence, sigma)))
    return np.stack(found)


def _half_pixel(mean: Floats) -> Floats:
    down, right = np.gradient(mean)
    return np.asarray((down**2 + right**2) / 4)


class HeightReference(NamedTuple):
    """What normal parts have in common, and how far each usually is from it; float32."""

    common: Common
    mean: NDArray[np.float32]
    """(C, H, W) mean of the parts' fields."""
    spread: NDArray[np.float32]
    """(C, H, W) their standard deviation."""
    weights: NDArray[np.float32]
    """(C,) by which the highest values of the channels on normal parts are made alike."""

    @classmethod
    def of(cls, common: Common, sums: Sums, expected: Floats, weights: NDArray[np.float32]) -> "HeightReference":
        return cls(common, sums.mean().astype(np.float32), sums.spread(expected).astype(np.float32), weights)

    def deviations(self, fields: Fields, pose: Pose) -> Floats:
        """(C, h, w) differences in standard deviations of normal parts, in the part's frame, without weights.

        A wide mean also rises beside what it is wide enough to see. Where finer means are lower, its value is lowered
        with the square of the ratio, scale by scale, so that the place of a defect is no wider than the defect.
        """
        shape = (fields.values.shape[1], fields.values.shape[2])
        mean = np.nan_to_num(to_part(self.mean, pose, shape))
        spread = np.nan_to_num(to_part(self.spread, pose, shape), nan=np.inf)
        off = fields.values - mean
        return np.asarray(np.abs(off) / spread * _own_share(off, fields.missing) ** 2)

    def values(self, fields: Fields, pose: Pose) -> Heights:
        """(h, w) the channels together."""
        return together(self.deviations(fields, pose), self.weights)


def _own_share(off: Floats, missing: Floats) -> Floats:
    """(C, h, w) from 0 to 1: how much of a wide mean is there in the finer ones, too."""
    presence = len(HEIGHT_SCALES)
    finer = np.concatenate([off[:1], off[: presence - 1], missing[None], off[presence:-1]])
    share = np.clip(finer * np.sign(off) / np.maximum(np.abs(off), 1e-12), 0.0, 1.0)
    # the finest heights are too noisy to speak for more than the next scale
    for channel in (*range(3, presence), *range(presence + 1, CHANNELS)):
        share[channel] *= share[channel - 1]
    return np.asarray(share)


def together(deviations: Floats, weights: NDArray[np.float32]) -> Heights:
    """(h, w) root mean square of the weighted channels, a little smoothed: one odd pixel is noise."""
    weighted = deviations * weights[:, None, None]
    return _gaussian(np.sqrt((weighted**2).mean(0)), _SMOOTHED).astype(np.float32)


def weights_of(highest: Floats) -> NDArray[np.float32]:
    """(C,) from the highest deviation of each of (N, C) normal parts that were left out; ones for none."""
    if not len(highest):
        return np.ones(CHANNELS, np.float32)
    typical = np.maximum(np.median(highest, axis=0), 1e-6)
    return np.asarray(np.clip(np.median(typical) / typical, 0.1, 2.0), np.float32)

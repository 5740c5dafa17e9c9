"""Learning the reference surface from normal parts: bringing them together, and holding each out in turn."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from knowledge import FittedPartError
from tools.geometry.departures import Normality, Residuals, beside, evidence_of, joined, normality, usual_evidence
from tools.geometry.point_cloud import Points, spacing
from tools.geometry.registration import Registration, Target, main_axes, moved, refine, register, target_of
from tools.geometry.surface import Departure, Flat, Indices, depart, normals_of, outward

Progress = Callable[[str, int, int], None]

FAILED = 1.6
"""A part whose distance from the others is so many times the usual one does not lie where they lie."""

_NEIGHBOURS = 24
_MOST = 600_000
_FEWEST_A_PART = 8_000
_MOST_A_PART = 100_000
_LEAVE_ONE_OUT = 20
_FOLDS = 5


class Surface(NamedTuple):
    """What was learned, in a frame whose axes are the main axes of the part."""

    target: Target
    part: NDArray[np.int32]
    """(M,) which part each point is of."""
    known: Normality
    usual: Flat
    """(M, 5) evidence that is usual on normal parts, at each point."""
    levels: Flat
    """(5,) of `joined`."""
    scores: tuple[float, ...]
    """Of the parts, each judged by the others; none for a lone part."""
    distance: float
    """The usual mean distance of a part from the others, in spacings."""
    fitness: float
    left_out: int
    """Parts that could not be brought to the others."""


def thinned(points: Points, count: int, seed: int) -> NDArray[np.int64]:
    """Ascending indices of `count` of (N, 3) points, chosen by chance."""
    if len(points) <= count:
        return np.arange(len(points))
    return np.sort(np.random.default_rng(seed).permutation(len(points))[:count])


def points_a_part(parts: int) -> int:
    """How many points of each of so many parts are learned from."""
    return int(np.clip(_MOST // max(parts, 1), _FEWEST_A_PART, _MOST_A_PART))


def learn_surface(clouds: Sequence[Points], seed: int, progress: Progress) -> Surface:
    """Learn from (N, 3) points of normal parts, each in a frame of its own.

    A lone part is halved, so that there is something to compare; it gives no scores.
    """
    lone = len(clouds) == 1
    if lone:
        order = np.random.default_rng(seed).permutation(len(clouds[0]))
        clouds = [clouds[0][np.sort(half)] for half in np.array_split(order, 2)]
    parts, registrations, left_out = _brought_together(clouds, seed, progress)
    step = float(np.median([spacing(part) for part in parts]))
    part = np.repeat(np.arange(len(parts), dtype=np.int32), [len(each) for each in parts])
    everything = np.concatenate(parts)
    target = _surface_of(everything, step)
    fold_of = _folds(len(parts), seed)
    departures = _held_out(parts, target, part, fold_of, progress)
    residuals = _residuals(departures, part, fold_of)
    everywhere = np.arange(len(part))
    nearest = beside(target, everywhere, everywhere)
    known = normality(target, residuals, everywhere, nearest)
    found = [
        _evidence(departure, target, np.flatnonzero(fold_of[part] != fold), residuals, known.gap_scale)
        for fold, departure in zip(fold_of, departures, strict=True)
    ]
    raw = np.concatenate(found)
    scaled = []
    for index, fold in enumerate(fold_of):
        progress("calibrating", index, len(parts))
        others = np.flatnonzero(fold_of[part] != fold)
        anchors = others[departures[index].anchors]
        places = np.unique(anchors)
        usual = usual_evidence(raw, places, beside(target, places, others))
        scaled.append(found[index] / usual[anchors])
    levels = np.maximum(np.median([each.max(0) for each in scaled], axis=0), 1e-6)
    return Surface(
        target=target,
        part=part,
        known=known,
        usual=usual_evidence(raw, everywhere, nearest),
        levels=levels,
        scores=() if lone else tuple(float(joined(each, levels).max()) for each in scaled),
        distance=float(np.median([each.distance for each in registrations])),
        fitness=float(np.median([each.fitness for each in registrations])),
        left_out=left_out,
    )


def _brought_together(
    clouds: Sequence[Points], seed: int, progress: Progress
) -> tuple[list[Points], list[Registration], int]:
    """The parts in one frame; first each to the first, then each to all others together."""
    first = moved(clouds[0], main_axes(clouds[0]))
    step = float(np.median([spacing(cloud) for cloud in clouds]))
    target = _surface_of(first, step)
    poses: list[Registration] = []
    for done, cloud in enumerate(clouds):
        progress("registering", done, len(clouds))
        usual = float(np.median([each.distance for each in poses])) * 1.3 if poses else None
        poses.append(register(cloud, target, enough=usual, seed=seed) if done else register(first, target, enough=9.0))
    distances = [each.distance for each in poses[1:]] or [poses[0].distance]
    usual = FAILED * float(np.median(distances))
    good = [index for index, each in enumerate(poses) if not index or each.distance <= usual]
    if 2 * len(good) <= len(clouds):
        raise FittedPartError(
            "most of the normal parts could not be brought to the first one; are they the same kind of part, whole, in one unit?"
        )
    parts = [first if not index else moved(clouds[index], poses[index].pose) for index in good]
    return *_refined(parts, step, seed), len(clouds) - len(good)


def _refined(parts: list[Points], step: float, seed: int) -> tuple[list[Points], list[Registration]]:
    together = _surface_of(np.concatenate(parts), step)
    ends = np.cumsum([0, *(len(part) for part in parts)])
    found = []
    for index, part in enumerate(parts):
        others = np.ones(len(together.points), np.bool_)
        others[ends[index] : ends[index + 1]] = False
        found.append(refine(part, _subset(together, others), np.eye(4), seed) if others.any() else None)
    registrations = [each for each in found if each is not None]
    return [moved(part, each.pose) for part, each in zip(parts, registrations, strict=True)], registrations


def _surface_of(points: Points, step: float) -> Target:
    normals = outward(points, normals_of(points, cKDTree(points), _NEIGHBOURS), step)
    return target_of(points, normals, step)


def _subset(target: Target, chosen: NDArray[np.bool_]) -> Target:
    return target_of(target.points[chosen], target.normals[chosen], target.spacing)


def _without(target: Target, others: NDArray[np.bool_]) -> Target:
    """The surface of other parts; its normals are estimated without the part that is held out, too."""
    points = target.points[others]
    tree = cKDTree(points)
    normals = normals_of(points, tree, _NEIGHBOURS)
    normals *= np.where(np.einsum("nd,nd->n", normals, target.normals[others]) < 0, -1.0, 1.0)[:, None]
    return Target(points, normals, tree, target.spacing)


def _folds(parts: int, seed: int) -> NDArray[np.int64]:
    """(parts,) the fold that each part is held out with."""
    if parts <= _LEAVE_ONE_OUT:
        return np.arange(parts)
    return np.random.default_rng(seed).permutation(parts) % _FOLDS


def _held_out(
    parts: Sequence[Points], target: Target, part: NDArray[np.int32], fold_of: NDArray[np.int64], progress: Progress
) -> list[Departure]:
    """Of each part from the surface of the other folds."""
    found: list[Departure | None] = [None] * len(parts)
    for fold in range(int(fold_of.max()) + 1):
        progress("cross-validating", fold, int(fold_of.max()) + 1)
        surface = _without(target, fold_of[part] != fold)
        for index in np.flatnonzero(fold_of == fold).tolist():
            found[index] = depart(parts[index], surface)
    return [each for each in found if each is not None]


def _residuals(departures: Sequence[Departure], part: NDArray[np.int32], fold_of: NDArray[np.int64]) -> Residuals:
    gaps, counts = np.zeros(len(part)), np.zeros(len(part))
    for index, departure in enumerate(departures):
        others = fold_of[part] != fold_of[index]
        gaps[others] += departure.gaps
        counts[others] += 1
    return Residuals(
        np.concatenate([each.offsets for each in departures]),
        np.concatenate([each.turns for each in departures]),
        gaps / counts,
    )


def _evidence(departure: Departure, target: Target, others: Indices, residuals: Residuals, gaps: Flat) -> Flat:
    """Of a part as if what is normal had been learned from the `others` only."""
    anchors = np.unique(others[departure.anchors])
    known = normality(target, residuals, anchors, beside(target, anchors, others))._replace(gap_scale=gaps)
    of_others = Target(target.points[others], target.normals[others], target.tree, target.spacing)
    return evidence_of(departure, of_others, Normality(*(each[others] for each in known)))

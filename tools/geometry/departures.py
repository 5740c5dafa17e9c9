"""Departures from the reference surface in units of what is normal at their place, joined to one value a point."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from tools.geometry.point_cloud import Points, spacing
from tools.geometry.registration import Target
from tools.geometry.surface import Departure, Flat, Indices

CHANNELS = ("offset", "offset_8", "offset_24", "turn", "void")
"""Signed distance of a point, its mean over 8 and over 24 neighbours, the turn of the normal, missing material."""

_SCALES = (1, 8, 24)
_TURN = 8
_LOCAL = 32
_GAPS = 16
_RIM = 6
"""The edge of a hole is so many neighbours wide: the hole's own nearest points are a thin and broken line."""

_ASIDE = 1.0
"""Spacings that two opposite normals lie apart in the search for places alike, each way."""

_HELD = 0.3
"""A share by which a finer mean may fall short, being noisier."""

_LEAST = 0.5
"""A place's scale is at least this share of the whole surface's: a few odd residuals must not make it blind."""

_DEEP = 3.0
"""Rayleigh scales beyond which a gap belongs to a hole: of gaps by chance one in ninety."""

_LEAST_HOLE = 4
_LEVEL = 0.6
"""More than half, where places are cut back."""

_RAYLEIGH = 1.2533141373155001
"""Mean of a Rayleigh variable of scale 1: distances from a place to the nearest of points spread by chance."""


class Residuals(NamedTuple):
    """How normal parts that were held out depart at each of the M points of the reference."""

    offsets: Flat
    """(M,) of the point itself from the surface of the other parts."""
    turns: Flat
    """(M,)"""
    gaps: Flat
    """(M,) mean distance to the nearest point of the other parts, each of them alone."""


class Normality(NamedTuple):
    """What is normal at each of the M points of the reference: medians, robust standard deviations, usual gaps."""

    offset: Flat
    offset_scale: Flat
    turn: Flat
    turn_scale: Flat
    gap_scale: Flat
    """(M,) Rayleigh scale of gaps."""


def beside(target: Target, at: Indices, allowed: Indices) -> Indices:
    """(A, 32) of the `allowed` points those nearest to the points `at`, on the same side of an edge or sheet."""
    places = _sided(target)
    k = min(_LOCAL, len(allowed))
    return np.asarray(allowed[cKDTree(places[allowed]).query(places[at], k=k)[1].reshape(len(at), k)], np.int64)


def normality(target: Target, residuals: Residuals, at: Indices, nearest: Indices) -> Normality:
    """What is normal at the points `at` by the residuals `nearest` (A, k) to them; elsewhere by the whole surface's."""
    gap = np.full(len(target.points), float(np.median(residuals.gaps)) / _RAYLEIGH)
    gap[at] = np.maximum(residuals.gaps[nearest[:, :_GAPS]].mean(1) / _RAYLEIGH, _LEAST * gap[at])
    offset, offset_scale = _local(residuals.offsets, at, nearest)
    turn, turn_scale = _local(residuals.turns, at, nearest)
    return Normality(offset, offset_scale, turn, turn_scale, np.maximum(gap, 1e-12))


def _local(values: Flat, at: Indices, nearest: Indices) -> tuple[Flat, Flat]:
    near = values[nearest]
    middle = np.median(near, axis=1)
    spread = 1.4826 * np.median(np.abs(near - middle[:, None]), axis=1)
    median = np.full(len(values), float(np.median(values)))
    scale = np.full(len(values), 1.4826 * float(np.median(np.abs(values - median))))
    median[at], scale[at] = middle, np.maximum(spread, _LEAST * scale[at])
    return median, np.maximum(scale, 1e-12)


def usual_evidence(evidence: Flat, at: Indices, nearest: Indices) -> Flat:
    """(M, 5) how much evidence of each kind is usual at a place on normal parts, at least as much as everywhere.

    The root mean square nearby: at edges neighbours err together, and their mean stays large on every part.
    """
    everywhere = np.sqrt(np.mean(evidence**2, axis=0))
    usual = np.tile(everywhere, (len(evidence), 1))
    usual[at] = np.maximum(usual[at], np.sqrt(np.mean(evidence[nearest] ** 2, axis=1)))
    return np.asarray(np.maximum(usual, 1e-6))


def evidence_of(departure: Departure, surface: Target, known: Normality, density: float = 1.0) -> Flat:
    """(N, 5) evidence of each kind, in standard deviations of noise that has no order.

    `density` is the part's spacing over that of the parts that were learned from.
    """
    anchors, around = departure.anchors, departure.around
    offset = (departure.offsets - known.offset[anchors]) / known.offset_scale[anchors]
    turn = (departure.turns - known.turn[anchors]) / known.turn_scale[anchors]
    towards = surface.normals[anchors]
    same = np.einsum("nkd,nd->nk", towards[around], towards) > 0.5
    means = [_mean(offset, around, same, scale) for scale in _SCALES]
    finer = [means[0], means[0], means[1]]
    offsets = [_held(mean, fine, scale) for mean, fine, scale in zip(means, finer, _SCALES, strict=True)]
    turns = np.maximum(_mean(turn, around, same, _TURN), 0) * np.sqrt(_TURN)
    gaps = departure.gaps / (known.gap_scale * density)
    void = np.zeros(len(offset))
    np.maximum.at(void, departure.rims, _levelled(gaps, holes(gaps, surface)))
    return np.stack([*offsets, turns, void[around[:, :_RIM]].max(1)], axis=1)


def holes(gaps: Flat, surface: Target) -> Indices:
    """(M,) number of the hole that each point of the reference lies in, -1 for none.

    By its gap in usual gaps; a hole is at least as large as the surface that four points of a part stand for.
    """
    found = np.full(len(gaps), -1, np.int64)
    deep = np.flatnonzero(gaps > _DEEP)
    if not len(deep):
        return found
    places = _sided(surface)[deep]
    pairs = cKDTree(places).query_pairs(surface.spacing, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(deep), len(deep)))
    number = connected_components(graph, directed=False)[1]
    least = _LEAST_HOLE * (surface.spacing / spacing(surface.points)) ** 2
    found[deep] = np.where(np.bincount(number)[number] >= least, number, -1)
    return found


def _levelled(gaps: Flat, hole: Indices) -> Flat:
    """All of a hole counts nearly as its deepest point: all its edge is evidence, not only where that is nearest."""
    inside = hole >= 0
    deepest = np.zeros(int(hole.max()) + 1)
    np.maximum.at(deepest, hole[inside], gaps[inside])
    levelled = gaps.copy()
    levelled[inside] = np.maximum(gaps[inside], _LEVEL * deepest[hole[inside]])
    return levelled


def _sided(surface: Target) -> Points:
    """(M, 6) in which the two sides of a sheet lie apart."""
    return np.asarray(np.concatenate([surface.points, _ASIDE * surface.spacing * surface.normals], axis=1))


def _mean(values: Flat, around: Indices, same: NDArray[np.bool_], count: int) -> Flat:
    """Over the nearest points of the same side."""
    weights = same[:, :count]
    return np.asarray((values[around[:, :count]] * weights).sum(1) / weights.sum(1))


def _held(mean: Flat, fine: Flat, count: int) -> Flat:
    """A mean over many points as far as the finer mean bears it out, times the root of their number.

    Beside a defect the wide mean reaches into it; the finer one tells that the place itself is normal.
    """
    size = np.abs(mean)
    share = np.clip((fine * np.sign(mean) + _HELD * size) / np.maximum(size, 1e-12), 0, 1)
    return np.asarray(size * share * np.sqrt(count))


def joined(evidence: Flat, levels: Flat) -> NDArray[np.float32]:
    """(N,) the strongest kind of evidence, each in units of what it reaches on a normal part.

    `levels` (5,) is the highest evidence that a normal part shows, in the middle of such parts; it is worth as much as
    the highest of so many normal deviates as there are points.
    """
    highest = float(-special.ndtri(0.5 / max(len(evidence), 2)))
    return np.asarray((evidence / levels).max(1) * highest, np.float32)

"""The reference surface, made of the points of normal parts, and how a part departs from it point by point."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tools.geometry.point_cloud import Points
from tools.geometry.registration import Target

Flat = NDArray[np.float64]
Indices = NDArray[np.int64]

AROUND = 24
"""Neighbours of a point that are looked at with it, itself included."""

_PLANES = 12
_FLAT = 16
_CHUNK = 50_000
_DIRECTIONS = 42
_ASIDE = 3.0
"""Spacings between the two sides of a sheet at least, in the search for a counterpart."""


class Departure(NamedTuple):
    """How N points of a part, where the reference lies, depart from its M points."""

    offsets: Flat
    """(N,) signed distance from the surface, outward positive, in units of length."""
    turns: Flat
    """(N,) sine of the angle between the part's normal and the reference's."""
    gaps: Flat
    """(M,) distance from each point of the reference to the part's nearest on the same side of a sheet."""
    anchors: Indices
    """(N,) nearest point of the reference."""
    around: Indices
    """(N, AROUND) nearest points of the part, itself first."""
    normals: Points
    """(N, 3) of the part, outward."""
    rims: Indices
    """(M,) the part's nearest point to each point of the reference."""


def normals_of(points: Points, tree: cKDTree, neighbours: int) -> Points:
    """(N, 3) unit normals by the smallest principal axis of the nearest points (Hoppe et al. 1992), of either sign."""
    k = min(neighbours, len(points))
    found = np.empty_like(points)
    for first in range(0, len(points), _CHUNK):
        _, nearest = tree.query(points[first : first + _CHUNK], k=k)
        found[first : first + _CHUNK] = planes_of(points[nearest])
    return found


def planes_of(near: Points) -> Points:
    """(N, 3) unit normals of the planes through (N, k, 3) points."""
    centred = near - near.mean(1, keepdims=True)
    _, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", centred, centred))
    return np.asarray(axes[:, :, 0])


def outward(points: Points, normals: Points, spacing: float) -> Points:
    """(N, 3) normals turned to where the points can be seen from.

    From each of many directions the foremost points are visible; a normal is turned to where its point is seen from
    most. What is seen from both sides, as a sheet is, is turned along +z.
    """
    votes = np.zeros(len(points))
    total = np.zeros(len(points))
    for direction in _directions():
        facing = normals @ direction
        seen = _visible(points, direction, 1.5 * spacing) & (np.abs(facing) > 0.3)
        votes += np.where(seen, facing, 0.0)
        total += np.where(seen, np.abs(facing), 0.0)
    unsure = np.abs(votes) <= 0.3 * total
    sign = np.where(unsure, np.where(normals[:, 2] < 0, -1.0, 1.0), np.sign(votes))
    return np.asarray(normals * np.where(sign == 0, 1.0, sign)[:, None])


def _directions() -> Points:
    """(42, 3) unit vectors spread evenly: a Fibonacci lattice."""
    steps = np.arange(_DIRECTIONS) + 0.5
    z, angle = 1 - 2 * steps / _DIRECTIONS, np.pi * (1 + 5**0.5) * steps
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _visible(points: Points, direction: Points, cell: float) -> NDArray[np.bool_]:
    """Which points are foremost, seen from afar in `direction`, in cells of that size."""
    side = np.cross(direction, [1.0, 0, 0] if abs(direction[0]) < 0.8 else [0, 1.0, 0])
    side /= np.linalg.norm(side)
    flat = np.stack([points @ side, points @ np.cross(direction, side)], axis=1)
    cells = np.minimum(((flat - flat.min(0)) / cell).astype(np.int64), 4000)
    _, place = np.unique(cells @ [1, 4001], return_inverse=True)
    depth = points @ direction
    foremost = np.full(place.max() + 1, -np.inf)
    np.maximum.at(foremost, place, depth)
    return np.asarray(depth > foremost[place] - 1.5 * cell)


def depart(points: Points, surface: Target) -> Departure:
    """Compare (N, 3) points, registered, with the reference surface."""
    tree = cKDTree(points)
    distances, nearest = surface.tree.query(points, k=min(_PLANES, len(surface.points)))
    offsets, towards = _signed(points, surface, distances, nearest)
    around = _neighbours(tree, points)
    normals = planes_of(points[around[:, :_FLAT]])
    cosines = np.einsum("nd,nd->n", normals, towards)
    normals *= np.where(cosines < 0, -1.0, 1.0)[:, None]
    aside = _ASIDE * surface.spacing / 2
    both_sides = cKDTree(np.concatenate([points, aside * normals], axis=1))
    gaps, rims = both_sides.query(np.concatenate([surface.points, aside * surface.normals], axis=1))
    return Departure(
        offsets, np.sqrt(np.clip(1 - cosines**2, 0, 1)), gaps, nearest[:, 0].astype(np.int64), around, normals, rims
    )


def _neighbours(tree: cKDTree, points: Points) -> Indices:
    k = min(AROUND, len(points))
    around = tree.query(points, k=k)[1].reshape(len(points), k).astype(np.int64)
    return np.pad(around, ((0, 0), (0, AROUND - k)), mode="edge")


def _signed(points: Points, surface: Target, distances: Flat, nearest: Indices) -> tuple[Flat, Points]:
    """Signed distances by moving least squares, and the surface's normals there.

    The mean of the distances to the planes of the nearest points, weighted by a Gaussian of their distance (implicit
    MLS, Kolluri 2005). A point that is off the end of its planes counts with its distance from the nearest point.
    """
    width = np.maximum(distances[:, [-1]], 1e-12)
    weights = np.exp(-np.square(2 * (distances - distances[:, [0]]) / width))
    weights /= weights.sum(1, keepdims=True)
    away = points[:, None] - surface.points[nearest]
    planes = np.einsum("nkd,nkd->nk", away, surface.normals[nearest])
    offsets = (weights * planes).sum(1)
    towards = np.einsum("nk,nkd->nd", weights, surface.normals[nearest])
    towards /= np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-12)
    beside = distances[:, 0] - 2 * surface.spacing
    sign = np.where(offsets < 0, -1.0, 1.0)
    return sign * np.maximum(np.abs(offsets), beside), towards

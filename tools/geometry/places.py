"""From one value a point to places: the points that hang together around a peak."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from tools.geometry.point_cloud import Points

Members = NDArray[np.int64]

_NEIGHBOURS = 10
_MOST = 20_000
"""Over so many points the whole part is odd, and its peaks are no longer told apart."""


def cores(
    points: Points,
    tree: cKDTree,
    values: NDArray[np.float32],
    threshold: float,
    reach: float,
    together: Sequence[Members] = (),
) -> list[Members]:
    """Ascending indices of the points of each place over `threshold`, the highest peak first.

    Neighbours no farther than `reach` hang together, and so do points that are `together` for another reason: those
    around one hole. A place is cut back to half its peak, and a hole's edge stays whole; a lower peak is a place of
    its own where the values fall below half of it on every way to a higher one.
    """
    over = np.flatnonzero(values > threshold)
    if not len(over):
        return []
    near = _linked(_near(points, tree, over, reach), over, values, together)
    everything = np.ones(len(over), np.bool_)
    basin = _connected(near, everything) if len(over) > _MOST else _basins(near, values[over])
    found = []
    for number in np.unique(basin):
        inside = basin == number
        peak = float(values[over[inside]].max())
        core = inside & (values[over] >= max(threshold, peak / 2))
        for group in together:
            around = np.isin(over, group)
            if (core & around).any():
                core |= inside & around
        labels = _connected(near, core)
        found += [over[labels == label] for label in np.unique(labels[core])]
    found.sort(key=lambda members: (-float(values[members].max()), int(members[0])))
    return _made_whole(found, together)


def _made_whole(places: list[Members], together: Sequence[Members]) -> list[Members]:
    """With all the edge of the holes that they lie at, also where it is below the threshold; no point twice."""
    taken = np.unique(np.concatenate(places))
    whole = []
    for place in places:
        edges = [group for group in together if np.isin(group, place).any()]
        more = np.setdiff1d(np.concatenate(edges), taken) if edges else taken[:0]
        taken = np.union1d(taken, more)
        whole.append(np.union1d(place, more))
    return whole


def _near(points: Points, tree: cKDTree, over: Members, reach: float) -> Members:
    """(K, k) positions within `over` of the neighbours of each of its points; its own position for want of one."""
    k = min(_NEIGHBOURS + 1, len(points))
    distances, nearest = tree.query(points[over], k=k, distance_upper_bound=reach)
    position = np.full(len(points) + 1, -1, np.int64)
    position[over] = np.arange(len(over))
    near = np.where(np.isfinite(distances), position[nearest], -1).reshape(len(over), k)
    return np.where(near < 0, np.arange(len(over))[:, None], near)


def _linked(near: Members, over: Members, values: NDArray[np.float32], together: Sequence[Members]) -> Members:
    """With one more column for points that are together, in a chain from the highest down.

    Whatever level they are cut at, what is left of such a chain still hangs together.
    """
    position = {int(index): at for at, index in enumerate(over)}
    columns = [near]
    for group in together:
        chain = [position[int(index)] for index in group if int(index) in position]
        chain.sort(key=lambda at: (-float(values[over[at]]), at))
        link = np.arange(len(over))
        link[chain[1:]] = chain[:-1]
        columns.append(link[:, None])
    return np.concatenate(columns, axis=1)


def _connected(near: Members, inside: NDArray[np.bool_]) -> Members:
    """(K,) number of the connected part of each point inside; points outside have numbers of their own."""
    start = np.repeat(np.arange(len(near)), near.shape[1])
    end = near.ravel()
    both = inside[start] & inside[end]
    graph = coo_matrix((np.ones(int(both.sum()), np.int8), (start[both], end[both])), shape=(len(near), len(near)))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _basins(near: Members, values: NDArray[np.float32]) -> Members:
    """(K,) number of the peak that each point belongs to: points are flooded from the highest down.

    Where two basins meet, the lower peak gives up its own unless it is more than twice as high as the place they meet.
    """
    links: list[list[int]] = [[] for _ in values]
    for index, row in enumerate(near.tolist()):
        for other in row:
            links[index].append(other)
            links[other].append(index)
    height = values.tolist()
    parent, peak, label = [-1] * len(height), list(height), [0] * len(height)

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    final = list(range(len(height)))
    for index in np.argsort(-values, kind="stable").tolist():
        around = sorted(
            {root(other) for other in links[index] if parent[other] >= 0}, key=lambda each: (-peak[each], each)
        )
        parent[index] = around[0] if around else index
        for lower in around[1:]:
            if peak[lower] <= 2 * height[index]:
                final[lower] = around[0]
            parent[lower] = around[0]
        label[index] = around[0] if around else index
    return np.array([_last(final, each) for each in label], np.int64)


def _last(final: list[int], index: int) -> int:
    while final[index] != index:
        index = final[index]
    return index

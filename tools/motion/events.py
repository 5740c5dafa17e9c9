"""Events: parts of a video's values over threshold that hang together in space and time."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tools.motion.video import Video
from tools.native import Place, Values

HYSTERESIS = 0.85
"""Share of the threshold down to which an event that passed it goes on. Near one, because a displaced but normal part
is not far below the threshold for as long as it stands there."""

LONGEST_GAP = 0.5
"""Seconds under threshold that do not end an event."""


class Interval(NamedTuple):
    """When something happens anywhere in the picture, by sampled frames, both inclusive."""

    first: int
    last: int


def places_of(video: Video, values: Values, threshold: float) -> tuple[Place, ...]:
    """Connected parts of (F, h, w) values over threshold, the highest peak first."""
    inside, labels, count = _labelled(values, threshold, video.step)
    found = []
    for number, window in enumerate(ndimage.find_objects(labels, count), 1):
        own = (labels[window] == number) & inside[window]
        peak = float(values[window][own].max()) if own.any() else -np.inf
        if peak > threshold:
            corner = [side.start for side in window]
            members = np.ravel_multi_index(tuple(np.argwhere(own).T + np.array(corner)[:, None]), values.shape)
            found.append(Place(peak, np.sort(members).astype(np.int64), native_of(video, values.shape, members)))
    return tuple(sorted(found, key=lambda place: (-place.peak, int(place.members[0]))))


def intervals_of(video: Video, values: Values, threshold: float) -> tuple[Interval, ...]:
    """When there are places, one after the other; those less than `LONGEST_GAP` apart are one."""
    busy = np.zeros(len(values), np.bool_)
    for place in places_of(video, values, threshold):
        frames = np.unravel_index(place.members, values.shape)[0]
        busy[frames.min() : frames.max() + 1] = True
    labels, _ = ndimage.label(_bridged(busy[:, None, None], video.step)[:, 0, 0])
    return tuple(Interval(int(of[0].start), int(of[0].stop) - 1) for of in ndimage.find_objects(labels))


def native_of(video: Video, shape: tuple[int, ...], members: NDArray[np.int64]) -> dict[str, Any]:
    """Frame numbers of the file and times of its frames, and a box in pixels of its upright frames."""
    frames, rows, columns = np.unravel_index(members, shape)
    first, last = int(frames.min()), int(frames.max())
    return {
        "frames": [int(video.numbers[first]), int(video.numbers[last])],
        "seconds": [round(float(video.times[first]), 3), round(float(video.times[last]), 3)],
        "box": cells_to_source(video, shape, rows, columns),
    }


def cells_to_source(
    video: Video, shape: tuple[int, ...], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> list[int]:
    """The smallest box of whole pixels of the file's upright frames that covers some cells."""
    _, height, width = shape
    x, y = video.width / width, video.height / height
    return [
        int(np.floor(columns.min() * x)),
        int(np.floor(rows.min() * y)),
        int(np.ceil((columns.max() + 1) * x)),
        int(np.ceil((rows.max() + 1) * y)),
    ]


def _labelled(values: Values, threshold: float, step: float) -> tuple[NDArray[np.bool_], NDArray[np.int32], int]:
    inside = values > (threshold * HYSTERESIS if threshold > 0 else threshold)
    labels, count = ndimage.label(_bridged(inside, step), np.ones((3, 3, 3)))
    return inside, labels, int(count)


def _bridged(inside: NDArray[np.bool_], step: float) -> NDArray[np.bool_]:
    """Gaps in time of at most `LONGEST_GAP` closed."""
    reach = int(LONGEST_GAP / step) + 1
    padded = np.pad(inside, ((reach, reach), (0, 0), (0, 0)))
    closed = ndimage.binary_closing(padded, np.ones((reach + 1, 1, 1)))
    bridged: NDArray[np.bool_] = closed[reach:-reach] | inside
    return bridged

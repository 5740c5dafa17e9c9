"""Exposure: how much brighter a frame is than normal ones, channel by channel, and taking that out of it."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Gains = NDArray[np.float64]

_DARKEST, _BRIGHTEST = 16, 245
"""Levels between which a pixel tells of exposure: below is noise, above is clipped."""

_LARGEST = 2.0


def gain(frame: Pixels, typical: Pixels) -> Gains:
    """(3,) median ratio of an (H, W, 3) frame to the typical one over its pixels, 0.5 .. 2.

    A median, so that it does not heed what happens on less than half of the picture.
    """
    found = np.ones(3)
    for channel in range(3):
        now, then = frame[..., channel], typical[..., channel]
        tells = (then > _DARKEST) & (then < _BRIGHTEST) & (now < _BRIGHTEST)
        if tells.mean() > 0.05:
            found[channel] = np.median(now[tells] / then[tells].astype(np.float64))
    return np.clip(found, 1 / _LARGEST, _LARGEST)


def level(frames: Pixels, typical: Pixels) -> tuple[Pixels, Gains]:
    """(F, H, W, 3) frames as if exposed like the (H, W, 3) typical one, and (F, 3) the gains taken out of them.

    Gains are found on every second pixel each way.
    """
    gains = np.array([gain(frame[::2, ::2], typical[::2, ::2]) for frame in frames])
    levels = np.arange(256)
    levelled = np.empty_like(frames)
    for number, frame in enumerate(frames):
        for channel in range(3):
            table = np.clip(np.rint(levels / gains[number, channel]), 0, 255).astype(np.uint8)
            levelled[number, ..., channel] = table[frame[..., channel]]
    return levelled, gains

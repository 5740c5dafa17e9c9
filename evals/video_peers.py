"""Simple peers of the video localiser: subtraction of the background that normal frames show."""

import contextlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge import RequestError
from tools import luma

VIDEO_PEERS = ("background", "mog2")

Frames = NDArray[np.uint8]
_DEVIATIONS = 5.0


class VideoPeer(Protocol):
    """Learns from normal frames, and says of each frame how much of it is otherwise."""

    name: str

    def fit(self, frames: Frames) -> None:
        """(F, H, W, 3) normal frames; what was learned before is forgotten."""
        ...

    def score(self, frames: Frames) -> NDArray[np.float64]:
        """(F,) share of pixels that are not background."""
        ...


class Background:
    """Grey median and spread of each pixel over normal frames; a pixel is otherwise beyond 5 robust deviations."""

    name = "background"

    def __init__(self) -> None:
        self._median: NDArray[np.float32] = np.zeros((1, 1), np.float32)
        self._limit = self._median

    def fit(self, frames: Frames) -> None:
        grey = luma(frames).astype(np.float32)
        self._median = np.median(grey, axis=0)
        # one level more: a pixel that never changed has no spread, but its camera has noise
        self._limit = _DEVIATIONS * (1 + 1.4826 * np.median(np.abs(grey - self._median), axis=0))

    def score(self, frames: Frames) -> NDArray[np.float64]:
        return np.array([float((np.abs(luma(frame) - self._median) > self._limit).mean()) for frame in frames])


class Mog2:
    """OpenCV's mixture of Gaussians (Zivkovic 2004), which learns from normal frames alone."""

    name = "mog2"

    def __init__(self) -> None:
        with contextlib.suppress(ImportError):
            import cv2

            self._cv2: Any = cv2
            return
        raise RequestError("the peer mog2 needs OpenCV; install it with `make peers`, or leave it out")

    def fit(self, frames: Frames) -> None:
        self._model: Any = self._cv2.createBackgroundSubtractorMOG2(history=len(frames), detectShadows=True)
        for frame in frames:
            self._model.apply(frame)

    def score(self, frames: Frames) -> NDArray[np.float64]:
        return np.array([float((self._model.apply(frame, learningRate=0) == 255).mean()) for frame in frames])


def load_video_peer(name: str) -> VideoPeer:
    """Raises `RequestError` where there is none of that name, or what it needs is not installed."""
    if name not in VIDEO_PEERS:
        raise RequestError(f"no peer is called {name}; there are {', '.join(VIDEO_PEERS)}")
    return Background() if name == "background" else Mog2()

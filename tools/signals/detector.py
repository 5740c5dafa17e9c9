"""What the detectors of an ensemble have in common."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Contributions(NamedTuple):
    """How odd each sample of each channel is, in a detector's own units."""

    of_channels: Floats
    """(C, T), at least 0."""
    together: Floats | None = None
    """(T,) where the channels' oddness is more than the sum of its parts."""


class Detector(Protocol):
    """Learned from normal (C, T) pieces, in which each channel is in deviations from its median."""

    name: ClassVar[str]

    def contributions(self, piece: Floats) -> Contributions:
        """Of a (C, T) piece; a score of a sample may look at samples before and after it."""

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that was learned."""

    @classmethod
    def of_tensors(cls, saved: Mapping[str, NDArray[Any]], channels: int) -> "Detector": ...

"""Frozen networks that turn pictures into features, known by name."""

import functools
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from knowledge import FittedPartError
from tools.localization.efficientnet import EfficientNetLite0
from tools.localization.features import Features

DEFAULT_BACKBONE = EfficientNetLite0.name


class Backbone(Protocol):
    """One interface to every frozen network."""

    name: str
    weights_sha256: str
    multiple: int
    """Input sides must be multiples of this."""

    def preprocess(self, pixels: NDArray[np.uint8], area: int) -> Tensor:
        """(H, W, 3) RGB -> (3, h, w) float32, aspect kept, about `area` pixels."""
        ...

    def forward(self, images: Tensor) -> Features:
        """(B, 3, h, w) preprocessed pictures of one size -> what the network says of them."""
        ...


def load_backbone(name: str = DEFAULT_BACKBONE) -> Backbone:
    """Load a backbone by name, once a process."""
    return _load(name)


@functools.lru_cache(maxsize=4)
def _load(name: str) -> Backbone:
    if name != DEFAULT_BACKBONE:
        raise FittedPartError(f"there is no backbone {name!r}; known is {DEFAULT_BACKBONE}")
    return EfficientNetLite0()

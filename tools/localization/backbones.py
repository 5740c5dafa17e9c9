"""Frozen networks that turn pictures into features, known by name."""

import functools
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from knowledge import FittedPartError
from tools.chosen_device import chosen_device
from tools.localization.devices import usable_device
from tools.localization.efficientnet import EfficientNetLite0
from tools.localization.features import Features
from tools.localization.text_tower import TextTower
from tools.localization.weights import TIMM

DEFAULT_BACKBONE = EfficientNetLite0.name

_LOADING = threading.Lock()


class Backbone(Protocol):
    """One interface to every frozen network."""

    name: str
    weights_sha256: str
    multiple: int
    """Input sides must be multiples of this."""
    memory_layers: tuple[int, ...]
    """Which of the layers are held against memories of normal patches."""
    neighbourhood: int
    """Places a side over which those are averaged: 3 where a place sees little of its surroundings, 1 where attention does."""
    text: TextTower | None
    """None where the network only sees."""
    notes: list[str]
    """What became of the work where its device could not do it, one sentence each."""

    @property
    def precision(self) -> str:
        """In which the network computes now: `float32`, or `bfloat16` on GPUs."""
        ...

    def preprocess(self, pixels: NDArray[np.uint8], area: int) -> Tensor:
        """(H, W, 3) RGB -> (3, h, w) float32, aspect kept, about `area` pixels."""
        ...

    def forward(self, images: Tensor) -> Features:
        """(B, 3, h, w) preprocessed pictures of one size -> what the network says of them, on the CPU."""
        ...

    def as_texts(self, images: Tensor) -> Features:
        """`forward` with layers in the space of texts, as those of the embeddings: each (B, D, h, w) of length one.

        Raises `FittedPartError` where the network has no texts, or no place of its own in their space.
        """
        ...


def load_backbone(
    name: str = DEFAULT_BACKBONE,
    weights: str | Path | None = None,
    device: str | None = None,
    compiled: bool = False,
    as_built: bool = False,
) -> Backbone:
    """Load a backbone by name, once a process.

    A name is `efficientnet_lite0`, an architecture of open_clip with or without `@tag`, or `timm/` and a model of timm.
    `weights` is a checkpoint file, or `random`, or None for the published ones, which must already be on this machine.
    `device` is `auto`, cpu, cuda, cuda:1 or mps, or None for what `choose_device` was told. An `auto` that finds a GPU
    which cannot be used takes the CPU, and `notes` say so.
    `compiled` is worth its half minute of compiling where many pictures of one size follow; the embedded one ignores it.
    The embedded network runs in fewer operations than timm builds it of, and `as_built` in all of them, which only a
    comparison has a use for; all others always run as they are built.
    Raises `FittedPartError` where the name or the weights cannot be had, `InputError` where the device cannot.
    """
    # One at a time: two threads that ask for the same backbone would otherwise both load it.
    with _LOADING:
        usable = usable_device(chosen_device() if device is None else device)
        backbone = _load(
            name,
            None if weights is None else str(weights),
            str(usable.device),
            compiled,
            as_built and name == DEFAULT_BACKBONE,
        )
        note = f"{name} ran on the CPU, since {usable.instead}"
        if usable.instead and note not in backbone.notes:
            backbone.notes.append(note)
        return backbone


@functools.lru_cache(maxsize=4)
def _load(name: str, weights: str | None, device: str, compiled: bool, as_built: bool) -> Backbone:
    place = torch.device(device)
    if name == DEFAULT_BACKBONE:
        if weights is not None:
            raise FittedPartError(f"{name} brings its own weights; leave the weights out, or name another backbone")
        return EfficientNetLite0(place, as_built)
    if name.startswith(TIMM):
        from tools.localization.timm_backbone import TimmBackbone

        return TimmBackbone(name, weights, place, compiled)
    from tools.localization.open_clip_backbone import OpenClipBackbone

    return OpenClipBackbone(name, weights, place, compiled)

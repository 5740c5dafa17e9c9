"""What localising a large picture costs beside the backbone's forward passes; pictures are painted by formula."""

from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from evals.detection import Pixels
from evals.profiling import as_built, localizing_cost
from tools import LocalizerSettings, Part, fit_localizer

_REFERENCES = 4
_TIMED = 6


class PictureCost(NamedTuple):
    """Of one picture, medians."""

    seconds: float
    forward: float
    """Seconds of the backbone as it is built, once for each look."""


class _Painted(NamedTuple):
    picture: Pixels

    def pixels(self) -> Pixels:
        return self.picture


def picture_cost(side: int) -> PictureCost:
    """Of pictures of `side` x `side` pixels, by a localiser that has learned from as large ones."""
    parts = [Part(str(seed), partial(_casting, seed, side)) for seed in range(_REFERENCES)]
    pictures = [_Painted(_casting(1000 + seed, side)) for seed in range(_TIMED)]
    cost = localizing_cost(fit_localizer(parts), as_built(LocalizerSettings()), pictures)
    seconds = cost["seconds_per_image"]
    return PictureCost(seconds, seconds / cost["forward_ratio"])


def _casting(seed: int, side: int) -> Pixels:
    """Mottled grey metal, with a camera's noise."""
    random = np.random.default_rng(seed)
    mottles = Image.fromarray(random.integers(90, 160, (48, 48), np.uint8))
    grey = np.asarray(mottles.resize((side, side), Image.Resampling.BICUBIC))
    noisy = np.clip(grey + random.normal(0, 2, (side, side)), 0, 255).astype(np.uint8)
    return np.repeat(noisy[..., None], 3, axis=2)

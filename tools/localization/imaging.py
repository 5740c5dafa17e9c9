"""Was this picture taken as the references were? Where it was not, a calibration on them says nothing of it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tools.localization.template import Grey

_SHARPNESS_AREA = 256 * 256
"""Sharpness is judged at this many pixels at most, so that noise of single pixels does not count as sharp."""

_FEWEST = 5
"""Parts from which it is known how much normal pictures differ from each other as a whole."""

_ROUNDING = 1e-4
"""Cosine distances that are none: references may all be the same."""

_ANY = 1e6
"""No trait is beyond this."""

_FAR = 1.5
"""Times the largest distance of a normal part to its nearest reference."""


class Imaging(NamedTuple):
    """How a picture was taken."""

    brightness: float
    """Mean, 0 .. 1."""
    sharpness: float
    """Natural logarithm of the Laplacian's standard deviation."""
    pixels: float
    """Natural logarithm of how many there are."""
    aspect: float
    """Natural logarithm of width / height."""

    @classmethod
    def of(cls, picture: Grey, height: int, width: int) -> "Imaging":
        """Of a grey picture (see `template.grey`) of a view with that `height` and `width`."""
        edges = _laplacian(_reduced(picture))
        return cls(
            float(picture.mean()),
            math.log(float(edges.std()) + 1e-4),
            math.log(height * width),
            math.log(width / height),
        )


class _Trait(NamedTuple):
    """What is said of a picture that lies outside of the references."""

    slack: float
    """How far outside it must lie at least, in units of the trait."""
    below: str
    above: str
    advice: str

    def said(self, value: float, low: float, high: float) -> str | None:
        """A sentence where the value lies outside of low .. high by more than their distance and by more than the slack."""
        beyond = max(high - low, self.slack)
        if low - beyond <= value <= high + beyond:
            return None
        return f"The picture {self.below if value < low else self.above} than every reference: {self.advice}."


_TRAITS = (
    _Trait(0.1, "is darker", "is brighter", "check light and exposure"),
    _Trait(math.log(2), "is less sharp", "is sharper or noisier", "check focus, motion and compression"),
    _Trait(math.log(2), "has far fewer pixels", "has far more pixels", "take it as they were taken"),
    _Trait(math.log(1.25), "is narrower", "is wider", "check how it was cut"),
)
"""Of the fields of `Imaging`, in their order."""


class ImagingRange(NamedTuple):
    """How the references of a product were taken."""

    lowest: Imaging
    highest: Imaging
    farthest: float | None
    """Largest cosine distance of a normal part to its nearest reference; `None` where there are too few to know."""

    @classmethod
    def fit(cls, normal: Sequence[Imaging], farthest: float | None) -> "ImagingRange":
        """From one normal part or more."""
        values = np.array(normal)
        return cls(Imaging(*values.min(axis=0).tolist()), Imaging(*values.max(axis=0).tolist()), farthest)

    @classmethod
    def unknown(cls) -> "ImagingRange":
        """Of a product without references, which no picture is unlike."""
        return cls(Imaging(*[-_ANY] * len(_TRAITS)), Imaging(*[_ANY] * len(_TRAITS)), None)

    @classmethod
    def of_tensor(cls, bounds: Tensor, farthest: float | None) -> "ImagingRange":
        """From the lowest and the highest value of each trait, (2, 4)."""
        lowest, highest = bounds.tolist()
        return cls(Imaging(*lowest), Imaging(*highest), farthest)

    def unlike(self, picture: Imaging) -> tuple[str, ...]:
        """A sentence for each way in which a picture was taken otherwise than all references."""
        return tuple(
            sentence
            for trait, value, low, high in zip(_TRAITS, picture, self.lowest, self.highest, strict=True)
            if (sentence := trait.said(value, low, high))
        )

    def unfamiliar(self, distance: float) -> bool:
        """True where a picture as a whole is farther from its nearest reference than references are from each other."""
        return self.farthest is not None and distance > _FAR * max(self.farthest, _ROUNDING)


def nearest_distance(embedding: NDArray[np.float32], embeddings: NDArray[np.float32]) -> float:
    """Cosine distance of a (D,) embedding to the nearest of (N, D); infinite where there is none."""
    if not len(embeddings):
        return math.inf
    return 1.0 - float((_unit(embeddings) @ _unit(embedding)).max())


def farthest(
    references: NDArray[np.float32], apart: NDArray[np.float32], shown: Sequence[int], shown_apart: Sequence[int]
) -> float | None:
    """Largest cosine distance of a normal part to its nearest reference, from (N, D) embeddings.

    Of the parts that were held `apart`, (M, D), or, where those are too few, of each reference to the nearest one of
    another part, by the (N,) and (M,) numbers of the parts that they show. `None` where those are too few as well.
    """
    similarity, parts = _unit(apart) @ _unit(references).T, len(set(shown_apart))
    if parts < _FEWEST:
        parts = len(set(shown))
        similarity = _unit(references) @ _unit(references).T
        similarity[np.equal.outer(shown, shown)] = -1.0
    return max(0.0, 1.0 - float(similarity.max(axis=1).min())) if parts >= _FEWEST else None


def _unit(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(embeddings, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = embeddings / np.maximum(lengths, 1e-12)
    return unit


def _reduced(picture: Grey) -> Grey:
    height, width = picture.shape
    scale = min(1.0, (_SHARPNESS_AREA / picture.size) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX), np.float32)


def _laplacian(picture: Grey) -> Grey:
    """The borders repeated; SciPy's is several times slower."""
    around = np.pad(picture, 1, mode="edge")
    laplacian: Grey = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:] - 4 * picture
    return laplacian

"""Normal and abnormal in words: judging pictures of a product of which nothing was ever seen (zero-shot).

After WinCLIP (Jeong et al. 2023, section 4): words for states stand in sentences about photos, and each state is the mean of
its sentences in the space that a text tower shares with pictures. Places have texts of their own, about crops, and so has
the picture as a whole.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tools.localization.anomaly_map import smooth
from tools.localization.looks import Seen, on_finest_grid
from tools.localization.saved import expect
from tools.localization.text_tower import TextTower

_NORMAL = (
    *("{}", "flawless {}", "perfect {}", "unblemished {}"),
    *("{} without flaw", "{} without defect", "{} without damage"),
)
_ABNORMAL = ("damaged {}", "{} with flaw", "{} with defect", "{} with damage")
_PLACES = (
    *("a cropped photo of a {}.", "a cropped photo of the {}."),
    *("a close-up photo of a {}.", "a close-up photo of the {}."),
)
_PICTURES = (
    *("a photo of a {}.", "a photo of the {}.", "a photo of a small {}.", "a photo of the small {}."),
    *("a photo of a large {}.", "a photo of the large {}.", "a bright photo of a {}.", "a bright photo of the {}."),
    *("a dark photo of a {}.", "a dark photo of the {}.", "a blurry photo of a {}.", "a blurry photo of the {}."),
    *("a jpeg corrupted photo of a {}.", "a jpeg corrupted photo of the {}."),
    *("a photo of a {} for visual inspection.", "a photo of the {} for visual inspection."),
    *("a photo of a {} for anomaly detection.", "a photo of the {} for anomaly detection."),
)

_ANYTHING = "object"
_LETTERS = 3
"""A word has that many, at least."""


class StateTexts(NamedTuple):
    """A normal and an abnormal state, in the space of pictures."""

    places: Tensor
    """(2, D) of length one: normal, abnormal."""
    picture: Tensor
    """(2, D)"""
    temperature: float
    """Makes logits of cosines, as the text tower was trained to."""

    @classmethod
    def of(cls, noun: str, tower: TextTower) -> "StateTexts":
        """Of whatever `noun` calls the thing."""
        return cls(_states(noun, _PLACES, tower), _states(noun, _PICTURES, tower), tower.temperature)

    def logits(self, seen: Seen) -> Tensor:
        """(h, w) of the finest level, above 0 where the picture is more like the abnormal state.

        The mean of what each place says for itself, over the levels, and of what the picture says as a whole: the latter
        is the same everywhere, so that the highest value has a place. `seen` lies in the space of texts.
        """
        levels = [torch.tensordot(self._direction(self.places), patches, 1) for patches in seen.patches]
        places = smooth(on_finest_grid(levels)).mean(0)
        return (places + self._direction(self.picture) @ seen.embedding) / 2

    def _direction(self, states: Tensor) -> Tensor:
        """(D,) by which what has length one is multiplied to have a logit."""
        return self.temperature * (states[1] - states[0])

    def tensors(self) -> dict[str, Tensor]:
        """To be saved."""
        temperature = torch.tensor(self.temperature, dtype=torch.float64)
        return {"texts.places": self.places, "texts.picture": self.picture, "texts.temperature": temperature}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], width: int) -> "StateTexts":
        """What was saved, in a space of that width; raises `KeyError` where something is missing, `ValueError` where
        shapes do not agree.
        """
        places, picture = (expect(tensors, f"texts.{name}", 2, width) for name in ("places", "picture"))
        return cls(places, picture, float(expect(tensors, "texts.temperature", dtype=torch.float64)))


def noun_of(name: str) -> str:
    """What texts call a product of that name: `metal_nut` is a metal nut, and `m2-17b` an object."""
    words = name.replace("_", "-").split("-")
    return " ".join(words) if all(len(word) >= _LETTERS and word.isalpha() for word in words) else _ANYTHING


def _states(noun: str, sentences: Sequence[str], tower: TextTower) -> Tensor:
    """(2, D) of length one: normal, abnormal."""
    return torch.stack(
        [_state([state.format(noun) for state in states], sentences, tower) for states in (_NORMAL, _ABNORMAL)]
    )


def _state(things: Sequence[str], sentences: Sequence[str], tower: TextTower) -> Tensor:
    texts = [sentence.format(thing) for sentence in sentences for thing in things]
    return F.normalize(tower.encode(texts).mean(0), dim=0)

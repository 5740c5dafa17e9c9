"""Prompts: what normal and what abnormal is, as two vectors for every product, learned on synthetic anomalies.

In the style of CLIP-ADA (Cai et al. 2024) as far as its abstract tells: the similarity between a place of a picture and
a learned prompt says how anomalous the place is. Here a place is what differs from the product's nearest normal patch.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tools.localization.saved import expect
from tools.localization.text_tower import TextTower

WIDTH = 64
"""Dimensions in which free prompts are compared with places; those through a text tower have the tower's."""

_TEMPERATURE = 14.0
"""Cosines are multiplied by this at first: as after CLIP's own initialisation, so that no gradient is saturated."""
_STEEPEST = 100.0
_TEXTS = ("flawless part", "damaged part")
_CONTEXT = 8

Place = int | Literal["image"]
"""What prompts are of: the places that a layer sees, by its number, or pictures as a whole."""


class Prompts(NamedTuple):
    """A normal and an abnormal prompt for a layer, or for whole pictures.

    They are compared with encoded residuals (see `ResidualScale.encode`).
    """

    mean: Tensor
    """(F,) of the encoded residuals they were learned on."""
    deviation: Tensor
    """(F,)"""
    weight: Tensor
    """(D, F) takes encoded residuals to where the prompts are."""
    bias: Tensor
    """(D,)"""
    vectors: Tensor
    """(2, D) of length one: normal, abnormal."""
    temperature: Tensor
    """()"""
    offset: Tensor
    """()"""

    def logits(self, encoded: Tensor) -> Tensor:
        """(N, F) encoded residuals -> (N,), above 0 where a patch is more like the abnormal prompt."""
        weight = self.weight / self.deviation  # Standardised with the prompts, so not patch by patch.
        placed = F.linear(encoded, weight, self.bias - weight @ self.mean)
        normal, abnormal = self.vectors
        cosines: Tensor = (placed @ (abnormal - normal)) / placed.norm(dim=1).clamp_min(1e-12)
        return self.temperature * cosines + self.offset

    def tensors(self, place: Place) -> dict[str, Tensor]:
        """To be saved as those of a layer, or of pictures."""
        return {f"prompts.{place}.{name}": value.contiguous() for name, value in self._asdict().items()}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], place: Place, channels: int) -> "Prompts":
        """What was saved for a layer with patches, or for pictures with embeddings, of so many channels.

        Raises `KeyError` where something is missing, `ValueError` where it is of another kind than prompts are.
        """
        inputs = channels + 1
        weight = expect(tensors, f"prompts.{place}.weight", None, inputs)
        width = weight.shape[0]
        prompts = cls(
            expect(tensors, f"prompts.{place}.mean", inputs),
            expect(tensors, f"prompts.{place}.deviation", inputs),
            weight,
            expect(tensors, f"prompts.{place}.bias", width),
            expect(tensors, f"prompts.{place}.vectors", 2, width),
            expect(tensors, f"prompts.{place}.temperature"),
            expect(tensors, f"prompts.{place}.offset"),
        )
        lengths = prompts.vectors.norm(dim=1)
        if (
            not (prompts.deviation > 0).all()
            or prompts.temperature <= 0
            or not torch.allclose(lengths, torch.ones(2), atol=1e-3)
        ):
            raise ValueError("prompts: expected vectors of length one, and deviations and a temperature above 0")
        return prompts


def prompt_tensors(prompts: tuple[Prompts, ...]) -> dict[str, Tensor]:
    """Those of all layers, to be saved."""
    return {name: value for layer, of in enumerate(prompts) for name, value in of.tensors(layer).items()}


def prompts_of_tensors(tensors: Mapping[str, Tensor], channels: tuple[int, ...]) -> tuple[Prompts, ...]:
    """What was saved for each layer; raises as `Prompts.of_tensors` does."""
    return tuple(Prompts.of_tensors(tensors, layer, width) for layer, width in enumerate(channels))


class LearnablePrompts(nn.Module):
    """Prompts while they are learned.

    With a text tower the prompts are texts whose first words are learned vectors (Zhou et al. 2022, CoOp), read by the
    frozen tower; without one they are free vectors.
    """

    def __init__(self, mean: Tensor, deviation: Tensor, text: TextTower | None = None) -> None:
        """`mean` and `deviation` (F,) standardise the encoded residuals; the current random generator draws the rest."""
        super().__init__()
        self._mean, self._deviation = mean, deviation.clamp_min(1e-6)
        self._text = text
        self._slots = None if text is None else text.prompts(_TEXTS, _CONTEXT)
        width = WIDTH if text is None else text.dim
        self.place = nn.Linear(len(mean), width)
        self.learned = nn.Parameter(
            torch.randn(2, width) if text is None else 0.02 * torch.randn(2, _CONTEXT, text.width)
        )
        self.log_temperature = nn.Parameter(torch.tensor(math.log(_TEMPERATURE)))
        self.offset = nn.Parameter(torch.zeros(()))

    def prompts(self) -> Prompts:
        """As they are now, with gradients."""
        if self._text is None or self._slots is None:
            vectors = F.normalize(self.learned, dim=1)
        else:
            vectors = self._text.encode_prompts(self._slots, self.learned)
        temperature = self.log_temperature.exp().clamp_max(_STEEPEST)
        return Prompts(
            self._mean, self._deviation, self.place.weight, self.place.bias, vectors, temperature, self.offset
        )

    def frozen(self) -> Prompts:
        """As they are now, without gradients."""
        with torch.no_grad():
            return Prompts(*(value.detach().clone() for value in self.prompts()))

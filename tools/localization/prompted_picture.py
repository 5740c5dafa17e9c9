"""Image-level prompts that all products share, brought to the scale of one product."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tools.localization.anomaly_map import MapScale
from tools.localization.differences import Difference, ResidualScale
from tools.localization.prompts import Prompts
from tools.localization.saved import expect

FEWEST_PICTURES = 5
"""Held-out parts from which it is known how much normal pictures differ from each other as a whole."""

_MOST = 20.0
"""Logarithm by which a map is raised at most."""


class PromptedPicture(NamedTuple):
    """What image-level prompts make of a picture as a whole, measured against a product's held-out normal parts.

    They see what no place shows by itself, and know no place: so they multiply all distances of a picture alike.
    """

    prompts: Prompts
    residual: ResidualScale
    scale: MapScale
    """Of the logits."""
    strength: float
    """Robust standard deviation of the logarithm of a part's largest distance, which is what one of the logits' counts
    for."""

    @classmethod
    def fit(cls, prompts: Prompts, held_out: Sequence[Difference], largest: Tensor) -> "PromptedPicture":
        """From the pictures of held-out normal parts, and the (N,) largest distances on them; see `FEWEST_PICTURES`."""
        residual = ResidualScale.fit(held_out)
        logits = torch.cat([prompts.logits(residual.encode(difference)) for difference in held_out])
        strength = MapScale.fit(largest.log().numpy()).deviation
        return cls(prompts, residual, MapScale.fit(logits.numpy()), strength)

    def factor(self, difference: Difference) -> Tensor:
        """() by what every distance of the picture is to be multiplied."""
        logit = self.prompts.logits(self.residual.encode(difference)).squeeze(0)
        opinion = (logit - self.scale.median) / self.scale.deviation
        return (self.strength * opinion).clamp_max(_MOST).exp()

    def tensors(self) -> dict[str, Tensor]:
        """To be saved."""
        return {
            **self.prompts.tensors("image"),
            "noise.image": self.residual.noise,
            "usual.image": self.residual.usual,
            "logits.image": torch.tensor(self.scale, dtype=torch.float64),
            "strength.image": torch.tensor(self.strength, dtype=torch.float64),
        }

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], width: int) -> "PromptedPicture":
        """What was saved, for embeddings of that width; raises `KeyError` where something is missing, `ValueError` where
        shapes do not agree.
        """
        return cls(
            Prompts.of_tensors(tensors, "image", width),
            ResidualScale(expect(tensors, "noise.image", width), expect(tensors, "usual.image")),
            MapScale.of_tensor(expect(tensors, "logits.image", 2, dtype=torch.float64)),
            float(expect(tensors, "strength.image", dtype=torch.float64)),
        )

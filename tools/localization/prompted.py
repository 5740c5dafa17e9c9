"""Prompts that all products share, brought to the scale of one product."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import torch
from torch import Tensor

from tools.localization.anomaly_map import MapScale, smooth
from tools.localization.differences import Difference, ResidualScale, together
from tools.localization.looks import on_finest_grid
from tools.localization.prompts import Prompts, prompt_tensors, prompts_of_tensors
from tools.localization.saved import expect

_MOST = 20.0
"""Logarithm by which a distance is raised at most."""


class Prompted(NamedTuple):
    """What prompts make of a product's differences, measured against its held-out normal parts."""

    prompts: tuple[Prompts, ...]
    """One for each layer."""
    residuals: tuple[ResidualScale, ...]
    """One for each level."""
    scales: tuple[MapScale, ...]
    """Of the logits, one for each level."""
    strength: float
    """Robust standard deviation of the logarithm of the distance, which is what one of the logits' counts for."""

    @classmethod
    def fit(cls, prompts: tuple[Prompts, ...], held_out: Sequence[tuple[Difference, ...]]) -> "Prompted":
        """From the differences of held-out normal parts, one part or more."""
        residuals = tuple(ResidualScale.fit(of_level) for of_level in zip(*held_out, strict=True))
        logits = [_logits(prompts, residuals, differences) for differences in held_out]
        scales = tuple(
            MapScale.fit(torch.cat([of_part[level].flatten() for of_part in logits]).numpy())
            for level in range(len(residuals))
        )
        logs = torch.cat([together(differences).log().flatten() for differences in held_out])
        return cls(prompts, residuals, scales, MapScale.fit(logs.numpy()).deviation)

    def factors(self, differences: Sequence[Difference]) -> Tensor:
        """(h, w) of the finest level: by what the distance is to be multiplied, the mean opinion over the levels."""
        medians, deviations = torch.tensor(self.scales)[:, :, None, None].unbind(1)
        opinions = (_logits(self.prompts, self.residuals, differences) - medians) / deviations
        return (self.strength * opinions.mean(0)).clamp_max(_MOST).exp()

    def tensors(self) -> dict[str, Tensor]:
        """To be saved."""
        found = prompt_tensors(self.prompts) | {"strength": torch.tensor(self.strength, dtype=torch.float64)}
        for level, (residuals, scale) in enumerate(zip(self.residuals, self.scales, strict=True)):
            found[f"noise.{level}"] = residuals.noise
            found[f"usual.{level}"] = residuals.usual
            found[f"logits.{level}"] = torch.tensor(scale, dtype=torch.float64)
        return found

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], looks: int, channels: tuple[int, ...]) -> "Prompted":
        """What was saved; raises `KeyError` where something is missing, `ValueError` where shapes do not agree."""
        residuals = tuple(
            ResidualScale(expect(tensors, f"noise.{level}", width), expect(tensors, f"usual.{level}"))
            for level, width in enumerate(channels * looks)
        )
        scales = tuple(
            MapScale.of_tensor(expect(tensors, f"logits.{level}", 2, dtype=torch.float64))
            for level in range(len(residuals))
        )
        strength = expect(tensors, "strength", dtype=torch.float64)
        return cls(prompts_of_tensors(tensors, channels), residuals, scales, float(strength))


def _logits(
    prompts: Sequence[Prompts], residuals: Sequence[ResidualScale], differences: Sequence[Difference]
) -> Tensor:
    """(L, h, w) of all levels on the finest grid, smoothed."""
    levels = zip(cycle(prompts), residuals, differences, strict=False)
    return smooth(on_finest_grid([each.grid(of_layer.logits(scale.encode(each))) for of_layer, scale, each in levels]))

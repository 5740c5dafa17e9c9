"""Prompts that all products share, brought to the scale of one product."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tools.localization.anomaly_map import MapScale
from tools.localization.differences import Difference, ResidualScale, together
from tools.localization.looks import on_finest_grid
from tools.localization.prompts import Prompts
from tools.localization.saved import expect

_MOST = 20.0
"""Logarithm by which a distance is raised at most."""


class Prompted(NamedTuple):
    """What prompts make of a product's differences, measured against its held-out normal parts."""

    prompts: Prompts
    residuals: tuple[ResidualScale, ...]
    """One for each look."""
    scales: tuple[MapScale, ...]
    """Of the logits, one for each look."""
    strength: float
    """Robust standard deviation of the logarithm of the distance, which is what one of the logits' counts for."""

    @classmethod
    def fit(cls, prompts: Prompts, held_out: Sequence[tuple[Difference, ...]]) -> "Prompted":
        """From the differences of held-out normal parts, one part or more."""
        residuals, scales = [], []
        for of_look in zip(*held_out, strict=True):
            residuals.append(ResidualScale.fit(of_look))
            logits = [_logits(prompts, residuals[-1], difference).flatten() for difference in of_look]
            scales.append(MapScale.fit(torch.cat(logits).numpy()))
        logs = torch.cat([together(differences).log().flatten() for differences in held_out])
        return cls(prompts, tuple(residuals), tuple(scales), MapScale.fit(logs.numpy()).deviation)

    def factors(self, differences: Sequence[Difference]) -> Tensor:
        """(h, w) of the finest look: by what the distance is to be multiplied, the mean opinion over the looks."""
        grids = [
            (_logits(self.prompts, residuals, difference) - scale.median) / scale.deviation
            for difference, residuals, scale in zip(differences, self.residuals, self.scales, strict=True)
        ]
        return (self.strength * on_finest_grid(grids).mean(0)).clamp_max(_MOST).exp()

    def tensors(self) -> dict[str, Tensor]:
        """To be saved."""
        found = self.prompts.tensors() | {"strength": torch.tensor(self.strength, dtype=torch.float64)}
        for look, (residuals, scale) in enumerate(zip(self.residuals, self.scales, strict=True)):
            found[f"noise.{look}"] = residuals.noise
            found[f"usual.{look}"] = residuals.usual
            found[f"logits.{look}"] = torch.tensor(scale, dtype=torch.float64)
        return found

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], looks: int, channels: int) -> "Prompted":
        """What was saved; raises `KeyError` where something is missing, `ValueError` where shapes do not agree."""
        residuals = tuple(
            ResidualScale(expect(tensors, f"noise.{look}", channels), expect(tensors, f"usual.{look}"))
            for look in range(looks)
        )
        scales = tuple(
            MapScale.of_tensor(expect(tensors, f"logits.{look}", 2, dtype=torch.float64)) for look in range(looks)
        )
        strength = expect(tensors, "strength", dtype=torch.float64)
        return cls(Prompts.of_tensors(tensors, channels), residuals, scales, float(strength))


def _logits(prompts: Prompts, residuals: ResidualScale, difference: Difference) -> Tensor:
    """(h, w), smoothed."""
    return difference.grid(prompts.logits(residuals.encode(difference)))

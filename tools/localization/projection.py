"""A linear view of patch features in which distances mean something for the product at hand."""

from typing import NamedTuple

import torch
from torch import Tensor

_RIDGE = 0.01
"""Share of the mean variance that every direction is granted, so that whitening does not blow up noise."""


class Projection(NamedTuple):
    """Patch features are centred by `mean` (C,) and multiplied by `matrix` (C, D); float32."""

    mean: Tensor
    matrix: Tensor

    @classmethod
    def fit(cls, patches: Tensor, components: int | None, *, whiten: bool) -> "Projection":
        """Principal axes of the standardised (N, C) patches of normal parts, the strongest `components` of them.

        Distances then count what varies most among normal parts, as plain features do. With `whiten` every axis counts
        the same (a Mahalanobis distance): what hardly ever varies on normal parts is then what stands out.
        """
        mean = patches.mean(0)
        deviation = patches.std(0, correction=0).clamp_min(1e-6)
        standardised = (patches - mean) / deviation
        variances, axes = torch.linalg.eigh(standardised.T @ standardised / len(patches))
        variances, axes = variances.flip(0)[:components], axes.flip(1)[:, :components]
        matrix = axes / deviation[:, None]
        if whiten:
            matrix = matrix / (variances.clamp_min(0) + _RIDGE * variances.mean().clamp_min(1e-12)).sqrt()
        return cls(mean, matrix.contiguous())

    def __call__(self, patches: Tensor) -> Tensor:
        """Project patches: (N, C) -> (N, D)."""
        return (patches - self.mean) @ self.matrix

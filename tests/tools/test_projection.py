"""Projections of patch features against plain linear algebra."""

import numpy as np
import torch

from tools.localization.projection import Projection


def correlated(count: int = 4000, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.tensor([[3.0, 0, 0, 0], [2.9, 0.3, 0, 0], [0, 0, 1, 0], [0, 0, 0.5, 0.2]])
    return torch.randn(count, 4, generator=generator) @ mixing.T + torch.tensor([5.0, -3, 0, 100])


def test_all_axes_keep_the_distances_of_standardised_features() -> None:
    patches = correlated()
    projected = Projection.fit(patches, None, whiten=False)(patches[:50])
    plain = (patches[:50] - patches.mean(0)) / patches.std(0, correction=0)
    np.testing.assert_allclose(torch.cdist(projected, projected), torch.cdist(plain, plain), atol=1e-3)


def test_axes_come_by_falling_variance_and_do_not_vary_together() -> None:
    projected = Projection.fit(correlated(), None, whiten=False)(correlated())
    covariance = torch.cov(projected.T)
    variances = covariance.diagonal()
    assert (variances.diff() < 0).all()
    assert (covariance - variances.diag()).abs().max() < 1e-3


def test_fewer_components_keep_the_strongest() -> None:
    patches = correlated()
    whole, part = (Projection.fit(patches, components, whiten=False)(patches) for components in (None, 2))
    assert part.shape == (4000, 2)
    torch.testing.assert_close(part, whole[:, :2])


def test_whitened_axes_all_vary_about_as_much() -> None:
    """All but the weakest, which is held down by the ridge of a hundredth of the mean variance."""
    deviations = Projection.fit(correlated(), None, whiten=True)(correlated()).std(0)
    assert deviations.max() < 1.001
    assert deviations.min() > 0.4


def test_patches_that_never_vary_give_finite_numbers() -> None:
    projection = Projection.fit(torch.ones(10, 3), None, whiten=True)
    assert torch.isfinite(projection(torch.tensor([[1.0, 2.0, 3.0]]))).all()

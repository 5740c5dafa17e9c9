"""Differences from the nearest normal patches, and what is usual on held-out parts: worked by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tools.localization.differences import Difference, ResidualScale, together
from tools.localization.memory import PatchMemory
from tools.localization.projection import Projection


def memory(*values: float) -> PatchMemory:
    stored = torch.tensor(values)[:, None]
    return PatchMemory(Projection(torch.zeros(1), torch.eye(1)), stored, stored)


def differences(*looks: tuple[Tensor, float]) -> list[Difference]:
    """(h, w) grids of one channel, each against a memory of one value."""
    return [Difference.of(grid[None], memory(value)) for grid, value in looks]


def test_a_difference_is_taken_channel_by_channel_from_the_nearest_patch() -> None:
    # The projection sees the first channel alone, so that is where nearness is decided.
    stored = torch.tensor([[0.0, 5.0], [10.0, 1.0]])
    known = PatchMemory(Projection(torch.zeros(2), torch.tensor([[1.0], [0.0]])), stored[:, :1], stored)
    found = Difference.of(torch.tensor([[[1.0, 8.0]], [[5.0, 5.0]]]), known)
    assert found.absolute.tolist() == [[1.0, 0.0], [2.0, 4.0]]
    assert found.distances.tolist() == [1.0, 2.0]
    assert tuple(found.size) == (1, 2)


def test_one_look_is_the_distance_to_its_memory() -> None:
    found = Difference.of(torch.full((1, 3, 3), 5.0), memory(1.0, 3.0))
    np.testing.assert_allclose(together([found]), 2.0)


def test_two_looks_give_the_geometric_mean_on_the_finer_grid() -> None:
    found = together(differences((torch.full((2, 2), 4.0), 0.0), (torch.full((4, 6), 10.0), 1.0)))
    assert found.shape == (4, 6)
    np.testing.assert_allclose(found, (4.0 * 9.0) ** 0.5, rtol=1e-6)


def test_a_look_that_finds_nothing_at_all_leaves_the_order_of_the_other() -> None:
    ramp = torch.arange(1.0, 17.0).reshape(4, 4)
    found = together(differences((torch.zeros(2, 2), 0.0), (ramp, 0.0))).flatten()
    assert (found > 0).all()
    assert found.argmax() == 15


@pytest.mark.parametrize("look", [0, 1])
def test_numbers_that_are_not_finite_come_through(look) -> None:
    grids = [torch.ones(2, 2), torch.ones(4, 4)]
    grids[look][0, 0] = torch.nan
    assert not torch.isfinite(together(differences((grids[0], 0.0), (grids[1], 0.0)))).all()


def test_a_picture_as_a_whole_differs_from_the_reference_with_the_nearest_direction() -> None:
    found = Difference.of_picture(torch.tensor([0.0, 2.0, 0.0]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 4.0]]))
    # Lengths do not count: (0, 1, 0) against (0, 0.6, 0.8).
    np.testing.assert_allclose(found.absolute, [[0.0, 0.4, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(found.distances, [0.8**0.5], rtol=1e-6)
    assert tuple(found.size) == (1, 1)


def test_residuals_are_counted_in_the_noise_of_held_out_parts() -> None:
    noisy = [
        Difference.of(torch.tensor([[[1.0, 3.0]]]), memory(0.0)),
        Difference.of(torch.tensor([[[2.0]]]), memory(0.0)),
    ]
    scale = ResidualScale.fit(noisy)
    assert scale.noise.tolist() == [2.0]
    assert scale.usual == pytest.approx(math.log(2.0))
    encoded = scale.encode(Difference.of(torch.tensor([[[6.0]]]), memory(0.0)))
    np.testing.assert_allclose(encoded, [[math.log1p(3.0), math.log(6.0) - math.log(2.0)]], rtol=1e-6)


def test_a_product_with_twice_the_noise_has_the_same_residuals() -> None:
    random = torch.Generator().manual_seed(0)
    held_out, odd = torch.rand(1, 4, 4, generator=random), 5 * torch.rand(1, 4, 4, generator=random)
    one, two = (
        ResidualScale.fit([Difference.of(k * held_out, memory(0.0))]).encode(Difference.of(k * odd, memory(0.0)))
        for k in (1.0, 2.0)
    )
    np.testing.assert_allclose(one, two, rtol=1e-5)

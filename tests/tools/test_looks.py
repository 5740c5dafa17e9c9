"""Looks: each against its own memory, multiplied to one map of the finest look."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tools.localization.backbones import load_backbone
from tools.localization.features import as_patches
from tools.localization.looks import Seen, distance_map, patches_of, see
from tools.localization.memory import PatchMemory
from tools.localization.projection import Projection


def memory(*values: float) -> PatchMemory:
    return PatchMemory(Projection(torch.zeros(1), torch.eye(1)), torch.tensor(values)[:, None])


def seen(*grids: Tensor) -> Seen:
    return Seen(tuple(grid[None] for grid in grids), torch.zeros(1), np.zeros((8, 8), np.float32), 8, 8)


def test_one_look_is_the_distance_to_its_memory() -> None:
    even = torch.full((3, 3), 5.0)
    np.testing.assert_allclose(distance_map((memory(1.0, 3.0),), seen(even)), 2.0)


def test_two_looks_give_the_geometric_mean_on_the_finer_grid() -> None:
    found = distance_map((memory(0.0), memory(1.0)), seen(torch.full((2, 2), 4.0), torch.full((4, 6), 10.0)))
    assert found.shape == (4, 6)
    np.testing.assert_allclose(found, (4.0 * 9.0) ** 0.5, rtol=1e-6)


def test_the_order_of_sizes_does_not_matter() -> None:
    coarse, fine = torch.rand(3, 3), torch.rand(9, 9)
    one = distance_map((memory(0.0), memory(0.5)), seen(coarse, fine))
    other = distance_map((memory(0.5), memory(0.0)), seen(fine, coarse))
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_look_that_finds_nothing_at_all_leaves_the_order_of_the_other() -> None:
    ramp = torch.arange(1.0, 17.0).reshape(4, 4)
    found = distance_map((memory(0.0), memory(0.0)), seen(torch.zeros(2, 2), ramp)).flatten()
    assert (found > 0).all()
    assert found.argmax() == 15


@pytest.mark.parametrize("look", [0, 1])
def test_numbers_that_are_not_finite_come_through(look) -> None:
    grids = [torch.ones(2, 2), torch.ones(4, 4)]
    grids[look][0, 0] = torch.nan
    assert not torch.isfinite(distance_map((memory(0.0), memory(0.0)), seen(*grids))).all()


def test_a_picture_is_seen_at_every_area_and_embedded_once(plate) -> None:
    backbone, picture = load_backbone(), plate(0)
    both = see(backbone, picture, (96 * 96, 192 * 192))
    alone = see(backbone, picture, (96 * 96,))
    coarse, fine = (patches.shape[1:] for patches in both.patches)
    assert (fine[0], fine[1]) == (2 * coarse[0], 2 * coarse[1])
    assert torch.equal(both.patches[0], alone.patches[0])
    assert torch.equal(both.embedding, alone.embedding)
    assert (both.height, both.width) == picture.shape[:2]
    features = backbone.forward(backbone.preprocess(picture, 96 * 96)[None])
    assert torch.equal(as_patches(both.patches[0][None]), as_patches(patches_of(backbone, features)))

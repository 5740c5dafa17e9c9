"""Looks: a picture seen at every input size, and grids brought to one size."""

import numpy as np
import pytest
import torch

from tools.localization.backbones import load_backbone
from tools.localization.features import as_patches
from tools.localization.imaging import Imaging
from tools.localization.looks import Seen, joined, layers_of, on_finest_grid, see
from tools.localization.preprocessing import reduced


def test_grids_come_to_the_size_of_the_finest_whatever_their_order() -> None:
    coarse, fine = torch.full((2, 3), 4.0), torch.rand(6, 9)
    found = on_finest_grid([coarse, fine])
    assert found.shape == (2, 6, 9)
    assert torch.equal(found[0], torch.full((6, 9), 4.0))
    assert torch.equal(found[1], fine)
    assert torch.equal(on_finest_grid([fine, coarse]), found.flip(0))


def test_a_picture_is_seen_at_every_area_by_every_layer_and_embedded_once(plate) -> None:
    backbone, picture = load_backbone(), plate(0)
    both = see(backbone, picture, (96 * 96, 192 * 192))
    alone = see(backbone, picture, (96 * 96,))
    # Strides 8 and 16 at each look, each layer on its own grid.
    rows = [patches.shape[1] for patches in both.patches]
    assert rows == [2 * rows[1], rows[1], 4 * rows[1], 2 * rows[1]]
    assert [patches.shape[0] for patches in both.patches] == [40, 112, 40, 112]
    assert all(torch.equal(a, b) for a, b in zip(alone.patches, both.patches[:2], strict=True))
    assert torch.equal(both.embedding, alone.embedding)
    assert (both.height, both.width) == picture.shape[:2]
    features = backbone.forward(backbone.preprocess(picture, 96 * 96)[None])
    assert all(torch.equal(a, b[0]) for a, b in zip(alone.patches, layers_of(backbone, features), strict=True))


def test_a_large_picture_is_gone_over_once_and_remembered_at_its_own_size(plate) -> None:
    backbone, picture = load_backbone(), plate(0)
    height, width = picture.shape[:2]
    large = picture.repeat(3, axis=0).repeat(3, axis=1)
    found = see(backbone, large, (96 * 96, 128 * 128))
    smaller = reduced(large, 128 * 128, backbone.multiple)
    assert smaller.size < large.size
    again = see(backbone, smaller, (96 * 96, 128 * 128))
    assert all(torch.equal(a, b) for a, b in zip(found.patches, again.patches, strict=True))
    assert found.grey.shape == smaller.shape[:2]
    assert (found.height, found.width) == (3 * height, 3 * width)
    assert found.taken.pixels == pytest.approx(np.log(9 * height * width))


def test_joined_layers_lie_on_the_finest_grid_one_after_the_other(plate) -> None:
    backbone = load_backbone()
    features = backbone.forward(backbone.preprocess(plate(0), 96 * 96)[None])
    found, (fine, coarse) = joined(backbone, features), layers_of(backbone, features)
    assert found.shape == (1, 152, *fine.shape[2:])
    assert torch.equal(found[:, :40], fine)
    np.testing.assert_allclose(found[:, 40:].mean(), coarse.mean(), rtol=0.05)


def test_a_thinned_picture_keeps_some_of_its_patches_unchanged() -> None:
    patches = torch.arange(2 * 6 * 5.0).reshape(2, 6, 5)
    seen = Seen((patches,), torch.zeros(1), np.zeros((8, 8), np.float32), Imaging(0, 0, 0, 0), 8, 8)
    thinned = seen.thinned(7, torch.Generator().manual_seed(0), grey=True).patches[0]
    assert thinned.shape == (2, 1, 7)
    whole = {tuple(patch) for patch in as_patches(patches[None]).tolist()}
    kept = {tuple(patch) for patch in as_patches(thinned[None]).tolist()}
    assert len(kept) == 7
    assert kept < whole
    assert torch.equal(seen.thinned(30, torch.Generator(), grey=True).patches[0], patches)
    assert [seen.thinned(7, torch.Generator(), grey=kept).grey.shape for kept in (True, False)] == [(8, 8), (0, 0)]

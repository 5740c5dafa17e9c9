"""Looks: a picture seen at every input size, and grids brought to one size."""

import torch

from tools.localization.backbones import load_backbone
from tools.localization.features import as_patches
from tools.localization.looks import on_finest_grid, patches_of, see


def test_grids_come_to_the_size_of_the_finest_whatever_their_order() -> None:
    coarse, fine = torch.full((2, 3), 4.0), torch.rand(6, 9)
    found = on_finest_grid([coarse, fine])
    assert found.shape == (2, 6, 9)
    assert torch.equal(found[0], torch.full((6, 9), 4.0))
    assert torch.equal(found[1], fine)
    assert torch.equal(on_finest_grid([fine, coarse]), found.flip(0))


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

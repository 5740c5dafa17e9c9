"""Looks: a picture seen at every input size, and grids brought to one size."""

import numpy as np
import pytest
import torch
from PIL import Image

from tools.localization.backbones import load_backbone
from tools.localization.efficientnet import EfficientNetLite0
from tools.localization.features import as_patches
from tools.localization.imaging import Imaging
from tools.localization.looks import Seen, joined, layers_of, on_finest_grid, prepared, see


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


# Of elongated pictures rounding to whole multiples would change the sides of what was already reduced.
@pytest.mark.parametrize("size", [(1200, 900), (400, 2000), (4096, 1250), (1080, 2560)])
def test_a_large_picture_is_reduced_for_all_looks_and_remembered_at_its_own_size(plate, size) -> None:
    backbone, areas = load_backbone(), (96 * 96, 500 * 500)
    large = np.asarray(Image.fromarray(plate(0)).resize((size[1], size[0])))
    picture, (coarse, fine) = prepared(backbone, large, areas)
    assert torch.equal(fine[0], backbone.preprocess(large, areas[1]))
    assert picture.shape[:2] == fine.shape[2:]
    assert torch.equal(coarse[0], backbone.preprocess(picture, areas[0]))
    found = see(backbone, large, areas)
    assert found.patches[2].shape[1:] == (fine.shape[2] // 8, fine.shape[3] // 8)
    assert found.grey.shape == picture.shape[:2]
    assert (found.height, found.width) == size
    assert found.taken.pixels == pytest.approx(np.log(size[0] * size[1]))


def test_a_picture_that_is_not_large_is_looked_at_as_it_is_however_small_the_looks(plate) -> None:
    backbone, picture = load_backbone(), np.asarray(Image.fromarray(plate(0)).resize((500, 460)))
    same, (look,) = prepared(backbone, picture, (96 * 96,))
    assert same is picture
    assert torch.equal(look[0], backbone.preprocess(picture, 96 * 96))
    assert prepared(backbone, picture.repeat(2, axis=0), (96 * 96,)).picture.size < 1.1 * 3 * 480 * 480


def test_a_picture_during_which_the_network_goes_to_the_cpu_is_looked_at_again(plate, monkeypatch) -> None:
    backbone, areas = load_backbone(), (64 * 64, 96 * 96)
    expected = see(backbone, plate(0), areas)
    monkeypatch.setattr(EfficientNetLite0, "precision", property(lambda network: next(told)))
    looked: list[int] = []
    forward = backbone.forward
    monkeypatch.setattr(backbone, "forward", lambda images: looked.append(1) or forward(images))
    told = iter(["bfloat16", "float32", "float32", "float32"])
    found = see(backbone, plate(0), areas)
    assert len(looked) == 4
    assert (found.precision, expected.precision) == ("float32", "float32")
    assert all(torch.equal(a, b) for a, b in zip(found.patches, expected.patches, strict=True))


def test_joined_layers_lie_on_the_finest_grid_one_after_the_other(plate) -> None:
    backbone = load_backbone()
    features = backbone.forward(backbone.preprocess(plate(0), 96 * 96)[None])
    found, (fine, coarse) = joined(backbone, features), layers_of(backbone, features)
    assert found.shape == (1, 152, *fine.shape[2:])
    assert torch.equal(found[:, :40], fine)
    np.testing.assert_allclose(found[:, 40:].mean(), coarse.mean(), rtol=0.05)


def test_a_thinned_picture_keeps_some_of_its_patches_unchanged() -> None:
    patches = torch.arange(2 * 6 * 5.0).reshape(2, 6, 5)
    seen = Seen((patches,), torch.zeros(1), np.zeros((8, 8), np.float32), Imaging(0, 0, 0, 0), 8, 8, "float32")
    room = 7 * 2 * 4 + 5  # Of seven patches of two channels, and a bit.
    thinned = seen.thinned(room, torch.Generator().manual_seed(0), grey=True).patches[0]
    assert thinned.shape == (2, 1, 7)
    whole = {tuple(patch) for patch in as_patches(patches[None]).tolist()}
    kept = {tuple(patch) for patch in as_patches(thinned[None]).tolist()}
    assert len(kept) == 7
    assert kept < whole
    assert torch.equal(seen.thinned(30 * 2 * 4, torch.Generator(), grey=True).patches[0], patches)
    assert [seen.thinned(room, torch.Generator(), grey=kept).grey.shape for kept in (True, False)] == [(8, 8), (0, 0)]

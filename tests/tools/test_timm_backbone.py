"""Networks of timm that only see, with weights that were never trained."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from knowledge import FittedPartError
from tools.localization import load_backbone
from tools.localization.vision_models import import_timm
from tools.localization.weights import find_weights

DINOV2 = "timm/vit_small_patch14_dinov2.lvd142m"
DINOV3 = "timm/vit_small_patch16_dinov3.lvd1689m"
CONVNEXT = "timm/test_convnext"


def noise(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def seeded(model: str, **options) -> torch.nn.Module:
    """The network that `random` stands for, made without our code."""
    torch.manual_seed(0)
    return import_timm().create_model(model, num_classes=0, **options).eval()


@pytest.mark.parametrize(("name", "patch"), [(DINOV2, 14), (DINOV3, 16)])
def test_dino_is_seen_at_four_depths_as_timm_gives_it(name, patch) -> None:
    backbone = load_backbone(name, "random", "cpu")
    images = noise(2, 4 * patch, 6 * patch)
    features = backbone.forward(images)
    reference = seeded(name.removeprefix("timm/"), dynamic_img_size=True)
    with torch.no_grad():
        layers = reference.forward_intermediates(images, indices=[2, 5, 8, 11], intermediates_only=True)
        whole = reference(images)
    assert len(features.layers) == 4
    for layer, expected in zip(features.layers, layers, strict=True):
        assert layer.shape == (2, 384, 4, 6)
        torch.testing.assert_close(layer, expected)
    torch.testing.assert_close(features.embeddings, torch.nn.functional.normalize(whole, dim=-1))
    assert backbone.multiple == patch
    assert backbone.memory_layers == (1, 2)


def test_a_size_does_not_hang_on_the_sizes_before() -> None:
    backbone = load_backbone(DINOV2, "random", "cpu")
    before = backbone.forward(noise(1, 56, 84))
    backbone.forward(noise(1, 98, 42))
    after = backbone.forward(noise(1, 56, 84))
    assert all(torch.equal(one, other) for one, other in zip(before.layers, after.layers, strict=True))


def test_a_pyramid_has_layers_of_falling_resolution() -> None:
    backbone = load_backbone(CONVNEXT, "random", "cpu")
    features = backbone.forward(noise(1, 64, 96))
    assert [tuple(layer.shape) for layer in features.layers] == [
        (1, 24, 16, 24),
        (1, 32, 8, 12),
        (1, 48, 4, 6),
        (1, 64, 2, 3),
    ]
    assert backbone.multiple == 32
    assert backbone.memory_layers == (1, 2)
    with torch.no_grad():
        whole = seeded("test_convnext")(noise(1, 64, 96))
    torch.testing.assert_close(features.embeddings, torch.nn.functional.normalize(whole, dim=-1))


def test_a_network_that_only_sees_has_no_texts() -> None:
    backbone = load_backbone(CONVNEXT, "random", "cpu")
    assert backbone.text is None
    with pytest.raises(FittedPartError, match="has no texts that places of a picture can be compared with"):
        backbone.as_texts(noise(1, 32, 32))
    assert backbone.notes == []


def test_pictures_are_normalised_as_the_weights_were_trained() -> None:
    backbone = load_backbone(DINOV2, "random", "cpu")
    seen = backbone.preprocess(np.full((50, 100, 3), (124, 116, 104), np.uint8), 56 * 112)
    assert seen.shape == (3, 56, 112)
    assert seen.abs().max() < 0.02
    white = backbone.preprocess(np.full((50, 50, 3), 255, np.uint8), 56 * 56)[:, 0, 0]
    expected = (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(white.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".bin"])
def test_a_checkpoint_with_or_without_its_classifier_is_loaded(suffix, tmp_path) -> None:
    torch.manual_seed(5)
    network = import_timm().create_model("test_convnext", num_classes=7).eval()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save({"state_dict": network.state_dict(), "epoch": 3}, path)
    features = load_backbone(CONVNEXT, path, "cpu").forward(noise(1, 32, 32))
    with torch.no_grad():
        layers = network.forward_intermediates(noise(1, 32, 32), intermediates_only=True)
    for layer, expected in zip(features.layers, layers, strict=True):
        torch.testing.assert_close(layer, expected)


def test_random_weights_saved_and_loaded_are_the_same_weights(tmp_path) -> None:
    backbone = load_backbone(CONVNEXT, "random", "cpu")
    save_file(seeded("test_convnext").state_dict(), tmp_path / "weights.safetensors")
    loaded = load_backbone(CONVNEXT, tmp_path / "weights.safetensors", "cpu")
    assert loaded is not backbone
    assert loaded.weights_sha256 == backbone.weights_sha256
    one, other = backbone.forward(noise(1, 64, 32)), loaded.forward(noise(1, 64, 32))
    assert torch.equal(one.embeddings, other.embeddings)


def test_the_file_of_the_original_authors_is_loaded(tmp_path) -> None:
    state = seeded("vit_small_patch14_dinov2").state_dict()
    save_file({**state, "mask_token": torch.zeros(1, 384)}, tmp_path / "dinov2.safetensors")
    loaded = load_backbone(DINOV2, tmp_path / "dinov2.safetensors", "cpu")
    expected = load_backbone(DINOV2, "random", "cpu").forward(noise(1, 28, 28))
    torch.testing.assert_close(loaded.forward(noise(1, 28, 28)).embeddings, expected.embeddings)


@pytest.mark.parametrize("other", ["test_convnext2", "test_vit"])
def test_the_checkpoint_of_another_network_is_refused(other, tmp_path) -> None:
    save_file(seeded(other).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(FittedPartError, match="does not hold the weights of test_convnext"):
        load_backbone(CONVNEXT, tmp_path / "weights.safetensors", "cpu")


def test_weights_that_are_not_here_are_not_fetched_in_silence(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FittedPartError, match=f"run `anomalyst fetch {DINOV2}`"):
        load_backbone(DINOV2)


def test_weights_in_the_cache_of_the_hub_are_found(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--test_convnext.r160_in1k"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    save_file(import_timm().create_model("test_convnext").state_dict(), snapshot / "model.safetensors")
    assert find_weights(CONVNEXT) == snapshot / "model.safetensors"
    assert load_backbone(f"{CONVNEXT}.r160_in1k").forward(noise(1, 32, 32)).embeddings.shape == (1, 64)


def test_weights_from_a_url_are_found_by_their_name_and_hash(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet50_a1_0-14fe96d1.pth").write_bytes(b"half a download")
    with pytest.raises(FittedPartError, match="not on this machine"):
        find_weights("timm/resnet50.a1_in1k")
    told_no_hash = tmp_path / "hub" / "checkpoints" / "dinov2_vits14_pretrain.pth"
    told_no_hash.write_bytes(b"anything")
    assert find_weights(DINOV2) == told_no_hash


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm/", "there is no backbone 'timm/'"),
        ("timm/vit_small_dinov2", "did you mean timm/vit_small_patch14_dinov2 or"),
        ("timm/resnet50.nobody", r"use one of: .*resnet50\.a1_in1k"),
        ("timm/hf-hub:timm/resnet50", "there is no backbone"),
        ("timm/../resnet50", "there is no backbone"),
        ("timm/test_vit_relpos", "one size only"),
        ("timm/test_maxvit", "one size only"),
    ],
)
def test_a_network_that_cannot_be_had_is_refused(name, said) -> None:
    with pytest.raises(FittedPartError, match=said):
        load_backbone(name, "random", "cpu")

"""Networks of open_clip, as small ones that are described here, with weights that were never trained."""

import copy
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file

from knowledge import FittedPartError
from tools.localization import load_backbone
from tools.localization.backbones import _load
from tools.localization.open_clip_backbone import OpenClipBackbone
from tools.localization.weights import fetch_weights, find_weights, import_open_clip, open_clip_name

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "patch_size": 8, "layers": 8, "width": 32, "head_width": 16}
SMALL = {
    "small-vit": VIT,
    "small-clipa": {**VIT, "no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True},
    "small-coca": {**VIT, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
    "small-resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8, "patch_size": None},
    "small-map": {"image_size": 160, "timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "none"},
    "small-eva": {
        "image_size": 224,
        "timm_model_name": "eva02_tiny_patch14_224",
        "timm_pool": "token",
        "timm_proj": None,
    },
    "small-convnext": {"image_size": 160, "timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear"},
    "small-relpos": {"image_size": 160, "timm_model_name": "test_vit_relpos", "timm_pool": "", "timm_proj": "linear"},
}


def config(name: str) -> dict:
    return {"embed_dim": 16, "vision_cfg": dict(SMALL[name]), "text_cfg": dict(TEXT)}


@pytest.fixture(autouse=True, scope="module")
def small_architectures(tmp_path_factory) -> None:
    """Known to open_clip as its own architectures are."""
    folder = tmp_path_factory.mktemp("architectures")
    for name in SMALL:
        (folder / f"{name}.json").write_text(json.dumps(config(name)))
    (folder / "small-reader.json").write_text(
        json.dumps({**config("small-vit"), "text_cfg": {"hf_model_name": "nobody/reads"}})
    )
    import_open_clip().add_model_config(folder)


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Two sets of weights of `small-vit` for open_clip to know of, and no weights at all on this machine."""
    tags = {
        "plain": {"hf_hub": "nobody/plain/", "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        "openai": {"hf_hub": "nobody/openai/", "quick_gelu": True, "url": f"https://nobody/{'0' * 64}/small.pt"},
    }
    monkeypatch.setitem(import_open_clip().pretrained._PRETRAINED, "small-vit", tags)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HOME", str(tmp_path))
    _load.cache_clear()
    yield tags
    _load.cache_clear()


def seeded(name: str, **changes) -> torch.nn.Module:
    """The model that `random` stands for, made without our code."""
    torch.manual_seed(0)
    return import_open_clip().CustomTextCLIP(**{**config(name), **changes}).eval().requires_grad_(False)


def noise(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def small(name: str) -> OpenClipBackbone:
    backbone = load_backbone(name, "random", "cpu")
    assert isinstance(backbone, OpenClipBackbone)
    return backbone


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("small-vit", [1, 3, 5, 7]),
        ("small-clipa", [1, 3, 5, 7]),
        ("small-coca", [1, 3, 5, 7]),
        ("small-resnet", [1, 2, 3, 4]),
        ("small-map", [1, 3, 5, 8]),
        ("small-eva", [2, 5, 8, 11]),
        ("small-convnext", [0, 1, 2, 3]),
    ],
)
def test_layers_and_embeddings_are_those_of_open_clip(name, depths) -> None:
    reference, side = seeded(name), SMALL[name]["image_size"]
    images = noise(2, side, side)
    features = small(name).forward(images)
    found = reference.visual.forward_intermediates(images)
    assert len(features.layers) == len(depths)
    for layer, depth in zip(features.layers, depths, strict=True):
        assert layer.dtype == torch.float32
        torch.testing.assert_close(layer, found["image_intermediates"][depth])
    torch.testing.assert_close(features.embeddings, F.normalize(found["image_features"], dim=-1))
    if not SMALL[name].get("output_tokens"):
        torch.testing.assert_close(features.embeddings, reference.encode_image(images, normalize=True))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("small-vit", [(32, 8, 12)] * 4),
        ("small-coca", [(32, 8, 12)] * 4),
        ("small-map", [(96, 4, 6)] * 4),
        ("small-convnext", [(24, 16, 24), (32, 8, 12), (48, 4, 6), (64, 2, 3)]),
        ("small-resnet", [(32, 16, 24), (64, 8, 12), (128, 4, 6), (256, 2, 3)]),
    ],
)
def test_pictures_may_have_any_size_and_no_size_hangs_on_another(name, shapes) -> None:
    backbone = small(name)
    before = backbone.forward(noise(2, 64, 96))
    backbone.forward(noise(1, 128, 32))
    after = backbone.forward(noise(2, 64, 96))
    assert [tuple(layer.shape[1:]) for layer in before.layers] == shapes
    assert before.embeddings.shape == (2, 16 if name != "small-map" else 96)
    assert all(
        torch.equal(one, other) for one, other in zip(before, after, strict=True) if isinstance(one, torch.Tensor)
    )
    assert all(torch.equal(one, other) for one, other in zip(before.layers, after.layers, strict=True))
    assert backbone.memory_layers == (1, 2)


@pytest.mark.parametrize("name", ["small-vit", "small-clipa"])
def test_positions_are_interpolated_as_open_clip_loads_another_size(name, tmp_path) -> None:
    torch.save(seeded(name).state_dict(), tmp_path / "weights.pt")
    large = seeded(name, vision_cfg={**SMALL[name], "image_size": (48, 80)})
    import_open_clip().load_checkpoint(large, str(tmp_path / "weights.pt"))
    # open_clip takes the old grid to be square, which it is here, and the new one to be anything.
    embeddings = small(name).forward(noise(1, 48, 80)).embeddings
    torch.testing.assert_close(embeddings, large.encode_image(noise(1, 48, 80), normalize=True))


def test_a_picture_has_the_same_features_alone_in_company_and_in_threads() -> None:
    backbone = small("small-vit")
    pictures = noise(4, 32, 48)
    together = backbone.forward(pictures)
    with ThreadPoolExecutor(4) as threads:
        alone = list(threads.map(lambda index: backbone.forward(pictures[index : index + 1]), range(4)))
    for index, one in enumerate(alone):
        torch.testing.assert_close(one.layers[2][0], together.layers[2][index])
        torch.testing.assert_close(one.embeddings[0], together.embeddings[index])


def test_values_attend_to_values_in_the_last_three_quarters() -> None:
    backbone, reference, images = small("small-vit"), seeded("small-vit").visual, noise(2, 32, 32)
    tokens, values = reference._embeds(images), None
    expected = []
    for index, block in enumerate(reference.transformer.resblocks):
        if index >= 2:
            attention = copy.deepcopy(block.attn)
            for rows in (attention.in_proj_weight.view(3, 32, 32), attention.in_proj_bias.view(3, 32)):
                rows[:2] = rows[2]
            inside = block.ln_1(tokens)
            values = (tokens if values is None else values) + attention(inside, inside, inside)[0]
        tokens = block(tokens)
        if index % 2:
            expected.append((tokens if values is None else values)[:, 1:].transpose(1, 2).reshape(2, 32, 4, 4))
    features = backbone.forward(images, vv=True)
    for layer, wanted in zip(features.layers, expected, strict=True):
        torch.testing.assert_close(layer, wanted)
    plain = backbone.forward(images)
    assert torch.equal(features.embeddings, plain.embeddings)
    assert torch.equal(features.layers[0], plain.layers[0])
    assert not torch.allclose(features.layers[1], plain.layers[1], atol=1e-3)


@pytest.mark.parametrize("name", ["small-map", "small-resnet"])
def test_a_network_without_such_a_path_says_so(name) -> None:
    with pytest.raises(FittedPartError, match="no value-value path"):
        small(name).forward(noise(1, 64, 64), vv=True)


def test_patches_are_projected_into_the_space_of_texts() -> None:
    backbone, images = small("small-vit"), noise(2, 32, 48)
    tokens = backbone.forward(images).layers[3]
    projected = backbone.project(tokens)
    reference = seeded("small-vit").visual
    expected = F.normalize(reference.ln_post(tokens.permute(0, 2, 3, 1)) @ reference.proj, dim=-1)
    torch.testing.assert_close(projected, expected.permute(0, 3, 1, 2))
    assert projected.shape == (2, backbone.text.dim, 4, 6)


def test_the_projection_of_the_class_token_is_the_embedding() -> None:
    """The one place at which projected tokens can be compared with what the model itself gives."""
    for name in ("small-vit", "small-eva"):
        backbone, side = small(name), SMALL[name]["image_size"]
        found = seeded(name).visual.forward_intermediates(noise(1, side, side), output_extra_tokens=True)
        token = found["image_intermediates_prefix"][-1][:, 0, :, None, None]
        embedding = backbone.forward(noise(1, side, side)).embeddings
        torch.testing.assert_close(backbone.project(token)[..., 0, 0], embedding)


@pytest.mark.parametrize("name", ["small-map", "small-coca", "small-resnet", "small-convnext"])
def test_where_no_patch_lies_in_that_space_there_is_no_projection(name) -> None:
    backbone = small(name)
    with pytest.raises(FittedPartError, match=f"{name} has no texts that places of a picture can be compared with"):
        backbone.project(backbone.forward(noise(1, 64, 64)).layers[-1])
    with pytest.raises(FittedPartError, match="give at least one"):
        backbone.as_texts(noise(1, 64, 64))


@pytest.mark.parametrize(("name", "vv"), [("small-vit", True), ("small-eva", False)])
def test_as_texts_layers_are_all_but_the_first_projected_and_come_by_values_where_they_can(name, vv) -> None:
    backbone, images = small(name), noise(2, 56, 84)
    found = backbone.as_texts(images)
    expected = backbone.forward(images, **({"vv": True} if vv else {}))
    assert torch.equal(found.embeddings, expected.embeddings)
    assert len(found.layers) == 3
    for layer, tokens in zip(found.layers, expected.layers[1:], strict=True):
        torch.testing.assert_close(layer, backbone.project(tokens))
        torch.testing.assert_close(layer.norm(dim=1), torch.ones(layer[:, 0].shape))
        assert layer.shape[1] == backbone.text.dim


def test_gradients_pass_through_the_projection_to_what_is_projected() -> None:
    tokens = small("small-vit").forward(noise(1, 32, 32)).layers[1].requires_grad_()
    small("small-vit").project(tokens).sum().backward()
    assert tokens.grad.abs().sum() > 0


def test_texts_and_pictures_share_a_space() -> None:
    backbone = small("small-vit")
    assert backbone.text.temperature == pytest.approx(1 / 0.07, rel=1e-4)
    encoded = backbone.text.encode(["a photo of a screw", "a photo of a nut"])
    assert encoded.shape == (2, backbone.forward(noise(1, 32, 32)).embeddings.shape[1])


def test_openai_is_the_tag_and_its_gelu_is_quick_whatever_the_name_says() -> None:
    for name in ("ViT-B-16", "ViT-L-14-336", "ViT-B-16-quickgelu", "ViT-B-16@openai", "RN50"):
        found = open_clip_name(name)
        assert found.tag == "openai"
        assert found.published["quick_gelu"]
    assert open_clip_name("ViT-B-16-SigLIP2").published["mean"] == (0.5, 0.5, 0.5)
    assert open_clip_name("ViT-B-16-SigLIP2").tag == "webli"
    assert not open_clip_name("ViT-B-16@laion2b-s34b-b88k").published.get("quick_gelu")
    assert open_clip_name("ViT-S-16") == ("ViT-S-16", None, {})


@pytest.mark.usefixtures("published")
def test_the_quick_gelu_is_built_where_the_weights_were_trained_with_it() -> None:
    images = noise(1, 32, 32)
    for name, quick in [("small-vit", True), ("small-vit@openai", True), ("small-vit@plain", False)]:
        reference = seeded("small-vit", quick_gelu=quick)
        backbone = small(name)
        torch.testing.assert_close(
            backbone.forward(images).embeddings, reference.encode_image(images, normalize=True), atol=1e-6, rtol=0
        )
        expected = import_open_clip().get_tokenizer("ViT-B-16")(["a nut"])
        torch.testing.assert_close(
            backbone.text.encode(["a nut"]), reference.encode_text(expected, normalize=True), atol=1e-6, rtol=0
        )
    one, other = (seeded("small-vit", quick_gelu=quick).encode_image(images, normalize=True) for quick in (True, False))
    assert (one - other).abs().max() > 1e-4


@pytest.mark.usefixtures("published")
def test_pictures_are_normalised_as_the_weights_were_trained() -> None:
    white = np.full((40, 40, 3), 255, np.uint8)
    clip = (1 - np.array([0.48145466, 0.4578275, 0.40821073])) / [0.26862954, 0.26130258, 0.27577711]
    for name, expected in [("small-vit", clip), ("small-map", clip), ("small-vit@plain", [1, 1, 1])]:
        seen = small(name).preprocess(white, 64 * 64)
        np.testing.assert_allclose(seen[:, 0, 0].numpy(), expected, rtol=1e-6)


def test_the_whole_picture_is_seen_in_its_own_proportions() -> None:
    seen = small("small-vit").preprocess(np.zeros((100, 300, 3), np.uint8), 24 * 72)
    assert seen.shape == (3, 24, 72)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin"])
def test_random_weights_saved_and_loaded_are_the_same_weights(suffix, tmp_path) -> None:
    backbone, path = small("small-vit"), tmp_path / f"weights{suffix}"
    state = seeded("small-vit").state_dict()
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    loaded = load_backbone("small-vit", path, "cpu")
    assert loaded is not backbone
    assert loaded.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    if suffix == ".safetensors":
        assert loaded.weights_sha256 == backbone.weights_sha256
    one, other = backbone.forward(noise(1, 32, 40)), loaded.forward(noise(1, 32, 40))
    assert torch.equal(one.embeddings, other.embeddings)
    assert torch.equal(one.layers[0], other.layers[0])


def test_a_trunk_of_timm_is_loaded_from_a_checkpoint(tmp_path) -> None:
    save_file(seeded("small-map").state_dict(), tmp_path / "weights.safetensors")
    loaded = load_backbone("small-map", str(tmp_path / "weights.safetensors"), "cpu")
    assert loaded.weights_sha256 == small("small-map").weights_sha256
    assert torch.equal(
        loaded.forward(noise(1, 48, 32)).layers[3], small("small-map").forward(noise(1, 48, 32)).layers[3]
    )


@pytest.mark.parametrize("other", ["small-clipa", "small-map", "small-resnet"])
def test_the_checkpoint_of_another_architecture_is_refused(other, tmp_path) -> None:
    save_file(seeded(other).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(FittedPartError, match="does not hold the weights of small-vit"):
        load_backbone("small-vit", tmp_path / "weights.safetensors", "cpu")


def test_a_deeper_checkpoint_is_refused(tmp_path) -> None:
    deeper = seeded("small-vit", vision_cfg={**VIT, "layers": 9})
    save_file(deeper.state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(FittedPartError, match="does not hold the weights of small-vit"):
        load_backbone("small-vit", tmp_path / "weights.safetensors", "cpu")


class Runs:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["small-vit", "timm/test_convnext"])
@pytest.mark.parametrize("suffix", [".pt", ".bin", ".pkl", ".npz", ".safetensors"])
def test_a_pickle_is_refused_and_not_run(name, suffix, tmp_path) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save({"state_dict": seeded("small-vit").state_dict(), "extra": Runs(tmp_path / "ran")}, path)
    with pytest.raises(FittedPartError, match=r"weights\.(pt|bin|pkl|npz|safetensors) is (no|not a)"):
        load_backbone(name, path, "cpu")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x80\x02}q\x00."])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_damaged_checkpoint_is_refused(content, suffix, tmp_path) -> None:
    (tmp_path / f"weights{suffix}").write_bytes(content)
    with pytest.raises(FittedPartError, match="damaged"):
        load_backbone("small-vit", tmp_path / f"weights{suffix}", "cpu")


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, {"state_dict": [1]}, {1: 2}, [1], torch.zeros(3)])
@pytest.mark.parametrize("name", ["small-vit", "timm/test_convnext"])
def test_a_file_of_something_else_is_refused(name, content, tmp_path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(FittedPartError, match=r"does not hold|not a file of tensors"):
        load_backbone(name, tmp_path / "weights.pt", "cpu")


def test_a_checkpoint_that_is_not_there_is_named(tmp_path) -> None:
    for name in ("small-vit", "timm/test_convnext"):
        with pytest.raises(FittedPartError, match=r"nowhere\.pt cannot be read \(No such file"):
            load_backbone(name, tmp_path / "nowhere.pt", "cpu")


@pytest.mark.usefixtures("published")
def test_weights_that_are_not_here_are_not_fetched_in_silence() -> None:
    with pytest.raises(FittedPartError, match="run `anomalyst fetch small-vit`"):
        load_backbone("small-vit")
    with pytest.raises(FittedPartError, match="no weights of small-clipa are published"):
        load_backbone("small-clipa")


@pytest.mark.usefixtures("published")
def test_weights_in_the_cache_of_the_hub_are_found(tmp_path) -> None:
    snapshot = tmp_path / "hub" / "models--nobody--plain" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    refs = tmp_path / "hub" / "models--nobody--plain" / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc")
    torch.save(seeded("small-vit").state_dict(), snapshot / "open_clip_pytorch_model.bin")
    assert find_weights("small-vit@plain") == snapshot / "open_clip_pytorch_model.bin"
    save_file(seeded("small-vit").state_dict(), snapshot / "open_clip_model.safetensors")
    assert find_weights("small-vit@plain") == snapshot / "open_clip_model.safetensors"
    loaded = load_backbone("small-vit@plain", None, "cpu")
    assert loaded.weights_sha256 == small("small-vit@plain").weights_sha256
    assert loaded.name == "small-vit@plain"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_the_archive_of_openai_is_read_where_its_hash_is_the_published_one(published, tmp_path) -> None:
    torch.manual_seed(0)
    model = import_open_clip().CLIP(**config("small-vit"), quick_gelu=True).eval().requires_grad_(False)
    model.register_buffer("input_resolution", torch.tensor(32))
    images, texts = noise(1, 32, 32), import_open_clip().tokenize(["a nut"])
    path = tmp_path / ".cache" / "clip" / "small.pt"
    path.parent.mkdir(parents=True)
    torch.jit.trace(model, (images, texts), check_trace=False).save(path)
    with pytest.raises(FittedPartError, match="not on this machine"):
        load_backbone("small-vit", None, "cpu")
    with pytest.raises(FittedPartError, match="not a file of tensors alone"):
        load_backbone("small-vit", path, "cpu")
    published["openai"]["url"] = f"https://nobody/{hashlib.sha256(path.read_bytes()).hexdigest()}/small.pt"
    _load.cache_clear()
    backbone = load_backbone("small-vit", None, "cpu")
    torch.testing.assert_close(backbone.forward(images).embeddings, model.encode_image(images, normalize=True))
    torch.testing.assert_close(backbone.text.encode(["a nut"]), model.encode_text(texts, normalize=True))


@pytest.mark.usefixtures("published")
def test_a_failed_download_is_one_sentence(monkeypatch) -> None:
    def no_network(*args, **kwargs):
        raise FileNotFoundError("cannot reach\nthe hub")

    monkeypatch.setattr(import_open_clip(), "download_pretrained", no_network)
    with pytest.raises(FittedPartError, match=r"could not be fetched \(cannot reach the hub\); mend"):
        fetch_weights("small-vit")


def test_the_embedded_backbone_needs_no_fetching_and_takes_no_other_weights() -> None:
    assert fetch_weights("efficientnet_lite0").is_file()
    with pytest.raises(FittedPartError, match="brings its own weights"):
        load_backbone("efficientnet_lite0", "random")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ViT-B-16-SigLIP3", "did you mean .*ViT-B-16-SigLIP2 or"),
        ("vit-b-16@openai", "did you mean ViT-B-16 or"),
        ("resnet50", "did you mean timm/resnet50 or"),
        ("ViT-B-16@nobody", "use one of: openai, "),
        ("hf-hub:nobody/model", "there is no backbone"),
        ("small-reader", "which is unsupported"),
        ("small-relpos", "one size only"),
    ],
)
def test_an_architecture_that_cannot_be_had_is_refused(name, said) -> None:
    with pytest.raises(FittedPartError, match=said):
        load_backbone(name, "random", "cpu")


def test_a_backbone_is_loaded_once_and_leaves_the_generators_alone() -> None:
    _load.cache_clear()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one = load_backbone("small-map", "random", "cpu")
    assert torch.equal(torch.rand(1), expected)
    assert load_backbone("small-map", weights="random", device="cpu") is one
    _load.cache_clear()
    again = load_backbone("small-map", "random", "cpu")
    assert again is not one
    assert again.weights_sha256 == one.weights_sha256
    assert torch.equal(again.forward(noise(1, 32, 32)).embeddings, one.forward(noise(1, 32, 32)).embeddings)

"""Networks of open_clip: they see, and most of them place texts and pictures in one space."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from knowledge import FittedPartError
from tools.localization.devices import FrozenNetwork
from tools.localization.features import Features
from tools.localization.preprocessing import to_input
from tools.localization.text_tower import OpenClipText, TextTower, no_texts
from tools.localization.timm_backbone import (
    any_size_trunk,
    coarsest,
    layer_indices,
    memory_layers,
    neighbourhood,
    trunk_features,
)
from tools.localization.weights import (
    MISFITS,
    RANDOM,
    OpenClipName,
    find_weights,
    import_open_clip,
    is_openai_archive,
    open_clip_name,
    require_checkpoint,
    seeded,
    sha256_of_file,
    sha256_of_state,
)

_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
"""What OpenAI's archives hold besides weights."""


class OpenClipBackbone:
    """A model of open_clip, frozen.

    A ViT's layers are the patches at 1/4, 1/2, 3/4 and all of its depth, as they leave their blocks; those of a
    network of convolutions come from its last four grids. Embeddings are `encode_image`, of length one.
    """

    def __init__(self, name: str, weights: str | None, device: torch.device, compiled: bool = False) -> None:
        """`weights` as in `load_backbone`."""
        self.name = name
        found = open_clip_name(name)
        model, self.weights_sha256 = _loaded(name, found, weights)
        self._tower = _image_tower(model.visual)
        self.multiple = self._tower.multiple
        self.memory_layers = memory_layers(self._tower.layers)
        self.neighbourhood = neighbourhood(getattr(model.visual, "trunk", model.visual))
        self._mean, self._deviation = _normalisation(found)
        self._network = FrozenNetwork(name, model, self._compute, device, compiled)
        self.notes = self._network.notes
        self.text: TextTower | None = OpenClipText(model, found.architecture)

    @property
    def precision(self) -> str:
        return self._network.precision

    def preprocess(self, pixels: NDArray[np.uint8], area: int) -> Tensor:
        return to_input(pixels, area, self.multiple, self._mean, self._deviation)

    def forward(self, images: Tensor, vv: bool = False) -> Features:
        """With `vv`, layers come from the path on which values attend to values (Li et al. 2023, CLIP Surgery)."""
        if vv and not isinstance(self._tower, _VitTower):
            raise FittedPartError(f"{self.name} has no value-value path; use a ViT of CLIP, such as ViT-B-16")
        *layers, embeddings = self._network(images, **({"vv": True} if vv else {}))
        return Features(tuple(layers), embeddings)

    def as_texts(self, images: Tensor) -> Features:
        """All layers but the first, which sees edges; on the path of values where the network has it.

        Plain patches of a CLIP tend to be least like the texts of what they show (Li et al. 2023).
        """
        features = self.forward(images, vv=isinstance(self._tower, _VitTower))
        return features._replace(layers=tuple(self.project(tokens) for tokens in features.layers[1:]))

    def project(self, tokens: Tensor) -> Tensor:
        """(B, W, h, w) of any layer -> (B, D, h, w) of length one, in the space of texts.

        Raises `FittedPartError` where pictures are pooled by attention (SigLIP, CoCa) or by a mean over places.
        """
        if not self._tower.projects:
            raise no_texts(self.name)
        projected = self._tower.project(tokens.to(self._network.device).permute(0, 2, 3, 1))
        return F.normalize(projected, dim=-1).permute(0, 3, 1, 2).to(tokens.device)

    def _compute(self, images: Tensor, vv: bool = False) -> tuple[Tensor, ...]:
        *layers, pooled = self._tower.see(images, vv)
        return (*layers, F.normalize(pooled.float(), dim=-1))


class _ImageTower(Protocol):
    multiple: int
    layers: int
    projects: bool

    def see(self, images: Tensor, vv: bool) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> layers (B, W, h, w), and last the picture (B, D), not of length one."""
        ...

    def project(self, tokens: Tensor) -> Tensor:
        """(..., W) -> (..., D), not of length one."""
        ...


class _VitTower:
    """open_clip's own VisionTransformer, at any size."""

    layers = 4

    def __init__(self, visual: Any) -> None:
        self._visual = visual
        self.multiple: int = visual.patch_size[0]
        self.projects: bool = visual.attn_pool is None
        depth = len(visual.transformer.resblocks)
        self._taps = [depth * quarter // 4 - 1 for quarter in range(1, 5)]
        self._vv_from = depth // 4

    def see(self, images: Tensor, vv: bool) -> tuple[Tensor, ...]:
        grid = (images.shape[-2] // self.multiple, images.shape[-1] // self.multiple)
        tokens = self._embedded(images, grid)
        layers, values = [], None
        for index, block in enumerate(self._visual.transformer.resblocks):
            if vv and index >= self._vv_from:
                values = (tokens if values is None else values) + block.ls_1(_value_attention(block, tokens))
            tokens = block(tokens)
            if index in self._taps:
                layers.append(_as_grid(tokens if values is None else values, grid))
        pooled, _ = self._visual._pool(tokens)
        return (*layers, pooled @ self._visual.proj)

    def project(self, tokens: Tensor) -> Tensor:
        projected: Tensor = self._visual.ln_post(tokens) @ self._visual.proj
        return projected

    def _embedded(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        """(B, 1 + h w, W), the class token first."""
        visual = self._visual
        # Kept in float32 under autocast: what blocks add to each other over the depth is more than bfloat16 can hold.
        patches = visual.conv1(images).float().flatten(2).transpose(1, 2)
        whole = visual.class_embedding.expand(len(images), 1, -1)
        positions = _at_grid(visual.positional_embedding, visual.grid_size, grid)
        embedded: Tensor = visual.ln_pre(torch.cat([whole, patches], dim=1) + positions)
        return embedded


class _TrunkTower:
    """A network of timm inside a model of open_clip."""

    def __init__(self, visual: Any) -> None:
        self._visual = visual
        self._indices = layer_indices(visual.trunk)
        self.layers = len(self._indices)
        self.multiple = coarsest(visual.trunk)
        self.projects: bool = getattr(visual.trunk, "global_pool", "") == "token" and hasattr(visual.trunk, "fc_norm")

    def see(self, images: Tensor, vv: bool) -> tuple[Tensor, ...]:
        layers, pooled = trunk_features(self._visual.trunk, images, self._indices)
        return (*layers, self._visual.head(pooled))

    def project(self, tokens: Tensor) -> Tensor:
        trunk = self._visual.trunk
        projected: Tensor = self._visual.head(trunk.head(trunk.fc_norm(trunk.norm(tokens))))
        return projected


class _ResNetTower:
    """OpenAI's ResNet, whose last pooling has positions."""

    layers = 4
    multiple = 32
    projects = False

    def __init__(self, visual: Any) -> None:
        self._visual = visual
        side = visual.image_size // self.multiple
        self._grid = (side, side)

    def see(self, images: Tensor, vv: bool) -> tuple[Tensor, ...]:
        found = self._visual.forward_intermediates(images, indices=[1, 2, 3, 4], intermediates_only=True)
        layers = found["image_intermediates"]
        return (*layers, self._pooled(layers[-1]))

    def _pooled(self, last: Tensor) -> Tensor:
        """(B, W, h, w) -> (B, D): `attnpool` of the mean alone, which is all that it gives, at any size."""
        pool = self._visual.attnpool
        places = last.flatten(2).transpose(1, 2)
        tokens = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1)
        tokens = tokens + _at_grid(pool.positional_embedding, self._grid, (last.shape[-2], last.shape[-1]))
        query, key, value = pool.q_proj(tokens[:, :1]), pool.k_proj(tokens), pool.v_proj(tokens)
        pooled: Tensor = pool.c_proj(_attention(query, key, value, pool.num_heads))[:, 0]
        return pooled

    def project(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError


def _image_tower(visual: Any) -> _ImageTower:
    if hasattr(visual, "trunk"):
        return _TrunkTower(visual)
    return _ResNetTower(visual) if hasattr(visual, "attnpool") else _VitTower(visual)


def _value_attention(block: Any, tokens: Tensor) -> Tensor:
    """(B, L, W) -> (B, L, W): the block's attention with values in the place of queries and keys."""
    attention, width = block.attn, tokens.shape[-1]
    weight, bias = attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
    values = F.linear(block.ln_1(tokens), weight, bias)
    attended: Tensor = attention.out_proj(_attention(values, values, values, attention.num_heads))
    return attended


def _attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """(B, L, W) each -> (B, L, W) with the heads side by side."""
    parts = [part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value)]
    return F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)


def _at_grid(positions: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """(1 + h w, W) for one grid -> the same for another, as open_clip does when it loads weights at another size.

    A new tensor each time: written into the model, positions would hang on what was seen before.
    """
    if tuple(old) == tuple(new):
        return positions
    grid = positions[1:].T.reshape(1, -1, *old)
    resized = F.interpolate(grid, size=new, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([positions[:1], resized[0].flatten(1).T])


def _as_grid(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, 1 + h w, W) -> (B, W, h, w)."""
    places: Tensor = tokens[:, 1:].transpose(1, 2).unflatten(-1, grid)
    return places


def _normalisation(name: OpenClipName) -> tuple[Any, Any]:
    open_clip = import_open_clip()
    mean = name.published.get("mean", open_clip.OPENAI_DATASET_MEAN)
    return mean, name.published.get("std", open_clip.OPENAI_DATASET_STD)


def _loaded(name: str, found: OpenClipName, weights: str | None) -> tuple[Any, str]:
    if weights == RANDOM:
        model = _built(found)
        return model, sha256_of_state(model.state_dict())
    path = find_weights(name) if weights is None else Path(weights)
    sha256 = sha256_of_file(path)
    archive = is_openai_archive(found, sha256)
    if not archive:
        require_checkpoint(path)
    model = _built(found)
    try:
        _fill(model, path, archive)
    except MISFITS as error:
        raise FittedPartError(
            f"{path} does not hold the weights of {found.architecture}; give the architecture that it was saved from"
        ) from error
    return model, sha256


def _built(name: OpenClipName) -> nn.Module:
    """A model with seeded weights.

    The classes are called rather than `create_model`, which would write to the root logger, and with the text tower
    on its own for every architecture. Weights that were trained with the quick GELU need it, and say so by their tag.
    """
    open_clip = import_open_clip()
    config = open_clip.get_model_config(name.architecture)
    if "hf_model_name" in config["text_cfg"]:
        raise FittedPartError(
            f"the text tower of {name.architecture} is a model of transformers, which is unsupported; "
            "use an architecture whose text tower is open_clip's own"
        )
    config.pop("custom_text", None)
    config["quick_gelu"] = config.get("quick_gelu", False) or name.published.get("quick_gelu", False)
    config["vision_cfg"]["timm_model_pretrained"] = False
    with seeded():
        model: Any = (open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP)(**config)
        if hasattr(model.visual, "trunk"):
            model.visual.trunk = _any_size(model.visual.trunk, config["vision_cfg"]["timm_model_name"])
    built: nn.Module = model
    return built


def _any_size(trunk: Any, model: str) -> nn.Module:
    """The same network, able to take pictures of any size; open_clip has no word for that."""
    pooling = getattr(trunk, "global_pool", None)
    network = any_size_trunk(model, num_classes=trunk.num_classes, global_pool=pooling)
    network.load_state_dict(trunk.state_dict())
    return network


def _fill(model: nn.Module, path: Path, archive: bool) -> None:
    open_clip = import_open_clip()
    if not archive:
        open_clip.load_checkpoint(model, str(path))
        return
    state = torch.jit.load(path, map_location="cpu").state_dict()
    texts = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")
    named = {f"text.{key}" if key.startswith(texts) else key: value for key, value in state.items()}
    model.load_state_dict({key: value for key, value in named.items() if key not in _NOT_WEIGHTS})

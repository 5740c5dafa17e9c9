"""Networks of timm: DINOv2, DINOv3, ConvNeXt and many more; they see and do not read."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from knowledge import FittedPartError
from tools.localization.devices import FrozenNetwork
from tools.localization.features import Features
from tools.localization.preprocessing import to_input
from tools.localization.text_tower import TextTower, no_texts
from tools.localization.vision_models import import_timm
from tools.localization.weights import (
    MISFITS,
    RANDOM,
    find_weights,
    require_checkpoint,
    seeded,
    sha256_of_file,
    sha256_of_state,
    timm_name,
)

_ANY_SIZE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
"""How families of networks are told to take pictures of any size; convolutions need not be told."""
_LAYERS = 4


class TimmBackbone:
    """A network of timm without its classifier; its layers are those of `layer_indices`."""

    text: TextTower | None = None

    def __init__(self, name: str, weights: str | None, device: torch.device, compiled: bool = False) -> None:
        """`weights` as in `load_backbone`."""
        self.name = name
        network, self.weights_sha256 = _loaded(name, weights)
        indices = layer_indices(network)
        self.multiple = coarsest(network)
        self.memory_layers = memory_layers(len(indices))
        self.neighbourhood = neighbourhood(network)
        config: Any = network.pretrained_cfg
        self._mean, self._deviation = config["mean"], config["std"]

        def compute(images: Tensor) -> tuple[Tensor, ...]:
            layers, pooled = trunk_features(network, images, indices)
            return (*layers, F.normalize(pooled.float(), dim=-1))

        self._network = FrozenNetwork(name, network, compute, device, compiled)
        self.notes = self._network.notes

    @property
    def precision(self) -> str:
        return self._network.precision

    def preprocess(self, pixels: NDArray[np.uint8], area: int) -> Tensor:
        return to_input(pixels, area, self.multiple, self._mean, self._deviation)

    def forward(self, images: Tensor) -> Features:
        *layers, embeddings = self._network(images)
        return Features(tuple(layers), embeddings)

    def as_texts(self, images: Tensor) -> Features:
        """There are no texts to share a space with."""
        raise no_texts(self.name)


class TrunkFeatures(NamedTuple):
    layers: list[Tensor]
    """Each (B, W, h, w)."""
    pooled: Tensor
    """(B, D), what the head makes of the picture."""


def any_size_trunk(model: str, **options: Any) -> nn.Module:
    """A network of timm that takes pictures of any size whose sides are multiples of its patches."""
    for any_size in _ANY_SIZE:
        try:
            network: Any = import_timm().create_model(model, **options, **any_size)
        except TypeError:
            if not any_size:
                raise
        else:
            break
    if not hasattr(network, "forward_intermediates"):
        raise FittedPartError(f"timm's {model} does not give its inner layers; use another network")
    strict = getattr(getattr(network, "patch_embed", None), "strict_img_size", False)
    if strict or (network.pretrained_cfg.get("fixed_input_size") and not any_size):
        raise FittedPartError(f"timm's {model} takes pictures of one size only; use another network")
    able: nn.Module = network
    return able


def layer_indices(network: nn.Module) -> list[int]:
    """1/4, 1/2, 3/4 and all of the depth where every block has one grid; else the end of the last four grids."""
    grids = _grids(network)
    if len(set(grids)) == 1:
        return sorted({max(0, len(grids) * quarter // _LAYERS - 1) for quarter in range(1, _LAYERS + 1)})
    return list({grid: index for index, grid in enumerate(grids)}.values())[-_LAYERS:]


def coarsest(network: nn.Module) -> int:
    """Pixels a place of the coarsest layer: the side of a patch."""
    return max(_grids(network))


def neighbourhood(network: nn.Module) -> int:
    """Places a side to average: none where every place has attended to all others."""
    return 1 if hasattr(network, "patch_embed") or hasattr(network, "transformer") else 3


def memory_layers(count: int) -> tuple[int, ...]:
    """Of four layers the middle two: early ones see edges, and the last one sees only what the whole is."""
    return tuple(range(count))[-3:-1] or (0,)


def trunk_features(network: nn.Module, images: Tensor, indices: list[int]) -> TrunkFeatures:
    """(B, 3, h, w) -> layers, and the picture as the network's own forward pass pools it."""
    trunk: Any = network
    final, layers = trunk.forward_intermediates(images, indices=indices)
    return TrunkFeatures(layers, trunk.forward_head(final))


def _grids(network: Any) -> list[int]:
    """Pixels a place, for each place at which timm lets features be taken."""
    known = network.feature_info
    return [one["reduction"] for one in getattr(known, "info", known)]


def _loaded(name: str, weights: str | None) -> tuple[nn.Module, str]:
    model = timm_name(name)
    if weights == RANDOM:
        with seeded():
            network = any_size_trunk(model, num_classes=0)
        return network, sha256_of_state(network.state_dict())
    path = find_weights(name) if weights is None else Path(weights)
    sha256 = sha256_of_file(path)
    require_checkpoint(path)
    try:
        return _trained(model, path), sha256
    except MISFITS as error:
        raise FittedPartError(
            f"{path} does not hold the weights of {model}; give the network that it was saved from"
        ) from error


def _trained(model: str, path: Path) -> nn.Module:
    """Loaded by timm, which knows the layouts of the original authors; only the classifier may be missing or over."""
    timm = import_timm()
    config = timm.models.get_pretrained_cfg(model)
    classifier = (config.classifier if config else None) or ()
    heads = tuple(f"{head}." for head in ((classifier,) if isinstance(classifier, str) else classifier))
    state = {key: value for key, value in timm.models.load_state_dict(str(path)).items() if not key.startswith(heads)}
    # With a classifier in its configuration timm would load leniently, and any file would do; with an address there
    # it would download where the file is empty.
    overlay = {"state_dict": state, "classifier": None, "hf_hub_id": None, "url": None}
    with seeded():
        network: Any = any_size_trunk(model, num_classes=0, pretrained=True, pretrained_cfg_overlay=overlay)
    network.pretrained_cfg.pop("state_dict", None)
    trained: nn.Module = network
    return trained

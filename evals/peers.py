"""Peers of the localiser: anomalib's PatchCore and PaDiM, on the layers of our backbone, from the same pictures.

Ours is what belongs to the backbone: the network, its normalisation, the layers at strides 8 and 16. All else is as
anomalib has it: square pictures, a tenth of the patches kept as a coreset, nine neighbours, a hundred random channels,
a Gaussian blur of the map. anomalib is installed on request alone (`make peers`), and imported when a peer is loaded.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from knowledge import RequestError
from tools import load_backbone

if TYPE_CHECKING:
    from anomalib.models.components import KCenterGreedy
    from anomalib.models.image.padim.torch_model import PadimModel
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

PEERS = ("patchcore", "padim")

_BACKBONE = "efficientnet_lite0"
_NETWORK = "tf_efficientnet_lite0"
"""The same in timm, by which anomalib learns how many channels there are."""
_LAYERS = ["blocks.2", "blocks.4"]
"""Strides 8 and 16, as timm calls them. PaDiM's third, by default, is stride 4."""
_CORESET_RATIO = 0.1
_NEIGHBOURS = 9
_RANDOM_CHANNELS = 100
"""As with PaDiM's default network; anomalib has no number for this one."""
_MULTIPLE = 32


class Peer(Protocol):
    """A detector that learns from normal pictures, as our own does."""

    name: str

    def fit(self, pictures: Sequence[Callable[[], NDArray[np.uint8]]]) -> None:
        """Learn from (H, W, 3) RGB pictures, each decoded when its turn comes; what was learned before is forgotten."""
        ...

    def judge(self, pixels: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
        """(H, W, 3) RGB -> the score of the picture and its (H, W) map; both raw, higher meaning more anomalous."""
        ...


def load_peer(name: str, area: int, seed: int) -> Peer:
    """A peer that has learned nothing yet.

    Args:
        name: one of `PEERS`.
        area: pixels of the network's input, a square whose side becomes a multiple of 32.
        seed: decides PatchCore's coreset and PaDiM's channels.

    Raises:
        RequestError: if there is no such peer, or anomalib cannot be imported.
    """
    if name not in PEERS:
        raise RequestError(f"there is no peer {name!r}; known are {', '.join(PEERS)}")
    load_backbone(_BACKBONE)  # Mends torchvision, which anomalib imports as well.
    side = max(1, round(area**0.5 / _MULTIPLE)) * _MULTIPLE
    try:
        with _seeded(seed), _import_warnings_ignored():
            return _AnomalibPeer(name, _patchcore() if name == "patchcore" else _padim(), side, seed)
    except ImportError as error:
        raise RequestError(f"{name} needs anomalib, which cannot be imported ({error}); run `make peers`") from error


class _Learner(NamedTuple):
    model: "PatchcoreModel | PadimModel"
    """Keeps the features of what it is shown in training mode, and judges otherwise."""
    learn: Callable[[], None]
    """Learns from all that was kept, and forgets it."""


def _patchcore() -> _Learner:
    from anomalib.models.components import KCenterGreedy
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    model = PatchcoreModel(_LAYERS, _NETWORK, pre_trained=False, num_neighbors=_NEIGHBOURS)

    def learn() -> None:
        patches = torch.vstack(model.embedding_store)
        model.embedding_store.clear()
        model.memory_bank = _coreset(KCenterGreedy(patches, _CORESET_RATIO))

    return _Learner(model, learn)


def _coreset(sampler: "KCenterGreedy") -> Tensor:
    """The patches that anomalib's own loop chooses, bit for bit.

    For each of thousands of centres that loop takes new memory for the differences to all patches: five times slower
    where the allocator gives it back each time, and above 20 GB where it does not (glibc with blocks below 32 MB).
    """
    difference = torch.empty(0)

    def update_distances(cluster_center: Tensor) -> None:
        torch.sub(sampler.features, sampler.features[cluster_center], out=difference)
        distances = torch.linalg.norm(difference, ord=2, dim=1, keepdim=True)
        shortest = sampler.min_distances
        sampler.min_distances = distances if shortest is None else torch.minimum(shortest, distances)

    sampler.update_distances = update_distances
    chosen: Tensor = sampler.sample_coreset()
    del sampler.update_distances  # Leaves no cycle that would keep all patches until a collection.
    return chosen


def _padim() -> _Learner:
    from anomalib.models.image.padim.torch_model import PadimModel

    model = PadimModel(_NETWORK, _LAYERS, pre_trained=False, n_features=_RANDOM_CHANNELS)
    return _Learner(model, model.fit)


class _Layers(nn.Module):
    """Stands for anomalib's extractor, which does not know these weights; names each layer as it would."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(_LAYERS, load_backbone(_BACKBONE).forward(images).layers, strict=True))


class _AnomalibPeer:
    def __init__(self, name: str, learner: _Learner, side: int, seed: int) -> None:
        self.name = name
        self._model, self._learn = learner
        self._model.feature_extractor = _Layers()
        self._side = side
        self._seed = seed

    @torch.inference_mode()
    def fit(self, pictures: Sequence[Callable[[], NDArray[np.uint8]]]) -> None:
        self._model.train()
        for picture in pictures:
            self._model(self._prepared(picture()))
        # The choice of a coreset draws a bar of its own, which would tear the benchmark's; no argument leaves it out.
        with _seeded(self._seed), contextlib.redirect_stderr(io.StringIO()):
            self._learn()
        self._model.eval()

    @torch.inference_mode()
    def judge(self, pixels: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
        result = self._model(self._prepared(pixels))
        sized = F.interpolate(result.anomaly_map, size=pixels.shape[:2], mode="bilinear", align_corners=False)
        return result.pred_score.item(), sized[0, 0].numpy()

    def _prepared(self, pixels: NDArray[np.uint8]) -> Tensor:
        """(1, 3, side, side); the backbone normalises a square of that size and leaves its size alone."""
        square = Image.fromarray(pixels).resize((self._side, self._side), Image.Resampling.BICUBIC)
        return load_backbone(_BACKBONE).preprocess(np.asarray(square), self._side**2)[None]


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators that everybody shares, which anomalib draws from, and put them back afterwards."""
    state = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)


@contextlib.contextmanager
def _import_warnings_ignored() -> Iterator[None]:
    """Importing anomalib imports old names of timm and of its own, which is not for our users to hear."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(anomalib|timm)\.")
        yield

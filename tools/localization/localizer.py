"""The instrument on which every verdict rests: how unlike the normal references is each place of this view?"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from knowledge import FittedPartError, Frozen, ToolFailure, write_atomically
from tools.localization import anomaly_map as maps
from tools.localization.appearance import Appearance, look_at
from tools.localization.backbones import DEFAULT_BACKBONE, Backbone, load_backbone
from tools.localization.calibration import ConformalCalibration, Scheme
from tools.localization.features import Features, as_patches, join
from tools.localization.memory import PatchMemory
from tools.localization.projection import Projection

FORMAT = 2
"""Raised whenever fitted parts of an older program would give other maps."""

_LOOKED_AT = 8
"""References from which the appearance is judged; more say the same."""

Pixels = NDArray[np.uint8]
Progress = Callable[[str, int, int], None]
"""Told what is being done, how many are done, and of how many."""


class LocalizerSettings(Frozen):
    """What decides the maps besides the references."""

    backbone: str = DEFAULT_BACKBONE
    weights: str | None = None
    """A checkpoint file for the backbone, where it is not to have its published weights."""
    area: Annotated[int, Field(ge=32 * 32)] | None = None
    """Pixels of the network's input; the aspect ratio is kept. Chosen from the references where None."""
    memory_size: Annotated[int, Field(ge=1)] = 1000
    seed: int = 0
    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of cross-validation where too few normal parts are given to hold some out for good."""
    window: tuple[float, float] | None = None
    """Counts that were black and white on 16-bit pictures, where the product fixes them."""


class Manifest(Frozen):
    """What fitted parts belong to; they are refused where this does not match."""

    format: int
    settings: LocalizerSettings
    appearance: Appearance
    """How the product is looked at, as its references suggested, with the reason."""
    backbone_sha256: str
    memory_parts: tuple[str, ...]
    """sha256 of each reference in the memory."""
    calibration_parts: tuple[str, ...]
    """sha256 of each normal part that was held out."""
    scheme: Scheme
    tensors_sha256: str


class Part(NamedTuple):
    """A normal part to learn from."""

    sha256: str
    pixels: Callable[[], Pixels]
    """Gives (H, W, 3) RGB when asked, so that parts need not lie in memory together."""


class Localization(NamedTuple):
    """What the localiser says of one view."""

    map: maps.AnomalyMap
    """(H, W) float32, the view's size, in units of `MapScale`."""
    score: float
    embedding: NDArray[np.float32]
    """(D,) for the search of similar references."""


class Localizer:
    """Backbone, memory of normal patches, scale and calibration of one product."""

    def __init__(
        self,
        backbone: Backbone,
        memory: PatchMemory,
        scale: maps.MapScale,
        calibration: ConformalCalibration,
        embeddings: NDArray[np.float32],
        manifest: Manifest,
    ) -> None:
        self.backbone = backbone
        self.memory = memory
        self.scale = scale
        self.calibration = calibration
        self.embeddings = embeddings
        """(N, D), one row for each of `manifest.memory_parts`."""
        self.manifest = manifest

    @property
    def settings(self) -> LocalizerSettings:
        return self.manifest.settings

    @property
    def area(self) -> int:
        """Pixels of the network's input."""
        return self.manifest.appearance.area

    def localize(self, pixels: Pixels) -> Localization:
        """Map of one (H, W, 3) RGB view; raises `ToolFailure` when the features are not finite."""
        features = self.backbone.forward(self.backbone.preprocess(pixels, self.area)[None])
        distances = _smoothed_distances(self.memory, patches_of(self.backbone, features))
        if not torch.isfinite(distances).all():
            raise ToolFailure("the localiser got features that are not finite numbers; the view cannot be judged")
        anomaly_map = _scaled_map(distances[0], self.scale, *pixels.shape[:2])
        return Localization(anomaly_map, maps.anomaly_score(anomaly_map), features.embeddings[0].numpy())

    def save(self, folder: Path) -> None:
        """Write the fitted parts: tensors first, the manifest that names them last."""
        tensors = save_tensors(
            {
                "mean": self.memory.projection.mean,
                "projection": self.memory.projection.matrix,
                "patches": self.memory.patches.contiguous(),
                "embeddings": torch.from_numpy(self.embeddings),
                "scale": torch.tensor(self.scale, dtype=torch.float64),
                "calibration": torch.from_numpy(self.calibration.scores),
            },
            metadata={"manifest": _without_hash(self.manifest)},
        )
        manifest = self.manifest.model_copy(update={"tensors_sha256": hashlib.sha256(tensors).hexdigest()})
        write_atomically(folder / "localizer.safetensors", tensors)
        write_atomically(folder / "localizer.json", manifest.model_dump_json(indent=1).encode())
        self.manifest = manifest

    @classmethod
    def load(cls, folder: Path) -> "Localizer":
        """Read fitted parts; raises `FittedPartError` when they are missing, damaged, or of another backbone."""
        manifest = read_manifest(folder)
        content = _read(folder / "localizer.safetensors")
        if hashlib.sha256(content).hexdigest() != manifest.tensors_sha256:
            raise FittedPartError(
                f"{folder}: localizer.safetensors does not match its manifest; enroll the product again"
            )
        if _metadata(content).get("manifest") != _without_hash(manifest):
            raise FittedPartError(f"{folder}: localizer.json was changed by hand; enroll the product again")
        backbone = load_backbone(manifest.settings.backbone, manifest.settings.weights)
        if backbone.weights_sha256 != manifest.backbone_sha256:
            raise FittedPartError(f"{folder}: learned with other weights of {backbone.name}; enroll the product again")
        try:
            tensors = load_tensors(content)
            return cls(
                backbone,
                PatchMemory(Projection(tensors["mean"], tensors["projection"]), tensors["patches"]),
                maps.MapScale(*tensors["scale"].tolist()),
                ConformalCalibration(tensors["calibration"].tolist(), manifest.scheme),
                tensors["embeddings"].numpy(),
                manifest,
            )
        except (SafetensorError, KeyError, ValueError) as error:
            raise FittedPartError(f"{folder}: localizer.safetensors cannot be used ({error}); enroll again") from error


def fit_localizer(
    memory_parts: Sequence[Part],
    calibration_parts: Sequence[Part] = (),
    settings: LocalizerSettings | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Localizer:
    """Learn from normal parts.

    With `calibration_parts`, scores are calibrated on those (split conformal). Without, each memory part is scored by
    a memory of the other folds (cross-conformal, Vovk 2015), which keeps every reference in the final memory.
    """
    settings = settings or LocalizerSettings()
    if not memory_parts:
        raise FittedPartError("there are no normal parts to learn from; give at least one reference image")
    backbone = load_backbone(settings.backbone, settings.weights)
    appearance = look_at((part.pixels() for part in memory_parts[:_LOOKED_AT]), settings.area)
    learned = _all_features(backbone, memory_parts, appearance.area, "reading references", progress)
    memory = _fit_memory(learned, settings, appearance)
    if calibration_parts:
        held_out = _all_features(backbone, calibration_parts, appearance.area, "calibrating", progress)
        grids = [_smoothed_distances(memory, features.patches[None])[0] for features in held_out]
    else:
        held_out = learned
        grids = list(_cross_distances(learned, settings, appearance, progress))
    # A lone reference cannot be held out: its map has no scale of its own and nothing is calibrated.
    scale = (
        maps.MapScale.fit(torch.cat([grid.flatten() for grid in grids]).numpy()) if grids else maps.MapScale(0.0, 1.0)
    )
    scores = [
        maps.anomaly_score(_scaled_map(grid, scale, features.height, features.width))
        for grid, features in zip(grids, held_out, strict=False)
    ]
    scheme: Scheme = "split" if calibration_parts else "cross"
    manifest = Manifest(
        format=FORMAT,
        settings=settings,
        appearance=appearance,
        backbone_sha256=backbone.weights_sha256,
        memory_parts=tuple(part.sha256 for part in memory_parts),
        calibration_parts=tuple(part.sha256 for part in calibration_parts or memory_parts),
        scheme=scheme,
        tensors_sha256="",
    )
    embeddings = np.stack([features.embedding for features in learned])
    return Localizer(backbone, memory, scale, ConformalCalibration(scores, scheme), embeddings, manifest)


class _Version(BaseModel):
    """All that manifests of every version have in common."""

    format: int


def read_manifest(folder: Path) -> Manifest:
    """The manifest of fitted parts; raises `FittedPartError` when there is none that this program can use."""
    content = _read(folder / "localizer.json")
    try:
        version = _Version.model_validate_json(content).format
        if version != FORMAT:
            raise FittedPartError(f"{folder}: learned by another version of this program; enroll the product again")
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise FittedPartError(f"{folder}: localizer.json is damaged; enroll the product again") from error
    return manifest


def patches_of(backbone: Backbone, features: Features) -> Tensor:
    """(B, C, h, w): the layers that the memory of normal patches joins."""
    return join(tuple(features.layers[index] for index in backbone.memory_layers), backbone.neighbourhood)


def _without_hash(manifest: Manifest) -> str:
    return manifest.model_copy(update={"tensors_sha256": ""}).model_dump_json()


def _metadata(content: bytes) -> dict[str, str]:
    """What a safetensors file says of itself: its header is the length in 8 bytes, then that much JSON."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return metadata


class _PartFeatures(NamedTuple):
    patches: Tensor
    """(C, h, w)"""
    embedding: NDArray[np.float32]
    height: int
    """Of the view, in pixels."""
    width: int


def _all_features(
    backbone: Backbone, parts: Sequence[Part], area: int, what: str, progress: Progress
) -> list[_PartFeatures]:
    found = []
    for done, part in enumerate(parts):
        progress(what, done, len(parts))
        pixels = part.pixels()
        features = backbone.forward(backbone.preprocess(pixels, area)[None])
        found.append(
            _PartFeatures(patches_of(backbone, features)[0], features.embeddings[0].numpy(), *pixels.shape[:2])
        )
    progress(what, len(parts), len(parts))
    return found


def _fit_memory(parts: Sequence[_PartFeatures], settings: LocalizerSettings, appearance: Appearance) -> PatchMemory:
    patches = torch.cat([as_patches(features.patches[None]) for features in parts])
    return PatchMemory.fit(
        patches, settings.memory_size, settings.seed, components=appearance.components, whiten=appearance.whiten
    )


def _cross_distances(
    parts: Sequence[_PartFeatures], settings: LocalizerSettings, appearance: Appearance, progress: Progress
) -> Iterator[Tensor]:
    """Distances of each part to a memory that has not seen it, in the order of the parts."""
    if len(parts) < 2:
        return
    folds = min(settings.folds, len(parts))
    order = np.random.default_rng(settings.seed).permutation(len(parts))
    fold_of = {int(index): position % folds for position, index in enumerate(order)}
    memories = []
    for fold in range(folds):
        progress("cross-validating", fold, folds)
        memories.append(_fit_memory([part for i, part in enumerate(parts) if fold_of[i] != fold], settings, appearance))
    progress("cross-validating", folds, folds)
    for index, part in enumerate(parts):
        yield _smoothed_distances(memories[fold_of[index]], part.patches[None])[0]


def _smoothed_distances(memory: PatchMemory, patches: Tensor) -> Tensor:
    """(B, C, h, w) features -> (B, h, w)."""
    batch, _, height, width = patches.shape
    return maps.smooth(memory.distances(as_patches(patches)).reshape(batch, height, width))


def _scaled_map(grid: Tensor, scale: maps.MapScale, height: int, width: int) -> maps.AnomalyMap:
    return maps.to_view((grid - scale.median) / scale.deviation, height, width)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FittedPartError(f"{path.parent}: nothing has been learned here yet; enroll the product first") from error
    except OSError as error:
        raise FittedPartError(f"{path} cannot be read ({error.strerror or error})") from error

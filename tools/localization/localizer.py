"""The instrument on which every verdict rests: how unlike the normal references is each place of this view?"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from knowledge import FittedPartError, ToolFailure, write_atomically
from tools.localization import anomaly_map as maps
from tools.localization.backbones import Backbone, load_backbone
from tools.localization.calibration import ConformalCalibration
from tools.localization.imaging import ImagingRange, nearest_distance
from tools.localization.looks import dimensions, see, shrunk
from tools.localization.manifest import MANIFEST_FILE, LocalizerSettings, Manifest, read_manifest, read_part
from tools.localization.normal import Normal
from tools.localization.saved import expect
from tools.localization.template import Template, grey

_TENSORS_FILE = "localizer.safetensors"

Pixels = NDArray[np.uint8]


class Localization(NamedTuple):
    """What the localiser says of one view."""

    map: maps.AnomalyMap
    """(H, W) float32, the view's size, in units of `MapScale`."""
    score: float
    embedding: NDArray[np.float32]
    """(D,) for the search of similar references."""
    unlike: tuple[str, ...] = ()
    """In what way the view was taken otherwise than all references: its score then cannot be compared with theirs."""
    unfamiliar: bool = False
    """True where the view as a whole resembles no reference; an anomaly can be the reason."""
    precision: str = "float32"
    """In which the backbone saw it."""


class Localizer:
    """Backbone, what is normal, scale and calibration of one product."""

    def __init__(
        self,
        backbone: Backbone,
        normal: Normal,
        imaging: ImagingRange,
        scale: maps.MapScale,
        calibration: ConformalCalibration,
        embeddings: NDArray[np.float32],
        manifest: Manifest,
    ) -> None:
        self.backbone = backbone
        self.normal = normal
        self.imaging = imaging
        """How the references were taken."""
        self.scale = scale
        self.calibration = calibration
        self.embeddings = embeddings
        """(N, D), one row for each of `manifest.memory_parts`."""
        self.manifest = manifest

    @property
    def settings(self) -> LocalizerSettings:
        return self.manifest.settings

    @property
    def reservation(self) -> str:
        """What a promise leaves unsaid; empty where that is nothing."""
        noun = self.manifest.noun
        return f"no normal part was ever seen, only texts of a flawless and of a damaged {noun}" if noun else ""

    def doubts(self, found: Localization, alpha: float) -> tuple[str, ...]:
        """What speaks against trusting a p-value, one sentence each, and leads to review.

        An anomaly that was found is reason enough for a view to look strange.
        """
        doubts = [*found.unlike, *self._other_precision(found.precision)]
        if self.calibration.p_value(found.score) <= alpha:
            return tuple(doubts)
        if found.unfamiliar:
            doubts.append("The picture as a whole resembles none of the references: check that it shows this product.")
        if self.hidden(found.score, alpha):
            count = len(self.calibration.parts_of_highest(len(self.manifest.odd_parts)))
            doubts.append(
                f"Only normal parts that stand out from all others ({count} of {self.calibration.parts}) are as unusual "
                "as this one: look at it, and leave those out if there is a defect on them."
            )
        return tuple(doubts)

    def _other_precision(self, now: str) -> list[str]:
        then = self.manifest.precision
        if then == now or not self.manifest.memory_parts:
            return []
        return [
            f"The references were seen in {then} precision and this picture in {now}: choose the device on which the "
            "product was learned with ANOMALYST_DEVICE, or enroll it again here."
        ]

    def hidden(self, score: float, alpha: float) -> bool:
        """Whether a part passes for normal only because of normal parts that stand out from all others themselves."""
        odd = len(self.manifest.odd_parts)
        others = self.calibration.without_parts_of_highest(odd)
        return odd > 0 and others.p_value(score) <= alpha < self.calibration.p_value(score)

    @property
    def areas(self) -> tuple[int, ...]:
        """Pixels of the network's input at each look."""
        return self.manifest.appearance.areas

    def localize(self, pixels: Pixels, template: Pixels | None = None) -> Localization:
        """Map of one (H, W, 3) RGB view; raises `ToolFailure` when the features are not finite.

        A `template`, the picture of a normal part registered with this very view, takes the place of the product's own.
        The calibration knows nothing of it: it only ever raises the map, so that p-values are then too small where the
        view differs harmlessly.
        """
        seen = see(self.backbone, pixels, self.areas, as_texts=self.normal.texts is not None)
        distances = self.normal.distances(seen, None if template is None else self._template_of(template))
        if not torch.isfinite(distances).all():
            raise ToolFailure("the localiser got features that are not finite numbers; the view cannot be judged")
        anomaly_map = maps.scaled_to_view(distances, self.scale, *pixels.shape[:2])
        embedding = seen.embedding.numpy()
        return Localization(
            anomaly_map,
            maps.anomaly_score(anomaly_map),
            embedding,
            self.imaging.unlike(seen.taken),
            self.imaging.unfamiliar(nearest_distance(embedding, self.embeddings)),
            seen.precision,
        )

    def _template_of(self, pixels: Pixels) -> Template:
        """Sized as pictures are before they are compared, since resizing alone would show at edges."""
        return Template.fit([grey(shrunk(self.backbone, pixels, self.areas))])

    def save(self, folder: Path) -> None:
        """Write the fitted parts: tensors first, the manifest that names them last."""
        tensors = save_tensors(
            {
                **self.normal.tensors(),
                "imaging": torch.tensor([self.imaging.lowest, self.imaging.highest], dtype=torch.float64),
                "embeddings": torch.from_numpy(self.embeddings),
                "scale": torch.tensor(self.scale, dtype=torch.float64),
                "calibration": torch.from_numpy(self.calibration.scores),
                "calibration.shown": torch.from_numpy(self.calibration.shown),
            },
            metadata={"manifest": self.manifest.without_hash()},
        )
        manifest = self.manifest.model_copy(update={"tensors_sha256": hashlib.sha256(tensors).hexdigest()})
        write_atomically(folder / _TENSORS_FILE, tensors)
        write_atomically(folder / MANIFEST_FILE, manifest.model_dump_json(indent=1).encode())
        self.manifest = manifest

    @classmethod
    def load(cls, folder: Path) -> "Localizer":
        """Read fitted parts; raises `FittedPartError` when they are missing, damaged, or of another backbone."""
        manifest = read_manifest(folder)
        content = read_part(folder / _TENSORS_FILE)
        if hashlib.sha256(content).hexdigest() != manifest.tensors_sha256:
            raise FittedPartError(f"{folder}: {_TENSORS_FILE} does not match its manifest; enroll the product again")
        if _said_of_itself(folder / _TENSORS_FILE) != manifest.without_hash():
            raise FittedPartError(f"{folder}: {MANIFEST_FILE} was changed since; enroll the product again")
        backbone = load_backbone(manifest.settings.backbone, manifest.settings.weights)
        if backbone.weights_sha256 != manifest.backbone_sha256:
            raise FittedPartError(f"{folder}: learned with other weights of {backbone.name}; enroll the product again")
        try:
            return cls._of_tensors(load_tensors(content), backbone, manifest)
        except (SafetensorError, KeyError, ValueError) as error:
            raise FittedPartError(f"{folder}: {_TENSORS_FILE} cannot be used ({error}); enroll again") from error

    @classmethod
    def _of_tensors(cls, tensors: dict[str, Tensor], backbone: Backbone, manifest: Manifest) -> "Localizer":
        size = dimensions(backbone)
        embeddings = expect(tensors, "embeddings", len(manifest.memory_parts), size.embedding).numpy()
        return cls(
            backbone,
            Normal.of_tensors(tensors, size, manifest),
            ImagingRange.of_tensor(expect(tensors, "imaging", 2, 4, dtype=torch.float64), manifest.farthest),
            maps.MapScale.of_tensor(expect(tensors, "scale", 2, dtype=torch.float64)),
            _calibration(tensors, manifest),
            embeddings,
            manifest,
        )


def _calibration(tensors: dict[str, Tensor], manifest: Manifest) -> ConformalCalibration:
    scores = expect(tensors, "calibration", None, dtype=torch.float64)
    if len(scores) not in (0, len(manifest.calibration_parts)):  # A lone part is named there, and not held out.
        raise ValueError(
            f"calibration: expected the scores of {len(manifest.calibration_parts)} pictures, got {len(scores)}"
        )
    shown = expect(tensors, "calibration.shown", len(scores), dtype=torch.int64)
    return ConformalCalibration(scores.tolist(), manifest.scheme, shown.tolist())


def _said_of_itself(path: Path) -> str:
    """The manifest that was written with the tensors."""
    try:
        with safe_open(path, "pt") as file:
            return str((file.metadata() or {}).get("manifest"))
    except (SafetensorError, OSError) as error:
        raise FittedPartError(f"{path} cannot be used ({error}); enroll again") from error

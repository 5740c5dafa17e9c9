"""What is learned of a product's assets of one modality besides pictures, and how it is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from knowledge import FittedPartError, Frozen, Modality, Product, ReferenceImage, ReferenceIndex
from tools.fitted import Fitted, load_fitted, save_fitted
from tools.localization import Progress, load_backbone, see
from tools.modalities import Kit, kit_of
from tools.native import NativeLocalizer

VERSION = 1
"""Raised whenever fitted parts of an older program would give other values."""

_EMBEDDINGS = "reference_embeddings"
_LOOK = (224 * 224,)

_READING = ("unit", "pixel_size", "height_per_count", "sample_rate", "ignored_columns")
"""What of a product decides how its files are read."""


class NativePart(NamedTuple):
    """A normal asset to learn from, read when it is asked for."""

    sha256: str
    read: Callable[[], Any]


class _About(Frozen):
    """What fitted parts belong to, beside what their localiser says of itself."""

    memory_parts: tuple[str, ...]
    calibration_parts: tuple[str, ...]
    reading: dict[str, Any]
    localizer: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class LearnedNative:
    """Of one modality."""

    kit: Kit
    localizer: NativeLocalizer
    memory_parts: tuple[str, ...]
    """sha256 of each reference."""
    calibration_parts: tuple[str, ...]
    embeddings: NDArray[np.float32]
    """(N, D), one row for each of `memory_parts`: features of its main view."""
    tensors_sha256: str

    @property
    def calibrated_on(self) -> str:
        """`parts`, or the stretches that a long asset was cut into."""
        return str(getattr(self.localizer, "calibrated_on", "parts"))

    def index(self, references: Mapping[str, ReferenceImage]) -> ReferenceIndex[ReferenceImage]:
        """Over the references of this modality, which are found by their sha256."""
        return ReferenceIndex([references[sha256] for sha256 in self.memory_parts], self.embeddings)


class FittedNative(NamedTuple):
    """What was learned and is not written yet."""

    modality: Modality
    localizer: NativeLocalizer
    embeddings: NDArray[np.float32]
    about: _About

    def save(self, folder: Path) -> None:
        tensors = {**self.localizer.tensors(), _EMBEDDINGS: self.embeddings}
        save_fitted(folder, self.modality, VERSION, tensors, self.about.model_dump(mode="json"))


def fit_native(
    modality: Modality,
    product: Product,
    parts: Sequence[NativePart],
    held_out: Sequence[NativePart],
    seed: int,
    progress: Progress,
) -> FittedNative:
    """Learn from normal assets."""
    kit = kit_of(modality)
    localizer = kit.fit([part.read for part in parts], [part.read for part in held_out], seed=seed, progress=progress)
    embeddings = np.stack([embedding_of(kit.render(part.read(), localizer)[0].pixels) for part in parts])
    about = _About(
        memory_parts=tuple(part.sha256 for part in parts),
        calibration_parts=tuple(part.sha256 for part in held_out or parts),
        reading=reading_of(product),
        localizer=localizer.about(),
    )
    fitted = FittedNative(modality, localizer, embeddings, about)
    kit.of_fitted(Fitted(localizer.tensors(), about.localizer, ""))  # refused now rather than at the first inspection
    return fitted


def load_native(modality: Modality, product: Product, folder: Path) -> LearnedNative:
    """Raises `FittedPartError` where what was learned is missing, damaged, or of a product that reads otherwise."""
    fitted = load_fitted(folder, modality, VERSION)
    try:
        about = _About.model_validate(fitted.about)
        embeddings = fitted.tensors.pop(_EMBEDDINGS)
    except (ValidationError, KeyError) as error:
        raise FittedPartError(f"{folder}: what was learned is damaged; enroll the product again") from error
    if embeddings.ndim != 2 or len(embeddings) != len(about.memory_parts) or not np.isfinite(embeddings).all():
        raise FittedPartError(f"{folder}: what was learned is damaged; enroll the product again")
    if about.reading != reading_of(product):
        raise FittedPartError(
            f"product {product.name!r}: one of {', '.join(_READING)} or on_plane has changed since it was learned; "
            "enroll it again"
        )
    kit = kit_of(modality)
    localizer = kit.of_fitted(fitted._replace(about=about.localizer))
    return LearnedNative(
        kit,
        localizer,
        about.memory_parts,
        about.calibration_parts,
        embeddings.astype(np.float32),
        fitted.sha256,
    )


def embedding_of(main_view: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(D,) features of an asset's main view, (H, W, 3) RGB, by which similar references are found."""
    embedding: NDArray[np.float32] = see(load_backbone(), main_view, _LOOK).embedding.numpy()
    return embedding


def reading_of(product: Product) -> dict[str, Any]:
    """How the product's files are read, in plain values."""
    reading = {key: value for key, value in product.model_dump(mode="json").items() if key in _READING}
    # Only where it is said, so that what was learned before there was such a thing still fits.
    return {**reading, "on_plane": True} if product.on_plane else reading

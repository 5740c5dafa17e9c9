"""Learning a product from its normal parts."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from knowledge import FittedPartError
from tools.localization import anomaly_map as maps
from tools.localization.adapted import read_prompts
from tools.localization.appearance import Appearance, look_at
from tools.localization.backbones import Backbone, load_backbone
from tools.localization.calibration import ConformalCalibration, Scheme
from tools.localization.imaging import Imaging, ImagingRange
from tools.localization.localizer import Localizer
from tools.localization.looks import Seen, see
from tools.localization.manifest import FORMAT, LocalizerSettings, Manifest
from tools.localization.normal import Normal
from tools.localization.prompted import Prompted
from tools.localization.prompts import Prompts

_LOOKED_AT = 8
"""References from which the appearance is judged; more say the same."""

_SCALED_BY = 32
"""Held-out parts by which prompts are brought to a product's scale, at most: enough for medians over all patches."""

_ALIGNED = "; compared with the references place by place, since the product says that its parts are aligned"

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many are done, and of how many."""


class Part(NamedTuple):
    """A normal part to learn from."""

    sha256: str
    pixels: Callable[[], NDArray[np.uint8]]
    """Gives (H, W, 3) RGB when asked, so that parts need not lie in memory together."""


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
    appearance = look_at((part.pixels() for part in memory_parts[:_LOOKED_AT]), settings.areas)
    if settings.aligned:
        appearance = appearance.model_copy(update={"reason": appearance.reason + _ALIGNED})
    learned = _see_all(backbone, memory_parts, appearance, "reading references", progress)
    normal = Normal.fit(learned, settings, appearance)
    if calibration_parts:
        held_out = _see_all(backbone, calibration_parts, appearance, "calibrating", progress)
        others = [normal] * len(held_out)
    else:
        held_out = learned if len(learned) > 1 else []
        others = _without_each(held_out, settings, appearance, progress)
    adapted = read_prompts(settings.prompts, backbone)
    prompted = None if adapted is None else bring_to_scale(adapted.prompts, others, held_out)
    grids = [known._replace(prompted=prompted).distances(seen) for known, seen in zip(others, held_out, strict=True)]
    # A lone reference cannot be held out: its map has no scale of its own and nothing is calibrated.
    scale = (
        maps.MapScale.fit(torch.cat([grid.flatten() for grid in grids]).numpy()) if grids else maps.MapScale(0.0, 1.0)
    )
    scores = [
        maps.anomaly_score(maps.scaled_to_view(grid, scale, seen.height, seen.width))
        for grid, seen in zip(grids, held_out, strict=True)
    ]
    scheme: Scheme = "split" if calibration_parts else "cross"
    manifest = Manifest(
        format=FORMAT,
        settings=settings,
        appearance=appearance,
        backbone_sha256=backbone.weights_sha256,
        prompts_sha256=adapted.manifest.tensors_sha256 if adapted and prompted else None,
        memory_parts=tuple(part.sha256 for part in memory_parts),
        calibration_parts=tuple(part.sha256 for part in calibration_parts or memory_parts),
        scheme=scheme,
        tensors_sha256="",
    )
    embeddings = torch.stack([seen.embedding for seen in learned]).numpy()
    taken = [Imaging.of(seen.grey, seen.height, seen.width) for seen in (*learned, *held_out)]
    imaging = ImagingRange.fit(taken, embeddings)
    normal = normal._replace(prompted=prompted)
    return Localizer(backbone, normal, imaging, scale, ConformalCalibration(scores, scheme), embeddings, manifest)


def _see_all(
    backbone: Backbone, parts: Sequence[Part], appearance: Appearance, what: str, progress: Progress
) -> list[Seen]:
    found = []
    for done, part in enumerate(parts):
        progress(what, done, len(parts))
        found.append(see(backbone, part.pixels(), appearance.areas))
    progress(what, len(parts), len(parts))
    return found


def _without_each(
    parts: Sequence[Seen], settings: LocalizerSettings, appearance: Appearance, progress: Progress
) -> list[Normal]:
    """For each of the parts what is learned of others: of all folds but its own."""
    folds = min(settings.folds, len(parts))
    order = np.random.default_rng(settings.seed).permutation(len(parts))
    fold_of = {int(index): position % folds for position, index in enumerate(order)}
    known = []
    for fold in range(folds):
        progress("cross-validating", fold, folds)
        others = [part for i, part in enumerate(parts) if fold_of[i] != fold]
        known.append(Normal.fit(others, settings, appearance))
    progress("cross-validating", folds, folds)
    return [known[fold_of[index]] for index in range(len(parts))]


def bring_to_scale(prompts: Prompts, others: Sequence[Normal], held_out: Sequence[Seen]) -> Prompted | None:
    """Prompts on the scale of a product, by parts that were held out of what `others` were learned from, one for each.

    None without such a part: nothing then tells what the prompts' logits amount to for this product.
    """
    step = max(1, -(-len(held_out) // _SCALED_BY))
    pairs = list(zip(others, held_out, strict=True))[::step]
    return Prompted.fit(prompts, [known.differences(seen) for known, seen in pairs]) if pairs else None

"""Learning a product from its normal parts."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from knowledge import FittedPartError
from tools.localization import anomaly_map as maps
from tools.localization.adapted import read_prompts
from tools.localization.alignment import Alignment, alignment
from tools.localization.appearance import Appearance, look_at
from tools.localization.backbones import Backbone, load_backbone
from tools.localization.calibration import ConformalCalibration, Scheme
from tools.localization.imaging import Imaging, ImagingRange, farthest
from tools.localization.localizer import Localizer
from tools.localization.looks import Seen, see
from tools.localization.manifest import FORMAT, LocalizerSettings, Manifest
from tools.localization.normal import Normal
from tools.localization.prompted import Prompted
from tools.localization.prompted_picture import FEWEST_PICTURES, PromptedPicture
from tools.localization.prompts import Prompts

_SCALED_BY = 32
"""Held-out parts by which prompts are brought to a product's scale and its alignment is told, at most."""

_MOST_PATCHES = 1_000_000
"""Patches of a level that are kept while a memory is chosen: one to two gigabytes."""

_COMPARED = "compared with the references place by place, since"
_NOT_COMPARED = "not compared with the references place by place, since"

T = TypeVar("T")

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
    adapted = read_prompts(settings.prompts, backbone)
    appearance = look_at((part.pixels() for part in memory_parts), settings.areas)
    learned = _see_all(backbone, memory_parts, appearance, progress, thin=bool(calibration_parts))
    normal = Normal.fit(learned, settings, appearance)
    held_out: Iterator[Seen]
    if calibration_parts:
        others = [normal] * len(calibration_parts)
        held_out = _seen_in_turn(backbone, _spread(calibration_parts), appearance, "calibrating", progress)
    else:
        others, apart = without_each(learned, settings, appearance, progress)
        held_out = iter(apart)
    first = list(islice(held_out, _SCALED_BY))
    found = tell_alignment(settings.aligned, others, first)
    normal, *others = (as_aligned(known, found) for known in (normal, *others))
    prompted = bring_to_scale(adapted.prompts, others[: len(first)], first) if adapted and first else None
    others = [known._replace(prompted=prompted) for known in others]
    picture = None
    if adapted and adapted.image and settings.image_prompts:
        picture = bring_picture_to_scale(adapted.image, others[: len(first)], first)
    judged = [
        _judged(known._replace(picture=picture), seen)
        for known, seen in zip(others, chain(first, held_out), strict=True)
    ]
    scale = _scale(judged)
    embeddings = torch.stack([seen.embedding for seen in learned]).numpy()
    imaging = _imaging(learned, judged if calibration_parts else [], embeddings)
    scheme: Scheme = "split" if calibration_parts else "cross"
    return Localizer(
        backbone,
        normal._replace(prompted=prompted, picture=picture),
        imaging,
        scale,
        ConformalCalibration([_score(part, scale) for part in judged], scheme),
        embeddings,
        Manifest(
            format=FORMAT,
            settings=settings,
            appearance=_explained(appearance, found),
            aligned=found.aligned,
            backbone_sha256=backbone.weights_sha256,
            prompts_sha256=adapted.manifest.tensors_sha256 if adapted and prompted else None,
            image_prompted=picture is not None,
            memory_parts=tuple(part.sha256 for part in memory_parts),
            calibration_parts=tuple(part.sha256 for part in calibration_parts or memory_parts),
            scheme=scheme,
            farthest=imaging.farthest,
            tensors_sha256="",
        ),
    )


def tell_alignment(declared: bool | None, others: Sequence[Normal], held_out: Sequence[Seen]) -> Alignment:
    """Whether parts lie in the same place, by one part or more that the templates of the `others` have not seen.

    Of many the first 32 count.
    """
    first = zip(others[:_SCALED_BY], held_out[:_SCALED_BY], strict=True)
    pairs = [(known.template, seen) for known, seen in first if known.template]
    return alignment(
        declared,
        [
            template.largest(seen.grey, max((patches.shape[1:] for patches in seen.patches), key=torch.Size.numel))
            for template, seen in pairs
        ],
    )


def as_aligned(known: Normal, found: Alignment) -> Normal:
    """With its template where parts are aligned, and without where they are not."""
    template = known.template._replace(visible=found.visible) if found.aligned and known.template else None
    return known._replace(template=template)


def _explained(appearance: Appearance, found: Alignment) -> Appearance:
    reason = f"{appearance.reason}; {_COMPARED if found.aligned else _NOT_COMPARED} {found.reason}"
    return appearance.model_copy(update={"reason": reason})


def bring_to_scale(prompts: tuple[Prompts, ...], others: Sequence[Normal], held_out: Sequence[Seen]) -> Prompted:
    """Prompts on the scale of a product, by one part or more that the `others`, one for each, have not seen.

    Of many the first 32 count: enough for medians over all patches.
    """
    pairs = list(zip(others, held_out, strict=True))[:_SCALED_BY]
    return Prompted.fit(prompts, [known.differences(seen) for known, seen in pairs])


def bring_picture_to_scale(
    prompts: Prompts, others: Sequence[Normal], held_out: Sequence[Seen]
) -> PromptedPicture | None:
    """The same of image-level prompts; `None` where too few parts are held out to say what is usual of a picture.

    The `others` are as they are to be but for these prompts.
    """
    pairs = list(zip(others, held_out, strict=True))[:_SCALED_BY]
    if len(pairs) < FEWEST_PICTURES:
        return None
    largest = torch.stack([known.distances(seen).max() for known, seen in pairs])
    return PromptedPicture.fit(prompts, [known.difference_of_picture(seen) for known, seen in pairs], largest)


class _Judged(NamedTuple):
    """A held-out normal part."""

    grid: Tensor
    """(h, w) distances."""
    embedding: Tensor
    taken: Imaging
    height: int
    """Of the picture, in pixels."""
    width: int


def _judged(known: Normal, seen: Seen) -> _Judged:
    return _Judged(known.distances(seen), seen.embedding, _taken(seen), seen.height, seen.width)


def _taken(seen: Seen) -> Imaging:
    return Imaging.of(seen.grey, seen.height, seen.width)


def _imaging(learned: Sequence[Seen], apart: Sequence[_Judged], embeddings: NDArray[np.float32]) -> ImagingRange:
    """Of all normal parts, those that were held out for good among them."""
    taken = [*(_taken(seen) for seen in learned), *(part.taken for part in apart)]
    of_apart = np.array([part.embedding.numpy() for part in apart], np.float32).reshape(len(apart), embeddings.shape[1])
    return ImagingRange.fit(taken, farthest(embeddings, of_apart))


def _scale(judged: Sequence[_Judged]) -> maps.MapScale:
    """Of distances; a lone reference cannot be held out, so that its map has no scale of its own."""
    if not judged:
        return maps.MapScale(0.0, 1.0)
    return maps.MapScale.fit(torch.cat([part.grid.flatten() for part in judged]).numpy())


def _score(part: _Judged, scale: maps.MapScale) -> float:
    return maps.anomaly_score(maps.scaled_to_view(part.grid, scale, part.height, part.width))


def _see_all(
    backbone: Backbone, parts: Sequence[Part], appearance: Appearance, progress: Progress, *, thin: bool
) -> list[Seen]:
    """`thin` bounds what many parts take: of each as many patches are kept, by chance, as there is room for."""
    found = _seen_in_turn(backbone, parts, appearance, "reading references", progress)
    if not thin:
        return list(found)
    generator = torch.Generator().manual_seed(0)
    return [seen.thinned(_MOST_PATCHES // len(parts), generator) for seen in found]


def _seen_in_turn(
    backbone: Backbone, parts: Sequence[Part], appearance: Appearance, what: str, progress: Progress
) -> Iterator[Seen]:
    for done, part in enumerate(parts):
        progress(what, done, len(parts))
        yield see(backbone, part.pixels(), appearance.areas)
    progress(what, len(parts), len(parts))


def _spread(items: Sequence[T]) -> list[T]:
    """The same items in an order whose beginning is spread over all of them, since it stands for them."""
    step = -(-len(items) // _SCALED_BY)
    return [item for first in range(step) for item in items[first::step]]


def without_each(
    parts: Sequence[Seen], settings: LocalizerSettings, appearance: Appearance, progress: Progress
) -> tuple[list[Normal], list[Seen]]:
    """What is learned of all folds but its own, for each of the parts, and the parts; nothing of a lone one.

    In an order whose beginning stands for all of them.
    """
    if len(parts) < 2:
        return [], []
    folds = min(settings.folds, len(parts))
    order = np.random.default_rng(settings.seed).permutation(len(parts))
    fold_of = {int(index): position % folds for position, index in enumerate(order)}
    known = []
    for fold in range(folds):
        progress("cross-validating", fold, folds)
        others = [part for i, part in enumerate(parts) if fold_of[i] != fold]
        known.append(Normal.fit(others, settings, appearance))
    progress("cross-validating", folds, folds)
    return _spread([known[fold_of[index]] for index in range(len(parts))]), _spread(parts)

"""Learning a product from its normal parts."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from knowledge import FittedPartError
from tools.localization import anomaly_map as maps
from tools.localization.adapted import Adapted, read_prompts
from tools.localization.alignment import Alignment, alignment
from tools.localization.appearance import Appearance, look_at
from tools.localization.backbones import Backbone, load_backbone
from tools.localization.calibration import ConformalCalibration, Scheme
from tools.localization.imaging import Imaging, ImagingRange, farthest
from tools.localization.localizer import Localizer
from tools.localization.looks import Seen, see
from tools.localization.manifest import FORMAT, LocalizerSettings, Manifest
from tools.localization.moving import UNMOVED, Offset, offsets_of, still
from tools.localization.normal import Normal
from tools.localization.odd_parts import odd_parts
from tools.localization.prompted import Prompted
from tools.localization.prompted_picture import FEWEST_PICTURES, PromptedPicture
from tools.localization.prompts import Prompts

_SCALED_BY = 32
"""Held-out parts by which prompts are brought to a product's scale and its alignment is told, at most."""

MOST_BYTES = 2**30
"""Of patches that are kept while memories are chosen."""

_MOST_KEPT = 2**32
"""Bytes of what is seen of pictures that are held out in turn, which is kept until all of them are judged."""

_GLANCED_AT = 32
"""Pictures by which it is told whether they show a still scene, at most."""

_MOST_PICTURES = 500
"""Of which a template is made: what they show at each place is what any number of them would."""

_COMPARED = "compared with the references place by place, since"
_NOT_COMPARED = "not compared with the references place by place, since"
_MOVED = (
    "half of the references learned as if put down a little elsewhere, since they lie alike to the pixel, as pictures of one "
    "part that nobody moves: those do not tell how others look"
)

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many are done, and of how many."""


class Part(NamedTuple):
    """A normal part to learn from, or one of several pictures of it."""

    sha256: str
    pixels: Callable[[], NDArray[np.uint8]]
    """Gives (H, W, 3) RGB when asked, so that parts need not lie in memory together."""
    name: str | None = None
    """By which pictures of the same part are told; without it a picture is of a part of its own."""


def see_references(backbone: Backbone, parts: Sequence[Part], areas: Sequence[int]) -> Iterator[Seen]:
    """At each of the `areas`; some of a still scene as if they had been put down once more. What memories are chosen from."""
    for part, offset in zip(parts, _offsets(parts), strict=True):
        yield see(backbone, part.pixels(), areas, offset=offset)


def _offsets(parts: Sequence[Part]) -> list[Offset]:
    """By which each is moved; where they show no still scene, they tell by themselves how parts come to lie."""
    offsets = offsets_of(part.sha256 for part in parts)
    if set(offsets.values()) == {UNMOVED} or not still(part.pixels() for part in _some(parts, _GLANCED_AT)):
        return [UNMOVED] * len(parts)
    return [offsets[part.sha256] for part in parts]


def fit_localizer(
    memory_parts: Sequence[Part],
    calibration_parts: Sequence[Part] = (),
    settings: LocalizerSettings | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Localizer:
    """Learn from normal parts.

    With `calibration_parts`, scores are calibrated on those (split conformal), on which nothing else hangs but the unit of
    the maps and what pictures usually look like. Without, each memory part is scored by a memory of the other folds, and
    new parts by the memory of all: after cross-conformal prediction (Vovk 2015), whose promise it keeps approximately.
    Pictures of one part are held out together. Of a still scene memories hold some pictures as if they had been put down
    once more; what is judged is seen as it is.
    """
    settings = settings or LocalizerSettings()
    if not memory_parts:
        raise FittedPartError("there are no normal parts to learn from; give at least one reference image")
    _require_apart(memory_parts, calibration_parts)
    backbone = load_backbone(settings.backbone, settings.weights)
    adapted, precision = read_prompts(settings.prompts, backbone), backbone.precision
    appearance = look_at((part.pixels() for part in memory_parts), settings.areas)
    learned, whole = _see_all(backbone, memory_parts, appearance, progress, thin=bool(calibration_parts))
    shown = shown_parts(memory_parts)
    others = without_each(learned, settings, appearance, progress, shown)
    told = _Told.by(_some(others, _SCALED_BY), _some(whole, _SCALED_BY) if others else [], settings, adapted)
    normal = told.complete(Normal.fit(learned, settings, appearance))
    if calibration_parts:
        held_out = _seen_in_turn(backbone, calibration_parts, appearance, progress)
        judged = [_judged(normal, seen) for seen in held_out]
    else:
        judged = [_judged(told.complete(known), seen) for known, seen in zip(others, whole, strict=False)]
    if backbone.precision != precision:  # It went from a GPU to the CPU in between, for good.
        return fit_localizer(memory_parts, calibration_parts, settings, progress)
    scale = _scale(judged)
    embeddings = torch.stack([seen.embedding for seen in (learned if calibration_parts else whole)]).numpy()
    shown_apart = shown_parts(calibration_parts)
    imaging = _imaging(learned, judged if calibration_parts else [], embeddings, shown, shown_apart)
    scheme: Scheme = "split" if calibration_parts else "cross"
    scores, shown_by = [_score(part, scale) for part in judged], (shown_apart or shown)[: len(judged)]
    calibrated_on = [part.sha256 for part in calibration_parts or memory_parts]
    return Localizer(
        backbone,
        normal,
        imaging,
        scale,
        ConformalCalibration(scores, scheme, shown_by),
        embeddings,
        Manifest(
            format=FORMAT,
            settings=settings,
            appearance=_explained(appearance, told.alignment, learned),
            aligned=told.alignment.aligned,
            backbone_sha256=backbone.weights_sha256,
            precision=precision,
            prompts_sha256=adapted.manifest.tensors_sha256 if adapted and told.prompted else None,
            image_prompted=told.picture is not None,
            memory_parts=tuple(part.sha256 for part in memory_parts),
            calibration_parts=tuple(calibrated_on),
            odd_parts=tuple(calibrated_on[number] for number in odd_parts(scores, shown_by)),
            scheme=scheme,
            farthest=imaging.farthest,
            tensors_sha256="",
        ),
    )


def _require_apart(memory_parts: Sequence[Part], calibration_parts: Sequence[Part]) -> None:
    learned, held_out = (
        {part.name for part in parts if part.name is not None} for parts in (memory_parts, calibration_parts)
    )
    if both := learned & held_out:
        raise FittedPartError(
            f"pictures of part {min(both)!r} are both learned from and held out; hold out all of a part or none"
        )


class _Told(NamedTuple):
    """What memories are completed by, told by normal parts that they do not hold."""

    alignment: Alignment
    prompted: Prompted | None
    picture: PromptedPicture | None

    @classmethod
    def by(
        cls, others: Sequence[Normal], apart: Sequence[Seen], settings: LocalizerSettings, adapted: Adapted | None
    ) -> "_Told":
        """By parts and, for each, the memories without it; by none where there is a lone part."""
        told = cls(tell_alignment(settings.aligned, others, apart), None, None)
        if adapted is None or not apart:
            return told
        told = told._replace(prompted=bring_to_scale(adapted.prompts, others, apart))
        if adapted.image is None or not settings.image_prompts:
            return told
        completed = [told.complete(known) for known in others]
        return told._replace(picture=bring_picture_to_scale(adapted.image, completed, apart))

    def complete(self, known: Normal) -> Normal:
        return as_aligned(known, self.alignment)._replace(prompted=self.prompted, picture=self.picture)


def tell_alignment(declared: bool | None, others: Sequence[Normal], held_out: Sequence[Seen]) -> Alignment:
    """Whether parts lie in the same place, by one part or more that the templates of the `others` have not seen.

    Of many 32 count.
    """
    pairs = [(known.template, seen) for known, seen in _some_pairs(others, held_out) if known.template]
    largest = [
        template.largest(seen.grey, max((patches.shape[1:] for patches in seen.patches), key=torch.Size.numel))
        for template, seen in pairs
    ]
    return alignment(declared, largest, max((template.allowed for template, _ in pairs), default=0.0))


def as_aligned(known: Normal, found: Alignment) -> Normal:
    """With its template where parts are aligned, and without where they are not."""
    template = known.template._replace(visible=found.visible) if found.aligned and known.template else None
    return known._replace(template=template)


def _explained(appearance: Appearance, found: Alignment, learned: Sequence[Seen]) -> Appearance:
    reason = f"{appearance.reason}; {_COMPARED if found.aligned else _NOT_COMPARED} {found.reason}"
    if any(seen.offset != UNMOVED for seen in learned):
        reason += f"; {_MOVED}"
    return appearance.model_copy(update={"reason": reason})


def bring_to_scale(prompts: tuple[Prompts, ...], others: Sequence[Normal], held_out: Sequence[Seen]) -> Prompted:
    """Prompts on the scale of a product, by one part or more that the `others`, one for each, have not seen.

    Of many 32 count: enough for medians over all patches.
    """
    pairs = _some_pairs(others, held_out)
    return Prompted.fit(prompts, [known.differences(seen) for known, seen in pairs])


def bring_picture_to_scale(
    prompts: Prompts, others: Sequence[Normal], held_out: Sequence[Seen]
) -> PromptedPicture | None:
    """The same of image-level prompts; `None` where too few parts are held out to say what is usual of a picture.

    The `others` are as they are to be but for these prompts.
    """
    pairs = _some_pairs(others, held_out)
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
    return _Judged(known.distances(seen), seen.embedding, seen.taken, seen.height, seen.width)


def shown_parts(pictures: Sequence[Part]) -> list[int]:
    """For each of the pictures the number of the part that it shows."""
    numbers: dict[int | str, int] = {}
    return [
        numbers.setdefault(position if picture.name is None else picture.name, len(numbers))
        for position, picture in enumerate(pictures)
    ]


def _imaging(
    learned: Sequence[Seen],
    apart: Sequence[_Judged],
    embeddings: NDArray[np.float32],
    shown: Sequence[int],
    shown_apart: Sequence[int],
) -> ImagingRange:
    """Of all normal parts, those that were held out for good among them."""
    taken = [*(seen.taken for seen in learned), *(part.taken for part in apart)]
    of_apart = np.array([part.embedding.numpy() for part in apart], np.float32).reshape(len(apart), embeddings.shape[1])
    return ImagingRange.fit(taken, farthest(embeddings, of_apart, shown, shown_apart))


def _scale(judged: Sequence[_Judged]) -> maps.MapScale:
    """Of distances; a lone reference cannot be held out, so that its map has no scale of its own."""
    if not judged:
        return maps.MapScale(0.0, 1.0)
    return maps.MapScale.fit(torch.cat([part.grid.flatten() for part in judged]).numpy())


def _score(part: _Judged, scale: maps.MapScale) -> float:
    return maps.anomaly_score(maps.scaled_to_view(part.grid, scale, part.height, part.width))


def _see_all(
    backbone: Backbone, parts: Sequence[Part], appearance: Appearance, progress: Progress, *, thin: bool
) -> tuple[list[Seen], list[Seen]]:
    """What memories are chosen from, and what can be judged: as it is.

    `thin` bounds what many parts take: of each as many patches are kept, by chance, as there is room for, and only some
    of the parts can be judged.
    """
    count, offsets = len(parts), _offsets(parts)
    to_judge, to_compare = (set(_some(range(count), most)) for most in (_SCALED_BY if thin else count, _MOST_PICTURES))
    generator = torch.Generator().manual_seed(0)
    learned, whole = [], []
    for number, (part, offset) in enumerate(zip(parts, offsets, strict=True)):
        progress("reading references", number, count)
        seen = see(backbone, part.pixels(), appearance.areas, offset=offset)
        if thin:
            learned.append(seen.thinned(MOST_BYTES // count, generator, grey=number in to_compare))
        else:
            _require_room(seen.size, count, also=count - offsets.count(UNMOVED))
            learned.append(seen)
        if number in to_judge:
            whole.append(seen if offset == UNMOVED else see(backbone, part.pixels(), appearance.areas))
    progress("reading references", count, count)
    return learned, whole


def _require_room(size: int, count: int, also: int) -> None:
    """For so many pictures of so many bytes to be held out in turn, some of which are `also` kept as they lie."""
    if size * (count + also) > _MOST_KEPT:
        raise FittedPartError(
            f"{count} pictures are more than can be held out in turn, since {size / 1e6:.1f} MB are kept of each; give "
            f"{_MOST_KEPT * count // (count + also) // size} or fewer, or pictures of other parts to calibrate on"
        )


def _seen_in_turn(
    backbone: Backbone, parts: Sequence[Part], appearance: Appearance, progress: Progress
) -> Iterator[Seen]:
    for done, part in enumerate(parts):
        progress("calibrating", done, len(parts))
        yield see(backbone, part.pixels(), appearance.areas)
    progress("calibrating", len(parts), len(parts))


def _some(items: Sequence[T], most: int) -> Sequence[T]:
    """Spread over all of them, since they stand for them."""
    return items[:: max(1, -(-len(items) // most))]


def _some_pairs(others: Sequence[Normal], held_out: Sequence[Seen]) -> list[tuple[Normal, Seen]]:
    return list(zip(_some(others, _SCALED_BY), _some(held_out, _SCALED_BY), strict=True))


def without_each(
    pictures: Sequence[Seen],
    settings: LocalizerSettings,
    appearance: Appearance,
    progress: Progress,
    shown: Sequence[int] | None = None,
) -> list[Normal]:
    """For each of the pictures what is learned of all folds but its own; nothing for those of a lone part.

    Pictures of one part, by the numbers of the parts `shown`, lie in one fold; by default each is of a part of its own.
    """
    shown = range(len(pictures)) if shown is None else shown
    parts = len(set(shown))
    if parts < 2:
        return []
    folds = min(settings.folds, parts)
    order = np.random.default_rng(settings.seed).permutation(parts)
    fold_of = {int(part): position % folds for position, part in enumerate(order)}
    known = []
    for fold in range(folds):
        progress("cross-validating", fold, folds)
        others = [picture for picture, part in zip(pictures, shown, strict=True) if fold_of[part] != fold]
        known.append(Normal.fit(others, settings, appearance))
    progress("cross-validating", folds, folds)
    return [known[fold_of[part]] for part in shown]

"""Ablation: what each part of the localiser is worth, on the same pictures, seen once."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evals.datasets import LabelledSet, read_distinct
from evals.detection import DETECTION, averages, detection, judge_each, parts_of, protocol, watched
from knowledge import RequestError
from tools import (
    AdaptationSettings,
    Adapted,
    Appearance,
    Backbone,
    LocalizerSettings,
    Nearest,
    Normal,
    NormalProduct,
    PatchMemory,
    Progress,
    Seen,
    adapt,
    as_aligned,
    bring_picture_to_scale,
    bring_to_scale,
    join_layers,
    load_backbone,
    look_at,
    see,
    see_references,
    tell_alignment,
    to_view,
    without_each,
)

KINDS: Mapping[str, tuple[str, ...]] = {
    "Perlin noise with foreign textures": ("foreign_texture",),
    "CutPaste and scar": ("cut_paste", "scar"),
    "blended patches": ("blended",),
    "no foreign texture": ("warped", "blurred", "brighter", "missing"),
}
"""Groups of synthetic anomalies from which prompts are learned alone."""

_ALL_KINDS = "all kinds"
_LOOKS = 2
_LEAST = 4
_PICTURES = 20
"""With synthetic anomalies, of each set."""

Change = Callable[[Seen], Seen]


class Variant(NamedTuple):
    """One way to build the localiser."""

    name: str
    prompts: str = ""
    """The kinds of anomalies its prompts were learned from; without prompts where empty."""
    change: Change = lambda seen: seen
    """What is left of the looks."""
    shuffled: bool = False
    """True where the first look's distances are dealt out to its places by chance, at each of its levels."""
    looks: int = _LOOKS
    aligned: bool = False
    """True where the references decide whether pictures are compared with them place by place."""
    whiten: bool | None = None
    """As the appearance says where None."""
    image_prompts: bool = False
    """Whether those for pictures as a whole are used too."""


def run_ablation(source: str, names: list[str], settings: LocalizerSettings, progress: Progress) -> dict[str, Any]:
    """Every variant on every set; the prompts are learned on the normal parts of these sets, without a defect."""
    if settings.areas and len(settings.areas) != _LOOKS:
        raise RequestError(f"an ablation compares {_LOOKS} looks, got {len(settings.areas)}")
    sets = read_distinct(source, names, settings.seed)
    for labelled in sets:
        if len(labelled.train) < _LEAST:
            raise RequestError(f"{labelled.name}: an ablation needs {_LEAST} normal parts to learn from")
    backbone = load_backbone(settings.backbone, settings.weights)
    prompts = _prompts_by_kinds(sets, backbone, settings, progress)
    variants = _variants(backbone)
    found: dict[str, list[dict[str, Any]]] = {variant.name: [] for variant in variants}
    for labelled in sets:
        pictures = _Pictures.of(labelled, backbone, settings, progress)
        for variant in watched(variants, f"variants on {labelled.name}", progress):
            figures = _figures(variant, pictures, labelled, settings, prompts)
            found[variant.name].append({"name": labelled.name, **figures})
    rows = [{"name": name, "sets": of, "macro": averages(of, DETECTION)} for name, of in found.items()]
    return {"protocol": {**protocol(settings, ()), "pictures": _PICTURES}, "variants": rows}


def _variants(backbone: Backbone) -> list[Variant]:
    layers = len(backbone.memory_layers)
    return [
        Variant("two looks, prompts and place by place", _ALL_KINDS, aligned=True),
        Variant("two looks and prompts", _ALL_KINDS),
        Variant("two looks, prompts and image-level prompts", _ALL_KINDS, image_prompts=True),
        Variant("two looks and place by place", aligned=True),
        Variant("two looks"),
        Variant("first look alone", change=_look(0, layers), looks=1),
        Variant("second look alone", change=_look(1, layers), looks=1),
        Variant("shuffled first look with the second", shuffled=True),
        *(Variant(f"two looks, layer {index + 1} alone", change=_layer(index, layers)) for index in range(layers)),
        Variant("two looks, layers in one memory", change=_joined(layers)),
        Variant("two looks, every product on all axes, whitened", whiten=True),
        Variant("two looks, every product on 64 axes, not whitened", whiten=False),
        *(Variant(f"two looks and prompts from {name}", name) for name in KINDS),
    ]


def _prompts_by_kinds(
    sets: Sequence[LabelledSet], backbone: Backbone, settings: LocalizerSettings, progress: Progress
) -> dict[str, Adapted]:
    products = [NormalProduct(labelled.name, parts_of(labelled.train)) for labelled in sets]
    every = tuple(kind for kinds in KINDS.values() for kind in kinds)
    found = {}
    with tempfile.TemporaryDirectory() as cache:
        for name, kinds in {_ALL_KINDS: every, **KINDS}.items():
            chosen = AdaptationSettings(_PICTURES, seed=settings.seed, kinds=kinds)
            found[name] = adapt(products, backbone, settings, chosen, Path(cache), progress)
    return found


class _Pictures(NamedTuple):
    """All pictures of a set as the backbone sees them."""

    train: list[Seen]
    held_out: list[Seen]
    test: list[Seen]
    appearance: Appearance

    @classmethod
    def of(
        cls, labelled: LabelledSet, backbone: Backbone, settings: LocalizerSettings, progress: Progress
    ) -> "_Pictures":
        parts = [parts_of(paths) for paths in (labelled.train, labelled.held_out, [t.path for t in labelled.test])]
        appearance = look_at((part.pixels() for part in parts[0]), settings.areas)

        what = f"seeing {labelled.name}"
        references = see_references(backbone, parts[0], appearance.areas)
        train = [seen for _, seen in zip(watched(parts[0], what, progress), references, strict=True)]
        held_out, test = (
            [see(backbone, part.pixels(), appearance.areas) for part in watched(of, what, progress)] for of in parts[1:]
        )
        return cls(train, held_out, test, appearance)


def _figures(
    variant: Variant,
    pictures: _Pictures,
    labelled: LabelledSet,
    settings: LocalizerSettings,
    prompts: Mapping[str, Adapted],
) -> dict[str, float | None]:
    train, held_out, test = (
        [variant.change(seen) for seen in of] for of in (pictures.train, pictures.held_out, pictures.test)
    )
    areas = pictures.appearance.areas[: variant.looks]
    appearance = pictures.appearance.model_copy(update={"areas": areas, **_whitened(variant.whiten)})
    own = settings.model_copy(update={} if variant.aligned else {"aligned": False})
    normal = _built(variant, train, held_out, own, appearance, prompts)
    waiting = iter(test)

    def judge(pixels: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
        found = to_view(normal.distances(next(waiting)), *pixels.shape[:2])
        return float(found.max()), found

    return detection(list(judge_each(judge, labelled.test)))


def _built(
    variant: Variant,
    train: list[Seen],
    held_out: list[Seen],
    settings: LocalizerSettings,
    appearance: Appearance,
    prompts: Mapping[str, Adapted],
) -> Normal:
    normal = Normal.fit(train, settings, appearance)
    if variant.prompts or variant.aligned:
        others, apart = [normal] * len(held_out), held_out
        if not held_out:
            others, apart = without_each(train, settings, appearance, lambda what, done, total: None), train
        found = tell_alignment(settings.aligned, others, apart)
        normal, *others = (as_aligned(known, found) for known in (normal, *others))
    if variant.prompts:
        chosen = prompts[variant.prompts]
        prompted = bring_to_scale(chosen.prompts, others, apart)
        normal, *others = (known._replace(prompted=prompted) for known in (normal, *others))
        if variant.image_prompts and chosen.image:
            normal = normal._replace(picture=bring_picture_to_scale(chosen.image, others, apart))
    if variant.shuffled:
        half = len(normal.memories) // _LOOKS
        first = (cast(PatchMemory, _Shuffled(memory, settings.seed)) for memory in normal.memories[:half])
        normal = normal._replace(memories=(*first, *normal.memories[half:]))
    return normal


def _whitened(whiten: bool | None) -> dict[str, Any]:
    return {} if whiten is None else {"whiten": whiten, "components": None if whiten else 64}


def _look(number: int, layers: int) -> Change:
    return lambda seen: seen._replace(patches=seen.patches[number * layers : (number + 1) * layers])


def _layer(index: int, layers: int) -> Change:
    return lambda seen: seen._replace(patches=seen.patches[index::layers])


def _joined(layers: int) -> Change:
    """The layers of each look as one, on its finest grid."""

    def change(seen: Seen) -> Seen:
        looks = (seen.patches[first : first + layers] for first in range(0, len(seen.patches), layers))
        return seen._replace(patches=tuple(join_layers([patches[None] for patches in look])[0] for look in looks))

    return change


class _Shuffled:
    """A memory whose distances are right, at wrong places."""

    def __init__(self, memory: PatchMemory, seed: int) -> None:
        self.sources = memory.sources
        self._memory = memory
        self._generator = torch.Generator().manual_seed(seed)

    def nearest(self, patches: Tensor) -> Nearest:
        distances, indices = self._memory.nearest(patches)
        return Nearest(distances[torch.randperm(len(distances), generator=self._generator)], indices)

"""Pictures of normal parts with anomalies made on them, encoded by how they differ from what a product's memory holds.

Patch by patch for each layer, and as a whole. What was encoded is kept in a cache, product by product.
"""

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from knowledge import FittedPartError, write_atomically
from tools.localization.appearance import look_at
from tools.localization.backbones import Backbone
from tools.localization.differences import Difference, ResidualScale
from tools.localization.fitting import MOST_BYTES, Part, Progress, see_references, shown_parts
from tools.localization.looks import Dimensions, Seen, dimensions, see, shrunk
from tools.localization.manifest import LocalizerSettings
from tools.localization.normal import Normal
from tools.localization.saved import expect
from tools.localization.synthesis import KINDS, synthesize

_FORMAT = 9
"""Raised whenever the cache of an older program would hold something else."""

_PATCHES = 400
"""Of each kind, changed and unchanged, that are kept of a picture at each level."""

_HELD_OUT = 5
"""Every fifth part on which anomalies are made is not learned from, but tells how well was learned."""

_SCALED_BY = 20
"""Normal pictures by which differences are brought to the scale of a product; none that is held out."""

_NOT_LOOKED_AT_BY = {"prompts", "weights", "image_prompts"}
"""Settings of a localiser that do not change what is encoded, or that are told otherwise."""


class AdaptationSettings(NamedTuple):
    """What decides the prompts besides the products."""

    pictures: int = 40
    """With a synthetic anomaly, of each product."""
    steps: int = 600
    """Of learning, with 4096 patches each."""
    seed: int = 0
    kinds: tuple[str, ...] = tuple(KINDS)
    """Of synthetic anomalies."""


class NormalProduct(NamedTuple):
    """A product with its normal parts."""

    name: str
    parts: Sequence[Part]
    """Pictures of them."""
    window: tuple[float, float] | None = None
    """By which counts of 16-bit files became the parts' pixels."""

    @property
    def part_count(self) -> int:
        """Pictures of one part count once."""
        return len(set(shown_parts(self.parts)))


class Encoded(NamedTuple):
    """Patches of one layer at all looks, or pictures as a whole, of a product."""

    encoded: Tensor
    """(N, F) float16"""
    changed: Tensor
    """(N,) float16, share of the patch that visibly changed; 0 or 1 for a picture"""
    picture: Tensor
    """(N,) int16; a picture and the same with an anomaly have one number"""
    kind: Tensor
    """(N,) int16, index into `KINDS`"""
    held_out: Tensor
    """(N,) bool, true for what was made on normal pictures that are not learned from"""


class Altered(NamedTuple):
    """Everything that is learned from a product."""

    layers: tuple[Encoded, ...]
    """Patches of each layer."""
    whole: Encoded
    """Pictures with an anomaly, each beside itself without."""


def altered_of(
    product: NormalProduct,
    products: Sequence[NormalProduct],
    backbone: Backbone,
    localizer: LocalizerSettings,
    settings: AdaptationSettings,
    cache: Path,
    progress: Progress,
) -> Altered:
    """Of one of the `products`, the others of which lend it textures; from the cache where it has been done before.

    A part is learned from or held out with all pictures of it, and all anomalies that are made on those. Raises
    `FittedPartError` where no anomaly can be made on those that are learned from.
    """
    lenders = [other for other in products if other.name != product.name]
    belongs = (
        *(_FORMAT, backbone.weights_sha256, localizer.model_dump_json(exclude=_NOT_LOOKED_AT_BY)),
        *(settings.pictures, settings.seed, settings.kinds),
        *(product.window, [part.sha256 for part in product.parts], shown_parts(product.parts)),
        [(other.window, other.parts[0].sha256) for other in lenders],
    )
    path = cache / f"{hashlib.sha256(json.dumps(belongs).encode()).hexdigest()[:24]}.safetensors"
    try:
        return _kept(load_file(path), dimensions(backbone))
    except (OSError, SafetensorError, KeyError, ValueError):
        pass  # Nothing there, or nothing that can be used: it is worked out again.
    foreign = [other.parts[0] for other in lenders]
    found = _altered(product, foreign, backbone, localizer, settings, progress)
    tensors = {
        f"{field}.{index}": value
        for index, of in enumerate((*found.layers, found.whole))
        for field, value in of._asdict().items()
    }
    write_atomically(path, save(tensors))
    return found


def _kept(tensors: dict[str, Tensor], size: Dimensions) -> Altered:
    """What a cache holds; raises `KeyError` or `ValueError` where that is something else."""
    widths = (*size.channels, size.embedding)
    *layers, whole = (_read_encoded(tensors, index, width) for index, width in enumerate(widths))
    return Altered(tuple(layers), whole)


def _read_encoded(tensors: dict[str, Tensor], index: int, width: int) -> Encoded:
    encoded = expect(tensors, f"encoded.{index}", None, width + 1, dtype=torch.float16)
    found = Encoded(
        encoded,
        expect(tensors, f"changed.{index}", len(encoded), dtype=torch.float16),
        expect(tensors, f"picture.{index}", len(encoded), dtype=torch.int16),
        expect(tensors, f"kind.{index}", len(encoded), dtype=torch.int16),
        expect(tensors, f"held_out.{index}", len(encoded), dtype=torch.bool),
    )
    if found.held_out.all():
        raise ValueError("nothing to learn from is kept")
    return found


def _altered(
    product: NormalProduct,
    foreign: Sequence[Part],
    backbone: Backbone,
    localizer: LocalizerSettings,
    settings: AdaptationSettings,
    progress: Progress,
) -> Altered:
    random = np.random.default_rng(settings.seed)
    remembered, others = _divided(product, random)
    appearance = look_at((part.pixels() for part in remembered), localizer.areas)
    generator, room = torch.Generator().manual_seed(settings.seed), MOST_BYTES // len(remembered)
    references = see_references(backbone, remembered, appearance.areas)
    seen = [reference.thinned(room, generator, grey=False) for reference in references]
    without_template = localizer.model_copy(update={"aligned": False})  # Nobody asks for one here.
    normal = Normal.fit(seen, without_template, appearance)
    del seen
    learned_from = [base.picture for base in others if not base.held_out]
    *scales, of_whole = _scales(normal, learned_from, backbone, appearance.areas)
    textures = [part.pixels() for part in foreign[:6]]
    layers: list[list[Encoded]] = [[] for _ in backbone.memory_layers]
    whole: list[Encoded] = []
    for number in range(settings.pictures):
        progress(f"anomalies on {product.name}", number, settings.pictures)
        picture, held_out = others[number % len(others)]
        pixels = picture.pixels()
        made = synthesize(pixels, random, textures, settings.kinds)
        if made is None:
            continue
        kind = list(KINDS).index(made.kind)
        *differences, difference = _differences(normal, see(backbone, made.pixels, appearance.areas))
        for level, (of_level, scale) in enumerate(zip(differences, scales, strict=True)):
            changed = _changed(made.mask, of_level.size)
            chosen = _chosen(changed, torch.Generator().manual_seed(settings.seed + number))
            encoded = scale.encode(of_level)[chosen]
            layers[level % len(layers)].append(_encoded(encoded, changed[chosen], number, kind, held_out))
        alike = shrunk(backbone, pixels, appearance.areas)  # as before the looks at the altered one
        untouched = normal.difference_of_picture(see(backbone, alike, appearance.areas[:1]))
        both = torch.cat([of_whole.encode(untouched), of_whole.encode(difference)])
        whole.append(_encoded(both, torch.tensor([0.0, 1.0]), number, kind, held_out))
    progress(f"anomalies on {product.name}", settings.pictures, settings.pictures)
    if all(of.held_out.all() for of in whole):
        raise FittedPartError(
            f"{product.name}: no anomaly could be made on those of its normal parts that are learned from; leave it out"
        )
    return Altered(tuple(map(_joined, layers)), _joined(whole))


class _Base(NamedTuple):
    """A normal picture on which anomalies are made."""

    picture: Part
    held_out: bool


def _divided(product: NormalProduct, random: np.random.Generator) -> tuple[list[Part], list[_Base]]:
    """Pictures of one half of the parts to remember, and of the other to make anomalies on, part by part in turn."""
    of_part: list[list[Part]] = [[] for _ in range(product.part_count)]
    for picture, number in zip(product.parts, shown_parts(product.parts), strict=True):
        of_part[number].append(picture)
    order = random.permutation(len(of_part))
    remembered, others = ([of_part[number] for number in half] for half in (order[::2], order[1::2]))
    bases = [
        [_Base(picture, _is_held_out(index, len(others))) for picture in pictures]
        for index, pictures in enumerate(others)
    ]
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*bases))
    return list(itertools.chain.from_iterable(remembered)), [base for base in in_turn if base is not None]


def _is_held_out(index: int, count: int) -> bool:
    """Whether one of `count` parts is not learned from: every fifth, and of fewer the last."""
    every = min(count, _HELD_OUT)
    return index % every == every - 1


def _joined(parts: Sequence[Encoded]) -> Encoded:
    return Encoded(*map(torch.cat, zip(*parts, strict=True)))


def _encoded(encoded: Tensor, changed: Tensor, number: int, kind: int, held_out: bool) -> Encoded:
    pictures, kinds = (torch.full((len(encoded),), value, dtype=torch.int16) for value in (number, kind))
    return Encoded(encoded.half(), changed.half(), pictures, kinds, torch.full((len(encoded),), held_out))


def _differences(normal: Normal, seen: Seen) -> tuple[Difference, ...]:
    """At each level, and last of the picture as a whole."""
    return (*normal.differences(seen), normal.difference_of_picture(seen))


def _scales(
    normal: Normal, parts: Sequence[Part], backbone: Backbone, areas: tuple[int, ...]
) -> tuple[ResidualScale, ...]:
    """What such differences amount to on parts that the memory does not hold."""
    found = [_differences(normal, see(backbone, part.pixels(), areas)) for part in parts[:_SCALED_BY]]
    return tuple(ResidualScale.fit(alike) for alike in zip(*found, strict=True))


def _changed(mask: NDArray[np.bool_], size: torch.Size) -> Tensor:
    """(H, W) pixels -> (N,) share of each patch of the grid."""
    pixels = torch.from_numpy(mask.astype(np.float32))[None, None]
    return F.adaptive_avg_pool2d(pixels, (size[0], size[1])).flatten()


def _chosen(changed: Tensor, generator: torch.Generator) -> Tensor:
    """Some of the changed and as many of the unchanged patches."""
    halves = [torch.nonzero(changed > 0)[:, 0], torch.nonzero(changed == 0)[:, 0]]
    return torch.cat([half[torch.randperm(len(half), generator=generator)[:_PATCHES]] for half in halves])

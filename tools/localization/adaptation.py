"""Adaptation: one set of prompts for all products, learned from normal parts with anomalies made on them.

Each product's normal parts are parted in two. One half fills a memory; on pictures of the other half anomalies are made,
and every patch is encoded by how it differs from the memory. What is learned is which differences are anomalous, for all
products alike; the backbone stays frozen. The encoded patches of a product are kept in a cache, so that adaptation that
was interrupted goes on where it was.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from scipy import stats
from torch import Tensor

from knowledge import FittedPartError, write_atomically
from tools.localization.adapted import FORMAT, Adapted, AdaptedManifest, AdaptedProduct
from tools.localization.appearance import look_at
from tools.localization.backbones import Backbone
from tools.localization.differences import ResidualScale
from tools.localization.fitting import Part, Progress
from tools.localization.looks import dimensions, see
from tools.localization.manifest import LocalizerSettings
from tools.localization.normal import Normal
from tools.localization.prompts import LearnablePrompts, Prompts
from tools.localization.synthesis import KINDS, synthesize

_FORMAT = 2
"""Raised whenever the cache of an older program would hold other patches."""

_FEWEST = 4
"""Normal parts that a product must have: two for its memory, two to make anomalies on."""

_PATCHES = 400
"""Of each kind, changed and unchanged, that are kept of a picture at each look."""

_SCALED_BY = 20
_HELD_OUT = 5
"""Every fifth picture is not learned from, but tells how well was learned."""

_CHANGED = 0.5
"""Share of a patch from which it counts as changed."""
_COUNTED = 10
"""Patches on either side from which an AUROC says something."""

_BATCH = 4096
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-3


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
    window: tuple[float, float] | None = None
    """By which counts of 16-bit files became the parts' pixels."""


class _Patches(NamedTuple):
    """Encoded patches of a product."""

    encoded: Tensor
    """(N, F) float16"""
    changed: Tensor
    """(N,) float16, share of the patch that visibly changed"""
    picture: Tensor
    """(N,) int16"""
    kind: Tensor
    """(N,) int16, index into `KINDS`"""


def adapt(
    products: Sequence[NormalProduct],
    backbone: Backbone,
    localizer: LocalizerSettings,
    settings: AdaptationSettings,
    cache: Path,
    progress: Progress = lambda what, done, total: None,
) -> Adapted:
    """Learn prompts on the normal parts of `products`, looked at as `localizer` says.

    Raises `FittedPartError` where no product has enough parts, or where learning comes to nothing.
    """
    enough = [product for product in products if len(product.parts) >= _FEWEST]
    if not enough:
        raise FittedPartError(f"no product has {_FEWEST} normal parts or more, so there is nothing to adapt to")
    patches = [_cached_patches(product, enough, backbone, localizer, settings, cache, progress) for product in enough]
    learned = _learn([_learned_from(of) for of in patches], backbone, settings, progress)
    manifest = AdaptedManifest(
        format=FORMAT,
        backbone=backbone.name,
        backbone_sha256=backbone.weights_sha256,
        seed=settings.seed,
        steps=settings.steps,
        products=tuple(
            AdaptedProduct(name=product.name, parts=len(product.parts), pictures=len(of.picture.unique()))
            for product, of in zip(enough, patches, strict=True)
        ),
        left_out=tuple(product.name for product in products if len(product.parts) < _FEWEST),
        held_out_auroc=_held_out_auroc(learned, patches),
        tensors_sha256="",
    )
    return Adapted(learned, manifest)


def _cached_patches(
    product: NormalProduct,
    products: Sequence[NormalProduct],
    backbone: Backbone,
    localizer: LocalizerSettings,
    settings: AdaptationSettings,
    cache: Path,
    progress: Progress,
) -> _Patches:
    lenders = [other for other in products if other.name != product.name]
    belongs = (
        *(_FORMAT, backbone.weights_sha256, localizer.model_dump_json(exclude={"prompts", "weights"})),
        *(settings.pictures, settings.seed, settings.kinds),
        *(product.window, [part.sha256 for part in product.parts]),
        [(other.window, other.parts[0].sha256) for other in lenders],
    )
    path = cache / f"{hashlib.sha256(json.dumps(belongs).encode()).hexdigest()[:24]}.safetensors"
    try:
        kept = _Patches(**load_file(path))
        if kept.encoded.shape[1] == dimensions(backbone)[0] + 1:
            return kept
    except (OSError, SafetensorError, TypeError):
        pass  # Nothing there, or nothing that can be used: it is worked out again.
    foreign = [other.parts[0] for other in lenders]
    found = _patches(product, foreign, backbone, localizer, settings, progress)
    write_atomically(path, save(found._asdict()))
    return found


def _patches(
    product: NormalProduct,
    foreign: Sequence[Part],
    backbone: Backbone,
    localizer: LocalizerSettings,
    settings: AdaptationSettings,
    progress: Progress,
) -> _Patches:
    random = np.random.default_rng(settings.seed)
    order = random.permutation(len(product.parts))
    remembered, altered = ([product.parts[i] for i in half] for half in (order[::2], order[1::2]))
    appearance = look_at((part.pixels() for part in remembered), localizer.areas)
    seen = [see(backbone, part.pixels(), appearance.areas) for part in remembered]
    normal = Normal.fit(seen, localizer, appearance)
    del seen
    scales = _scales(normal, altered, backbone, appearance.areas)
    textures = [part.pixels() for part in foreign[:6]]
    kept = []
    for number in range(settings.pictures):
        progress(f"anomalies on {product.name}", number, settings.pictures)
        pixels = altered[number % len(altered)].pixels()
        made = synthesize(pixels, random, textures, settings.kinds)
        if made is None:
            continue
        differences = normal.differences(see(backbone, made.pixels, appearance.areas))
        for difference, scale in zip(differences, scales, strict=True):
            changed = _changed(made.mask, difference.size)
            chosen = _chosen(changed, torch.Generator().manual_seed(settings.seed + number))
            encoded = scale.encode(difference)[chosen].half()
            labels = torch.full((2, len(chosen)), number, dtype=torch.int16)
            labels[1] = list(KINDS).index(made.kind)
            kept.append(_Patches(encoded, changed[chosen].half(), labels[0], labels[1]))
    progress(f"anomalies on {product.name}", settings.pictures, settings.pictures)
    if not kept:
        raise FittedPartError(f"{product.name}: no anomaly could be made on its normal parts; leave it out")
    return _Patches(*(torch.cat(column) for column in zip(*kept, strict=True)))


def _scales(
    normal: Normal, parts: Sequence[Part], backbone: Backbone, areas: tuple[int, ...]
) -> tuple[ResidualScale, ...]:
    """What differences of parts that the memory does not hold amount to, at each look."""
    found = [normal.differences(see(backbone, part.pixels(), areas)) for part in parts[:_SCALED_BY]]
    return tuple(ResidualScale.fit(of_look) for of_look in zip(*found, strict=True))


def _changed(mask: NDArray[np.bool_], size: torch.Size) -> Tensor:
    """(H, W) pixels -> (N,) share of each patch of the grid."""
    pixels = torch.from_numpy(mask.astype(np.float32))[None, None]
    return F.adaptive_avg_pool2d(pixels, (size[0], size[1])).flatten()


def _chosen(changed: Tensor, generator: torch.Generator) -> Tensor:
    """Some of the changed and as many of the unchanged patches."""
    halves = [torch.nonzero(changed > 0)[:, 0], torch.nonzero(changed == 0)[:, 0]]
    return torch.cat([half[torch.randperm(len(half), generator=generator)[:_PATCHES]] for half in halves])


def _learned_from(patches: _Patches) -> _Patches:
    return _Patches(*(column[~_is_apart(patches)] for column in patches))


def _learn(
    products: Sequence[_Patches], backbone: Backbone, settings: AdaptationSettings, progress: Progress
) -> Prompts:
    encoded = torch.cat([patches.encoded.float() for patches in products])
    changed = torch.cat([patches.changed.float() for patches in products])
    # Every product counts the same, and every picture of a product.
    weights = torch.cat([_weights(patches) for patches in products])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = LearnablePrompts(encoded.mean(0), encoded.std(0), backbone.text)
        optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
        for step, batch in enumerate(_batches(weights, settings)):
            progress("learning prompts", step, settings.steps)
            loss = F.binary_cross_entropy_with_logits(model.prompts().logits(encoded[batch]), changed[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    progress("learning prompts", settings.steps, settings.steps)
    prompts = model.frozen()
    if not all(torch.isfinite(value).all() for value in prompts):
        raise FittedPartError("the prompts came to no finite numbers; adapt with another seed or fewer steps")
    return prompts


def _weights(patches: _Patches) -> Tensor:
    _, number, count = patches.picture.unique(return_inverse=True, return_counts=True)
    weights: Tensor = 1.0 / (count[number] * len(count))
    return weights


def _batches(weights: Tensor, settings: AdaptationSettings) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.steps):
        yield torch.multinomial(weights, _BATCH, replacement=True, generator=generator)


def _held_out_auroc(prompts: Prompts, products: Sequence[_Patches]) -> dict[str, float]:
    """Patches that changed against those that did not, over all products, with anomalies that were not learned from."""
    apart = [_Patches(*(column[_is_apart(of)] for column in of)) for of in products]
    kind, changed = (torch.cat(column) for column in zip(*((of.kind, of.changed) for of in apart), strict=True))
    logits = torch.cat([prompts.logits(of.encoded.float()) for of in apart])
    # Patches that changed in part are neither the one nor the other.
    clear = (changed == 0) | (changed > _CHANGED)
    groups = {"all": clear} | {name: clear & (kind == index) for index, name in enumerate(KINDS)}
    found = {name: _auroc(logits[group], changed[group] > _CHANGED) for name, group in groups.items()}
    return {name: round(auroc, 4) for name, auroc in found.items() if auroc is not None}


def _is_apart(patches: _Patches) -> Tensor:
    """(N,) true for patches of pictures that are not learned from."""
    return patches.picture % _HELD_OUT == _HELD_OUT - 1


def _auroc(scores: Tensor, positive: Tensor) -> float | None:
    """Area under the ROC curve by ranks (Mann and Whitney 1947); None where there is too little to count."""
    count = int(positive.sum())
    if min(count, len(positive) - count) < _COUNTED:
        return None
    ranks = stats.rankdata(scores.numpy())
    above = float(ranks[positive.numpy()].sum()) - count * (count + 1) / 2
    return above / (count * (len(positive) - count))

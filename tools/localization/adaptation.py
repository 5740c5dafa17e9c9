"""Adaptation: one set of prompts for all products, learned from normal parts with anomalies made on them.

Each product's normal parts are parted in two. One half fills a memory; on pictures of the other half anomalies are made,
and every patch is encoded by how it differs from the memory (see `altered`). What is learned is which differences are
anomalous, for all products alike; the backbone stays frozen. Image-level prompts are learned in the same way, from how
whole pictures differ from the nearest reference. Every fifth part of the other half is not learned from, with no anomaly
that is made on it, and tells how well was learned. Pictures of one part stay together. What was encoded of a product is
kept in a cache, so that adaptation that was interrupted goes on where it was.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from scipy import stats
from torch import Tensor

from knowledge import FittedPartError
from tools.localization.adapted import FORMAT, Adapted, AdaptedManifest, AdaptedProduct
from tools.localization.altered import AdaptationSettings, Encoded, NormalProduct, altered_of
from tools.localization.backbones import Backbone
from tools.localization.fitting import Progress
from tools.localization.manifest import LocalizerSettings
from tools.localization.prompts import LearnablePrompts, Prompts
from tools.localization.synthesis import KINDS

_FEWEST = 4
"""Normal parts that a product must have: two for its memory, two to make anomalies on."""

_CHANGED = 0.5
"""Share of a patch from which it counts as changed."""
_COUNTED = 10
"""Patches or pictures on either side from which an AUROC says something."""

_BATCH = 4096
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-3


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
    enough = [product for product in products if product.part_count >= _FEWEST]
    if not enough:
        raise FittedPartError(
            f"no product has {_FEWEST} normal parts or more to learn from, so there is nothing to adapt to"
        )
    altered = [altered_of(product, enough, backbone, localizer, settings, cache, progress) for product in enough]
    by_layer = list(zip(*(of.layers for of in altered), strict=True))
    layers = tuple(_learn(of_layer, backbone, settings, progress) for of_layer in by_layer)
    whole = [of.whole for of in altered]
    image = _learn(whole, backbone, settings, progress)
    manifest = AdaptedManifest(
        format=FORMAT,
        backbone=backbone.name,
        backbone_sha256=backbone.weights_sha256,
        seed=settings.seed,
        steps=settings.steps,
        products=tuple(
            AdaptedProduct(name=product.name, parts=product.part_count, pictures=len(of.whole.picture.unique()))
            for product, of in zip(enough, altered, strict=True)
        ),
        left_out=tuple(product.name for product in products if product.part_count < _FEWEST),
        held_out_auroc=_held_out_auroc(layers, by_layer),
        held_out_image_auroc=_held_out_auroc([image], [whole]).get("all"),
        tensors_sha256="",
    )
    return Adapted(layers, manifest, image)


def _learn(
    products: Sequence[Encoded], backbone: Backbone, settings: AdaptationSettings, progress: Progress
) -> Prompts:
    learned_from = [_where(of, ~of.held_out) for of in products]
    encoded = torch.cat([of.encoded.float() for of in learned_from])
    changed = torch.cat([of.changed.float() for of in learned_from])
    # Every product counts the same, and every picture of a product.
    weights = torch.cat([_weights(of) for of in learned_from])
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


def _weights(encoded: Encoded) -> Tensor:
    _, number, count = encoded.picture.unique(return_inverse=True, return_counts=True)
    weights: Tensor = 1.0 / (count[number] * len(count))
    return weights


def _batches(weights: Tensor, settings: AdaptationSettings) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.steps):
        yield torch.multinomial(weights, _BATCH, replacement=True, generator=generator)


def _held_out_auroc(prompts: Sequence[Prompts], layers: Sequence[Sequence[Encoded]]) -> dict[str, float]:
    """Patches or pictures that changed against those that did not, over all layers and products.

    On pictures that were not learned from; empty where anomalies could be made on too few of those.
    """
    apart = [
        (of_layer, _where(of, of.held_out))
        for of_layer, products in zip(prompts, layers, strict=True)
        for of in products
    ]
    kind, changed = (torch.cat(column) for column in zip(*((of.kind, of.changed) for _, of in apart), strict=True))
    logits = torch.cat([of_layer.logits(of.encoded.float()) for of_layer, of in apart])
    # Patches that changed in part are neither the one nor the other.
    clear = (changed == 0) | (changed > _CHANGED)
    groups = {"all": clear} | {name: clear & (kind == index) for index, name in enumerate(KINDS)}
    found = {name: _auroc(logits[group], changed[group] > _CHANGED) for name, group in groups.items()}
    return {name: round(auroc, 4) for name, auroc in found.items() if auroc is not None}


def _where(encoded: Encoded, chosen: Tensor) -> Encoded:
    return Encoded(*(column[chosen] for column in encoded))


def _auroc(scores: Tensor, positive: Tensor) -> float | None:
    """Area under the ROC curve by ranks (Mann and Whitney 1947); None where there is too little to count."""
    count = int(positive.sum())
    if min(count, len(positive) - count) < _COUNTED:
        return None
    ranks = stats.rankdata(scores.numpy())
    above = float(ranks[positive.numpy()].sum()) - count * (count + 1) / 2
    return above / (count * (len(positive) - count))

"""What the normal parts of a product look like: memories of their patches, and a template where they are aligned.

Where no part was ever seen, it is texts that say so.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tools.localization.appearance import Appearance
from tools.localization.differences import Difference, together
from tools.localization.features import as_patches
from tools.localization.looks import Dimensions, Seen
from tools.localization.manifest import LocalizerSettings, Manifest
from tools.localization.memory import PatchMemory
from tools.localization.projection import Projection
from tools.localization.prompted import Prompted
from tools.localization.prompted_picture import PromptedPicture
from tools.localization.saved import expect
from tools.localization.state_texts import StateTexts
from tools.localization.template import Template

_OF_A_REFERENCE = 20
"""Patches of a deeper layer that are remembered for each reference, where that is more than the usual number."""

_AT_MOST = 4000
"""Patches that a memory grows to at most, which bounds what a comparison costs."""


class Normal(NamedTuple):
    """Learned from normal parts, or told by texts."""

    memories: tuple[PatchMemory, ...]
    """One for each level; none where texts stand in their place."""
    template: Template | None = None
    """Of all references, where parts lie in the same place on every picture, or may do so."""
    prompted: Prompted | None = None
    embeddings: Tensor | None = None
    """(N, D) of the references as a whole, which `picture` is compared with."""
    picture: PromptedPicture | None = None
    texts: StateTexts | None = None
    """Then all that is known, and pictures are to be seen in the space of texts."""

    @classmethod
    def fit(cls, parts: Sequence[Seen], settings: LocalizerSettings, appearance: Appearance) -> "Normal":
        """Without prompts, whose scale takes parts that the memories do not hold.

        With a template unless the product says that its parts are not aligned.
        """
        memories = tuple(
            PatchMemory.fit(
                torch.cat([as_patches(seen.patches[level][None]) for seen in parts]),
                size,
                settings.seed,
                components=appearance.components,
                whiten=appearance.whiten,
            )
            for level, size in enumerate(_sizes(parts, settings, appearance))
        )
        template = None if settings.aligned is False else Template.fit(seen.grey for seen in parts if seen.grey.size)
        return cls(memories, template, embeddings=torch.stack([seen.embedding for seen in parts]))

    def differences(self, seen: Seen) -> tuple[Difference, ...]:
        """From the nearest normal patches, one for each level."""
        return tuple(Difference.of(*pair) for pair in zip(seen.patches, self.memories, strict=True))

    def difference_of_picture(self, seen: Seen) -> Difference:
        """From the nearest reference as a whole."""
        if self.embeddings is None:
            raise ValueError("expected the embeddings of the references")
        return Difference.of_picture(seen.embedding, self.embeddings)

    def distances(self, seen: Seen, template: Template | None = None) -> Tensor:
        """(h, w) of the finest level: how far from normal each place is, by the levels, the prompts and the template.

        A `template` of this very view takes the place of the product's own. By texts they are logits,
        which may be below 0, and no template is asked.
        """
        if self.texts is not None:
            return self.texts.logits(seen)
        differences = self.differences(seen)
        distances = together(differences)
        if self.prompted is not None:
            distances = distances * self.prompted.factors(differences)
        if self.picture is not None:
            distances = distances * self.picture.factor(self.difference_of_picture(seen))
        template = template or self.template
        return distances if template is None else template.raised(distances, seen.grey)

    def tensors(self) -> dict[str, Tensor]:
        """To be saved."""
        found = {}
        for level, memory in enumerate(self.memories):
            found[f"mean.{level}"] = memory.projection.mean
            found[f"projection.{level}"] = memory.projection.matrix
            found[f"patches.{level}"] = memory.patches.contiguous()
            found[f"sources.{level}"] = memory.sources.contiguous()
        if self.template is not None:
            found |= self.template.tensors()
        for other in (self.prompted, self.picture, self.texts):
            found |= {} if other is None else other.tensors()
        return found

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], size: Dimensions, manifest: Manifest) -> "Normal":
        """What was saved, of a backbone that gives patches and embeddings of that `size`.

        Raises `KeyError` where something is missing, `ValueError` where shapes do not agree.
        """
        if manifest.noun is not None:
            return cls((), texts=StateTexts.of_tensors(tensors, size.embedding))
        looks = len(manifest.appearance.areas)
        prompted = manifest.prompts_sha256 is not None
        if manifest.image_prompted and not manifest.memory_parts:
            raise ValueError("embeddings: expected those of a reference or more")
        return cls(
            tuple(_memory(tensors, level, width) for level, width in enumerate(size.channels * looks)),
            Template.of_tensors(tensors) if manifest.aligned else None,
            Prompted.of_tensors(tensors, looks, size.channels) if prompted else None,
            expect(tensors, "embeddings", len(manifest.memory_parts), size.embedding),
            PromptedPicture.of_tensors(tensors, size.embedding) if manifest.image_prompted else None,
        )


def _sizes(parts: Sequence[Seen], settings: LocalizerSettings, appearance: Appearance) -> list[int]:
    """Patches to remember at each level.

    Deeper layers of a convolutional network have few places to compare, so that their memories can grow with the
    references, as PatchCore's do.
    """
    deeper = max(settings.memory_size, min(_OF_A_REFERENCE * len(parts), _AT_MOST))
    layers = len(parts[0].patches) // len(appearance.areas)
    return [settings.memory_size, *[deeper] * (layers - 1)] * len(appearance.areas)


def _memory(tensors: Mapping[str, Tensor], level: int, channels: int) -> PatchMemory:
    matrix = expect(tensors, f"projection.{level}", channels, None)
    patches = expect(tensors, f"patches.{level}", None, matrix.shape[1])
    if not len(patches):
        raise ValueError(f"patches.{level}: expected one patch or more")
    sources = expect(tensors, f"sources.{level}", len(patches), channels)
    return PatchMemory(Projection(expect(tensors, f"mean.{level}", channels), matrix), patches, sources)

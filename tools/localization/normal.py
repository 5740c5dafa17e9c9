"""What the normal parts of a product look like: memories of their patches, and a template where they are aligned."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tools.localization.appearance import Appearance
from tools.localization.differences import Difference, together
from tools.localization.features import as_patches
from tools.localization.looks import Seen
from tools.localization.manifest import LocalizerSettings
from tools.localization.memory import PatchMemory
from tools.localization.projection import Projection
from tools.localization.prompted import Prompted
from tools.localization.saved import expect
from tools.localization.template import Template


class Normal(NamedTuple):
    """Learned from normal parts."""

    memories: tuple[PatchMemory, ...]
    """One for each look."""
    template: Template | None = None
    """Of all references, where parts lie in the same place on every picture."""
    prompted: Prompted | None = None

    @classmethod
    def fit(cls, parts: Sequence[Seen], settings: LocalizerSettings, appearance: Appearance) -> "Normal":
        """Without prompts, whose scale takes parts that the memories do not hold."""
        memories = tuple(
            PatchMemory.fit(
                torch.cat([as_patches(seen.patches[look][None]) for seen in parts]),
                settings.memory_size,
                settings.seed,
                components=appearance.components,
                whiten=appearance.whiten,
            )
            for look in range(len(appearance.areas))
        )
        return cls(memories, Template.fit(seen.grey for seen in parts) if settings.aligned else None)

    def differences(self, seen: Seen) -> tuple[Difference, ...]:
        """From the nearest normal patches, one for each look."""
        return tuple(Difference.of(*pair) for pair in zip(seen.patches, self.memories, strict=True))

    def distances(self, seen: Seen, template: Template | None = None) -> Tensor:
        """(h, w) of the finest look: how far from normal each place is, by the looks, the prompts and the template.

        A `template` of this very view takes the place of the product's own.
        """
        differences = self.differences(seen)
        distances = together(differences)
        if self.prompted is not None:
            distances = distances * self.prompted.factors(differences)
        template = template or self.template
        return distances if template is None else template.raised(distances, seen.grey)

    def tensors(self) -> dict[str, Tensor]:
        """To be saved."""
        found = {}
        for look, memory in enumerate(self.memories):
            found[f"mean.{look}"] = memory.projection.mean
            found[f"projection.{look}"] = memory.projection.matrix
            found[f"patches.{look}"] = memory.patches.contiguous()
            found[f"sources.{look}"] = memory.sources.contiguous()
        if self.template is not None:
            found |= {f"template.{key}": torch.from_numpy(value) for key, value in self.template._asdict().items()}
        return found | ({} if self.prompted is None else self.prompted.tensors())

    @classmethod
    def of_tensors(
        cls, tensors: Mapping[str, Tensor], looks: int, channels: int, *, aligned: bool, prompted: bool
    ) -> "Normal":
        """What was saved; raises `KeyError` where something is missing, `ValueError` where shapes do not agree."""
        memories = tuple(_memory(tensors, look, channels) for look in range(looks))
        template = _template(tensors) if aligned else None
        return cls(memories, template, Prompted.of_tensors(tensors, looks, channels) if prompted else None)


def _memory(tensors: Mapping[str, Tensor], look: int, channels: int) -> PatchMemory:
    matrix = expect(tensors, f"projection.{look}", channels, None)
    patches = expect(tensors, f"patches.{look}", None, matrix.shape[1])
    if not len(patches):
        raise ValueError(f"patches.{look}: expected one patch or more")
    sources = expect(tensors, f"sources.{look}", len(patches), channels)
    return PatchMemory(Projection(expect(tensors, f"mean.{look}", channels), matrix), patches, sources)


def _template(tensors: Mapping[str, Tensor]) -> Template:
    lowest = expect(tensors, "template.lowest", None, None)
    return Template(lowest.numpy(), expect(tensors, "template.highest", *lowest.shape).numpy())

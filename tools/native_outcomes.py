"""What the instruments for scans, recordings and videos found, in sentences."""

from collections.abc import Mapping, Sequence

from tools.assets import Asset
from tools.evidence import EvidenceLog, SimilarReference
from tools.learned import LearnedProduct
from tools.measuring import Measurement
from tools.native_instruments import NativeInstruments
from tools.outcomes import Learned, Outcome, beside_alpha, retrieved, unseen
from tools.views import Region, RenderedView

_LISTED = 6
"""Items of a list that are told; the record holds them all."""


class NativeOutcomes:
    """The same as `PictureInstruments`, for every modality besides pictures."""

    def __init__(self, native: NativeInstruments) -> None:
        self._native = native

    def render(self, asset: Asset, learned: Learned) -> Outcome:
        """The views of an asset, with what its file says of itself."""
        shown, hidden = self._native.render(asset, learned()), unseen(asset)
        facts = ", ".join(f"{name} {_short(value)}" for name, value in asset.facts.items())
        return {
            "summary": f"Asset {asset.id} ({asset.modality}) rendered to {len(shown.views)} view(s): {facts}. "
            + " ".join(hidden),
            "shown": shown.model_copy(update={"unsuitable": hidden}),
            "artifacts": tuple(view.image for view in shown.views),
        }

    def localize(self, asset: Asset, learned: LearnedProduct, views: Sequence[RenderedView], alpha: float) -> Outcome:
        """Where an asset is unlike its references, in its own terms."""
        shown = self._native.localize(asset, learned, views, alpha)
        places = "".join(f"; {region.id} {_said(region.native)}, peak {region.peak:.2f}" for region in shown.regions)
        return {
            "summary": f"Asset {asset.id} ({asset.modality}): anomaly score {shown.score:.3f}, p-value {shown.p_value:.4f} "
            f"({beside_alpha(shown.p_value, alpha)}), {shown.region_count} region(s) over threshold{places}"
            + "".join(f"; {each}" for each in shown.unlike),
            "shown": shown,
            "artifacts": (*shown.heats.values(), *(region.mask for region in shown.regions)),
        }

    def retrieve(self, asset: Asset, learned: LearnedProduct, view: RenderedView) -> Outcome:
        """The references most like an asset."""
        return retrieved(self._native.retrieve(asset, learned, view))

    def measure(
        self, asset: Asset, learned: LearnedProduct, log: EvidenceLog, region: Region
    ) -> tuple[Measurement, ...]:
        """A region in numbers, from the asset's own data."""
        return self._native.measure(asset, learned, log, region)

    def told(self, measured: tuple[Measurement, ...]) -> str:
        """Those numbers in a sentence."""
        return ", ".join(f"{each.name} {each.value:.4g} {each.unit}".strip() for each in measured)

    def examine(self, asset: Asset, learned: Learned, log: EvidenceLog, region: Region) -> Outcome:
        """A region drawn closer."""
        closer = self._native.examine(asset, learned(), log, region)
        return {
            "summary": f"Region {region.id} drawn closer, with its scale",
            "shown": closer,
            "artifacts": (closer.crop.image,),
        }

    def compare(
        self, asset: Asset, learned: Learned, log: EvidenceLog, region: Region, reference: SimilarReference
    ) -> Outcome:
        """A region beside the same place on a reference."""
        compared = self._native.compare(asset, learned(), log, region, reference.id)
        return {
            "summary": f"Region {region.id} beside the same place on reference {reference.id}: its anomaly value "
            f"peaks at {compared.difference:.1f}",
            "shown": compared,
            "artifacts": (compared.crop, compared.reference_crop),
        }


def _said(native: Mapping[str, object]) -> str:
    """An asset's own terms in one line."""
    return ", ".join(f"{name} {_short(value)}" for name, value in native.items() if value is not None)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        more = f" and {len(value) - _LISTED} more" if len(value) > _LISTED else ""
        return "[" + ", ".join(_short(each) for each in value[:_LISTED]) + more + "]"
    return str(value)

"""What a claim is checked on: maps, masks and measurements of an inspection, worked out again from its artifacts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from knowledge import Modality, NormalityRule, Product, ToolFailure
from tools import (
    ArtifactStore,
    Compared,
    EvidenceLog,
    KnowledgeFound,
    Localized,
    Measurement,
    NativeRecheck,
    Region,
    RenderedView,
    ViewsShown,
    as_values,
    blobs,
    luma,
    measure_part,
    measure_region,
    pixel_size_of,
    shown_members,
)

Mask = NDArray[np.bool_]


class Quantity(NamedTuple):
    """A number and what it is a number of."""

    value: float
    unit: str


class Calibrated(NamedTuple):
    """The anomaly map of an asset and the threshold that is promised of it."""

    values: NDArray[np.float32]
    """(H, W) of a picture's view; of other modalities one value for each element, in their shape."""
    threshold: float


class SecondLook:
    """Raises `ToolArgumentError` for ids that are none, and `ToolFailure` for what cannot be told."""

    def __init__(
        self,
        log: EvidenceLog,
        store: ArtifactStore,
        product: Product,
        native: NativeRecheck | None,
        modalities: Mapping[str, Modality],
    ) -> None:
        self.log = log
        self.modalities = modalities
        self._store = store
        self._product = product
        self._native = native
        self._measured: dict[str, dict[str, Measurement]] = {}

    @property
    def native(self) -> NativeRecheck:
        if self._native is None:
            raise ToolFailure("nothing is here that could read the asset again")
        return self._native

    def assets_of(self, subject: str) -> tuple[str, ...]:
        """The assets that a region, a view or a rule is of; none for an id that is unknown."""
        if subject in self.log.regions():
            return (self.asset_of(self.log.region(subject)),)
        if subject in self.log.views():
            return (self.log.view(subject).asset_id,)
        rule = next((rule for rule in self._product.rules if rule.id == subject), None)
        return () if rule is None else self.assets_under(rule)

    def asset_of(self, region: Region) -> str:
        return self.log.view(region.view_id).asset_id

    def assets_under(self, rule: NormalityRule) -> tuple[str, ...]:
        """The assets that a rule is about."""
        modality = rule.modality or self._product.modality[0]
        return tuple(id_ for id_, kind in self.modalities.items() if kind == modality)

    # -- measurements ------------------------------------------------------------------------------------------------

    def measurements(self, region_id: str) -> dict[str, Measurement]:
        """Name -> measurement, on the asset's own data."""
        if region_id not in self._measured:
            fresh = self._fresh(self.log.region(region_id))
            self._measured[region_id] = {each.name: each for each in fresh}
        return self._measured[region_id]

    def values(self, region_id: str) -> dict[str, float]:
        return as_values(tuple(self.measurements(region_id).values()))

    def part(self, log: EvidenceLog) -> dict[str, float]:
        """Measurements of the asset that a log is about, taken again."""
        shown = next((shown for _, shown in log.of(ViewsShown)), None)
        if shown is None:
            raise ToolFailure("the part was not rendered, so it cannot be measured again")
        view = shown.views[0]
        if view.inverse:
            return as_values(self.native.measure_part(view.id))
        return as_values(measure_part(self._store.get_image(view.image)))

    def size(self, region: Region) -> Quantity:
        """What is larger of a larger region: of a recording how long it lasts, else the area.

        Of a scan what is missing there where that is more, of a video the largest share of the picture at one time.
        """
        found = self.measurements(region.id)
        areas = [name for name in found if name.startswith("area_") and name != "area_share"]
        name = next((name for name in (*areas, "area", "area_share", "duration") if name in found), None)
        if name is None:
            raise ToolFailure(f"nothing says how large region {region.id} is")
        value, unit = found[name].value, found[name].unit
        if "missing_area" in found:
            # Not added: points that are out of place leave a hole where they should be, and are one place with it.
            value = max(value, found["missing_area"].value)
        if not region.members and unit == "px":
            value *= self.log.view(region.view_id).source_pixels_per_pixel
        return Quantity(value, unit)

    def brightness(self, region: Region) -> float:
        """Mean luma inside a region of a picture, in shares of full white."""
        return _inside(self._picture(region), self._mask(region))

    def reference_brightness(self, region: Region) -> float:
        """The same on the normal reference that the region was compared with, at the same place."""
        compared = next((shown for _, shown in self.log.of(Compared) if shown.region == region.id), None)
        if compared is None:
            raise ToolFailure(f"region {region.id} was compared with no reference")
        view = self.log.view(region.view_id)
        views = {each.id for each in self.log.views_of(view.asset_id)}
        pictures = (
            each for _, shown in self.log.of(KnowledgeFound) if shown.view in views for each in shown.references
        )
        picture = next((each.image for each in pictures if each.id == compared.reference), None)
        if picture is None:
            raise ToolFailure(f"there is no picture of reference {compared.reference}")
        # Laid over the view as it was when they were compared, so that the same place is looked at.
        scaled = Image.fromarray(self._store.get_image(picture)).resize(
            (view.width, view.height), Image.Resampling.BICUBIC
        )
        return _inside(np.asarray(scaled), self._mask(region))

    # -- maps --------------------------------------------------------------------------------------------------------

    def calibrated(self, view_id: str) -> Calibrated:
        asset = self.log.view(view_id).asset_id
        views = {view.id for view in self.log.views_of(asset)}
        localized = next((shown for _, shown in self.log.of(Localized) if shown.view in views), None)
        if localized is None:
            raise ToolFailure(f"view {view_id} was not localised")
        if localized.threshold is None:
            raise ToolFailure(f"nothing is promised of view {view_id}: {localized.promise}")
        return Calibrated(self._store.get_array(localized.map), localized.threshold)

    def count(self, view_id: str) -> int:
        """Regions over threshold on the map, found again."""
        inverse, found = self.log.view(view_id).inverse, self.calibrated(view_id)
        return self.native.count(view_id, *found) if inverse else len(blobs(*found))

    def peak(self, region: Region) -> float:
        """Highest value of the map inside a region."""
        values = self.calibrated(region.view_id).values
        if region.members:
            return float(values.ravel()[self._members(region, values.size)].max())
        mask = self._mask(region)
        if mask.shape != values.shape:
            raise ToolFailure(f"the mask of region {region.id} does not fit its map")
        return float(values[mask].max())

    def peak_within(self, view: RenderedView, box: Sequence[float]) -> float | None:
        """Highest value of the map behind a box in shares of a view; None where it shows nothing of the asset."""
        values = self.calibrated(view.id).values
        window = _pixels(view, box)
        if not view.inverse:
            return float(values[window].max())
        behind = np.unique(self._store.get_array(view.inverse)[window])
        first = behind[behind >= 0].astype(np.int64)
        if not len(first):
            return None
        elements = np.minimum(first[:, None] + np.arange(view.span), values.size - 1)
        return float(values.ravel()[elements].max())

    # -- places ------------------------------------------------------------------------------------------------------

    def shown(self, region: Region) -> Mask:
        """(H, W) where the region's view shows it, worked out again from the asset's elements."""
        if not region.members:
            return self._mask(region)
        view = self.log.view(region.view_id)
        elements = self.calibrated(region.view_id).values.size
        members = self._members(region, elements)
        mask = shown_members(self._store.get_array(view.inverse), view.span, members, elements)
        if not mask.any():
            raise ToolFailure(f"region {region.id} is hidden on every view")
        return mask

    def centroid(self, region: Region) -> tuple[float, float]:
        """In shares of the view's width and height."""
        rows, columns = np.nonzero(self.shown(region))
        view = self.log.view(region.view_id)
        return (float(columns.mean()) + 0.5) / view.width, (float(rows.mean()) + 0.5) / view.height

    def _mask(self, region: Region) -> Mask:
        mask: Mask = self._store.get_array(region.mask)
        if not mask.any():
            raise ToolFailure(f"region {region.id} is empty")
        return mask

    def _members(self, region: Region, elements: int) -> NDArray[np.int64]:
        members: NDArray[np.int64] = self._store.get_array(region.members)
        if not members.size or members.min() < 0 or members.max() >= elements:
            raise ToolFailure(f"the elements of region {region.id} do not fit its map")
        return members

    def _picture(self, region: Region) -> NDArray[np.uint8]:
        return self._store.get_image(self.log.view(region.view_id).image)

    def _fresh(self, region: Region) -> Iterable[Measurement]:
        if region.members:
            return self.native.measure(region)
        size = pixel_size_of(self._product, self.log.view(region.view_id).source_pixels_per_pixel)
        return measure_region(self._picture(region), self._mask(region), size)


def _inside(pixels: NDArray[np.uint8], mask: Mask) -> float:
    if mask.shape != pixels.shape[:2]:
        raise ToolFailure("the mask does not fit the picture")
    return float(luma(pixels)[mask].mean()) / 255


def _pixels(view: RenderedView, box: Sequence[float]) -> tuple[slice, slice]:
    """Every pixel that a box in shares of the view touches."""
    x0, y0, x1, y1 = box
    rows = slice(int(y0 * view.height), int(np.ceil(y1 * view.height)))
    return rows, slice(int(x0 * view.width), int(np.ceil(x1 * view.width)))

"""Claims against evidence: code looks again at the pixels, points or samples, the map and the rules.

A claim is `supported` when a fresh measurement agrees, `refuted` when it disagrees, `unverified` when code cannot tell.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import (
    Frozen,
    Modality,
    NormalityRule,
    Product,
    RuleResult,
    ToolArgumentError,
    ToolFailure,
    check_rule,
)
from tools import (
    ArtifactStore,
    ClaimDraft,
    EvidenceLog,
    Localized,
    Measurement,
    NativeRecheck,
    Region,
    ViewsShown,
    as_values,
    blobs,
    measure_region,
    pixel_size_of,
    shown_members,
)

ClaimStatus = Literal["supported", "refuted", "unverified"]

_SIDE_TOLERANCE = 0.04
"""A centroid this near to a grid line, in shares of the view, is allowed on both sides of it."""

_COLOUR_TOLERANCE = 0.004
"""One level of 255: a smaller difference is neither darker nor brighter."""

_ROUNDING = 5e-5
"""Numbers are shown to reasoners with four decimals."""


class Verified(Frozen):
    """A claim with what code found of it."""

    id: str
    text: str
    kind: str
    subject: str
    status: ClaimStatus
    evidence: tuple[str, ...]
    source: str
    checked: str
    """What the check found."""


class _Result(NamedTuple):
    status: ClaimStatus
    checked: str


class ClaimVerifier:
    """Checks the claims of one inspection on the artifacts themselves, not on what the log says of them."""

    def __init__(
        self,
        log: EvidenceLog,
        store: ArtifactStore,
        product: Product,
        native: NativeRecheck | None = None,
        modalities: Mapping[str, Modality] | None = None,
    ) -> None:
        """`native` looks again at assets other than pictures; `modalities` says what each asset is."""
        self._log = log
        self._store = store
        self._product = product
        self._native = native
        self._modalities = modalities or {}
        self._measured: dict[str, dict[str, float]] = {}
        self._units: dict[str, dict[str, str]] = {}
        self._checks: dict[str, Callable[[ClaimDraft], _Result]] = {
            "presence": self._presence,
            "count": self._count,
            "place": self._place,
            "size": self._size,
            "colour": self._colour,
            "number": self._number,
            "time": self._time,
            "rule": self._rule,
        }

    def verify(self, draft: ClaimDraft, id_: str, source: str) -> Verified:
        result = self._citation(draft) or self._check(draft)
        return Verified(
            id=id_,
            text=draft.text,
            kind=draft.kind,
            subject=draft.subject,
            status=result.status,
            evidence=draft.evidence,
            source=source,
            checked=result.checked,
        )

    def _check(self, draft: ClaimDraft) -> _Result:
        try:
            return self._checks[draft.kind](draft)
        except ToolArgumentError as error:
            return _Result("refuted", str(error))
        except ToolFailure as failure:
            return _Result("unverified", str(failure))

    def _citation(self, draft: ClaimDraft) -> _Result | None:
        known = {record.id for record in self._log.records}
        strangers = [id_ for id_ in draft.evidence if id_ not in known]
        if strangers:
            return _Result("refuted", f"it cites evidence {', '.join(strangers)}, which does not exist")
        if not draft.evidence:
            return _Result("unverified", "it cites no evidence")
        return None

    def _presence(self, draft: ClaimDraft) -> _Result:
        region = self._log.region(draft.subject)
        localized, threshold = self._threshold(region.view_id)
        values = self._store.get_array(localized.map)
        inside = values.ravel()[self._members(region)] if region.members else values[self._store.get_array(region.mask)]
        peak = float(inside.max())
        return _decided(peak > threshold, f"the map peaks at {peak:.3f} inside; the threshold is {threshold:.3f}")

    def _count(self, draft: ClaimDraft) -> _Result:
        if draft.number is None:
            return _Result("unverified", "it gives no number")
        inverse = self._log.view(draft.subject).inverse
        localized, threshold = self._threshold(draft.subject)
        values = self._store.get_array(localized.map)
        found = self._again.count(draft.subject, values, threshold) if inverse else len(blobs(values, threshold))
        return _decided(found == draft.number, f"{found} region(s) over threshold on the map")

    def _place(self, draft: ClaimDraft) -> _Result:
        x, y = self._centroid(self._log.region(draft.subject))
        rows, columns = _sides(y, ("top", "centre", "bottom")), _sides(x, ("left", "centre", "right"))
        words = {
            "centre" if word in ("center", "middle") else word for word in draft.word.lower().replace("-", " ").split()
        }
        found = f"the centroid is at {x:.2f}, {y:.2f} of width and height"
        if not words or words - {"top", "bottom", "left", "centre", "right"}:
            return _Result("unverified", f"{draft.word!r} is no place that code knows; {found}")
        row = words & {"top", "bottom"} or ({"centre"} if "centre" in words else set())
        column = words & {"left", "right"} or ({"centre"} if "centre" in words else set())
        return _decided(row <= rows and column <= columns, found)

    def _size(self, draft: ClaimDraft) -> _Result:
        if draft.number is None:
            return _Result("unverified", "it gives no number")
        region = self._log.region(draft.subject)
        if region.members:
            mask = self._shown(region)
            if not mask.any():
                raise ToolFailure(f"region {region.id} is hidden on every view")
            share = float(mask.mean())
        else:
            share = self._measure(draft.subject)["area_share"]
        near = abs(draft.number - share) <= max(0.1 * share, _ROUNDING)
        return _decided(near, f"the region covers {share:.4f} of the view")

    def _colour(self, draft: ClaimDraft) -> _Result:
        if self._log.region(draft.subject).members:
            return _Result("unverified", "its colours are those of a drawing and say nothing of the part")
        contrast = self._measure(draft.subject)["contrast"]
        found = f"inside minus surroundings is {contrast:+.4f} of full white"
        if draft.word not in ("darker", "brighter"):
            return _Result("unverified", f"{draft.word!r} is no colour word that code knows; {found}")
        if abs(contrast) < _COLOUR_TOLERANCE:
            return _Result("unverified", f"too close to call: {found}")
        return _decided((draft.word == "darker") == (contrast < 0), found)

    def _number(self, draft: ClaimDraft) -> _Result:
        values = self._measure(draft.subject)
        if draft.number is None or draft.attribute not in values:
            return _Result("unverified", f"{draft.attribute!r} is no measurement of {draft.subject}")
        measured = values[draft.attribute]
        near = abs(draft.number - measured) <= max(0.02 * abs(measured), _ROUNDING)
        return _decided(near, f"measured again, {draft.attribute} is {measured:.4g}")

    def _time(self, draft: ClaimDraft) -> _Result:
        region, values = self._log.region(draft.subject), self._measure(draft.subject)
        name = next((name for name in (f"{draft.attribute}_s", draft.attribute) if name in values), "")
        if draft.number is None or not name or draft.attribute not in ("start", "end", "duration"):
            return _Result("unverified", f"{draft.attribute!r} is no time of {draft.subject} that code knows")
        if self._units[region.id][name] != "s":
            return _Result("unverified", "the recording has no times: its samples are counted, not timed")
        # Half a sample: an event at 38 that is said to be at 40 is refuted wherever there is a sample between them.
        near = abs(draft.number - values[name]) <= max(self._again.instant(region) / 2, _ROUNDING)
        return _decided(near, f"on the samples, {draft.attribute} is {values[name]:.4f} s")

    def _rule(self, draft: ClaimDraft) -> _Result:
        rule = next((rule for rule in self._product.rules if rule.id == draft.subject), None)
        if rule is None:
            return _Result("refuted", f"there is no rule {draft.subject!r}")
        result = self._checked_again(rule, draft)
        if draft.word not in ("kept", "violated"):
            return _Result("unverified", f"{draft.word!r} is neither kept nor violated")
        if result.result == "not_checked":
            return _Result("unverified", result.reason)
        return _decided((draft.word == "kept") == (result.result == "passed"), f"checked again: {result.result}")

    def _checked_again(self, rule: NormalityRule, draft: ClaimDraft) -> RuleResult:
        """On the asset that the rule is about; of several, on the one whose evidence is cited."""
        modality = rule.modality or self._product.modality[0]
        assets = [id_ for id_, kind in self._modalities.items() if kind == modality]
        if len(assets) > 1:
            cited = {record.id for record in self._log.records} & set(draft.evidence)
            assets = [id_ for id_ in assets if cited & {record.id for record in self._log.about(id_).records}]
            if len(assets) != 1:
                raise ToolFailure("it cites no evidence of one asset alone, so that it is not known which is spoken of")
        log = self._log.about(assets[0]) if assets else self._log
        localized = [shown for _, shown in log.of(Localized)]
        if not localized or any(shown.region_count > len(shown.regions) for shown in localized):
            raise ToolFailure("not all regions of the part are known, so the rule cannot be checked again")
        part = next((as_values(shown.part) for _, shown in log.of(ViewsShown)), {})
        return check_rule(rule, part, [self._measure(region_id) for region_id in log.regions()])

    def _threshold(self, view_id: str) -> tuple[Localized, float]:
        asset = self._log.view(view_id).asset_id
        views = {view.id for view in self._log.views_of(asset)}
        localized = next((shown for _, shown in self._log.of(Localized) if shown.view in views), None)
        if localized is None:
            raise ToolFailure(f"view {view_id} was not localised")
        if localized.threshold is None:
            raise ToolFailure(f"nothing is promised of view {view_id}: {localized.promise}")
        return localized, localized.threshold

    def _measure(self, region_id: str) -> dict[str, float]:
        if region_id not in self._measured:
            fresh = self._fresh(self._log.region(region_id))
            self._measured[region_id] = as_values(fresh)
            self._units[region_id] = {each.name: each.unit for each in fresh}
        return self._measured[region_id]

    def _fresh(self, region: Region) -> tuple[Measurement, ...]:
        if region.members:
            return self._again.measure(region)
        view = self._log.view(region.view_id)
        size = pixel_size_of(self._product, view.source_pixels_per_pixel)
        return measure_region(self._store.get_image(view.image), self._store.get_array(region.mask), size)

    @property
    def _again(self) -> NativeRecheck:
        if self._native is None:
            raise ToolFailure("nothing is here that could read the asset again")
        return self._native

    def _members(self, region: Region) -> NDArray[np.int64]:
        members: NDArray[np.int64] = self._store.get_array(region.members)
        return members

    def _shown(self, region: Region) -> NDArray[np.bool_]:
        """Where the region's view shows it, worked out again from the asset's elements."""
        view = self._log.view(region.view_id)
        if not region.members:
            mask: NDArray[np.bool_] = self._store.get_array(region.mask)
            return mask
        localized, _ = self._threshold(region.view_id)
        elements = self._store.get_array(localized.map).size
        return shown_members(self._store.get_array(view.inverse), view.span, self._members(region), elements)

    def _centroid(self, region: Region) -> tuple[float, float]:
        """In shares of the view's width and height."""
        if not region.members:
            values = self._measure(region.id)
            return values["centroid_x"], values["centroid_y"]
        rows, columns = np.nonzero(self._shown(region))
        if not len(rows):
            raise ToolFailure(f"region {region.id} is hidden on every view")
        view = self._log.view(region.view_id)
        return (float(columns.mean()) + 0.5) / view.width, (float(rows.mean()) + 0.5) / view.height


def _decided(agrees: bool, checked: str) -> _Result:
    return _Result("supported" if agrees else "refuted", checked)


def _sides(position: float, names: tuple[str, str, str]) -> set[str]:
    """The third of the view in which a position in [0, 1] lies, and its neighbour when it is near the line."""
    near = (position - _SIDE_TOLERANCE, position, position + _SIDE_TOLERANCE)
    return {names[min(max(int(3 * place), 0), 2)] for place in near}

"""Claims against evidence: code looks again at the pixels, the map and the rules.

A claim is `supported` when a fresh measurement agrees, `refuted` when it disagrees, `unverified` when code cannot tell.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from knowledge import Frozen, Product, ToolArgumentError, ToolFailure, check_rule
from tools import (
    ArtifactStore,
    ClaimDraft,
    EvidenceLog,
    Localized,
    Measurement,
    Region,
    ViewsShown,
    as_values,
    blobs,
    measure_region,
    pixel_size_of,
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

    def __init__(self, log: EvidenceLog, store: ArtifactStore, product: Product) -> None:
        self._log = log
        self._store = store
        self._product = product
        self._measured: dict[str, dict[str, float]] = {}
        self._checks: dict[str, Callable[[ClaimDraft], _Result]] = {
            "presence": self._presence,
            "count": self._count,
            "place": self._place,
            "size": self._size,
            "colour": self._colour,
            "number": self._number,
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
        peak = float(self._store.get_array(localized.map)[self._store.get_array(region.mask)].max())
        return _decided(peak > threshold, f"the map peaks at {peak:.3f} inside; the threshold is {threshold:.3f}")

    def _count(self, draft: ClaimDraft) -> _Result:
        if draft.number is None:
            return _Result("unverified", "it gives no number")
        self._log.view(draft.subject)
        localized, threshold = self._threshold(draft.subject)
        found = len(blobs(self._store.get_array(localized.map), threshold))
        return _decided(found == draft.number, f"{found} region(s) over threshold on the map")

    def _place(self, draft: ClaimDraft) -> _Result:
        values = self._measure(draft.subject)
        rows = _sides(values["centroid_y"], ("top", "centre", "bottom"))
        columns = _sides(values["centroid_x"], ("left", "centre", "right"))
        words = {
            "centre" if word in ("center", "middle") else word for word in draft.word.lower().replace("-", " ").split()
        }
        found = f"the centroid is at {values['centroid_x']:.2f}, {values['centroid_y']:.2f} of width and height"
        if not words or words - {"top", "bottom", "left", "centre", "right"}:
            return _Result("unverified", f"{draft.word!r} is no place that code knows; {found}")
        row = words & {"top", "bottom"} or ({"centre"} if "centre" in words else set())
        column = words & {"left", "right"} or ({"centre"} if "centre" in words else set())
        return _decided(row <= rows and column <= columns, found)

    def _size(self, draft: ClaimDraft) -> _Result:
        if draft.number is None:
            return _Result("unverified", "it gives no number")
        share = self._measure(draft.subject)["area_share"]
        near = abs(draft.number - share) <= max(0.1 * share, _ROUNDING)
        return _decided(near, f"the region covers {share:.4f} of the view")

    def _colour(self, draft: ClaimDraft) -> _Result:
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

    def _rule(self, draft: ClaimDraft) -> _Result:
        rule = next((rule for rule in self._product.rules if rule.id == draft.subject), None)
        if rule is None:
            return _Result("refuted", f"there is no rule {draft.subject!r}")
        localized = [shown for _, shown in self._log.of(Localized)]
        if not localized or any(shown.region_count > len(shown.regions) for shown in localized):
            raise ToolFailure("not all regions of the part are known, so the rule cannot be checked again")
        part = next((as_values(shown.part) for _, shown in self._log.of(ViewsShown)), {})
        regions = [self._measure(region_id) for region_id in self._log.regions()]
        result = check_rule(rule, part, regions)
        if draft.word not in ("kept", "violated"):
            return _Result("unverified", f"{draft.word!r} is neither kept nor violated")
        if result.result == "not_checked":
            return _Result("unverified", result.reason)
        return _decided((draft.word == "kept") == (result.result == "passed"), f"checked again: {result.result}")

    def _threshold(self, view_id: str) -> tuple[Localized, float]:
        localized = self._log.localization(view_id)
        if localized is None:
            raise ToolFailure(f"view {view_id} was not localised")
        if localized.threshold is None:
            raise ToolFailure(f"nothing is promised of view {view_id}: {localized.promise}")
        return localized, localized.threshold

    def _measure(self, region_id: str) -> dict[str, float]:
        if region_id not in self._measured:
            self._measured[region_id] = as_values(self._fresh(self._log.region(region_id)))
        return self._measured[region_id]

    def _fresh(self, region: Region) -> tuple[Measurement, ...]:
        view = self._log.view(region.view_id)
        size = pixel_size_of(self._product, view.source_pixels_per_pixel)
        return measure_region(self._store.get_image(view.image), self._store.get_array(region.mask), size)


def _decided(agrees: bool, checked: str) -> _Result:
    return _Result("supported" if agrees else "refuted", checked)


def _sides(position: float, names: tuple[str, str, str]) -> set[str]:
    """The third of the view in which a position in [0, 1] lies, and its neighbour when it is near the line."""
    near = (position - _SIDE_TOLERANCE, position, position + _SIDE_TOLERANCE)
    return {names[min(max(int(3 * place), 0), 2)] for place in near}

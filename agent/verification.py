"""Claims against evidence: code looks again at the pixels, points or samples, the map and the rules.

A claim is `supported` when a fresh measurement agrees, `refuted` when it disagrees, `unverified` when code cannot tell.
"""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from agent.second_look import Quantity, SecondLook
from knowledge import (
    FittedPartError,
    Frozen,
    InputError,
    Modality,
    NormalityRule,
    Product,
    RuleResult,
    StoreError,
    ToolArgumentError,
    ToolFailure,
    check_rule,
)
from tools import ArtifactStore, ClaimDraft, EvidenceLog, Localized, NativeRecheck, Region

ClaimStatus = Literal["supported", "refuted", "unverified"]

_SIDE_TOLERANCE = 0.04
"""A centroid this near to a grid line, in shares of the view, is allowed on both sides of it."""

_COLOUR_TOLERANCE = 0.004
"""One level of 255: a smaller difference within one picture is neither darker nor brighter."""

_REFERENCE_TOLERANCE = 0.012
"""Three levels of 255: two pictures of one place differ by so much in their noise and their light."""

_SIZE_TOLERANCE = 0.1
"""Where a region ends hangs on a threshold, so sizes are known to a tenth: as large, or too close to call."""

_NUMBER_TOLERANCE = 0.02
"""Share by which a number, or a peak of the map, is as good as another."""

_DECIMALS = 4
"""Numbers are shown to reasoners with so many decimals."""

_ROUNDING = 0.5 * 10**-_DECIMALS * (1 + 1e-9)

_TOLD = 300
"""Characters of what a check found; ids and words of a claim may be of any length."""

_SAME_WORDS = {"center": "centre", "middle": "centre", "upper": "top", "lower": "bottom"}
_OPPOSITES = {"larger": "smaller", "darker": "brighter", "stronger": "weaker"}


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
    stated: float | None = None
    """The number that it states, where code measured the same."""
    measured: float | None = None
    scale: float | None = None
    """What an error of the number is measured by: the measured value, and of a time the duration of its region; never
    less than what such a number can be known to."""


class _Result(NamedTuple):
    status: ClaimStatus
    checked: str
    measured: float | None = None
    scale: float | None = None


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
        self._product = product
        self._look = SecondLook(log, store, product, native, modalities or {})
        self._checks: dict[str, Callable[[ClaimDraft], _Result]] = {
            "presence": self._presence,
            "count": self._count,
            "place": self._place,
            "size": self._size,
            "colour": self._colour,
            "comparison": self._comparison,
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
            checked=_shortened(result.checked),
            stated=None if result.measured is None else draft.number,
            measured=result.measured,
            scale=result.scale,
        )

    def _check(self, draft: ClaimDraft) -> _Result:
        if draft.number is not None and not math.isfinite(draft.number):
            return _Result("refuted", "its number is not finite")
        try:
            return self._checks[draft.kind](draft)
        except ToolArgumentError as error:
            return _Result("refuted", str(error))
        except (ToolFailure, InputError, StoreError, FittedPartError) as failure:
            return _Result("unverified", str(failure))

    def _citation(self, draft: ClaimDraft) -> _Result | None:
        known = {record.id for record in self._log.records}
        strangers = [id_ for id_ in draft.evidence if id_ not in known]
        if strangers:
            told = strangers[0] if strangers[0].isprintable() else repr(strangers[0])
            return _Result("refuted", f"it cites evidence {_shortened(told, 60)}, which does not exist")
        if not draft.evidence:
            return _Result("unverified", "it cites no evidence")
        assets = self._look.assets_of(draft.subject)
        about = {record.id for asset in assets for record in self._log.about(asset).records}
        if assets and not about & set(draft.evidence):
            return _Result("refuted", f"it is about {' or '.join(assets)} and cites evidence of another asset alone")
        return None

    def _presence(self, draft: ClaimDraft) -> _Result:
        if draft.subject in self._log.views():
            return self._presence_in_box(draft)
        region = self._log.region(draft.subject)
        peak, threshold = self._look.peak(region), self._look.calibrated(region.view_id).threshold
        return _decided(peak > threshold, f"the map peaks at {peak:.3f} inside; the threshold is {threshold:.3f}")

    def _presence_in_box(self, draft: ClaimDraft) -> _Result:
        if draft.box is None:
            return _Result("unverified", "it names a view and no place on it")
        x0, y0, x1, y1 = draft.box
        if not (x0 < x1 and y0 < y1):
            return _Result("refuted", "its box is empty or inside out")
        view = self._log.view(draft.subject)
        threshold, peak = self._look.calibrated(view.id).threshold, self._look.peak_within(view, draft.box)
        if peak is None:
            return _Result("unverified", "its box shows nothing of the part")
        found = f"the map peaks at {peak:.3f} in the box; the threshold is {threshold:.3f}"
        # That the instrument sees nothing there does not prove that there is nothing.
        return _Result("supported" if peak > threshold else "unverified", found)

    def _count(self, draft: ClaimDraft) -> _Result:
        if draft.number is None:
            return _Result("unverified", "it gives no number")
        found = self._look.count(draft.subject)
        told = f"{found} region(s) over threshold on the map"
        return _measured(found == draft.number, told, float(found), max(found, 1.0))

    def _place(self, draft: ClaimDraft) -> _Result:
        x, y = self._look.centroid(self._log.region(draft.subject))
        rows, columns = _sides(y, ("top", "centre", "bottom")), _sides(x, ("left", "centre", "right"))
        words = {_SAME_WORDS.get(word, word) for word in draft.word.casefold().replace("-", " ").split()}
        found = f"the centroid is at {x:.2f}, {y:.2f} of width and height"
        if not words or words - {"top", "bottom", "left", "centre", "right"}:
            return _Result("unverified", f"{_quoted(draft.word)} is no place that code knows; {found}")
        row = words & {"top", "bottom"} or ({"centre"} if "centre" in words else set())
        column = words & {"left", "right"} or ({"centre"} if "centre" in words else set())
        return _decided(row <= rows and column <= columns, found)

    def _size(self, draft: ClaimDraft) -> _Result:
        if draft.number is None:
            return _Result("unverified", "it gives no number")
        share = float(self._look.shown(self._log.region(draft.subject)).mean())
        near = abs(draft.number - share) <= _SIZE_TOLERANCE * share or _as_shown(draft.number, share)
        return _measured(near and 0 < draft.number <= 1, f"the region covers {share:.4f} of the view", share)

    def _colour(self, draft: ClaimDraft) -> _Result:
        if self._log.region(draft.subject).members:
            return _Result("unverified", "its colours are those of a drawing and say nothing of the part")
        contrast = self._look.values(draft.subject)["contrast"]
        found = f"inside minus surroundings is {contrast:+.4f} of full white"
        return _ordered(_word(draft.word), "darker", contrast, _COLOUR_TOLERANCE, found)

    def _comparison(self, draft: ClaimDraft) -> _Result:
        region, word = self._log.region(draft.subject), _word(draft.word)
        opposite = next((pair for pair in _OPPOSITES.items() if word in pair), None)
        if opposite is None:
            return _Result("unverified", f"{_quoted(draft.word)} is no comparison that code knows")
        if not draft.other:
            return _Result("unverified", "it names nothing to compare with")
        if draft.other == draft.subject:
            return _Result("refuted", "it compares a region with itself")
        if draft.other.casefold() == "reference":
            return self._beside_reference(region, word)
        other = self._log.region(draft.other)
        compare = {"larger": self._by_size, "darker": self._by_brightness, "stronger": self._by_peak}
        return compare[opposite[0]](region, other, word)

    def _by_size(self, region: Region, other: Region, word: str) -> _Result:
        one, two = self._look.size(region), self._look.size(other)
        if one.unit != two.unit:
            return _Result("unverified", f"{_told(one)} and {_told(two)} cannot be compared")
        close = _SIZE_TOLERANCE * max(one.value, two.value)
        return _ordered(word, "smaller", one.value - two.value, close, f"{_told(one)} against {_told(two)}")

    def _by_brightness(self, region: Region, other: Region, word: str) -> _Result:
        if region.members or other.members:
            return _Result("unverified", "colours of a drawing say nothing of the part")
        one, two = self._look.brightness(region), self._look.brightness(other)
        found = f"mean brightness is {one:.4f} against {two:.4f}"
        return _ordered(word, "darker", one - two, _COLOUR_TOLERANCE, found)

    def _by_peak(self, region: Region, other: Region, word: str) -> _Result:
        assets = {self._look.asset_of(region), self._look.asset_of(other)}
        if len(assets) > 1 and len({self._look.modalities.get(asset, asset) for asset in assets}) > 1:
            return _Result("unverified", "anomaly maps of different modalities are on different scales")
        one, two = self._look.peak(region), self._look.peak(other)
        close = _NUMBER_TOLERANCE * max(abs(one), abs(two))
        return _ordered(word, "weaker", one - two, close, f"the map peaks at {one:.3f} against {two:.3f}")

    def _beside_reference(self, region: Region, word: str) -> _Result:
        if word not in ("darker", "brighter"):
            return _Result("unverified", f"a normal part has nothing at that place that could be {word}")
        if region.members:
            return _Result("unverified", "colours of a drawing say nothing of the part")
        one, two = self._look.brightness(region), self._look.reference_brightness(region)
        found = f"mean brightness is {one:.4f} against {two:.4f} on the reference"
        return _ordered(word, "darker", one - two, _REFERENCE_TOLERANCE, found)

    def _number(self, draft: ClaimDraft) -> _Result:
        values, name = self._look.values(draft.subject), _word(draft.attribute)
        if draft.number is None or name not in values:
            return _Result("unverified", f"{_quoted(draft.attribute)} is no measurement of {draft.subject}")
        timed = self._look.measurements(draft.subject)[name].unit == "s"
        scale = self._lasting(self._log.region(draft.subject)) if timed else None
        told = f"measured again, {name} is {values[name]:.4g}"
        return _measured(_same(draft.number, values[name]), told, values[name], scale)

    def _time(self, draft: ClaimDraft) -> _Result:
        region, found = self._log.region(draft.subject), self._look.measurements(draft.subject)
        attribute = _word(draft.attribute)
        name = next((name for name in (f"{attribute}_s", attribute) if name in found), "")
        if draft.number is None or not name or attribute not in ("start", "end", "duration"):
            return _Result("unverified", f"{_quoted(draft.attribute)} is no time of {region.id} that code knows")
        if found[name].unit != "s":
            return _Result("unverified", "the recording has no times: its samples are counted, not timed")
        # Half a sample: an event at 38 that is said to be at 40 is refuted wherever there is a sample between them.
        time = found[name].value
        near = abs(draft.number - time) <= max(self._look.native.instant(region) / 2, _ROUNDING)
        return _measured(near, f"on the samples, {attribute} is {time:.4f} s", time, self._lasting(region))

    def _lasting(self, region: Region) -> float:
        """Seconds that a region lasts, at least an instant: how late it begins says nothing of how far off a time is."""
        duration = self._look.values(region.id).get("duration", 0.0)
        return max(duration, self._look.native.instant(region))

    def _rule(self, draft: ClaimDraft) -> _Result:
        rule = next((rule for rule in self._product.rules if rule.id == draft.subject), None)
        if rule is None:
            return _Result("refuted", f"there is no rule {_quoted(draft.subject)}")
        result, word = self._checked_again(rule, draft), _word(draft.word)
        if word not in ("kept", "violated"):
            return _Result("unverified", f"{_quoted(draft.word)} is neither kept nor violated")
        if result.result == "not_checked":
            return _Result("unverified", result.reason)
        return _decided((word == "kept") == (result.result == "passed"), f"checked again: {result.result}")

    def _checked_again(self, rule: NormalityRule, draft: ClaimDraft) -> RuleResult:
        """On the asset that the rule is about; of several, on the one whose evidence is cited."""
        assets = self._look.assets_under(rule)
        if self._look.modalities and not assets:
            raise ToolFailure("nothing was given of what the rule is about")
        if len(assets) > 1:
            cited = set(draft.evidence)
            assets = tuple(id_ for id_ in assets if cited & {record.id for record in self._log.about(id_).records})
            if len(assets) != 1:
                raise ToolFailure("it cites no evidence of one asset alone, so that it is not known which is spoken of")
        log = self._log.about(assets[0]) if assets else self._log
        localized = [shown for _, shown in log.of(Localized)]
        if not localized or any(shown.region_count > len(shown.regions) for shown in localized):
            raise ToolFailure("not all regions of the part are known, so the rule cannot be checked again")
        regions = [self._look.values(region_id) for region_id in log.regions()]
        return check_rule(rule, self._look.part(log), regions)


def _decided(agrees: bool, checked: str) -> _Result:
    return _Result("supported" if agrees else "refuted", checked)


def _measured(agrees: bool, checked: str, measured: float, scale: float | None = None) -> _Result:
    """A decided claim about a number, an error of which is measured by `scale`, or by the measured value."""
    scale = abs(measured) if scale is None else scale
    return _decided(agrees, checked)._replace(measured=measured, scale=max(scale, 10.0**-_DECIMALS))


def _ordered(word: str, less: str, difference: float, close: float, checked: str) -> _Result:
    """`less` is the word for a difference below 0; its opposite is that for one above."""
    more = next(two if one == less else one for one, two in _OPPOSITES.items() if less in (one, two))
    if word not in (less, more):
        return _Result("unverified", f"{_quoted(word)} is no word that code knows for it; {checked}")
    if abs(difference) <= close:
        return _Result("unverified", f"too close to call: {checked}")
    return _decided((word == less) == (difference < 0), checked)


def _same(claimed: float, measured: float) -> bool:
    """Within two per cent, or rounded: to the four decimals that are shown, or to two significant digits."""
    if abs(claimed - measured) <= _NUMBER_TOLERANCE * abs(measured) or _as_shown(claimed, measured):
        return True
    if claimed == 0:
        return False
    last = 10.0 ** (math.floor(math.log10(abs(claimed))) - 1)
    digits = Decimal(repr(claimed)).normalize().as_tuple().digits
    return len(digits) <= 2 and abs(claimed - measured) <= last / 2 * (1 + 1e-9)


def _as_shown(claimed: float, measured: float) -> bool:
    """A number that is small beside the decimals that are shown is known no better."""
    return claimed == round(claimed, _DECIMALS) and abs(claimed - measured) <= _ROUNDING


def _sides(position: float, names: tuple[str, str, str]) -> set[str]:
    """The third of the view in which a position in [0, 1] lies, and its neighbour when it is near the line."""
    near = (position - _SIDE_TOLERANCE, position, position + _SIDE_TOLERANCE)
    return {names[min(max(int(3 * place), 0), 2)] for place in near}


def _told(quantity: Quantity) -> str:
    return f"{quantity.value:.4g} {quantity.unit}".removesuffix(" 1")


def _word(said: str) -> str:
    return said.strip().casefold()


def _quoted(said: str) -> str:
    return repr(_shortened(said, 60))


def _shortened(said: str, most: int = _TOLD) -> str:
    return said if len(said) <= most else f"{said[:most]} ..."

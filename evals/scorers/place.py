"""place: whether the defect was found where it is, in pixels, in seconds or on a scan.

The top finding is that with the highest score on the assets whose places are known. Of several places the mean is
taken, each by the finding that fits it best; pointing, side and distances ask for the top finding at any of them.
A part whose defect was not found at all has the worst value.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evals.cases import Case, Place
from evals.results import CaseResult, Found, Score
from evals.scorers.locations import (
    NEAR,
    Seconds,
    area_of,
    centroid_of,
    found_on,
    holds_point,
    overlap_of_areas,
    overlap_of_times,
    picture_size,
    point_of,
    seconds_of,
    true_area,
    true_point,
)
from evals.scorers.measure import Measure, Trial, scores_of, unscored, yes_or_no
from tools import side_of

HALF = 0.5
"""Intersection over union from which a place counts as found (PASCAL VOC, Everingham et al. 2010)."""

_NOTHING = "nothing was found there"


class _Timed(NamedTuple):
    """A true interval and the finding that fits it best."""

    truth: Seconds
    found: Seconds | None


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """Shares of 0 .. 1; `start_error_s` and `end_error_s` in seconds; `centroid_error` in shares of the part's extent."""
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def pictured(case: Case) -> list[Place]:
    """Places in a picture."""
    return [place for place in case.expected.places if place.box is not None or place.mask is not None]


def timed(case: Case) -> list[Place]:
    """Places in time."""
    return [place for place in case.expected.places if place.seconds is not None]


def _scanned(case: Case) -> list[Place]:
    return [place for place in case.expected.places if place.centroid is not None and place.extent]


def _unless(places: Callable[[Case], list[Place]], what: str) -> Callable[[Case], str]:
    return lambda case: "" if places(case) else f"no true place {what} is known"


_NO_PICTURE = _unless(pictured, "in a picture")
_NO_TIME = _unless(timed, "in time")
_NO_SCAN = _unless(_scanned, "on a scan, with its extent,")


def _top(trial: Trial, places: Iterable[Place]) -> Found | None:
    return next(iter(found_on(trial.result, [place.asset for place in places])), None)


def _unreadable(trial: Trial) -> str:
    """Of which place the mask cannot be read; such a suite is at fault, not what was inspected."""
    blind = (place.mask for place in pictured(trial.case) if true_area(place, trial.folder) is None)
    return next((f"the mask {mask} cannot be read, or is empty" for mask in blind), "")


def _pointing(trial: Trial) -> Score:
    """The pointing game of Zhang et al. 2016, with the finding's centroid as the point."""
    places = pictured(trial.case)
    top, why = _top(trial, places), _unreadable(trial)
    if why:
        return unscored(why)
    point = point_of(top) if top else None
    if top is None or point is None:
        return Score(0.0, _NOTHING)
    own = [place for place in places if place.asset == top.asset]
    return yes_or_no(any(holds_point(place, point, trial.folder) for place in own))


def _overlaps(trial: Trial) -> list[float]:
    """For each place the best overlap of a finding's box."""
    return [_best_overlap(trial, place) for place in pictured(trial.case)]


def _best_overlap(trial: Trial, place: Place) -> float:
    truth = true_area(place, trial.folder)
    areas = [area_of(found) for found in found_on(trial.result, [place.asset])]
    return max((overlap_of_areas(area, truth) for area in areas if area and truth), default=0.0)


def _iou(trial: Trial) -> Score:
    why = _unreadable(trial)
    return unscored(why) if why else Score(statistics.fmean(_overlaps(trial)))


def _iou_50(trial: Trial) -> Score:
    why = _unreadable(trial)
    return unscored(why) if why else Score(statistics.fmean(each >= HALF for each in _overlaps(trial)))


def _side(trial: Trial) -> Score:
    places = pictured(trial.case)
    top, why = _top(trial, places), _unreadable(trial)
    if why:
        return unscored(why)
    point = point_of(top) if top else None
    if top is None or point is None:
        return Score(0.0, _NOTHING)
    sides = []
    for place in (place for place in places if place.asset == top.asset):
        size, truth = picture_size(place, trial.case, trial.folder), true_point(place, trial.folder)
        if size is None or truth is None:
            return unscored("the size of the picture cannot be read")
        said, true = (side_of(each.x / size.width, each.y / size.height) for each in (point, truth))
        sides.append((said, true))
    return yes_or_no(any(said == true for said, true in sides), " / ".join(f"{a} for {b}" for a, b in sides))


def _matched(trial: Trial) -> list[_Timed] | None:
    """None where there are findings, none of which has a time."""
    places = timed(trial.case)
    found = found_on(trial.result, [place.asset for place in places])
    known = [(each.asset, seconds_of(each, trial.case, trial.folder)) for each in found]
    if known and all(times is None for _, times in known):
        return None
    matched = []
    for place in places:
        truth = Seconds(*place.seconds or (0.0, 0.0))
        own = [times for asset, times in known if times is not None and asset == place.asset]
        matched.append(_Timed(truth, max(own, key=lambda times: overlap_of_times(times, truth), default=None)))
    return matched


def _interval_iou(trial: Trial) -> Score:
    matched = _matched(trial)
    if matched is None:
        return unscored("its findings are not told in seconds")
    return Score(statistics.fmean(overlap_of_times(each.found, each.truth) if each.found else 0.0 for each in matched))


def _error(edge: Callable[[Seconds], float]) -> Callable[[Trial], Score]:
    def error(trial: Trial) -> Score:
        pairs = [(each.found, each.truth) for each in _matched(trial) or () if each.found is not None]
        if not pairs:
            return unscored(_NOTHING)
        return Score(statistics.fmean(abs(edge(found) - edge(truth)) for found, truth in pairs))

    return error


def _distance(trial: Trial) -> float | None:
    """From the top finding to the nearest true centroid, as a share of the part's extent, at most 1."""
    top = _top(trial, _scanned(trial.case))
    at = centroid_of(top) if top else None
    if top is None or at is None:
        return None
    shares = [
        float(np.linalg.norm(at - np.asarray(place.centroid))) / (place.extent or 1.0)
        for place in _scanned(trial.case)
        if place.asset == top.asset
    ]
    return min(1.0, *shares)


def _centroid_error(trial: Trial) -> Score:
    distance = _distance(trial)
    return Score(1.0, _NOTHING) if distance is None else Score(distance)


def _centroid_near(trial: Trial) -> Score:
    distance = _distance(trial)
    return Score(0.0, _NOTHING) if distance is None else yes_or_no(distance <= NEAR)


MEASURES = {
    "pointing": Measure(_pointing, _NO_PICTURE),
    "iou": Measure(_iou, _NO_PICTURE),
    "iou_50": Measure(_iou_50, _NO_PICTURE),
    "side": Measure(_side, _NO_PICTURE),
    "interval_iou": Measure(_interval_iou, _NO_TIME),
    "start_error_s": Measure(_error(lambda times: times.start), _NO_TIME, "lower"),
    "end_error_s": Measure(_error(lambda times: times.end), _NO_TIME, "lower"),
    "centroid_error": Measure(_centroid_error, _NO_SCAN, "lower"),
    "centroid_within_5_percent": Measure(_centroid_near, _NO_SCAN),
}

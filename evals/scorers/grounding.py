"""grounding: whether what was claimed stands on evidence, and says what is true of the part.

Whether a claim is right was found by code while the part was inspected (`supported`, `refuted` or `unverified`); how
well that code tells right from wrong is measured elsewhere, on planted claims.
"""

import re
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path

from evals.cases import Case, Place
from evals.results import CaseResult, Claimed, Score
from evals.scorers.locations import GRID_TOLERANCE, MARGIN, Point, picture_size, true_point
from evals.scorers.measure import Measure, Trial, scores_of, unscored, yes_or_no
from evals.scorers.place import pictured, timed
from evals.scorers.rules import found_violated

NUMERIC = frozenset({"number", "time", "size", "count"})
"""Kinds of claim that state a number."""

_ROWS = {"top": 0, "upper": 0, "bottom": 2, "lower": 2}
_COLUMNS = {"left": 0, "right": 2}
_CENTRE = frozenset({"centre", "center", "middle"})
_WORD = re.compile(r"[a-z]+")
_TIME = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)\s*(?:s|sec|seconds?)\b")


def score(case: Case, result: CaseResult, results: Mapping[str, CaseResult], suite_folder: Path) -> dict[str, Score]:
    """Shares of claims, of cited tools and of facts.

    `claim_precision` is supported / (supported + refuted) and `contradiction` the rest of it; `checked` the share of
    all claims that code could decide. `evidence_exists` is 1 where every id that a claim cites exists. `evidence_cited`
    is the share of the expected tools whose evidence some claim cites.

    `numeric_refuted` is the share refuted of the decided claims that state a number. `numeric_error` is the mean of
    |stated - measured| / scale over those that code measured, each at most 1, which is as wrong as a number can be. The
    scale is the measured value, of counts at least one, and of times the duration of what was found, at least a sample:
    how late it begins says nothing of how far off a time is.

    `claim_recall` is the share of the facts of the part that a supported claim states. Facts are: that it is anomalous
    (a claim of kind presence); for each place in a picture, where (kind place, with the words of the true third of the
    picture); for each violated rule, that it is (kind rule, with the rule's id, of a rule that was found violated);
    for each place in time, when (kind time, with a time in seconds, not a duration, within the true interval widened
    by a tenth at each end).
    """
    return scores_of(MEASURES, Trial(case, result, results, suite_folder))


def _decided(trial: Trial) -> list[Claimed]:
    return [claim for claim in trial.result.claims if claim.status in ("supported", "refuted")]


def _refuted_share(claims: list[Claimed]) -> float | None:
    return sum(claim.status == "refuted" for claim in claims) / len(claims) if claims else None


def _claim_precision(trial: Trial) -> Score:
    refuted = _refuted_share(_decided(trial))
    return unscored("code could decide no claim") if refuted is None else Score(1 - refuted)


def _contradiction(trial: Trial) -> Score:
    refuted = _refuted_share(_decided(trial))
    return unscored("code could decide no claim") if refuted is None else Score(refuted)


def _numeric_refuted(trial: Trial) -> Score:
    refuted = _refuted_share([claim for claim in _decided(trial) if claim.kind in NUMERIC])
    return unscored("code could decide no claim that states a number") if refuted is None else Score(refuted)


def _numeric_error(trial: Trial) -> Score:
    errors = [error for error in map(_relative_error, _decided(trial)) if error is not None]
    return Score(statistics.fmean(errors)) if errors else unscored("code measured no number that was claimed")


def _relative_error(claim: Claimed) -> float | None:
    if claim.stated is None or claim.measured is None or not claim.scale:
        return None
    return min(abs(claim.stated - claim.measured) / claim.scale, 1.0)


def _checked(trial: Trial) -> Score:
    claims = trial.result.claims
    return Score(len(_decided(trial)) / len(claims)) if claims else unscored("nothing was claimed")


def _evidence_exists(trial: Trial) -> Score:
    cited = {id_ for claim in trial.result.claims for id_ in claim.evidence}
    strangers = sorted(cited - set(trial.result.evidence))
    return yes_or_no(not strangers, ", ".join(strangers)) if cited else unscored("no claim cites evidence")


def _evidence_cited(trial: Trial) -> Score:
    cited = {trial.result.evidence.get(id_) for claim in trial.result.claims for id_ in claim.evidence}
    wanted = set(trial.case.expected.evidence)
    return Score(len(wanted & cited) / len(wanted), ", ".join(sorted(wanted - cited)))


def _claim_recall(trial: Trial) -> Score:
    stated = [told for told in _facts(trial) if told is not None]
    return Score(sum(stated) / len(stated)) if stated else unscored("where its facts lie cannot be read")


def _facts(trial: Trial) -> Iterator[bool | None]:
    """For each fact whether a supported claim states it; None where the truth cannot be read."""
    expected = trial.case.expected
    if expected.verdict == "anomalous":
        yield bool(_supported(trial, "presence"))
    for place in pictured(trial.case):
        yield _where_is_told(trial, place)
    for rule in expected.rules_violated or ():
        yield rule in found_violated(trial.result) and any(_names(text, rule) for text in _supported(trial, "rule"))
    for place in timed(trial.case):
        yield any(_tells_when(text, place) for text in _supported(trial, "time"))


def _supported(trial: Trial, kind: str) -> list[str]:
    return [claim.text for claim in trial.result.claims if claim.kind == kind and claim.status == "supported"]


def _where_is_told(trial: Trial, place: Place) -> bool | None:
    point, size = true_point(place, trial.folder), picture_size(place, trial.case, trial.folder)
    if point is None or size is None:
        return None
    at = Point(point.x / size.width, point.y / size.height)
    return any(_tells_where(text, at) for text in _supported(trial, "place"))


def _tells_where(text: str, at: Point) -> bool:
    """Whether the words of a sentence name the third of the height and of the width that a point lies in.

    A side that is not named is the middle where the sentence says centre, and anything where it does not.
    """
    words = set(_WORD.findall(text.casefold()))
    rows, columns = ({names[word] for word in words & set(names)} for names in (_ROWS, _COLUMNS))
    if words & _CENTRE:
        rows, columns = rows or {1}, columns or {1}
    return bool(rows | columns) and rows <= _thirds(at.y) and columns <= _thirds(at.x)


def _thirds(position: float) -> set[int]:
    """Thirds that hold a position in 0 .. 1, or begin within the tolerance of it."""
    shifted = (position - GRID_TOLERANCE, position, position + GRID_TOLERANCE)
    return {min(max(int(3 * each), 0), 2) for each in shifted}


def _names(text: str, rule: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(rule)}(?![\w-])", text) is not None


def _tells_when(text: str, place: Place) -> bool:
    start, end = place.seconds or (0.0, 0.0)
    slack = MARGIN * (end - start)
    times = [float(number) for number in _TIME.findall(text)] if "duration" not in text.casefold() else []
    return any(start - slack <= time <= end + slack for time in times)


def _none_wanted(case: Case) -> str:
    return "" if case.expected.evidence else "no evidence is asked for"


def _no_facts(case: Case) -> str:
    expected = case.expected
    known = expected.verdict == "anomalous" or expected.rules_violated or pictured(case) or timed(case)
    return "" if known else "no defect is known of which there were something to say"


MEASURES = {
    "claim_precision": Measure(_claim_precision),
    "contradiction": Measure(_contradiction, better="lower"),
    "checked": Measure(_checked),
    "numeric_refuted": Measure(_numeric_refuted, better="lower"),
    "numeric_error": Measure(_numeric_error, better="lower"),
    "evidence_exists": Measure(_evidence_exists),
    "evidence_cited": Measure(_evidence_cited, _none_wanted),
    "claim_recall": Measure(_claim_recall, _no_facts),
}

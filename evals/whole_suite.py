"""Figures of a whole run that no single case has: how well verdicts and p-values tell good parts from bad ones."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evals.cases import Case, Variant
from evals.metrics import (
    anomaly_probability,
    area_under_risk_coverage,
    balanced_accuracy,
    brier_score,
    calibration_error,
    image_auroc,
)
from evals.results import CaseResult

_CHANGED: Mapping[Variant, str] = {
    "mirrored": "left and right were changed round",
    "flipped": "top and bottom were changed round",
    "brighter": "there was a little more light",
    "jpeg": "the picture was compressed as JPEG",
    "shifted": "the picture was shifted a little",
    "seed": "the product was learned with another seed",
    "painted": "another normal surface was laid over a place without a defect",
    "reasoner": "a reasoner contradicted",
}
WORDS = {
    "balanced_accuracy": "balanced accuracy of the verdicts, review and failure counted as wrong",
    "auroc": "area under the ROC curve of 1 - p",
    "calibration_error": "expected calibration error of 1 - p, ten equal bins; a p-value is no posterior",
    "brier": "Brier score of 1 - p",
    "risk_coverage": "area under the risk-coverage curve of what was decided",
    **{f"agreement_{kind}": f"verdicts that stayed when {words}" for kind, words in _CHANGED.items()},
}


class _Judged(NamedTuple):
    anomalous: bool
    result: CaseResult


def whole_suite(cases: Sequence[Case], results: Mapping[str, CaseResult]) -> dict[str, float | None]:
    """Over the cases that are known to be normal or anomalous; `None` where there is nothing to reckon with.

    How often the verdict stayed is told for each kind of change, over the variants of parts that were run.
    """
    known = [
        _Judged(case.expected.verdict == "anomalous", results[case.id])
        for case in cases
        if case.expected.verdict in ("normal", "anomalous") and case.id in results
    ]
    truths = ["anomalous" if each.anomalous else "normal" for each in known]
    scored = [
        (each.anomalous, anomaly_probability(each.result.p_value)) for each in known if each.result.p_value is not None
    ]
    probabilities, anomalous = [value for _, value in scored], [truth for truth, _ in scored]
    decided = [
        each for each in known if each.result.verdict in ("normal", "anomalous") and _confidence(each) is not None
    ]
    right = [(each.result.verdict == "anomalous") == each.anomalous for each in decided]
    return {
        "balanced_accuracy": balanced_accuracy(truths, [each.result.verdict for each in known]),
        "auroc": image_auroc(
            [value for truth, value in scored if not truth], [value for truth, value in scored if truth]
        ),
        "calibration_error": calibration_error(probabilities, anomalous),
        "brier": brier_score(probabilities, anomalous),
        "risk_coverage": area_under_risk_coverage([_confidence(each) or 0.0 for each in decided], right),
        **{f"agreement_{kind}": _agreement(kind, cases, results) for kind in _CHANGED},
    }


def _agreement(kind: Variant, cases: Sequence[Case], results: Mapping[str, CaseResult]) -> float | None:
    """Share of the variants of one kind that are judged as the part itself; one that failed is not."""
    parts = {case.group: results[case.id] for case in cases if not case.variant and case.id in results}
    varied = [
        (results[case.id], parts[case.group])
        for case in cases
        if case.variant == kind and case.id in results and case.group in parts
    ]
    stayed = [variant.verdict == part.verdict and not variant.error for variant, part in varied]
    return sum(stayed) / len(stayed) if stayed else None


def _confidence(judged: _Judged) -> float | None:
    """How far the p-value is from alpha, as the logarithm of their ratio."""
    p_value, alpha = judged.result.p_value, judged.result.alpha
    return None if not p_value or not alpha else abs(math.log(p_value / alpha))

"""Detection benchmark: learn each set's normal parts, judge its test parts, and say how well and how fast."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.datasets import LabelledImage, LabelledSet, read_distinct, require_parts_apart
from evals.detection import (
    DETECTION,
    Judged,
    Pixels,
    averages,
    detection,
    judge_by,
    judge_each,
    load_peers,
    parts_of,
    pictures_of,
    protocol,
    watched,
)
from evals.metrics import binomial_interval, pixel_scores
from evals.peers import Peer
from evals.profiling import as_built, enrol, kept_mb, localizing_cost, resident_mb
from tools import Localization, Localizer, LocalizerSettings, Progress, load_image

ALPHAS = (0.05, 0.1)
VERDICTS = ("normal", "review", "anomalous")


def run_benchmark(
    source: str, names: list[str], settings: LocalizerSettings, progress: Progress, peers: Sequence[str] = ()
) -> dict[str, Any]:
    """Every set of a source, and the same by each of the `peers`; the result is plain values, as `--json` prints them."""
    rivals = load_peers(peers, settings)
    sets = read_distinct(source, names, settings.seed)
    if settings.part_name is not None:
        for labelled in sets:
            require_parts_apart(labelled, settings.part_name)
    results = [_run_set(labelled, settings, progress) for labelled in sets]
    compared = {peer.name: [_run_peer(peer, labelled, progress) for labelled in sets] for peer in rivals}
    return {
        "protocol": {**protocol(settings, peers), "alphas": list(ALPHAS)},
        "sets": results,
        "macro": _macro(results),
        "peers": {name: {"sets": found, "macro": _macro(found)} for name, found in compared.items()},
    }


def _run_set(labelled: LabelledSet, settings: LocalizerSettings, progress: Progress) -> dict[str, Any]:
    localizer, seconds, ratio = enrol(
        parts_of(labelled.train, settings.part_name), parts_of(labelled.held_out, settings.part_name), settings
    )
    verdicts: list[list[str]] = []

    def judge(pixels: Pixels) -> tuple[float, NDArray[np.float32]]:
        found = localizer.localize(pixels)
        verdicts.append([_verdict(localizer, found, alpha) for alpha in ALPHAS])
        return found.score, found.map

    judged, resident = [], []
    for item in judge_each(judge, watched(labelled.test, labelled.name, progress)):
        judged.append(item)
        resident.append(resident_mb())
    cost = localizing_cost(localizer, as_built(settings), labelled.test)
    cost["profile"] |= {
        "enrolment_seconds": seconds,
        "enrolment_ratio": ratio,
        "resident_mb": {"first": resident[0], "last": resident[-1], "kept_maps": kept_mb(judged[1:])},
    }
    return {
        "name": labelled.name,
        "modality": "image",
        "train": len(labelled.train) + len(labelled.held_out),
        "test": len(labelled.test),
        "left_out": labelled.left_out,
        **detection(judged),
        **_error_rates(judged, verdicts, localizer),
        **cost,
        "with_templates": _with_templates(judged, localizer),
        "input_areas": localizer.areas,
        "appearance": localizer.manifest.appearance.reason,
    }


def _run_peer(peer: Peer, labelled: LabelledSet, progress: Progress) -> dict[str, Any]:
    """A peer learns from the pictures that our memory has, and judges the same test parts; it has no calibration."""
    peer.fit(pictures_of(labelled.train))
    judged = list(judge_each(peer.judge, watched(labelled.test, f"{peer.name} {labelled.name}", progress)))
    return {
        "name": labelled.name,
        "modality": "image",
        "train": len(labelled.train),
        "test": len(labelled.test),
        "left_out": labelled.left_out,
        **dict.fromkeys(_AVERAGED),
        **detection(judged),
        "seconds_per_image": statistics.median(item.seconds for item in judged),
        "with_templates": _with_templates(judged),
    }


def _with_templates(judged: Sequence[Judged], localizer: Localizer | None = None) -> dict[str, Any] | None:
    """Pixel AP over the pictures that come with a registered template, without it and, by a localiser, with it."""
    without = [item for item in judged if item.image.template is not None and item.truth is not None]
    if not without:
        return None
    figures = {"pictures": len(without), "pixel_ap_without": _pixel_ap(without), "pixel_ap": None}
    if localizer is not None:
        figures["pixel_ap"] = _pixel_ap([_with_its_template(item.image, localizer) for item in without])
    return figures


def _with_its_template(image: LabelledImage, localizer: Localizer) -> Judged:
    template = None if image.template is None else load_image(image.template).pixels
    return next(judge_each(judge_by(localizer, template), [image]))


def _pixel_ap(judged: Sequence[Judged]) -> float | None:
    scores = pixel_scores([i.map for i in judged], [i.truth for i in judged if i.truth is not None])
    return None if scores is None else scores.ap


def _verdict(localizer: Localizer, found: Localization, alpha: float) -> str:
    """Where nobody else has a say: no rules, no reasoner."""
    if localizer.doubts(found, alpha) or not localizer.calibration.promise(alpha).kept:
        return "review"
    return "anomalous" if localizer.calibration.p_value(found.score) <= alpha else "normal"


def _error_rates(judged: Sequence[Judged], verdicts: Sequence[Sequence[str]], localizer: Localizer) -> dict[str, Any]:
    """Misses and false alarms, always apart; `false_alarm` and `miss` are those at the first alpha."""
    anomalous = [item.image.anomalous for item in judged]
    rates = [
        _rates_at(alpha, judged, localizer) | {"verdicts": _counted(anomalous, of_alpha)}
        for alpha, of_alpha in zip(ALPHAS, zip(*verdicts, strict=True), strict=True)
    ]
    return {
        "false_alarm": rates[0]["false_alarm"],
        "miss": rates[0]["miss"],
        "calibration_parts": localizer.calibration.parts,
        "calibration_pictures": localizer.calibration.count,
        "calibration_scheme": localizer.manifest.scheme,
        "rates": rates,
    }


def _rates_at(alpha: float, judged: Sequence[Judged], localizer: Localizer) -> dict[str, Any]:
    calibration = localizer.calibration
    if not calibration.promise(alpha).kept:
        return {"alpha": alpha, "false_alarm": None, "miss": None, "promise": calibration.promise(alpha).sentence}
    rejected = [(item.image.anomalous, calibration.p_value(item.score) <= alpha) for item in judged]
    alarms = [bad for anomalous, bad in rejected if not anomalous]
    misses = [not bad for anomalous, bad in rejected if anomalous]
    return {
        "alpha": alpha,
        "normal_parts": len(alarms),
        "anomalous_parts": len(misses),
        "promise": calibration.promise(alpha).sentence,
        **_rate("false_alarm", alarms),
        **_rate("miss", misses),
    }


def _counted(anomalous: Sequence[bool], verdicts: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many normal and how many anomalous parts got each verdict."""
    return {
        truth: {verdict: list(zip(anomalous, verdicts, strict=True)).count((bad, verdict)) for verdict in VERDICTS}
        for truth, bad in (("normal", False), ("anomalous", True))
    }


def _rate(name: str, events: Sequence[bool]) -> dict[str, Any]:
    """A rate with its exact interval; `None` where there is nothing to count."""
    if not events:
        return {name: None, f"{name}_interval": None}
    return {name: statistics.fmean(events), f"{name}_interval": binomial_interval(sum(events), len(events))}


_AVERAGED = (*DETECTION, "false_alarm", "miss", "seconds_per_image", "forward_ratio", "own_forward_ratio")


def _macro(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"name": "macro", "sets": len(results), **averages(results, _AVERAGED)}

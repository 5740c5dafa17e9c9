"""Detection benchmark: learn each set's normal parts, judge its test parts, and say how well and how fast."""

import hashlib
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import resize

from evals.datasets import LabelledImage, LabelledSet, Mask, read_sets
from evals.metrics import binomial_interval, image_auroc, pixel_scores
from evals.peers import Peer, load_peer
from knowledge import RequestError
from tools import DEFAULT_BACKBONE, Localizer, LocalizerSettings, Part, Progress, fit_localizer, load_image

ALPHAS = (0.05, 0.1)
SCORED_AREA = 256 * 256
"""Maps and masks are compared at native size, or scaled down to this many pixels with the aspect kept."""

PEER_AREA = 320 * 320
"""Input of the peers, for every set: they have nothing that would choose another."""

_TIMED_IMAGES = 24


class Judged(NamedTuple):
    """One test image after localisation."""

    image: LabelledImage
    score: float
    map: NDArray[np.float32]
    truth: Mask | None


def run_benchmark(
    source: str, names: list[str], settings: LocalizerSettings, progress: Progress, peers: Sequence[str] = ()
) -> dict[str, Any]:
    """Every set of a source, and the same by each of the `peers`; the result is plain values, as `--json` prints them."""
    if peers and settings.backbone != DEFAULT_BACKBONE:
        raise RequestError(
            f"peers run on {DEFAULT_BACKBONE} alone; leave out --peers or --backbone {settings.backbone}"
        )
    rivals = {name: load_peer(name, PEER_AREA, settings.seed) for name in peers}
    sets = read_sets(source, names, settings.seed)
    results = [_run_set(labelled, settings, progress) for labelled in sets]
    compared = {name: [_run_peer(peer, labelled, progress) for labelled in sets] for name, peer in rivals.items()}
    return {
        "protocol": {
            "backbone": settings.backbone,
            "input_area": settings.area,
            "peers_input_area": PEER_AREA if peers else None,
            "memory_patches": settings.memory_size,
            "seed": settings.seed,
            "scored_at": f"native size, at most {SCORED_AREA} pixels, aspect kept; masks nearest",
            "aupro": "exact, up to a false-positive rate of 0.3",
            "alphas": list(ALPHAS),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
        "sets": results,
        "macro": _macro(results),
        "peers": {name: {"sets": found, "macro": _macro(found)} for name, found in compared.items()},
    }


def _run_set(labelled: LabelledSet, settings: LocalizerSettings, progress: Progress) -> dict[str, Any]:
    localizer = fit_localizer(_parts(labelled.train), _parts(labelled.held_out), settings)
    judged = []
    for done, image in enumerate(labelled.test):
        progress(labelled.name, done, len(labelled.test))
        judged.append(_judge(localizer, image))
    progress(labelled.name, len(labelled.test), len(labelled.test))
    return {
        "name": labelled.name,
        "modality": "image",
        "train": len(labelled.train) + len(labelled.held_out),
        "test": len(labelled.test),
        **_detection(judged),
        **_error_rates(judged, localizer),
        **_speed(localizer, labelled.test),
        "input_area": localizer.area,
        "appearance": localizer.manifest.appearance.reason,
    }


def _run_peer(peer: Peer, labelled: LabelledSet, progress: Progress) -> dict[str, Any]:
    """A peer learns from the pictures that our memory has, and judges the same test parts; it has no calibration."""
    peer.fit([lambda path=path: load_image(path).pixels for path in labelled.train])  # type: ignore[misc]
    judged, seconds = [], []
    for done, image in enumerate(labelled.test):
        progress(f"{peer.name} {labelled.name}", done, len(labelled.test))
        pixels = image.pixels()
        start = time.perf_counter()
        score, found = peer.judge(pixels)
        seconds.append(time.perf_counter() - start)
        judged.append(_judged(image, score, found))
    progress(f"{peer.name} {labelled.name}", len(labelled.test), len(labelled.test))
    figures = dict.fromkeys(_AVERAGED) | _detection(judged) | {"seconds_per_image": statistics.median(seconds)}
    return {
        "name": labelled.name,
        "modality": "image",
        "train": len(labelled.train),
        "test": len(labelled.test),
        **figures,
    }


def _parts(paths: Sequence[Path]) -> list[Part]:
    return [
        Part(hashlib.sha256(path.read_bytes()).hexdigest(), lambda path=path: load_image(path).pixels)  # type: ignore[misc]
        for path in paths
    ]


def _judge(localizer: Localizer, image: LabelledImage) -> Judged:
    result = localizer.localize(image.pixels())
    return _judged(image, result.score, result.map)


def _judged(image: LabelledImage, score: float, found: NDArray[np.float32]) -> Judged:
    """A map at the size at which maps and masks are compared."""
    truth = image.truth(*found.shape)
    scale = min(1.0, (SCORED_AREA / found.size) ** 0.5)
    height, width = (max(1, round(side * scale)) for side in found.shape)
    scored = resize(found, (height, width), order=1, anti_aliasing=scale < 1).astype(np.float32)
    return Judged(image, score, scored, None if truth is None else _nearest(truth, height, width))


def _nearest(mask: Mask, height: int, width: int) -> Mask:
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    nearest: Mask = mask[rows[:, None], columns]
    return nearest


def _detection(judged: Sequence[Judged]) -> dict[str, float | None]:
    normal = [item.score for item in judged if not item.image.anomalous]
    anomalous = [item.score for item in judged if item.image.anomalous]
    known = [item for item in judged if item.truth is not None]
    complete = len(known) == len(judged)
    pixels = pixel_scores([i.map for i in known], [i.truth for i in known if i.truth is not None]) if complete else None
    return {
        "image_auroc": image_auroc(normal, anomalous),
        "pixel_ap": pixels.ap if pixels else None,
        "pixel_f1_max": pixels.f1_max if pixels else None,
        "pixel_auroc": pixels.auroc if pixels else None,
        "aupro": pixels.aupro if pixels else None,
    }


def _error_rates(judged: Sequence[Judged], localizer: Localizer) -> dict[str, Any]:
    """Misses and false alarms, always apart; `false_alarm` and `miss` are those at the first alpha."""
    rates = [_rates_at(alpha, judged, localizer) for alpha in ALPHAS]
    return {
        "false_alarm": rates[0]["false_alarm"],
        "miss": rates[0]["miss"],
        "calibration_parts": localizer.calibration.count,
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


def _rate(name: str, events: Sequence[bool]) -> dict[str, Any]:
    """A rate with its exact interval; `None` where there is nothing to count."""
    if not events:
        return {name: None, f"{name}_interval": None}
    return {name: statistics.fmean(events), f"{name}_interval": binomial_interval(sum(events), len(events))}


def _speed(localizer: Localizer, images: Sequence[LabelledImage]) -> dict[str, float]:
    """Localising against the backbone's forward pass alone, in turn on the same images, decoded beforehand."""
    whole, forward = [], []
    for image in images[:: max(1, len(images) // _TIMED_IMAGES)][:_TIMED_IMAGES]:
        pixels = image.pixels()
        prepared = localizer.backbone.preprocess(pixels, localizer.area)[None]
        localizer.backbone.forward(prepared)
        start = time.perf_counter()
        localizer.localize(pixels)
        middle = time.perf_counter()
        localizer.backbone.forward(prepared)
        whole.append(middle - start)
        forward.append(time.perf_counter() - middle)
    seconds = statistics.median(whole)
    return {"seconds_per_image": seconds, "forward_ratio": seconds / statistics.median(forward)}


_AVERAGED = (
    *("image_auroc", "pixel_ap", "pixel_f1_max", "pixel_auroc", "aupro"),
    *("false_alarm", "miss", "seconds_per_image", "forward_ratio"),
)


def _macro(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Unweighted means over the sets that have a figure."""
    values = {key: [result[key] for result in results if result[key] is not None] for key in _AVERAGED}
    return {"name": "macro", "sets": len(results), **{k: statistics.fmean(v) if v else None for k, v in values.items()}}

"""Detection and localisation: exact figures over all images of one set.

Definitions: AUROC = P(score of an anomalous item > that of a normal one) + half the ties. AP = sum of precision times
step in recall, without interpolation. F1-max = best F1 over all thresholds. AUPRO@30 % = mean overlap of the
ground-truth components (8-connected) against the false-positive rate over all normal pixels, integrated exactly up to
30 % and divided by 0.3 (Bergmann et al. 2020). Ties share one threshold. Nothing is normalised or binned.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from skimage import measure
from sklearn.metrics import roc_auc_score

PRO_LIMIT = 0.3

Floats = NDArray[np.float64]


class PixelScores(NamedTuple):
    auroc: float
    ap: float
    f1_max: float
    aupro: float


class Interval(NamedTuple):
    low: float
    high: float


def image_auroc(normal: Sequence[float], anomalous: Sequence[float]) -> float | None:
    """AUROC of scores, higher meaning more anomalous; `None` where one of the two kinds is missing."""
    if not normal or not anomalous:
        return None
    return float(roc_auc_score([0] * len(normal) + [1] * len(anomalous), [*normal, *anomalous]))


def binomial_interval(hits: int, count: int, confidence: float = 0.95) -> Interval:
    """Exact (Clopper-Pearson) interval of a rate."""
    result = stats.binomtest(hits, count).proportion_ci(confidence, method="exact")
    return Interval(float(result.low), float(result.high))


def pixel_scores(maps: Sequence[NDArray[np.float32]], masks: Sequence[NDArray[np.bool_]]) -> PixelScores | None:
    """All four figures from one sort over the pooled pixels; `None` where no pixel or every pixel is anomalous.

    Args:
        maps: one (H, W) map an image, higher meaning more anomalous; sizes may differ.
        masks: the ground truth of each, of the same size.
    """
    _require_same_sizes(maps, masks)
    truth = np.concatenate([mask.ravel() for mask in masks])
    positives = int(truth.sum())
    if positives in (0, truth.size):
        return None
    scores = np.concatenate([anomaly_map.ravel() for anomaly_map in maps])
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.r_[np.flatnonzero(np.diff(scores[order])), truth.size - 1]
    hits = np.cumsum(truth[order], dtype=np.float64)[last_of_tie]
    false = last_of_tie + 1 - hits
    overlap = np.cumsum(_overlap_weights(masks)[order])[last_of_tie]
    recall, precision = hits / positives, hits / (hits + false)
    fall_out = false / (truth.size - positives)
    return PixelScores(
        auroc=float(np.trapezoid(np.r_[0.0, recall], np.r_[0.0, fall_out])),
        ap=float(np.sum(np.diff(np.r_[0.0, recall]) * precision)),
        f1_max=float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))),
        aupro=_area_up_to(fall_out, overlap, PRO_LIMIT) / PRO_LIMIT,
    )


def _overlap_weights(masks: Sequence[NDArray[np.bool_]]) -> Floats:
    """For each pixel, how much its detection adds to the mean overlap of the components."""
    weights = []
    components = 0
    for mask in masks:
        labels: NDArray[Any] = measure.label(mask, connectivity=2)
        sizes = np.bincount(labels.ravel())
        components += len(sizes) - 1
        share = np.r_[0.0, 1.0 / np.maximum(sizes[1:], 1)]
        weights.append(share[labels].ravel())
    return np.concatenate(weights) / components


def _area_up_to(x: Floats, y: Floats, limit: float) -> float:
    """Area under a curve from x = 0 to `limit`, the point at the limit interpolated linearly."""
    x, y = np.r_[0.0, x], np.r_[0.0, y]
    inside = x <= limit
    end = float(np.interp(limit, x, y))
    return float(np.trapezoid(np.r_[y[inside], end], np.r_[x[inside], limit]))


def _require_same_sizes(maps: Sequence[NDArray[np.float32]], masks: Sequence[NDArray[np.bool_]]) -> None:
    for number, (anomaly_map, mask) in enumerate(zip(maps, masks, strict=True)):
        if anomaly_map.shape != mask.shape:
            raise ValueError(
                f"image {number}: expected map and mask of one size, got {anomaly_map.shape} and {mask.shape}"
            )

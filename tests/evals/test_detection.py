"""Detection figures against hand-worked cases and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from evals.metrics import binomial_interval, image_auroc, pixel_scores


def test_a_three_by_three_map_by_hand() -> None:
    mask = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]], np.bool_)
    anomaly_map = np.array([[9, 7, 8], [1, 2, 3], [4, 5, 6]], np.float32)
    scores = pixel_scores([anomaly_map], [mask])
    assert scores is not None
    # Ranks: hit, miss, hit. 13 of 14 pairs are in order; AP = (1/1 + 2/3) / 2; best F1 at the third: 2 * 2/3 / (5/3).
    assert scores.auroc == pytest.approx(13 / 14)
    assert scores.ap == pytest.approx((1 + 2 / 3) / 2)
    assert scores.f1_max == pytest.approx(0.8)
    # Overlap is 1/2 up to a false-positive rate of 1/7, then 1 up to 0.3.
    assert scores.aupro == pytest.approx((0.5 / 7 + (0.3 - 1 / 7)) / 0.3)


def test_components_count_alike_whatever_their_size() -> None:
    mask = np.zeros((10, 10), np.bool_)
    mask[0:5, 0:5] = True
    mask[9, 9] = True
    anomaly_map = np.where(np.indices((10, 10))[0] < 5, 1.0, 0.0).astype(np.float32) * mask
    scores = pixel_scores([anomaly_map], [mask])
    assert scores is not None
    # The large component is found without a false alarm, the small one only with all pixels: overlap rises from 1/2 to 1.
    assert scores.aupro == pytest.approx((0.5 + (0.5 + 0.5 * 0.3)) / 2)


def test_a_constant_map_is_a_coin_toss() -> None:
    mask = np.zeros((4, 4), np.bool_)
    mask[0, 0] = True
    scores = pixel_scores([np.ones((4, 4), np.float32)], [mask])
    assert scores is not None
    assert scores.auroc == pytest.approx(0.5)
    assert scores.ap == pytest.approx(1 / 16)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_equal_to_scikit_learn(seed: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    maps = [random.integers(0, levels, shape).astype(np.float32) for shape in ((7, 9), (12, 5))]
    masks = [random.random(anomaly_map.shape) < 0.2 for anomaly_map in maps]
    masks[0][0, 0] = True
    masks[0][0, 1] = False
    truth, flat = np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps])
    precision, recall, _ = precision_recall_curve(truth, flat)
    scores = pixel_scores(maps, masks)
    assert scores is not None
    assert scores.auroc == pytest.approx(roc_auc_score(truth, flat), abs=1e-9)
    assert scores.ap == pytest.approx(average_precision_score(truth, flat), abs=1e-9)
    assert scores.f1_max == pytest.approx(
        np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)), abs=1e-9
    )
    assert 0 <= scores.aupro <= 1


def test_figures_do_not_change_with_a_monotone_change_of_the_map() -> None:
    random = np.random.default_rng(0)
    anomaly_map = random.normal(size=(40, 40)).astype(np.float32)
    mask = np.zeros((40, 40), np.bool_)
    mask[5:12, 5:12] = True
    anomaly_map[mask] += 1
    assert pixel_scores([anomaly_map], [mask]) == pixel_scores([np.exp(anomaly_map)], [mask])


def test_without_both_kinds_there_is_no_figure() -> None:
    empty = np.zeros((3, 3), np.bool_)
    assert pixel_scores([np.zeros((3, 3), np.float32)], [empty]) is None
    assert image_auroc([1.0], []) is None
    assert image_auroc([1.0, 2.0], [2.0, 3.0]) == pytest.approx(0.875)


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"image 0: expected map and mask of one size, got \(3, 3\) and \(3, 4\)"):
        pixel_scores([np.zeros((3, 3), np.float32)], [np.zeros((3, 4), np.bool_)])


def test_exact_binomial_interval_by_hand() -> None:
    # No hit among n: the upper end p solves (1 - p)^n = 0.025.
    interval = binomial_interval(0, 10)
    assert interval.low == 0
    assert interval.high == pytest.approx(1 - 0.025**0.1)

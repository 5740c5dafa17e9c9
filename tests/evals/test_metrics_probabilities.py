"""Probabilities and promised rates against what came of them."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from evals.metrics import alarm_rates, anomaly_probability, brier_score, calibration_error, reliability_bins


def test_bins_and_errors_by_hand() -> None:
    stated, anomalous = [0.0, 0.1, 0.6, 0.9, 1.0], [False, True, True, True, False]
    low, high = reliability_bins(stated, anomalous, bins=2)
    assert (low.low, low.high, low.n) == (0, 0.5, 2)
    assert (high.low, high.high, high.n) == (0.5, 1, 3)
    assert (low.stated, low.observed) == pytest.approx((0.05, 0.5))
    assert (high.stated, high.observed) == pytest.approx((2.5 / 3, 2 / 3))
    # 2/5 * 0.45 + 3/5 * (0.5 / 3).
    assert calibration_error(stated, anomalous, bins=2) == pytest.approx(0.18 + 0.1)
    assert brier_score(stated, anomalous) == pytest.approx((0 + 0.81 + 0.16 + 0.01 + 1) / 5)


def test_an_edge_belongs_to_the_bin_above_and_one_to_the_last() -> None:
    assert [each.n for each in reliability_bins([0.0, 0.5, 1.0], [True] * 3, bins=2)] == [1, 2]
    empty = reliability_bins([0.9], [True], bins=2)[0]
    assert (empty.n, empty.stated, empty.observed) == (0, None, None)


def test_equal_to_scikit_learn() -> None:
    random = np.random.default_rng(2)
    stated = random.uniform(0, 1, 300)
    anomalous = random.uniform(0, 1, 300) < stated**2
    bins = [each for each in reliability_bins(stated.tolist(), anomalous.tolist()) if each.n]
    observed, mean = calibration_curve(anomalous, stated, n_bins=10, strategy="uniform")
    assert [each.observed for each in bins] == pytest.approx(observed.tolist(), abs=1e-9)
    assert [each.stated for each in bins] == pytest.approx(mean.tolist(), abs=1e-9)
    assert brier_score(stated.tolist(), anomalous.tolist()) == pytest.approx(brier_score_loss(anomalous, stated))


def test_a_p_value_is_no_posterior() -> None:
    """Perfect p-values, 0 of anomalous parts and even of normal ones, still have an error."""
    p_values = [*np.linspace(0, 1, 101), *[0.0] * 101]
    stated = [anomaly_probability(p) for p in p_values]
    error = calibration_error(stated, [False] * 101 + [True] * 101)
    assert error is not None
    assert error > 0.2


def test_alarm_rates_by_hand() -> None:
    p_values = [0.01, 0.05, 0.2, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    tight, loose = alarm_rates(p_values, [0.005, 0.05])
    assert (tight.rate, tight.n, tight.kept) == (0, 10, True)
    assert tight.interval.high == pytest.approx(1 - 0.025**0.1)
    assert (loose.rate, loose.kept) == (0.2, True)
    assert not alarm_rates([0.01] * 10, [0.05])[0].kept
    assert alarm_rates([], [0.05]) == []


def test_what_cannot_be_told() -> None:
    assert calibration_error([], []) is None
    assert brier_score([], []) is None
    assert brier_score([0.2, 0.4], [True, True]) == pytest.approx((0.64 + 0.36) / 2)
    with pytest.raises(ValueError, match=r"expected probabilities in 0 \.\. 1, got 0\.5 \.\. 1\.5"):
        brier_score([0.5, 1.5], [True, False])
    with pytest.raises(ValueError, match="expected a truth for each probability, got 1 and 2"):
        calibration_error([0.5], [True, False])

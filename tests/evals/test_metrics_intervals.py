"""Means and differences with their intervals."""

import numpy as np
import pytest
from scipy import stats

from evals.metrics import mean_with_interval, paired_difference


def test_the_interval_of_a_rate_is_exact() -> None:
    # All of 10: the lower end p solves p^10 = 0.025.
    estimate = mean_with_interval([1.0] * 10)
    assert estimate is not None
    assert (estimate.mean, estimate.high, estimate.n) == (1, 1, 10)
    assert estimate.low == pytest.approx(0.025**0.1)
    # 2 of 5, from the beta distribution that the exact interval is made of.
    estimate = mean_with_interval([1.0, 0.0, 0.0, 1.0, 0.0])
    assert estimate is not None
    assert (estimate.low, estimate.high) == pytest.approx((stats.beta.ppf(0.025, 2, 4), stats.beta.ppf(0.975, 3, 3)))


def test_the_interval_of_other_values_is_bootstrapped_and_the_same_for_the_same_seed() -> None:
    values = np.random.default_rng(1).uniform(0, 1, 400).tolist()
    one, two, other = (mean_with_interval(values, seed) for seed in (3, 3, 4))
    assert one == two != other
    assert one is not None
    assert one.low is not None
    assert one.high is not None
    # Of many values the percentiles of resampled means come near to those of a normal distribution.
    reach = 1.96 * float(np.std(values)) / 20
    assert one.low == pytest.approx(one.mean - reach, abs=0.1 * reach)
    assert one.high == pytest.approx(one.mean + reach, abs=0.1 * reach)


def test_of_two_values_half_of_the_resamples_hold_one_alone() -> None:
    # Means 0.2, 0.5 and 0.8 with probabilities 1/4, 1/2, 1/4: both ends of 95 % lie at the extremes.
    estimate = mean_with_interval([0.2, 0.8])
    assert estimate is not None
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((0.5, 0.2, 0.8))


def test_nothing_and_one_value() -> None:
    assert mean_with_interval([]) is None
    assert mean_with_interval([0.3]) == (0.3, None, None, 1)
    assert mean_with_interval([0.5] * 4) == (0.5, 0.5, 0.5, 4)
    assert paired_difference([], []) is None
    assert paired_difference([1.0], [0.0]) == (1.0, None, None, 1)


def test_a_difference_is_one_over_pairs() -> None:
    # Each pair differs by 0.1 whatever the pair: there is no doubt, though the values themselves are far apart.
    first = [0.1, 0.9, 0.5]
    estimate = paired_difference(first, [value - 0.1 for value in first])
    assert estimate is not None
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((0.1, 0.1, 0.1))
    mixed = paired_difference([1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], seed=5)
    assert mixed is not None
    assert mixed.low is not None
    assert mixed.high is not None
    assert mixed.low < 0 == mixed.mean < mixed.high
    assert mixed == paired_difference([1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], seed=5)


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="expected values of the same cases, got 1 and 2"):
        paired_difference([1.0], [1.0, 0.0])

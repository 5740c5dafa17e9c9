"""Verdicts, coverage, agreement and choices over many cases."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from evals.metrics import (
    area_under_risk_coverage,
    balanced_accuracy,
    cohen_kappa,
    fleiss_kappa,
    image_auroc,
    position_bias,
    risk_coverage,
)


def test_balanced_accuracy_by_hand() -> None:
    truth = ["normal"] * 4 + ["anomalous"] * 2 + ["review"]
    said = ["normal", "normal", "normal", "review", "anomalous", None, "review"]
    assert balanced_accuracy(truth, said) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert balanced_accuracy(["normal"], ["normal"]) is None
    assert balanced_accuracy([], []) is None


def test_auroc_equals_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    normal, anomalous = random.integers(0, 9, 60).tolist(), random.integers(3, 12, 40).tolist()
    truth = [0] * 60 + [1] * 40
    assert image_auroc(normal, anomalous) == pytest.approx(roc_auc_score(truth, normal + anomalous), abs=1e-6)


def test_risk_and_coverage_by_hand() -> None:
    confidence, right = [0.9, 0.8, 0.7, 0.6], [True, False, True, True]
    assert risk_coverage(confidence, right) == [(0.25, 0), (0.5, 0.5), (0.75, pytest.approx(1 / 3)), (1, 0.25)]
    assert area_under_risk_coverage(confidence, right) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_ties_are_answered_together_in_whatever_order_they_come() -> None:
    assert risk_coverage([0.5, 0.5, 0.9], [True, False, True]) == [(pytest.approx(1 / 3), 0), (1, pytest.approx(1 / 3))]
    assert area_under_risk_coverage([0.5, 0.5, 0.9], [True, False, True]) == pytest.approx(2 / 3 * 1 / 3)
    assert area_under_risk_coverage([0.5, 0.5, 0.9], [False, True, True]) == pytest.approx(2 / 3 * 1 / 3)
    assert area_under_risk_coverage([], []) is None
    with pytest.raises(ValueError, match="expected a confidence for each answer, got 1 and 0"):
        risk_coverage([0.5], [])


def test_kappa_of_two_by_hand() -> None:
    # Agree on 7 of 10; by chance on 0.5 * 0.6 + 0.5 * 0.4.
    first = ["a"] * 5 + ["b"] * 5
    second = ["a"] * 4 + ["b"] + ["a"] * 2 + ["b"] * 3
    assert cohen_kappa(first, second) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second), abs=1e-6)
    assert cohen_kappa(["a", "a"], ["a", "a"]) is None
    assert cohen_kappa([], []) is None


def test_kappa_of_many_as_published() -> None:
    """The example of ten cases, fourteen judges and five kinds that is worked out in textbooks: 0.210."""
    table = [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
    rows = [[str(kind) for kind, count in enumerate(row) for _ in range(count)] for row in table]
    assert fleiss_kappa(rows) == pytest.approx(0.20993, abs=1e-5)


def test_kappa_of_many_at_its_ends() -> None:
    assert fleiss_kappa([["a", "a", "a"], ["b", "b", "b"]]) == pytest.approx(1)
    assert fleiss_kappa([["a", "b"], ["a", "b"]]) == pytest.approx(-1)
    assert fleiss_kappa([["a", "a"]]) is None
    assert fleiss_kappa([]) is None
    with pytest.raises(ValueError, match="expected as many judges of every case, two at least"):
        fleiss_kappa([["a"], ["b", "b"]])


def test_a_preference_for_the_first_option() -> None:
    found = position_bias([0, 0, 0, 1, None], [0, 1, 2, 1, 0])
    assert found is not None
    assert found.chosen == {0: 0.75, 1: 0.25}
    assert found.right == {0: 0.25, 1: 0.5, 2: 0.25}
    assert (found.first_excess.mean, found.first_excess.n) == (0.5, 4)
    fair = position_bias([0, 1, 2], [0, 1, 2])
    assert fair is not None
    assert fair.first_excess == (0, 0, 0, 3)
    assert position_bias([None], [0]) is None

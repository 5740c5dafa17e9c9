"""Figures of merit, each with its definition."""

from evals.metrics.agreement import cohen_kappa, fleiss_kappa
from evals.metrics.detection import Interval, PixelScores, binomial_interval, image_auroc, pixel_scores
from evals.metrics.intervals import Estimate, mean_with_interval, paired_difference
from evals.metrics.position_bias import PositionBias, position_bias
from evals.metrics.probabilities import (
    AlarmRate,
    ReliabilityBin,
    alarm_rates,
    anomaly_probability,
    brier_score,
    calibration_error,
    reliability_bins,
)
from evals.metrics.verdicts import CoveragePoint, area_under_risk_coverage, balanced_accuracy, risk_coverage

__all__ = [
    "AlarmRate",
    "CoveragePoint",
    "Estimate",
    "Interval",
    "PixelScores",
    "PositionBias",
    "ReliabilityBin",
    "alarm_rates",
    "anomaly_probability",
    "area_under_risk_coverage",
    "balanced_accuracy",
    "binomial_interval",
    "brier_score",
    "calibration_error",
    "cohen_kappa",
    "fleiss_kappa",
    "image_auroc",
    "mean_with_interval",
    "paired_difference",
    "pixel_scores",
    "position_bias",
    "reliability_bins",
    "risk_coverage",
]

"""Figures of merit, each with its definition."""

from evals.metrics.detection import Interval, PixelScores, binomial_interval, image_auroc, pixel_scores

__all__ = ["Interval", "PixelScores", "binomial_interval", "image_auroc", "pixel_scores"]

"""What a result is worth against what is known of its case: one family of scores a file."""

from evals.scorers.families import DESCRIPTIVE, LOWER_IS_BETTER, SCORE_NAMES, SCORERS, score_case
from evals.scorers.measure import UNITS, Scorer

__all__ = ["DESCRIPTIVE", "LOWER_IS_BETTER", "SCORERS", "SCORE_NAMES", "UNITS", "Scorer", "score_case"]

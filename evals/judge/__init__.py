"""A model that grades answers in words, how far it agrees with people and with code, and how both are told."""

from evals.judge.grader import Judge
from evals.judge.labels import LabelLine, read_labels
from evals.judge.lines import judge_lines, judge_table
from evals.judge.page import judge_section
from evals.judge.run import JudgedRun, agreements, judge_run
from evals.judge.scores import FAMILY, JUDGED_LOWER_IS_BETTER, is_judged
from evals.judge.store import Judgement, read_judgements

__all__ = [
    "FAMILY",
    "JUDGED_LOWER_IS_BETTER",
    "Judge",
    "JudgedRun",
    "Judgement",
    "LabelLine",
    "agreements",
    "is_judged",
    "judge_lines",
    "judge_run",
    "judge_section",
    "judge_table",
    "read_judgements",
    "read_labels",
]

"""Published layouts of labelled parts -> a suite."""

from evals.converters.conversion import FORMATS, Conversion, convert_layout
from evals.converters.questions import with_questions

__all__ = ["FORMATS", "Conversion", "convert_layout", "with_questions"]

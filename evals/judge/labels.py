"""What people said of answers, as JSON Lines: `case`, `question` and `person`, which is `right`, `wrong` or null.

A run's own `judged.jsonl` with `person` filled in is such a file. A label with a `digest` holds for the answer that had
it, and no other; one without is taken to be of the answer as it is now.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.judge.store import Judgement, Label, Subject, subject_of
from knowledge import RequestError


class LabelLine(BaseModel):
    """One line of a file of labels; what else stands there is no concern of this."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    case: str
    question: str
    person: Label | None
    digest: str = ""


class Labelled(NamedTuple):
    """Judgements with what people said of the same answers."""

    judgements: tuple[Judgement, ...]
    stale: int
    """Answers that have changed since people spoke of them, which is left out."""
    strangers: int
    """Labels given of questions that were not judged in this run."""


def read_labels(path: Path) -> tuple[LabelLine, ...]:
    """Read a file of labels; raises `RequestError` naming file, line and field."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read ({error}); give a judged.jsonl with person filled in") from error
    return tuple(_line(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip())


def labelled(judgements: Sequence[Judgement], kept: Mapping[Subject, Label], given: Sequence[LabelLine]) -> Labelled:
    """Put labels to the judgements that they are of.

    Args:
        judgements: of this run.
        kept: what people said before, of these answers and of others.
        given: labels of a file, which beat those that were kept; of two of one answer the last counts.
    """
    digests = {(judgement.case, judgement.question): judgement.digest for judgement in judgements}
    known = dict(kept)
    for line in given:
        digest = line.digest or digests.get((line.case, line.question), "")
        if line.person:
            known[Subject(line.case, line.question, digest)] = line.person
    found = tuple(judgement.model_copy(update={"person": known.get(subject_of(judgement))}) for judgement in judgements)
    spoken_of = {(subject.case, subject.question) for subject in known}
    return Labelled(
        judgements=found,
        stale=sum(not judgement.person and (judgement.case, judgement.question) in spoken_of for judgement in found),
        strangers=sum(bool(line.person) and (line.case, line.question) not in digests for line in given),
    )


def _line(line: str, where: str) -> LabelLine:
    try:
        return LabelLine.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "not a label"
        raise RequestError(f"{where}: {field}: {first['msg']}") from error

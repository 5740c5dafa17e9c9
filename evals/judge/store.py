"""Judgements as they are kept, and labelled by people.

`judged.jsonl` holds one answer of this run a line; `judged_earlier.jsonl` what was judged of other answers, by other judges
or in other words, with what people said of it, kept so that nothing need be asked or said twice.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, NamedTuple

from pydantic import ValidationError

from knowledge import Frozen, StoreError, write_atomically

JUDGED_FILE = "judged.jsonl"
JUDGED_EARLIER_FILE = "judged_earlier.jsonl"

Grade = Literal["right", "wrong", "cannot_say"]
Label = Literal["right", "wrong"]


class Judgement(Frozen):
    """What a model said of an answer."""

    case: str
    question: str
    """Its id."""
    asked: str
    unanswerable: bool = False
    right_answer_holds: tuple[str, ...] = ()
    answer: str
    person: Label | None = None
    """For a person to fill in."""
    grade: Grade
    why: str
    deterministic: Label
    """By the scorer of questions."""
    digest: str
    """Of question, right answer and answer; what anybody said of another is not of this one."""
    judge: str
    prompt: str
    """Version of the judge's words."""
    failed: bool = False
    """No usable reply came, which is asked for again in the next run."""
    tokens: int = 0
    cost: float | None = 0.0
    """US dollars; null where a price is not known."""


class Subject(NamedTuple):
    """An answer as it was."""

    case: str
    question: str
    digest: str


class _Key(NamedTuple):
    subject: Subject
    judge: str
    prompt: str


class JudgementStore:
    """Judgements of a folder, for one run at a time; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Raises `StoreError` where the folder's files are no judgements, or cannot be written."""
        self.folder = folder
        self._lock = threading.Lock()
        found = read_judgements(folder)
        self._known = {_key(judgement): judgement for judgement in found}
        # Also where nobody has said anything: a label that was taken back stays so.
        self._people = {subject_of(judgement): judgement.person for judgement in found}
        # What a kill left half written is gone with this, and the next line begins a line of its own.
        write_atomically(folder / JUDGED_FILE, _lines(self._known.values()))
        self._file: BinaryIO = (folder / JUDGED_FILE).open("ab")

    def __enter__(self) -> "JudgementStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def get(self, subject: Subject, judge: str, prompt: str) -> Judgement | None:
        """What this judge said of this answer, in an earlier run or in this one."""
        with self._lock:
            return self._known.get(_Key(subject, judge, prompt))

    def add(self, judgement: Judgement) -> None:
        """Keep a judgement, with what a person has said of the same answer; it is on disk when this returns."""
        judgement = judgement.model_copy(update={"person": self._people.get(subject_of(judgement))})
        with self._lock:
            try:
                self._file.write(_lines([judgement]))
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise StoreError(f"cannot write {self.folder / JUDGED_FILE} ({error.strerror or error})") from error
            self._known[_key(judgement)] = judgement

    def people(self) -> dict[Subject, Label]:
        """What people said, of these answers and of others."""
        return {subject: label for subject, label in self._people.items() if label}

    def finish(self, judgements: Sequence[Judgement]) -> None:
        """Write the judgements of a whole run in their order, and all others beside them."""
        own = {_key(judgement) for judgement in judgements}
        with self._lock:
            others = [judgement for key, judgement in self._known.items() if key not in own]
            # The others first: a kill in between leaves them in both files, and never in none.
            write_atomically(self.folder / JUDGED_EARLIER_FILE, _lines(others))
            self._file.close()
            write_atomically(self.folder / JUDGED_FILE, _lines(judgements))
            self._file = (self.folder / JUDGED_FILE).open("ab")


def subject_of(judgement: Judgement) -> Subject:
    return Subject(judgement.case, judgement.question, judgement.digest)


def read_judgements(folder: Path) -> list[Judgement]:
    """The judgements of a folder, earlier ones first; raises `StoreError` naming file and line."""
    return [*_read(folder / JUDGED_EARLIER_FILE), *_read(folder / JUDGED_FILE)]


def judgements_of_run(folder: Path) -> list[Judgement]:
    """Those of its last run."""
    return _read(folder / JUDGED_FILE)


def _key(judgement: Judgement) -> _Key:
    return _Key(subject_of(judgement), judgement.judge, judgement.prompt)


def _read(path: Path) -> list[Judgement]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror or error})") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(Judgement.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            if number == len(lines) and first["type"] == "json_invalid":
                break  # half a line, which a kill left
            field = ".".join(map(str, first["loc"])) or "not a judgement"
            raise StoreError(
                f"{path}, line {number}: {field}: {first['msg']}; mend the line, or move the file away"
            ) from error
    return found


def _lines(judgements: Iterable[Judgement]) -> bytes:
    return "".join(judgement.model_dump_json() + "\n" for judgement in judgements).encode()

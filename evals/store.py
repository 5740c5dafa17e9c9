"""A folder of results, which a kill at any moment costs at most the case that was running.

`results.jsonl` holds one `CaseResult` a line, the last of a case counting; `earlier.jsonl` results of other cases or
settings, kept so that they need not be run again; `scores.jsonl` one score of one case a line; `summary.json` the whole.
"""

import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from filelock import FileLock, Timeout
from pydantic import ValidationError

from evals.results import CaseResult, Score
from knowledge import StoreError, require_writable, write_atomically

RESULTS_FILE = "results.jsonl"
EARLIER_FILE = "earlier.jsonl"
SCORES_FILE = "scores.jsonl"
SUMMARY_FILE = "summary.json"
LOCK_FILE = ".lock"


class _Key(NamedTuple):
    case: str
    fingerprint: str


class ResultStore:
    """Results of a folder, for one run at a time; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Raises `StoreError` where the folder cannot be used, or another run is using it."""
        self.folder = require_writable(folder)
        self._lock = threading.Lock()
        self._lease = FileLock(folder / LOCK_FILE, timeout=0)
        try:
            self._lease.acquire()
        except Timeout:
            raise StoreError(
                f"{folder}: another evaluation is writing here; wait for it, or give another --out"
            ) from None
        try:
            self._known = {_key(result): result for result in self._read()}
            self._file: BinaryIO = (folder / RESULTS_FILE).open("ab")
        except BaseException:
            self._lease.release()
            raise

    def __enter__(self) -> "ResultStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._lease.release()

    def get(self, case: str, fingerprint: str) -> CaseResult | None:
        """The result of an earlier run, or of this one."""
        with self._lock:
            return self._known.get(_Key(case, fingerprint))

    def add(self, result: CaseResult) -> None:
        """Keep a result; it is on disk when this returns."""
        line = result.model_dump_json().encode() + b"\n"
        with self._lock:
            try:
                self._file.write(line)
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise StoreError(f"cannot write {self.folder / RESULTS_FILE} ({error.strerror or error})") from error
            self._known[_key(result)] = result

    def finish(
        self,
        results: Iterable[CaseResult],
        scores: Mapping[str, Mapping[str, Score]],
        summary: Mapping[str, Any],
    ) -> None:
        """Write what a whole run came to: its own results in order, and all others beside them."""
        own = {_key(result): result for result in results}
        with self._lock:
            others = [result for key, result in self._known.items() if key not in own]
            # The others first: a kill in between leaves them in both files, and never in none.
            write_atomically(self.folder / EARLIER_FILE, _lines(others))
            self._file.close()
            write_atomically(self.folder / RESULTS_FILE, _lines(own.values()))
            self._file = (self.folder / RESULTS_FILE).open("ab")
        write_atomically(self.folder / SCORES_FILE, _score_lines(scores))
        write_atomically(self.folder / SUMMARY_FILE, (json.dumps(summary, indent=1) + "\n").encode())

    def _read(self) -> list[CaseResult]:
        _drop_torn_line(self.folder / RESULTS_FILE)
        return [*_results(self.folder / EARLIER_FILE), *_results(self.folder / RESULTS_FILE)]


def _key(result: CaseResult) -> _Key:
    return _Key(result.case, result.fingerprint)


def _drop_torn_line(path: Path) -> None:
    """Cut off what a kill left half written, so that the next result begins a line of its own."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        begin = content.rfind(b"\n", 0, max(whole - 1, 0)) + 1
        # After a power cut the end of a file may be zeros, its last line feed included or not.
        if whole and not _parsable(content[begin:whole]):
            whole = begin
        if whole < len(content):
            file.truncate(whole)


def _parsable(line: bytes) -> bool:
    try:
        CaseResult.model_validate_json(line)
    except ValidationError:
        return False
    return True


def _results(path: Path) -> list[CaseResult]:
    if not path.is_file():
        return []
    found = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                found.append(CaseResult.model_validate_json(line))
            except ValidationError as error:
                raise StoreError(f"{path}, line {number}: not a result; move the file away to begin anew") from error
    return found


def _lines(results: Iterable[CaseResult]) -> bytes:
    return "".join(result.model_dump_json() + "\n" for result in results).encode()


def _score_lines(scores: Mapping[str, Mapping[str, Score]]) -> bytes:
    lines = [
        json.dumps({"case": case, "name": name, "value": score.value, "why": score.why}, ensure_ascii=False)
        for case, of_case in scores.items()
        for name, score in of_case.items()
    ]
    return "".join(f"{line}\n" for line in lines).encode()

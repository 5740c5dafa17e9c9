"""A suite as a task of inspect_ai: its scheduler runs the cases, and its log viewer shows what became of them.

The agent asks its own models, so the task's model is a stand-in that is never called; the log names the true ones.
"""

import json
import logging
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from evals.cases import Case
from evals.results import CaseResult, Score
from evals.store import ResultStore
from knowledge import RequestError, StoreError
from tools import Progress

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalLog
    from inspect_ai.model import ChatMessage
    from inspect_ai.scorer import Score as LoggedScore
    from inspect_ai.solver import Solver

STAND_IN = "mockllm/model"

Scores = dict[str, Score]
ScoreCase = Callable[[Case, CaseResult, Mapping[str, CaseResult]], Scores]
"""Scores a case by its result, and by those of its relatives: by the ids of all of them."""


class Runner(Protocol):
    """Runs cases; `evals.running.Evaluation` is one."""

    def fingerprint(self, case: Case) -> str: ...

    def run(self, case: Case, fingerprint: str) -> CaseResult: ...

    def messages(self, case: Case, result: CaseResult) -> list[dict[str, Any]]: ...


class Head(NamedTuple):
    """What a log says of the whole."""

    suite: str
    description: str
    version: str
    models: dict[str, str]
    """Role -> name."""


class Ran(NamedTuple):
    """What a run came to, cases in the order of the suite."""

    results: dict[str, CaseResult]
    scores: dict[str, Scores]
    log: Path
    taken_over: int


class Desk:
    """Has every case run once, whoever asks for it first, and keeps what became of it."""

    def __init__(
        self,
        cases: Sequence[Case],
        runner: Runner,
        store: ResultStore,
        progress: Progress,
        *,
        retry_failed: bool = False,
    ) -> None:
        self.cases = {case.id: case for case in cases}
        self.results: dict[str, CaseResult] = {}
        self.scores: dict[str, Scores] = {}
        self.taken_over = 0
        self.bug: BaseException | None = None
        self._runner = runner
        self._store = store
        self._progress = progress
        self._retry_failed = retry_failed
        self._relatives = relatives(cases)
        self._locks = {case.id: threading.Lock() for case in cases}
        self._counting = threading.Lock()

    def handle(self, case: Case, score_case: ScoreCase) -> list[dict[str, Any]]:
        """Run and score a case; returns the messages of its inspection.

        Its relatives are run before it is scored, so that scores are the same in whatever order cases are run.
        """
        try:
            result = self._result(case)
            known = {name: self._result(self.cases[name]) for name in self._relatives[case.id]}
            self.scores[case.id] = score_case(case, result, {**known, case.id: result})
            return self._runner.messages(case, result)
        except BaseException as error:
            self.bug = self.bug or error
            raise

    def _result(self, case: Case) -> CaseResult:
        with self._locks[case.id]:
            if case.id not in self.results:
                self._keep(case, self._taken_over(case))
            return self.results[case.id]

    def _taken_over(self, case: Case) -> CaseResult:
        if self.bug is not None:
            raise RuntimeError("the run is stopped by an earlier error")
        fingerprint = self._runner.fingerprint(case)
        earlier = self._store.get(case.id, fingerprint)
        if earlier is not None and not (earlier.error and self._retry_failed):
            with self._counting:
                self.taken_over += 1
            return earlier
        result = self._runner.run(case, fingerprint)
        self._store.add(result)
        return result

    def _keep(self, case: Case, result: CaseResult) -> None:
        with self._counting:
            self.results[case.id] = result
            self._progress("cases", len(self.results), len(self.cases))


def run_suite(
    cases: Sequence[Case],
    runner: Runner,
    store: ResultStore,
    score_case: ScoreCase,
    head: Head,
    *,
    workers: int = 2,
    retry_failed: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Ran:
    """Run cases, take over what the store holds of them, and write a log for inspect_ai's viewer into `logs`.

    With `retry_failed`, cases that could not be run are run again and not taken over.

    Raises:
        RequestError: inspect_ai is not installed.
        KeyboardInterrupt: it was interrupted; finished cases are in the store.
    """
    require_inspect_ai()
    desk = Desk(cases, runner, store, progress, retry_failed=retry_failed)
    logs = store.folder / "logs"
    with _kept_apart(logs / ".inspect"):
        log = _evaluated(_task(desk, score_case, head, workers), logs, head, workers)
    if desk.bug is not None:
        raise desk.bug
    if log.status == "cancelled":
        raise KeyboardInterrupt
    if log.status != "success":
        raise RuntimeError(f"inspect_ai ended with {log.status}: {log.error.message if log.error else 'no reason'}")
    order = [case.id for case in cases]
    return Ran(
        {name: desk.results[name] for name in order},
        {name: desk.scores[name] for name in order},
        Path(log.location.removeprefix("file://")),
        desk.taken_over,
    )


def _evaluated(task: "Task", logs: Path, head: Head, workers: int) -> "EvalLog":
    from inspect_ai import eval as evaluate

    (log,) = evaluate(
        task,
        model=STAND_IN,
        tags=sorted(set(head.models.values())),
        metadata={"models": head.models},
        display="none",
        log_dir=str(logs),
        log_format="eval",
        log_level="error",
        log_level_transcript="error",
        log_images=False,
        log_realtime=False,
        log_header_only=True,
        log_model_api=False,
        score_display=False,
        fail_on_error=True,
        max_samples=workers,
        max_tasks=1,
        ctl_server=False,
        notification=False,
    )
    return log


def _task(desk: Desk, score_case: ScoreCase, head: Head, workers: int) -> "Task":
    from inspect_ai import Task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.scorer import mean, stderr

    samples = [
        Sample(
            id=case.id,
            input=f"Inspect {', '.join(case.assets)} as {case.product}.",
            target=case.expected.verdict or "",
            metadata={"product": case.product, "group": case.group, "tags": list(case.tags)},
        )
        for case in desk.cases.values()
    ]
    return Task(
        name=head.suite,
        version=head.version,
        description=head.description or None,
        dataset=MemoryDataset(samples, name=head.suite),
        solver=_inspected(desk, score_case, workers),
        metrics=[mean(), stderr()],
    )


def _inspected(desk: Desk, score_case: ScoreCase, workers: int) -> "Solver":
    """A solver that has the case inspected in a thread; what it came to stands in the sample's messages and scores."""
    import anyio.to_thread
    from inspect_ai.model import ModelOutput
    from inspect_ai.solver import Generate, Solver, TaskState, solver

    def inspected() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            case = desk.cases[str(state.sample_id)]
            trace = await anyio.to_thread.run_sync(desk.handle, case, score_case, limiter=limiter)
            result = desk.results[case.id]
            state.messages += chat_of(trace, case, result)
            state.output = ModelOutput.from_content(STAND_IN, closing(result))
            state.metadata.update(_facts(result))
            state.scores = {name: _logged(score) for name, score in desk.scores[case.id].items()}
            return state

        limiter = anyio.CapacityLimiter(workers)
        return solve

    # Not as a decorator: without the extra it has no types, and would take them from the function too.
    return solver(name="anomalyst")(inspected)()


def chat_of(trace: Sequence[Mapping[str, Any]], case: Case, result: CaseResult) -> "list[ChatMessage]":
    """What was done and said, as messages of inspect_ai: tool calls, questions, and last the verdict."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser

    said: list[ChatMessage] = [_message(message) for message in trace]
    texts = {question.id: question.text for question in case.questions}
    for answer in result.answers:
        said += [ChatMessageUser(content=texts[answer.question]), ChatMessageAssistant(content=answer.text or "-")]
    return [*said, ChatMessageAssistant(content=closing(result))]


def closing(result: CaseResult) -> str:
    """How a case ended, in a line."""
    if result.error:
        return f"failed: {result.error}"
    p_value = "no p-value" if result.p_value is None else f"p = {result.p_value:.4g}"
    findings = "; ".join(f"{found.title} ({found.severity})" for found in result.findings) or "no findings"
    return f"{result.verdict}: {p_value}; {findings}"


def _message(message: Mapping[str, Any]) -> "ChatMessage":
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageTool, ChatMessageUser

    content = _text(message.get("content"))
    match message["role"]:
        case "assistant":
            calls = [_tool_call(call) for call in message.get("tool_calls") or ()]
            return ChatMessageAssistant(content=content, tool_calls=calls or None)
        case "tool":
            return ChatMessageTool(content=content, tool_call_id=message["tool_call_id"], function=message.get("name"))
        case "system":
            return ChatMessageSystem(content=content)
        case _:
            return ChatMessageUser(content=content)


def _tool_call(call: Mapping[str, Any]) -> Any:
    from inspect_ai.tool import ToolCall

    function = call["function"]
    return ToolCall(id=call["id"], function=function["name"], arguments=json.loads(function["arguments"] or "{}"))


def _text(content: Any) -> str:
    """Words alone: pictures stay out of the log."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(block["text"] for block in content if block.get("type") == "text")


def _facts(result: CaseResult) -> dict[str, Any]:
    """What is worth a line in the viewer; little, since inspect_ai keeps it in memory for each case."""
    facts = {
        "verdict": result.verdict,
        "p_value": result.p_value,
        "error": result.error,
        "seconds": round(result.seconds, 3),
        "tokens": result.tokens,
        "cost": result.cost,
        "page": result.page,
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


def _logged(score: Score) -> "LoggedScore":
    from inspect_ai.scorer import Score as LoggedScore

    if score.value is None:
        return LoggedScore.unscored(reason="unscored", explanation=score.why)
    return LoggedScore(value=float(score.value), explanation=score.why or None)


def relatives(cases: Sequence[Case]) -> dict[str, tuple[str, ...]]:
    """Case -> those whose results its scores may depend on: its group, what it was made from, what was made from it."""
    groups: dict[str, list[str]] = defaultdict(list)
    found: dict[str, list[str]] = {case.id: [] for case in cases}
    for case in cases:
        if case.group:
            groups[case.group].append(case.id)
        if case.pair is not None and case.pair.of in found:
            found[case.id].append(case.pair.of)
            found[case.pair.of].append(case.id)
    return {
        case.id: tuple(
            name for name in dict.fromkeys([*found[case.id], *groups.get(case.group, ())]) if name != case.id
        )
        for case in cases
    }


@contextmanager
def _kept_apart(folder: Path) -> Iterator[None]:
    """Leave nothing of inspect_ai behind in this program or on this machine outside `folder`.

    It writes traces into the user's data folder, reads a .env file into the environment, obeys its own variables, and
    takes over logging and uncaught errors.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write to {folder} ({error.strerror or error})") from error
    before, hook, root = dict(os.environ), sys.excepthook, logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for name in [name for name in os.environ if name.startswith("INSPECT_")]:
        del os.environ[name]
    os.environ.update({"XDG_DATA_HOME": str(folder.absolute()), "PYTHON_DOTENV_DISABLED": "1"})
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
        sys.excepthook = hook
        root.handlers[:] = handlers
        root.setLevel(level)


def require_inspect_ai() -> None:
    """Raises `RequestError` where inspect_ai is not installed."""
    if find_spec("inspect_ai") is None:
        raise RequestError("evaluations need the extra: pip install 'anomalyst[evals]'")

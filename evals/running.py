"""Running cases: products are learned once, each case is inspected and asked, and what became of it is kept slim."""

import functools
import hashlib
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic_core import to_jsonable_python

from agent import ChatMessage, InspectionReport, InspectionSession, Inspector, Settings, Turn
from evals.cases import Case, ProductSource, Question, Suite, SuiteError
from evals.results import Answered, CaseResult, result_of
from knowledge import (
    SHIPPED_PRODUCTS,
    AnomalystError,
    AssetError,
    Modality,
    Product,
    RequestError,
    read_product,
    write_atomically,
)
from tools import (
    ALL_MODALITIES,
    Limits,
    LocalizerSettings,
    Progress,
    asset_content,
    is_frame_folder,
    modality_of,
    read_file,
)

Pages = Literal["all", "wrong", "none"]
Message = dict[str, Any]
"""In the chat-completions shape: role, content, tool_calls, tool_call_id."""
Value = TypeVar("Value")

SAMPLE_PAGES = 50
"""The first so many cases get a page whatever their verdict."""

_SPARE_SECONDS = 60.0
_LEARNING = ("knowledge", "tools")
INSPECTING = ("agent", *_LEARNING)
"""Packages that the result of a case depends on."""
_PROGRAM = (".py", ".yaml", ".safetensors")


class Evaluation:
    """Cases of a suite on one configuration of the agent; safe to use from several threads once it is prepared."""

    def __init__(
        self, suite: Suite, folder: Path, out: Path, settings: Settings | None = None, pages: Pages = "wrong"
    ) -> None:
        """`folder` is the suite's; what is learned lies in `out/home`, pages in `out/pages`."""
        self.suite = suite
        self.folder = folder
        self.out = out
        self.settings = (settings or Settings()).model_copy(update={"home": out / "home", "threads": None})
        self._pages = pages
        self._products: dict[str, Product] = {}
        self._sampled = {case.id for case in suite.cases[:SAMPLE_PAGES]}
        self._inspectors = {name: self._inspector(name) for name in sorted({"", *(c.reasoner for c in suite.cases)})}

    def prepare(self, progress: Progress = lambda what, done, total: None) -> None:
        """Learn the products that the home does not hold yet as their sources are now."""
        for source in self.suite.products:
            self._learn(source, progress)
        catalog = self._inspectors[""].products.catalog
        self._products = {source.name: catalog.load(source.name) for source in self.suite.products}

    def fingerprint(self, case: Case) -> str:
        """The same for the same case and files, product, models, settings and program: its result can be taken over."""
        inspector = self._inspectors[case.reasoner]
        told = {
            "case": case.model_dump(mode="json"),
            "assets": [_sha256_of(self.folder / asset) for asset in case.assets],
            "product": inspector.products.get(case.product).version,
            "settings": to_jsonable_python(inspector.asked_settings()),
            "client": to_jsonable_python(self.settings.client),
            "code": code_version(*INSPECTING),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def run(self, case: Case, fingerprint: str) -> CaseResult:
        """What became of a case; one that cannot be run says why. Any other exception is a bug of ours and is raised."""
        begun = time.perf_counter()
        try:
            return within(self._limit(case), lambda: self._run(case, fingerprint))
        except (AnomalystError, TimeoutError) as error:
            why = str(error) or "it took too long"
            seconds = time.perf_counter() - begun
            return CaseResult(case=case.id, fingerprint=fingerprint, group=case.group, error=why, seconds=seconds)

    def messages(self, case: Case, result: CaseResult) -> list[Message]:
        """The tool calls of a case's inspection with their answers, as far as its thread is still there."""
        inspector = self._inspectors[case.reasoner]
        thread = _thread(result.fingerprint)
        try:
            if any(map(is_chat, case.questions)):
                thread = _conversations(inspector, thread, case.product)[-1].reports()[0].request["thread_id"]
            last = inspector.trajectory(thread).rstrip("\n").rpartition("\n")[2]
        except (AnomalystError, IndexError):
            return []
        return list(json.loads(last)["messages"])

    def _inspector(self, reasoner: str) -> Inspector:
        if not reasoner:
            return Inspector(self.settings)
        from evals.scripted import scripted_reasoner

        try:
            return Inspector(self.settings, reasoner=scripted_reasoner(reasoner))
        except KeyError as error:
            raise SuiteError(f"{self.folder}: {error.args[0]}") from error

    def _learn(self, source: ProductSource, progress: Progress) -> None:
        product, good, held_out = self._source(source)
        code = code_version(*_LEARNING)
        files = [*map(_sha256_of, good), "|", *map(_sha256_of, held_out)]
        names = [path.name for path in (*good, *held_out)] if product.part_name else []
        digest = _digest([product.model_dump_json(), code, str(source.seed), *files, *names])
        marker = self.settings.home / "sources" / f"{source.name}.json"
        if _holds(marker, digest) and self._knows(source.name):
            return
        marker.unlink(missing_ok=True)
        # One bar a product: the stages of learning have the same names for all of them.
        bar = f"learning {source.name}"
        self._inspectors[""].enroll(
            product,
            good,
            held_out or None,
            settings=LocalizerSettings(seed=source.seed),
            progress=lambda what, done, total: progress(bar, done, total),
        )
        write_atomically(marker, json.dumps({"source": digest}).encode())

    def _knows(self, product: str) -> bool:
        try:
            self._inspectors[""].products.get(product)
        except AnomalystError:
            return False
        return True

    def _source(self, source: ProductSource) -> tuple[Product, list[Path], list[Path]]:
        product = self._product(source)
        frames = "video" in product.modality
        good, held_out = (
            [path for folder in folders for path in _inside(self.folder / folder, frames)]
            for folders in (source.good, source.held_out)
        )
        return product, good, held_out

    def _product(self, source: ProductSource) -> Product:
        shipped = SHIPPED_PRODUCTS / source.name / "product.yaml"
        if source.spec is None and not shipped.is_file():
            return _unknown_product(
                source.name, [p for f in source.good for p in _inside(self.folder / f, frames=False)]
            )
        product = read_product(shipped if source.spec is None else self.folder / source.spec)
        if product.name != source.name:
            raise SuiteError(f"{self.folder}: product {source.name!r} has a spec of {product.name!r}")
        return product

    def _limit(self, case: Case) -> float:
        """Seconds after which a case has failed; the budget ends an inspection long before."""
        asked = (1 + len(case.questions)) * 2 * self.settings.client.deadline if case.questions else 0.0
        return self.settings.budget.seconds * len(case.assets) + asked + _SPARE_SECONDS

    def _run(self, case: Case, fingerprint: str) -> CaseResult:
        begun = time.perf_counter()
        seen = self._talk(case, fingerprint) if any(map(is_chat, case.questions)) else self._inspect(case, fingerprint)
        # What was broken off and gone on with took longer than this run of it.
        seconds = max(time.perf_counter() - begun, seen.report.usage.seconds)
        result = result_of(seen.report, case, fingerprint, self._page(case, seen.report), seconds)
        sizes = {shown.id: (shown.width, shown.height) for shown in seen.report.inputs if shown.width}
        answers = {answer.question: answer for answer in (*seen.answers, *_chosen(case, result, self._products, sizes))}
        ordered = tuple(answers[question.id] for question in case.questions)
        return result.model_copy(update={"answers": ordered, **_spent(result, seen.said)})

    def _inspect(self, case: Case, fingerprint: str) -> "_Seen":
        paths = [self.folder / asset for asset in case.assets]
        inspector = self._inspectors[case.reasoner]
        report = inspector.inspect(paths, case.product, alpha=case.alpha, thread_id=_thread(fingerprint))
        return _Seen(report, (), ())

    def _talk(self, case: Case, fingerprint: str) -> "_Seen":
        """Have the part inspected in a conversation, whose record is the case's, and ask."""
        inspector, thread = self._inspectors[case.reasoner], _thread(fingerprint)
        # One that was broken off has heard some of it already.
        attempt = len(_conversations(inspector, thread, case.product))
        session = InspectionSession(inspector, f"{thread}-{attempt}", case.product)
        turn = Turn(action="inspect", alpha=case.alpha, product=case.product)
        opening = session.say("Inspect this part.", [self.folder / asset for asset in case.assets], turn=turn)
        reports = session.reports()
        if not reports:
            raise RequestError(opening.text)
        asked = list(filter(is_chat, case.questions))
        said = [session.say(question.text) for question in asked]
        return _Seen(reports[0], tuple(map(_answered, asked, said)), (opening, *said))

    def _page(self, case: Case, report: InspectionReport) -> str:
        expected = case.expected.verdict
        wrong = report.verdict == "review" or (expected is not None and report.verdict != expected)
        if self._pages == "none" or (self._pages == "wrong" and not wrong and case.id not in self._sampled):
            return ""
        page = self._inspectors[case.reasoner].write(report, self.out / "pages" / file_name(case.id))
        return page.relative_to(self.out).as_posix()


class _Seen(NamedTuple):
    report: InspectionReport
    answers: tuple[Answered, ...]
    said: tuple[ChatMessage, ...]
    """Of the conversation, what the agent said."""


def is_chat(question: Question) -> bool:
    """True where a question is answered in words, not by choosing an option."""
    return not question.options


def file_name(case: str) -> str:
    """A case's id as the name of a file or a folder, no two alike."""
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', case).strip('-')[:60]}-{_digest([case])[:8]}"


def within(seconds: float, work: Callable[[], Value]) -> Value:
    """What `work` gives back; raises `TimeoutError` when that takes too long, and leaves it to run into nothing."""
    future: Future[Value] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    # A daemon: work that never ends must not keep the program from ending.
    threading.Thread(target=run, name="case", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():
            raise
        raise TimeoutError(f"no result within {seconds:g} seconds") from None


@functools.cache
def code_version(*packages: str) -> str:
    """The package's version, and a digest of the programs in these folders: a fix makes old results outdated."""
    root = Path(__file__).parents[1]
    files = sorted(path for name in packages for path in (root / name).rglob("*") if path.suffix in _PROGRAM)
    parts = [f"{path.relative_to(root).as_posix()}:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return f"{version('anomalyst')}+{_digest(parts)[:12]}"


def _spent(result: CaseResult, said: Sequence[ChatMessage]) -> dict[str, Any]:
    """What the inspection took, and with it what was said in the conversation."""
    usages = [message.usage for message in said if message.usage is not None]
    costs = [result.cost, *(usage.cost for usage in usages)]
    return {
        "model_calls": result.model_calls + sum(usage.model_calls for usage in usages),
        "tokens": result.tokens + sum(usage.tokens for usage in usages),
        "cost": None if None in costs else sum(cost for cost in costs if cost is not None),
    }


def _answered(question: Question, answer: ChatMessage) -> Answered:
    return Answered(
        question=question.id, text=answer.text, evidence=tuple(answer.evidence), known=bool(answer.evidence)
    )


def _chosen(
    case: Case, result: CaseResult, products: Mapping[str, Product], sizes: Mapping[str, tuple[int, int]]
) -> Iterator[Answered]:
    """Answers to multiple choice, which are read from the record."""
    closed = [question for question in case.questions if not is_chat(question)]
    if not closed:
        return
    from evals.multiple_choice import choose

    for question in closed:
        option = choose(question, result, products, sizes=sizes)
        text = "" if option is None else question.options[option]
        yield Answered(question=question.id, text=text, option=option, known=option is not None)


def _thread(fingerprint: str) -> str:
    """The same after a kill, so that an inspection goes on where it was broken off."""
    return f"eval-{fingerprint[:32]}"


def _conversations(inspector: Inspector, thread: str, product: str) -> list[InspectionSession]:
    """All that were begun for a case."""
    numbered = (InspectionSession(inspector, f"{thread}-{number}", product) for number in itertools.count())
    return list(itertools.takewhile(InspectionSession.history, numbered))


def _unknown_product(name: str, files: Sequence[Path]) -> Product:
    """What files are of which nobody has said anything; 16 bits alone make no height map."""
    plain: tuple[Modality, ...] = tuple(modality for modality in ALL_MODALITIES if modality != "depth")
    one_of_each = {path.suffix.lower(): path for path in reversed(files)}
    found = [modality_of(read_file(path, Limits()), path.name, plain) for _, path in sorted(one_of_each.items())]
    try:
        return Product(
            name=name,
            description="Nothing is known of this product but its normal references.",
            modality=tuple(dict.fromkeys(found)),
        )
    except ValueError as error:
        raise SuiteError(f"{name!r} is no product name; use small letters, digits, - and _") from error


def _inside(folder: Path, frames: bool) -> list[Path]:
    """Files of a folder, and where parts are inspected by video the folders of pictures that are one each."""
    if not folder.is_dir():
        raise SuiteError(f"{folder}: there is no such folder, and a product is learned from it")
    found = [path for path in folder.iterdir() if path.is_file() or (frames and is_frame_folder(path))]
    return sorted(path for path in found if not path.name.startswith("."))


def _holds(marker: Path, digest: str) -> bool:
    try:
        return bool(json.loads(marker.read_bytes())["source"] == digest)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _sha256_of(path: Path) -> str:
    """Of an asset's content; of one that cannot be read its name, for reading it will fail the same way again."""
    try:
        return hashlib.sha256(asset_content(path)).hexdigest()
    except AssetError as error:
        return f"unreadable: {error}"


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

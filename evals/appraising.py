"""Running an attribute agreement study: every part, in every repeat, in an order of its own."""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from agent import InspectionReport, Inspector, Settings, Threads, Verdict
from evals.qualification import PROMISED, parts_needed, study, study_values
from knowledge import AnomalystError, Frozen, InputError, RequestError, StoreError, write_atomically
from tools import Progress, asset_content, is_frame_folder

RESULT_FILE = "qualification.json"
JUDGEMENTS_FILE = "judgements.jsonl"

GOOD = "good"


class Part(NamedTuple):
    name: str
    """Path inside the folder."""
    path: Path
    truth: Verdict


class Judgement(Frozen):
    """One part, judged once."""

    part: str
    repeat: int
    fingerprint: str
    """Of part, product, settings and seed; a judgement of another fingerprint is not taken over."""
    verdict: Verdict
    why: str = ""
    """Why it could not be inspected."""
    p_value: float | None = None
    seconds: float = 0.0
    page: str = ""
    """Of a judgement that was not right, relative to the results."""


class Asked(NamedTuple):
    """What a study is made of."""

    parts: tuple[Part, ...]
    product: str
    repeats: int
    seed: int
    out: Path


def read_parts(folder: Path, count: int | None, seed: int) -> tuple[Part, ...]:
    """Parts in `good` and in folders of defective ones, in the order of their names.

    With `count`, so many are drawn, good and defective alike as far as there are.
    """
    root = folder / "test" if (folder / "test" / GOOD).is_dir() and not (folder / GOOD).is_dir() else folder
    if not (root / GOOD).is_dir():
        raise RequestError(
            f"{folder}: has no folder {GOOD!r}; expected {GOOD} and a folder for each kind of defective parts"
        )
    good, defective = _parts_in(root, good=True), _parts_in(root, good=False)
    if not good or not defective:
        raise RequestError(f"{root}: has no {'defective' if good else GOOD} parts; a study needs both")
    return tuple(sorted(_drawn(good, defective, count, seed)))


def run_qualification(asked: Asked, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Judge every part in every repeat, keep each judgement at once, and give the study as plain values.

    A study that was broken off goes on where it was when it is asked again into the same folder.
    """
    version = Inspector(settings).products.get(asked.product).version
    marks = _marks(asked, settings, version)
    done = _kept(asked.out / JUDGEMENTS_FILE, marks, asked.repeats)
    total = len(asked.parts) * asked.repeats
    for repeat, part, inspector in _order(asked, settings, done):
        progress("judging", len(done), total)
        judged = _judged(inspector, asked, part, repeat, marks[part.name])
        _keep(asked.out / JUDGEMENTS_FILE, judged)
        done[part.name, repeat] = judged
    progress("judging", len(done), total)
    result = qualification(asked, list(done.values()), settings.model)
    write_atomically(asked.out / RESULT_FILE, json.dumps(result, indent=1).encode())
    return result


def qualification(asked: Asked, judged: Sequence[Judgement], model: str) -> dict[str, Any]:
    """The study of all judgements, as plain values."""
    truth = {part.name: part.truth for part in asked.parts}
    by_part: dict[str, list[Judgement]] = {part.name: [] for part in asked.parts}
    for judgement in sorted(judged, key=lambda each: each.repeat):
        by_part[judgement.part].append(judgement)
    found = study({part: [each.verdict for each in rows] for part, rows in by_part.items()}, truth)
    return {
        "product": asked.product,
        "model": model,
        "seed": asked.seed,
        "study": study_values(found),
        "sentence": found.sentence,
        "promises": {f"{rate:g}": parts_needed(rate) for rate in PROMISED},
        "seconds": sum(each.seconds for each in judged),
        "parts": [
            {
                "part": part,
                "truth": truth[part],
                "verdicts": [each.verdict for each in rows],
                "p_values": [each.p_value for each in rows],
                "why": next((each.why for each in rows if each.why), ""),
                "pages": [each.page for each in rows if each.page],
            }
            for part, rows in by_part.items()
        ],
    }


def _parts_in(root: Path, *, good: bool) -> list[Part]:
    kinds = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return [
        Part(f"{kind.name}/{path.name}", path, "normal" if good else "anomalous")
        for kind in kinds
        if (kind.name == GOOD) == good
        for path in sorted(kind.iterdir())
        if not path.name.startswith(".") and (path.is_file() or is_frame_folder(path))
    ]


def _drawn(good: list[Part], defective: list[Part], count: int | None, seed: int) -> list[Part]:
    if count is None or count >= len(good) + len(defective):
        return [*good, *defective]
    if count < 2:
        raise RequestError(f"--parts {count}: a study needs a good and a defective part at least")
    random = np.random.default_rng(seed)
    half = min(max(count // 2, count - len(defective)), len(good))
    wanted = ((good, half), (defective, count - half))
    return [pool[index] for pool, size in wanted for index in random.permutation(len(pool))[:size]]


def _order(
    asked: Asked, settings: Settings, done: Mapping[tuple[str, int], Judgement]
) -> Iterator[tuple[int, Part, Inspector]]:
    """What is left to judge: each repeat in an order of its own, by models that draw by a seed of their own."""
    for repeat in range(asked.repeats):
        order = np.random.default_rng((asked.seed, repeat)).permutation(len(asked.parts))
        left = [asked.parts[index] for index in order if (asked.parts[index].name, repeat) not in done]
        if left:
            client = settings.client.model_copy(update={"seed": asked.seed + repeat})
            inspector = Inspector(settings.model_copy(update={"client": client}))
            yield from ((repeat, part, inspector) for part in left)


def _judged(inspector: Inspector, asked: Asked, part: Part, repeat: int, fingerprint: str) -> Judgement:
    """One inspection in a thread of its own; a part that cannot be inspected is left to a person."""
    seen: dict[str, Any] = {"part": part.name, "repeat": repeat, "fingerprint": fingerprint}
    with TemporaryDirectory() as folder:
        # A study is thousands of threads that nobody will go on with: none of them stays in the home.
        inspector.threads = Threads(Path(folder))
        try:
            report = inspector.inspect(part.path, asked.product, thread_id=f"qualification-{uuid.uuid4().hex}")
        except AnomalystError as error:
            return Judgement(**seen, verdict="review", why=str(error))
        page = "" if report.verdict == part.truth else _page(inspector, report, asked.out, f"{part.name}-{repeat + 1}")
    p_value, seconds = report.decision.p_value, report.usage.seconds
    return Judgement(**seen, verdict=report.verdict, p_value=p_value, seconds=seconds, page=page)


def _page(inspector: Inspector, report: InspectionReport, out: Path, name: str) -> str:
    return inspector.write(report, out / "inspections" / name).relative_to(out).as_posix()


def _marks(asked: Asked, settings: Settings, version: str) -> dict[str, str]:
    """Part -> what its judgements depend on."""
    settled = settings.model_dump(mode="json", exclude={"home", "threads", "tracing"})
    common = json.dumps([asked.product, version, asked.seed, settled], sort_keys=True)
    return {
        part.name: hashlib.sha256(f"{common}{_content(part.path)}".encode()).hexdigest()[:32] for part in asked.parts
    }


def _content(path: Path) -> str:
    try:
        return hashlib.sha256(asset_content(path)).hexdigest()
    except InputError:
        return ""  # its inspection will say why


def _kept(path: Path, marks: Mapping[str, str], repeats: int) -> dict[tuple[str, int], Judgement]:
    """Judgements of an earlier run that still hold; a line that was torn by a kill is judged again."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); choose another folder") from error
    found = [judgement for line in lines if line and (judgement := _read(line))]
    fitting = [each for each in found if marks.get(each.part) == each.fingerprint and each.repeat < repeats]
    return {(each.part, each.repeat): each for each in fitting}


def _read(line: str) -> Judgement | None:
    try:
        return Judgement.model_validate_json(line)
    except ValidationError:
        return None


def _keep(path: Path, judgement: Judgement) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            # A line of its own, also behind one that was torn.
            file.write(f"\n{judgement.model_dump_json()}\n")
    except OSError as error:
        raise StoreError(f"cannot write {path} ({error.strerror}); free space, or choose another folder") from error

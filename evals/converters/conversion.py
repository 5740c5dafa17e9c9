"""A layout -> a suite: which parts become cases, where their files stand, and what is written beside them."""

import hashlib
import os
import random
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import yaml

from agent import Verdict
from evals.cases import SUITE_FILE, Case, Expected, Place, ProductSource, Suite, write_suite
from evals.converters.layout import Known, Layout, Notes, Part, listed_inside
from evals.converters.mmad import read_mmad
from evals.converters.modality_sets import read_modality_sets
from evals.converters.mvtec import read_loco, read_mvtec, read_mvtec_3d
from evals.converters.questions import with_questions
from evals.converters.visa import read_visa
from knowledge import Product, RequestError, StoreError, require_writable, write_atomically

Format = Literal["mvtec", "loco", "visa", "mvtec3d", "mvtec3d_rgb", "mvtec3d_xyz", "folders", "mmad"]

_READERS: dict[str, Callable[[Path, int, Notes], Layout]] = {
    "mvtec": read_mvtec,
    "loco": read_loco,
    "visa": read_visa,
    "mvtec3d": read_mvtec_3d,
    "mvtec3d_rgb": partial(read_mvtec_3d, wanted=("rgb",)),
    "mvtec3d_xyz": partial(read_mvtec_3d, wanted=("xyz",)),
    "folders": read_modality_sets,
    "mmad": read_mmad,
}
FORMATS: tuple[str, ...] = tuple(_READERS)

_COPIES = "assets"
_LEARNED_FROM = "learned_from"
_LONGEST_ID = 200


class Conversion(NamedTuple):
    suite: Suite
    notes: tuple[str, ...]
    """What could not be taken over, in sentences."""


def convert_layout(
    layout: str,
    source: Path,
    out: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    questions: bool = False,
    copy: bool = False,
) -> Conversion:
    """Write the parts of a published layout as a suite; their files stay where they are unless `copy`.

    Args:
        layout: of `FORMATS`.
        source: its folder; of MMAD also its mmad.json.
        out: folder of the suite; made where it is missing.
        limit: cases at most, drawn evenly over products and kinds of defects.
        seed: draws cases, splits that are not published, and the order of options.
        questions: make questions from the truth for cases that bring none.
        copy: make the suite whole in itself.

    Raises:
        RequestError: the folder is not of that layout, is damaged or leads elsewhere; or `out` holds a suite already.
    """
    if layout not in _READERS:
        raise RequestError(f"there is no format {layout!r}; known are {', '.join(FORMATS)}")
    if limit is not None and limit < 1:
        raise RequestError(f"the limit must be at least 1 case, got {limit}")
    if (out / SUITE_FILE).exists():
        raise RequestError(f"{out}: holds a suite already; name another folder")
    notes = Notes()
    found = _READERS[layout](source, seed, notes)
    _require_apart([known.product.name for known in found.products], source)
    parts = _drawn(found.parts, limit, seed)
    files = _Files(out, source if source.is_dir() else source.parent, copy)
    cases = _unique([_case(part, files, notes) for part in parts])
    wanted = {part.product for part in parts}
    products = [known for known in found.products if known.product.name in wanted]
    suite = Suite(
        name=found.name,
        description=f"Converted from {layout}: {len(cases)} of {len(found.parts)} parts.",
        seed=seed,
        products=tuple(files.product(known) for known in products),
        cases=cases,
    )
    if questions:
        suite = with_questions(suite, {known.product.name: known.product for known in products}, out, seed)
    write_suite(suite, out)
    return Conversion(suite, notes.sentences())


def _require_apart(names: Sequence[str], source: Path) -> None:
    if shared := [name for name in names if names.count(name) > 1]:
        raise RequestError(f"{source}: two sets come to the product name {shared[0]!r}; rename the folder of one")


def _drawn(parts: Sequence[Part], limit: int | None, seed: int) -> list[Part]:
    """In their order; by turns one of each product and kind, until there are enough."""
    if limit is None or limit >= len(parts):
        return list(parts)
    draw = random.Random(seed)  # noqa: S311
    groups: dict[tuple[str, str], list[int]] = {}
    for index, part in enumerate(parts):
        groups.setdefault((part.product, part.kind), []).append(index)
    waiting = list(groups.values())
    draw.shuffle(waiting)
    for group in waiting:
        draw.shuffle(group)
    by_turns = [group[turn] for turn in range(max(map(len, waiting))) for group in waiting if turn < len(group)]
    return [parts[index] for index in sorted(by_turns[:limit])]


class _Files:
    """Where files stand, as a suite writes it: relative to it where they lie below it, else absolutely."""

    def __init__(self, out: Path, source: Path, copy: bool) -> None:
        self.out = require_writable(out).resolve()
        self.source = source.resolve()
        self.copy = copy

    def placed(self, path: Path) -> str:
        """Of a file or a folder; copied first where that is wanted."""
        path = path.resolve()
        if self.copy and not path.is_relative_to(self.out):
            path = self._copied(path)
        inside = path.is_relative_to(self.out)
        return path.relative_to(self.out).as_posix() if inside else str(path)

    def _copied(self, path: Path) -> Path:
        target = self.out / _COPIES / path.relative_to(self.source)
        for file in sorted(path.iterdir()) if path.is_dir() else (path,):
            if file.is_file():
                _write(file, target / file.name if path.is_dir() else target)
        return target

    def product(self, known: Known) -> ProductSource:
        """With its product.yaml, and the files that it is learned from in folders."""
        for folder in (*known.good, *known.held_out):
            self._require_own(folder)
        good = [self.placed(folder) for folder in known.good]
        own = self.out / _LEARNED_FROM / known.product.name
        if known.good_files or known.cut:
            own.mkdir(parents=True, exist_ok=True)
            good.append(self.placed(own))
        if known.cut:
            known.cut(own)
        for number, file in enumerate(known.good_files):
            listed_inside(self.source, file)
            self._lay(file.resolve(), own / f"{number:05d}_{file.name}")
        return ProductSource(
            name=known.product.name,
            spec=self._spec(known.product),
            good=tuple(good),
            held_out=tuple(self.placed(folder) for folder in known.held_out),
        )

    def _require_own(self, folder: Path) -> None:
        """Refuse what is learned from where it, or a file in it, lies elsewhere."""
        for path in (folder, *folder.iterdir()):
            listed_inside(self.source, path)

    def _lay(self, file: Path, target: Path) -> None:
        """A link, since files that are learned from may stand among those that are not; a copy where links are not."""
        if self.copy:
            _write(file, target)
            return
        try:
            target.unlink(missing_ok=True)
            os.symlink(file, target)
        except OSError:
            _write(file, target)

    def _spec(self, product: Product) -> str:
        path = self.out / "products" / f"{product.name}.yaml"
        values = product.model_dump(mode="json", exclude_defaults=True)
        write_atomically(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110).encode())
        return path.relative_to(self.out).as_posix()


def _write(file: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    except OSError as error:
        raise StoreError(f"cannot copy {file} to {target} ({error.strerror or error})") from error


def _case(part: Part, files: _Files, notes: Notes) -> Case:
    known = part.truth(notes)
    verdict: Verdict | None = None if part.anomalous is None else "anomalous" if part.anomalous else "normal"
    return Case(
        id=_short(f"{part.product}/{part.name}"),
        product=part.product,
        assets=tuple(files.placed(path) for path in part.assets),
        expected=Expected(
            verdict=verdict,
            defect_type=known.defect_type,
            places=tuple(_placed(place, files) for place in known.places),
        ),
        questions=part.questions,
        tags=tuple(dict.fromkeys(part.tags)),
    )


def _placed(place: Place, files: _Files) -> Place:
    return place if place.mask is None else place.model_copy(update={"mask": files.placed(Path(place.mask))})


def _short(name: str) -> str:
    if len(name) <= _LONGEST_ID:
        return name
    return f"{name[: _LONGEST_ID - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _unique(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Pictures that differ in their suffix alone would else be one case."""
    seen: dict[str, int] = {}
    found = []
    for case in cases:
        seen[case.id] = seen.get(case.id, 0) + 1
        again = seen[case.id]
        found.append(case if again == 1 else case.model_copy(update={"id": _short(f"{case.id}~{again}")}))
    return tuple(found)

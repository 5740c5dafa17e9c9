"""What every layout is read into: products to learn, parts to inspect, and what is known of them."""

import functools
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from evals.cases import Place, Question
from knowledge import DefectType, Modality, Product, RequestError
from tools import clean_name

NOTHING_KNOWN = "Nothing is known of this product but its normal references."
GOOD = "good"

_NO_TYPES = frozenset(
    (
        *("anomaly", "anomalous", "bad", "combined", "defect", "defective", "logical_anomalies", "mixed", "ng"),
        "structural_anomalies",
    )
)
"""Names of folders that say that something is wrong, and not what."""


class Notes:
    """What could not be taken over, in sentences; each is said once, with how often and where first."""

    def __init__(self) -> None:
        self._where: dict[str, list[str]] = {}

    def add(self, what: str, where: object) -> None:
        self._where.setdefault(what, []).append(clean_name(str(where)))

    def sentences(self) -> tuple[str, ...]:
        return tuple(
            f"{what} (first: {where[0]})" if len(where) == 1 else f"{what} ({len(where)} of them; first: {where[0]})"
            for what, where in self._where.items()
        )


class Truth(NamedTuple):
    """What is known of a part besides that it is normal or not."""

    places: tuple[Place, ...] = ()
    """Masks by absolute paths."""
    defect_type: str | None = None


def nothing_more(notes: Notes) -> Truth:
    """Of normal parts, and of those of which only the verdict is known."""
    del notes
    return Truth()


class Part(NamedTuple):
    """A part to inspect."""

    product: str
    name: str
    """With the product's name in front it is the case's id."""
    assets: tuple[Path, ...]
    anomalous: bool | None
    kind: str
    """`good`, or the name of the folder or fault."""
    truth: Callable[[Notes], Truth] = nothing_more
    """Read only for the parts that become cases."""
    tags: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()


class Known(NamedTuple):
    """A product, and what it is learned from: folders, or files that stand among others, or what is cut out of them."""

    product: Product
    good: tuple[Path, ...] = ()
    good_files: tuple[Path, ...] = ()
    held_out: tuple[Path, ...] = ()
    cut: Callable[[Path], None] | None = None
    """Writes normal parts, cut out of longer files, into a folder."""


class Layout(NamedTuple):
    name: str
    products: tuple[Known, ...]
    parts: tuple[Part, ...]


def slug(name: str) -> str:
    """A name that a product or a defect type may have; long ones end with a hash, so that they stay apart."""
    found = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "unnamed"
    return found if len(found) <= 64 else f"{found[:55]}_{hashlib.sha256(found.encode()).hexdigest()[:8]}"


def type_of(kind: str) -> str | None:
    """The defect type that the name of a folder says; `None` where it says only that there is a defect."""
    found = slug(kind)
    return None if found in _NO_TYPES or found == GOOD else found


def unknown_type(name: str) -> DefectType:
    """A type of which only the name is known."""
    return DefectType(name=name, description=f"Called {name.replace('_', ' ')} by those who labelled the parts.")


def says_nothing(defect: DefectType) -> bool:
    """Whether no expert has described the type."""
    return defect == unknown_type(defect.name)


def product_of(
    name: str, modality: Modality, types: Sequence[str | None] = (), description: str = NOTHING_KNOWN
) -> Product:
    """A product of which nothing is known but the names of its defects."""
    named = sorted({each for each in types if each is not None})
    return Product(
        name=slug(name),
        description=description,
        modality=(modality,),
        defect_types=tuple(unknown_type(each) for each in named),
    )


def listed_inside(root: Path, path: Path) -> Path:
    """A path found below `root`; refused where a link leads out of it."""
    return _require_inside(root, path, str(path))


def named_inside(root: Path, given: str, where: str) -> Path | None:
    """The file or folder that a text names below `root`; `None` where there is none.

    Raises `RequestError` for names that lead out of `root`, be it absolutely, by `..` or by a link; `where` is the
    beginning of its sentence.
    """
    pure = PurePosixPath(given.replace("\\", "/"))
    if not given or "\x00" in given or pure.is_absolute() or ".." in pure.parts or ":" in (pure.parts or ("",))[0]:
        raise RequestError(f"{where}: {clean_name(given)!r} is no path below {root}; only such are read")
    path = root / pure
    try:
        present = path.exists()
    except OSError:  # a name that no file can have
        return None
    return _require_inside(root, path, f"{where}: {clean_name(given)!r}") if present else None


@functools.lru_cache(maxsize=64)
def _resolved(root: Path) -> Path:
    return root.resolve()


def _require_inside(root: Path, path: Path, said: str) -> Path:
    if not path.resolve().is_relative_to(_resolved(root)):
        raise RequestError(f"{said} leads out of {root} by a link; put the files themselves there")
    return path


def folder_given(source: Path, what: str) -> Path:
    """The source, where it is a folder."""
    if not source.is_dir():
        raise RequestError(f"{source}: there is no such folder; expected {what}")
    return source


def kinds_of(parts: Sequence[Part]) -> Mapping[str, tuple[str | None, ...]]:
    """Product -> the defect types that the names of its parts' folders say."""
    found: dict[str, list[str | None]] = {}
    for part in parts:
        found.setdefault(part.product, []).append(type_of(part.kind) if part.anomalous else None)
    return {name: tuple(kinds) for name, kinds in found.items()}

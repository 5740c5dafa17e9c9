"""Product folders: the source of truth for what is known. Load, validate, write, version.

<root>/<name>/product.yaml
<root>/<name>/references/normal/*
<root>/<name>/references/defects/<defect type>/*
"""

import hashlib
import json
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from knowledge.errors import ProductError, StoreError
from knowledge.files import write_atomically
from knowledge.part_names import kept_name, named_part
from knowledge.schema import Product, ReferenceImage

SHIPPED_PRODUCTS = Path(__file__).parent / "products"
"""Products that come with the package; read-only."""

MAX_YAML_BYTES = 1 << 20


class Catalog:
    """Products under a writable root, with the shipped ones behind it; a product of the root hides a shipped one."""

    def __init__(self, root: Path, shipped: Path = SHIPPED_PRODUCTS) -> None:
        self.root = root
        self._shipped = shipped

    def names(self) -> tuple[str, ...]:
        bases = (self.root, self._shipped)
        found = {name for base in bases for name in _children(base) if (base / name / "product.yaml").is_file()}
        return tuple(sorted(found))

    def folder(self, name: str) -> Path:
        """Folder of a known product; raises `ProductError` that lists what is known."""
        for base in (self.root, self._shipped):
            if name in _children(base) and (base / name / "product.yaml").is_file():
                return base / name
        known = ", ".join(self.names()) or "none yet"
        shown = "".join(character if character.isprintable() else "?" for character in name)[:64]
        raise ProductError(
            f"there is no product {shown!r} (known: {known}); learn it with: anomalyst enroll {shown} --good DIR"
        )

    def load(self, name: str) -> Product:
        product = read_product(self.folder(name) / "product.yaml")
        if product.name != name:
            raise ProductError(
                f"{self.folder(name) / 'product.yaml'}: name: expected {name!r} like its folder, got {product.name!r}"
            )
        return product

    def references(self, name: str) -> tuple[ReferenceImage, ...]:
        """Reference images and defect examples of a product, in the order of their paths."""
        folder = self.folder(name)
        return tuple(_reference(folder, path, defect) for path, defect in _reference_files(folder))

    def version(self, name: str) -> str:
        """Twelve hex digits that change when the knowledge or any reference image changes."""
        product = self.load(name)
        references = sorted((ref.defect_type or "", ref.sha256, *_part(product, ref)) for ref in self.references(name))
        known = json.dumps([product.model_dump(mode="json"), references], sort_keys=True)
        return hashlib.sha256(known.encode()).hexdigest()[:12]

    def stamp(self, name: str) -> tuple[tuple[str, int, int, int], ...]:
        """Names, times and sizes of a product's files: cheap to compare, and changed whenever the version is."""
        folder = self.folder(name)
        files = [folder / "product.yaml", *(path for path, _ in _reference_files(folder))]
        return tuple((str(path), *_changed(path)) for path in files)

    def write(self, product: Product) -> Path:
        """Write `product.yaml` under the writable root, whole or not at all; returns the product folder."""
        folder = self.root / product.name
        values = product.model_dump(mode="json", exclude_defaults=True)
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
        if yaml.safe_load(text) != values:  # YAML folds a few unprintable characters; escaped they survive
            text = yaml.safe_dump(values, sort_keys=False, width=110)
        write_atomically(folder / "product.yaml", text.encode())
        return folder

    def set_references(self, name: str, images: Iterable[Path]) -> None:
        """Make copies of `images` the product's normal references, and drop all others.

        They are named by their content, and by their parts where several may show one.
        """
        product = self.load(name)
        target = self.root / product.name / "references" / "normal"
        keep = set()
        for image in images:
            content = _content(image)
            digest, template = hashlib.sha256(content).hexdigest(), product.part_name
            stem = digest[:16] if template is None else kept_name(named_part(template, image.stem), digest)
            path = target / f"{stem}{image.suffix.lower()}"
            if not path.exists():
                write_atomically(path, content)
            keep.add(path)
        for path in set(_files(target)) - keep:
            _remove(path)


def read_product(path: Path) -> Product:
    """Read and validate one `product.yaml`; raises `ProductError` naming the file, the field and what was expected."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_YAML_BYTES + 1)
    except OSError as error:
        raise ProductError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(content) > MAX_YAML_BYTES:
        raise ProductError(f"{path}: expected at most {MAX_YAML_BYTES} bytes")
    try:
        values = yaml.load(content, Loader=_StrictLoader)  # noqa: S506 - a safe loader that is stricter still
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ProductError(f"{path}: not valid YAML: {reason or type(error).__name__}") from error
    if not isinstance(values, dict):
        raise ProductError(
            f"{path}: expected a mapping with at least name and description, got {type(values).__name__}"
        )
    try:
        return Product.model_validate(values)
    except ValidationError as error:
        raise ProductError(f"{path}: " + "; ".join(_describe(detail) for detail in error.errors())) from error


class _StrictLoader(yaml.SafeLoader):
    """Plain values only; dates stay text, and a key that stands twice is an error instead of the last one winning."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice[0]!r} stands there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _describe(detail: ErrorDetails) -> str:
    field = ".".join(str(part) for part in detail["loc"]) or "product"
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if detail["type"] == "missing":
        return f"{field}: expected a value, found none"
    if detail["type"] == "extra_forbidden":
        return f"{field}: no such field; expected one of {', '.join(_fields_beside(detail))}"
    given = detail["input"]
    shown = f", got {given!r}" if isinstance(given, str | int | float | bool) and len(repr(given)) < 80 else ""
    return f"{field}: {message[0].lower()}{message[1:]}{shown}"


def _fields_beside(detail: ErrorDetails) -> list[str]:
    """The fields allowed where a stranger stood."""
    model: object = Product
    for part in detail["loc"][:-1]:
        if isinstance(part, str) and isinstance(model, type):
            annotation = model.model_fields[part].annotation if hasattr(model, "model_fields") else None
            arguments = [a for a in getattr(annotation, "__args__", (annotation,)) if hasattr(a, "model_fields")]
            model = arguments[0] if arguments else model
    return list(getattr(model, "model_fields", {}))


def _part(product: Product, reference: ReferenceImage) -> tuple[str, ...]:
    """Name of the part that a normal reference shows, where several may show one."""
    if product.part_name is None or reference.defect_type is not None:
        return ()
    return (named_part(product.part_name, Path(reference.path).stem),)


def _reference_files(folder: Path) -> list[tuple[Path, str | None]]:
    """Files of references and defect examples, each with its defect type."""
    defects = folder / "references" / "defects"
    normal: list[tuple[Path, str | None]] = [(path, None) for path in _files(folder / "references" / "normal")]
    return normal + [(path, defect) for defect in sorted(_children(defects)) for path in _files(defects / defect)]


def _reference(folder: Path, path: Path, defect_type: str | None) -> ReferenceImage:
    digest = hashlib.sha256(_content(path)).hexdigest()
    try:
        return ReferenceImage(path=path.relative_to(folder).as_posix(), sha256=digest, defect_type=defect_type)
    except ValidationError as error:
        raise ProductError(
            f"{path.parent}: {defect_type!r} is no name of a defect type; use small letters, digits, - and _"
        ) from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProductError(f"{path}: cannot be read ({error.strerror or error})") from error


def _changed(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise ProductError(f"{path}: cannot be read ({error.strerror or error})") from error
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise StoreError(f"cannot remove {path} ({error.strerror or error})") from error


def _children(folder: Path) -> set[str]:
    """Names of the folders directly inside, so that a name is compared and never joined unseen into a path."""
    if not folder.is_dir():
        return set()
    return {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))

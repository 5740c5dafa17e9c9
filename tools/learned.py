"""Products as the instruments need them: knowledge, references and fitted parts, loaded once a process."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from knowledge import (
    Catalog,
    FittedPartError,
    Modality,
    Product,
    ProductError,
    ReferenceImage,
    ReferenceIndex,
    named_part,
    with_questions,
)
from tools.assets import Limits
from tools.fitted import MANIFEST, forget_fitted
from tools.intake import as_file, load_asset
from tools.learned_native import FittedNative, LearnedNative, NativePart, fit_native, load_native
from tools.localization import (
    SHIPPED,
    AdaptationSettings,
    Adapted,
    Localizer,
    LocalizerSettings,
    NormalProduct,
    Part,
    Progress,
    adapt,
    file_name,
    fit_localizer,
    fit_zero_shot,
    load_backbone,
    noun_of,
)
from tools.localization.manifest import MANIFEST_FILE, read_manifest
from tools.modalities import NATIVE_MODALITIES
from tools.rendering import view_pixels

_SPLIT_FROM = 200
"""From so many normal parts on, half of them are held out for calibration; below, they are held out in turn."""

_OF_PRODUCT = ("window", "aligned", "part_name")
"""What a product says of itself that decides how it is learned."""


@dataclass(frozen=True)
class LearnedProduct:
    """Everything known of a product."""

    product: Product
    version: str
    folder: Path
    localizer: Localizer | None
    """Of pictures; `None` where none were learned."""
    index: ReferenceIndex[ReferenceImage] | None
    """Over the references in the localiser's memory."""
    natives: Mapping[Modality, LearnedNative] = field(default_factory=dict)
    """What was learned of other modalities."""
    native_references: Mapping[Modality, ReferenceIndex[ReferenceImage]] = field(default_factory=dict)

    @property
    def images(self) -> Localizer:
        """Raises `FittedPartError` where no pictures were learned."""
        if self.localizer is None:
            raise FittedPartError(f"product {self.product.name!r} was learned without pictures; enroll it with some")
        return self.localizer

    @property
    def references(self) -> ReferenceIndex[ReferenceImage]:
        """Pictures of normal parts; raises `FittedPartError` where there are none."""
        if self.index is None:
            raise FittedPartError(f"product {self.product.name!r} was learned without pictures; enroll it with some")
        return self.index

    def native(self, modality: Modality) -> LearnedNative:
        """Raises `FittedPartError` where nothing of this modality was learned."""
        if modality not in self.natives:
            raise FittedPartError(
                f"product {self.product.name!r} was learned without any {modality}; enroll it with some"
            )
        return self.natives[modality]

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Those that were learned."""
        return (*(("image",) if self.localizer else ()), *self.natives)


class LearnedProducts:
    """Learned products under one home: `catalog/<name>` for knowledge, `models/<name>` for fitted parts."""

    def __init__(self, home: Path, limits: Limits | None = None) -> None:
        self.catalog = Catalog(home / "catalog")
        self._models = home / "models"
        self._prompts = home / "prompts"
        self._limits = limits or Limits()
        self._cache: dict[str, tuple[object, LearnedProduct]] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> LearnedProduct:
        """A product ready to inspect with; raises `ProductError` or `FittedPartError` saying what is missing."""
        fitted = self._models / name
        manifests = [fitted / MANIFEST_FILE, *(fitted / kind / MANIFEST for kind in NATIVE_MODALITIES)]
        stamp = (self.catalog.stamp(name), *map(_stamp, manifests))
        with self._lock:
            if name not in self._cache or self._cache[name][0] != stamp:
                self._cache[name] = stamp, self._load(name)
            return self._cache[name][1]

    def learn(
        self,
        product: Product,
        good: Sequence[Path],
        held_out: Sequence[Path] = (),
        settings: LocalizerSettings | None = None,
        progress: Progress = lambda what, done, total: None,
    ) -> LearnedProduct:
        """Learn a product from assets of normal parts, replacing what was learned before.

        Of each modality, without `held_out`, half of `good` is held out for calibration when there are many, else each
        in turn; pictures of one part, by `Product.part_name`, always together. Every file is read before anything is
        written, so a damaged one leaves what was there untouched.
        """
        with TemporaryDirectory() as scratch:
            # References are files: the pictures of a folder that is a video become one.
            parts, apart = (
                [as_file(path, Path(scratch), self._limits) for path in paths] for paths in (good, held_out)
            )
            return self._learn(product, parts, apart, settings, progress)

    def _learn(
        self,
        product: Product,
        good: Sequence[Path],
        held_out: Sequence[Path],
        settings: LocalizerSettings | None,
        progress: Progress,
    ) -> LearnedProduct:
        settings = self._settings(product, settings or LocalizerSettings())
        files = _distinct([self._file(path, product) for path in good])
        known = {file.sha256 for file in files}
        held = [
            file for file in _distinct([self._file(path, product) for path in held_out]) if file.sha256 not in known
        ]
        if not files:
            raise ProductError(f"{product.name}: there are no files of normal parts to learn from; give at least one")
        if missing := [modality for modality in product.modality if modality not in _modalities(files)]:
            raise ProductError(
                f"{product.name}: its parts are inspected by {missing[0]} too, and no {missing[0]} of a normal part was given; "
                "give some, or take it out of `modality`"
            )
        grouped = {modality: _of_modality(files, held, modality, settings.seed) for modality in _modalities(files)}
        learned: dict[Modality, Localizer | FittedNative] = {
            modality: self._fit(modality, product, group, settings, progress) for modality, group in grouped.items()
        }
        return self._keep(product, [file.path for group in grouped.values() for file in chain(*group)], learned)

    def learn_unseen(self, product: Product, settings: LocalizerSettings | None = None) -> LearnedProduct:
        """Learn a product from texts alone, of which there is no normal part, replacing what was learned before.

        Every inspection ends in review, since nothing is held out. Raises as `fit_zero_shot` does.
        """
        if others := [modality for modality in product.modality if modality != "image"]:
            raise ProductError(
                f"{product.name}: its parts are inspected by {others[0]}, of which no text says what is normal; "
                "give normal parts, or take it out of `modality`"
            )
        own = {name: getattr(product, name) for name in _OF_PRODUCT}
        settings = (settings or LocalizerSettings()).model_copy(update=own)
        return self._keep(product, [], {"image": fit_zero_shot(noun_of(product.name), settings)})

    def _keep(
        self, product: Product, references: Sequence[Path], learned: "Mapping[Modality, Localizer | FittedNative]"
    ) -> LearnedProduct:
        """In the place of what was there."""
        if not self._known_as(product):
            self.catalog.write(with_questions(product))
        self.catalog.set_references(product.name, references)
        self._replace(product.name, learned)
        return self.get(product.name)

    def _fit(
        self, modality: Modality, product: Product, group: "_Group", settings: LocalizerSettings, progress: Progress
    ) -> "Localizer | FittedNative":
        if modality == "image":
            parts, held = ([file.part for file in files] for files in group)
            return fit_localizer(parts, held, settings, progress)
        natives, apart = ([NativePart(file.sha256, file.native) for file in files] for files in group)
        return fit_native(modality, product, natives, apart, settings.seed, progress)

    def _replace(self, name: str, learned: "Mapping[Modality, Localizer | FittedNative]") -> None:
        """What was learned of a modality that is gone would no longer fit the references."""
        folder = self._models / name
        for kind in NATIVE_MODALITIES:
            if kind not in learned:
                forget_fitted(folder / kind)
        if "image" not in learned:
            (folder / MANIFEST_FILE).unlink(missing_ok=True)
        for modality, fitted in learned.items():
            fitted.save(folder if modality == "image" else folder / modality)

    def adapt(
        self,
        names: Sequence[str] = (),
        localizer: LocalizerSettings | None = None,
        settings: AdaptationSettings | None = None,
        progress: Progress = lambda what, done, total: None,
    ) -> tuple[Adapted, Path]:
        """Learn prompts on the normal references of products, all where none are named; used from the next `learn` on.

        Pictures that were held out for calibration are left out, so that they can calibrate again: a picture that taught
        the prompts what is normal would score too low.
        What was worked out before it was interrupted is kept beside them, and not worked out again.
        """
        localizer = localizer or LocalizerSettings()
        known = [self.catalog.load(name) for name in names or self.catalog.names()]
        products = [NormalProduct(product.name, self._references(product), product.window) for product in known]
        backbone = load_backbone(localizer.backbone, localizer.weights)
        settings = settings or AdaptationSettings()
        adapted = adapt(products, backbone, localizer, settings, self._prompts / "cache", progress)
        path = self._prompts / file_name(backbone)
        adapted.save(path)
        return adapted, path

    def _references(self, product: Product) -> list[Part]:
        """Pictures of normal parts; of a product that others were held out of for calibration, those in its memory."""
        folder = self.catalog.folder(product.name)
        normal = [each for each in self.catalog.references(product.name) if each.defect_type is None]
        memory = _memory_apart(self._models / product.name)
        if memory is not None:
            normal = [each for each in normal if each.sha256 in memory]
        files = _distinct([self._file(folder / each.path, product) for each in normal])
        return [file.part for file in files if file.modality == "image"]

    def _settings(self, product: Product, settings: LocalizerSettings) -> LocalizerSettings:
        """With what the product says of itself, and with the prompts of this home rather than those that are shipped."""
        if settings.part_name not in (None, product.part_name):
            raise ProductError(
                f"{product.name}: the product says its part_name, not the settings; give it to the product"
            )
        adapted = self._prompts / file_name(load_backbone(settings.backbone, settings.weights))
        own = {"prompts": str(adapted)} if settings.prompts == SHIPPED and adapted.is_file() else {}
        return settings.model_copy(update={**{name: getattr(product, name) for name in _OF_PRODUCT}, **own})

    def _known_as(self, product: Product) -> bool:
        """True when the home says the same already: an expert's own file keeps its comments and its layout."""
        own = self.catalog.root / product.name / "product.yaml"
        return own.is_file() and with_questions(self.catalog.load(product.name)) == with_questions(product)

    def _file(self, path: Path, product: Product) -> "_File":
        loaded = load_asset(path, product, self._limits)
        return _File(loaded.asset.sha256, loaded.asset.modality, path, self._limits, product)

    def _load(self, name: str) -> LearnedProduct:
        product = self.catalog.load(name)
        references = {reference.sha256: reference for reference in self.catalog.references(name)}
        localizer, natives = self._fitted(product)
        learned = {sha256 for part in natives.values() for sha256 in (*part.memory_parts, *part.calibration_parts)}
        if localizer is not None:
            learned |= {*localizer.manifest.memory_parts, *localizer.manifest.calibration_parts}
        normal = {sha for sha, reference in references.items() if reference.defect_type is None}
        if learned != normal or (
            localizer is not None and len(localizer.embeddings) != len(set(localizer.manifest.memory_parts))
        ):
            raise FittedPartError(
                f"product {name!r}: its reference images have changed since it was learned; enroll it again"
            )
        items = [references[sha] for sha in localizer.manifest.memory_parts] if localizer is not None else []
        return LearnedProduct(
            product,
            self.catalog.version(name),
            self.catalog.folder(name),
            localizer,
            None if localizer is None else ReferenceIndex(items, localizer.embeddings),
            natives,
            {kind: part.index(references) for kind, part in natives.items()},
        )

    def _fitted(self, product: Product) -> tuple[Localizer | None, dict[Modality, LearnedNative]]:
        """What lies in the product's folder of models; without anything there, what is missing is said as of pictures."""
        folder = self._models / product.name
        kinds = [kind for kind in NATIVE_MODALITIES if (folder / kind / MANIFEST).exists()]
        try:
            natives = {kind: load_native(kind, product, folder / kind) for kind in kinds}
            localizer = Localizer.load(folder) if (folder / MANIFEST_FILE).exists() or not kinds else None
        except FittedPartError as error:
            raise FittedPartError(f"product {product.name!r} cannot be inspected with: {error}") from error
        for name in _OF_PRODUCT:
            if localizer is not None and getattr(localizer.settings, name) != getattr(product, name):
                raise FittedPartError(
                    f"product {product.name!r}: `{name}` has changed since it was learned; enroll it again"
                )
        return localizer, natives


def _memory_apart(folder: Path) -> frozenset[str] | None:
    """sha256 of the pictures in a memory that was calibrated on others.

    None where there is no such memory: nothing was learned, it cannot be read, or its pictures were held out in turn.
    """
    try:
        manifest = read_manifest(folder)
    except FittedPartError:
        return None
    return frozenset(manifest.memory_parts) if manifest.scheme == "split" else None


def _stamp(path: Path) -> tuple[int, int]:
    """Changes whenever a file is written again."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


class _File(NamedTuple):
    """A file that is decoded when it is needed, pictures at the size at which parts are inspected."""

    sha256: str
    modality: Modality
    path: Path
    limits: Limits
    product: Product

    @property
    def part(self) -> Part:
        return Part(self.sha256, self.native, self.shown)

    @property
    def shown(self) -> str | None:
        """Name of the part, where several pictures may show it."""
        template = self.product.part_name
        return None if template is None else named_part(template, self.path.stem)

    def native(self) -> Any:
        found = load_asset(self.path, self.product, self.limits).native
        return view_pixels(found) if self.modality == "image" else found


class _Group(NamedTuple):
    """Files of one modality."""

    parts: list[_File]
    held_out: list[_File]


def _modalities(files: Sequence[_File]) -> list[Modality]:
    return list(dict.fromkeys(file.modality for file in files))


def _of_modality(files: Sequence[_File], held: Sequence[_File], modality: Modality, seed: int) -> _Group:
    parts, apart = ([file for file in all_ if file.modality == modality] for all_ in (files, held))
    shown = {file.shown or file.sha256 for file in parts}
    if not apart and len(shown) >= _SPLIT_FROM:
        return _Group(*_split(parts, seed))
    return _Group(parts, apart)


def _distinct(files: list[_File]) -> list[_File]:
    """Each content once; raises `ProductError` where names say that it shows two parts."""
    found = {file.sha256: file for file in files}
    for file in files:
        if file.shown != found[file.sha256].shown:
            raise ProductError(f"{file.path.name} and {found[file.sha256].path.name} are the same picture of two parts")
    return list(found.values())


def _split(files: list[_File], seed: int) -> tuple[list[_File], list[_File]]:
    """In two halves of the parts by chance, but on the same side whatever else is given and in whatever order, but for a few.

    What prompts were learned on (see `adapt`) is then not calibrated on when the product is learned again.
    """

    def drawn(file: _File) -> bytes:
        return hashlib.sha256(f"{seed} {file.shown or file.sha256}".encode()).digest()

    order = sorted({drawn(file) for file in files})
    half = set(order[: (len(order) + 1) // 2])
    sides = sorted(files, key=drawn)
    return [file for file in sides if drawn(file) in half], [file for file in sides if drawn(file) not in half]

"""Products as the instruments need them: knowledge, references and fitted parts, loaded once a process."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge import Catalog, FittedPartError, Product, ProductError, ReferenceImage, ReferenceIndex
from tools.assets import Limits, Window, load_image
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
    load_backbone,
)
from tools.rendering import view_pixels

_SPLIT_FROM = 200
"""From so many normal parts on, half of them are held out for calibration; below, they are held out in turn."""


@dataclass(frozen=True)
class LearnedProduct:
    """Everything known of a product."""

    product: Product
    version: str
    folder: Path
    localizer: Localizer
    index: ReferenceIndex[ReferenceImage]
    """Over the references in the localiser's memory."""


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
        stamp = (self.catalog.stamp(name), _stamp(self._models / name / "localizer.json"))
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
        """Learn a product from pictures of normal parts, replacing what was learned before.

        Without `held_out`, half of `good` is held out for calibration when there are many, else each in turn.
        Every file is read before anything is written, so a damaged one leaves what was there untouched.
        """
        settings = self._settings(product, settings or LocalizerSettings())
        parts = _distinct([self._part(path, product) for path in good])
        known = {part.sha256 for part in parts}
        held = [
            part for part in _distinct([self._part(path, product) for path in held_out]) if part.sha256 not in known
        ]
        if not parts:
            raise ProductError(
                f"{product.name}: there are no pictures of normal parts to learn from; give at least one"
            )
        if not held and len(parts) >= _SPLIT_FROM:
            parts, held = _split(parts, settings.seed)
        localizer = fit_localizer([p.part for p in parts], [p.part for p in held], settings, progress)
        if not self._known_as(product):
            self.catalog.write(product)
        self.catalog.set_references(product.name, [part.path for part in (*parts, *held)])
        localizer.save(self._models / product.name)
        return self.get(product.name)

    def adapt(
        self,
        names: Sequence[str] = (),
        localizer: LocalizerSettings | None = None,
        settings: AdaptationSettings | None = None,
        progress: Progress = lambda what, done, total: None,
    ) -> tuple[Adapted, Path]:
        """Learn prompts on the normal references of products, all where none are named; used from the next `learn` on.

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
        folder = self.catalog.folder(product.name)
        normal = [each for each in self.catalog.references(product.name) if each.defect_type is None]
        return [self._part(folder / each.path, product).part for each in normal]

    def _settings(self, product: Product, settings: LocalizerSettings) -> LocalizerSettings:
        """With what the product says of itself, and with the prompts of this home rather than those that are shipped."""
        adapted = self._prompts / file_name(load_backbone(settings.backbone, settings.weights))
        own = {"prompts": str(adapted)} if settings.prompts == SHIPPED and adapted.is_file() else {}
        return settings.model_copy(update={"window": product.window, "aligned": product.aligned, **own})

    def _known_as(self, product: Product) -> bool:
        """True when the home says the same already: an expert's own file keeps its comments and its layout."""
        own = self.catalog.root / product.name / "product.yaml"
        return own.is_file() and self.catalog.load(product.name) == product

    def _part(self, path: Path, product: Product) -> "_File":
        loaded = load_image(path, self._limits, window=window_of(product))
        return _File(loaded.asset.sha256, path, self._limits, window_of(product))

    def _load(self, name: str) -> LearnedProduct:
        product = self.catalog.load(name)
        references = {reference.sha256: reference for reference in self.catalog.references(name)}
        try:
            localizer = Localizer.load(self._models / name)
        except FittedPartError as error:
            raise FittedPartError(f"product {name!r} cannot be inspected with: {error}") from error
        for field in ("window", "aligned"):
            if getattr(localizer.settings, field) != getattr(product, field):
                raise FittedPartError(f"product {name!r}: `{field}` has changed since it was learned; enroll it again")
        learned = {*localizer.manifest.memory_parts, *localizer.manifest.calibration_parts}
        normal = {sha for sha, reference in references.items() if reference.defect_type is None}
        if learned != normal or len(localizer.embeddings) != len(set(localizer.manifest.memory_parts)):
            raise FittedPartError(
                f"product {name!r}: its reference images have changed since it was learned; enroll it again"
            )
        items = [references[sha] for sha in localizer.manifest.memory_parts]
        return LearnedProduct(
            product,
            self.catalog.version(name),
            self.catalog.folder(name),
            localizer,
            ReferenceIndex(items, localizer.embeddings),
        )


def _stamp(path: Path) -> tuple[int, int]:
    """Changes whenever a file is written again."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


class _File(NamedTuple):
    """A picture on disk that is decoded when it is needed, at the size at which parts are inspected."""

    sha256: str
    path: Path
    limits: Limits
    window: Window | None

    @property
    def part(self) -> Part:
        return Part(self.sha256, self.pixels)

    def pixels(self) -> NDArray[np.uint8]:
        return view_pixels(load_image(self.path, self.limits, window=self.window).pixels)


def window_of(product: Product) -> Window | None:
    """The counts that are black and white on every picture of a product, where it says so."""
    return None if product.window is None else Window(low=product.window[0], high=product.window[1])


def _distinct(files: list[_File]) -> list[_File]:
    return list({file.sha256: file for file in files}.values())


def _split(files: list[_File], seed: int) -> tuple[list[_File], list[_File]]:
    order = np.random.default_rng(seed).permutation(len(files))
    half = (len(files) + 1) // 2
    return [files[i] for i in order[:half]], [files[i] for i in order[half:]]

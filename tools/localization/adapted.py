"""Learned prompts on disk: those that come with the package, and those that were adapted to a user's products."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from knowledge import FittedPartError, Frozen, write_atomically
from tools.localization.backbones import Backbone
from tools.localization.looks import Dimensions, dimensions
from tools.localization.prompts import Prompts, prompt_tensors, prompts_of_tensors

SHIPPED = "shipped"
NO_PROMPTS = "none"

FORMAT = 2
"""Raised whenever prompts of an older program would be read otherwise."""
_SHIPPED_FOLDER = Path(__file__).with_name("prompts_shipped")


class AdaptedProduct(Frozen):
    """A product whose normal parts prompts were learned on."""

    name: str
    parts: int
    pictures: int
    """With a synthetic anomaly each."""


class AdaptedManifest(Frozen):
    """How prompts were learned, and what they belong to."""

    format: int
    backbone: str
    backbone_sha256: str
    seed: int
    steps: int
    products: tuple[AdaptedProduct, ...]
    left_out: tuple[str, ...] = ()
    """Products with too few normal parts."""
    held_out_auroc: dict[str, float]
    """Of all and by kind of synthetic anomaly, where there are enough: how well changed patches are told from others, on
    pictures of which nothing was learned from."""
    held_out_image_auroc: float | None = None
    """The same of whole pictures, those that were changed against those that were not."""
    tensors_sha256: str


class Adapted(NamedTuple):
    """Prompts with their manifest."""

    prompts: tuple[Prompts, ...]
    """One for each layer."""
    manifest: AdaptedManifest
    image: Prompts | None = None
    """Of pictures as a whole; files of an older program have none."""

    def save(self, path: Path) -> None:
        """Write `path`, a .safetensors file, and its manifest beside it."""
        of_pictures = {} if self.image is None else self.image.tensors("image")
        tensors = save_tensors(prompt_tensors(self.prompts) | of_pictures)
        manifest = self.manifest.model_copy(update={"tensors_sha256": hashlib.sha256(tensors).hexdigest()})
        write_atomically(path, tensors)
        write_atomically(path.with_suffix(".json"), manifest.model_dump_json(indent=1).encode())


def file_name(backbone: Backbone) -> str:
    """Of the prompts of a backbone with these weights."""
    return f"{backbone.name.replace('/', '_')}-{backbone.weights_sha256[:8]}.safetensors"


def read_prompts(choice: str, backbone: Backbone) -> Adapted | None:
    """Prompts for a backbone: `shipped`, `none`, or a file; `None` where there are none to be had.

    Raises `FittedPartError` where a file is missing, damaged, or of another backbone.
    """
    if choice == NO_PROMPTS:
        return None
    path = _SHIPPED_FOLDER / file_name(backbone) if choice == SHIPPED else Path(choice)
    if choice == SHIPPED and not path.is_file():
        return None
    adapted = _read(path, dimensions(backbone))
    if adapted.manifest.backbone_sha256 != backbone.weights_sha256:
        raise FittedPartError(f"{path}: learned with other weights than those of {backbone.name}; adapt again")
    return adapted


def _read(path: Path, size: Dimensions) -> Adapted:
    try:
        content = path.read_bytes()
        manifest = AdaptedManifest.model_validate_json(path.with_suffix(".json").read_bytes())
    except OSError as error:
        raise FittedPartError(f"{error.filename} cannot be read ({error.strerror}); run `anomalyst adapt`") from error
    except ValidationError as error:
        raise FittedPartError(f"{path.with_suffix('.json')} is damaged; run `anomalyst adapt` again") from error
    if manifest.format != FORMAT or hashlib.sha256(content).hexdigest() != manifest.tensors_sha256:
        raise FittedPartError(f"{path} does not match its manifest; run `anomalyst adapt` again")
    try:
        tensors = load_tensors(content)
        of_pictures = any(name.startswith("prompts.image.") for name in tensors)
        image = Prompts.of_tensors(tensors, "image", size.embedding) if of_pictures else None
        return Adapted(prompts_of_tensors(tensors, size.channels), manifest, image)
    except (SafetensorError, KeyError, ValueError) as error:
        raise FittedPartError(f"{path} cannot be used ({error}); run `anomalyst adapt` again") from error

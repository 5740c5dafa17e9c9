"""What fitted parts of a product belong to, and how they were learned."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from knowledge import FittedPartError, Frozen, PartName, RequestError
from tools.localization.appearance import Appearance, Area
from tools.localization.backbones import DEFAULT_BACKBONE
from tools.localization.calibration import Scheme
from tools.localization.weights import RANDOM

FORMAT = 8
"""Raised whenever fitted parts of an older program would give other maps."""

_SIDES = (32, 4096)

MANIFEST_FILE = "localizer.json"


def _from_anywhere(weights: str | None) -> str | None:
    """A checkpoint file must be found again by a program that is started in another folder."""
    return weights if weights in (None, RANDOM) else str(Path(weights).absolute())


class LocalizerSettings(Frozen):
    """What decides the maps besides the references."""

    backbone: str = DEFAULT_BACKBONE
    weights: Annotated[str | None, AfterValidator(_from_anywhere)] = None
    """A checkpoint file for the backbone, where it is not to have its published weights."""
    areas: tuple[Area, ...] | None = None
    """Pixels of the network's input at each look, coarse first; chosen from the references where None."""
    memory_size: Annotated[int, Field(ge=1)] = 300
    """Patches that are remembered at each level, at least: those of deeper layers grow with the references."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of cross-validation where too few normal parts are given to hold some out for good."""
    prompts: str = "shipped"
    """`shipped` for those that come with the package, where there are any for the backbone; `none`; or a file."""
    image_prompts: bool = False
    """Weigh the whole map by what the image-level prompts make of the picture, where there are such prompts.

    Off, since that costs with the embedded backbone, whose embeddings hardly show a small defect: over eleven sets, prompts
    alone have image AUROC 0.973 and pixel AP 0.488 on average, and with these 0.939 and 0.444.
    """
    aligned: bool | None = None
    """Parts lie in the same place on every picture, so that what differs from the references there is odd; told from the
    references where None."""
    window: tuple[float, float] | None = None
    """Counts that were black and white on 16-bit pictures, where the product fixes them."""
    part_name: PartName | None = None
    """What in the name of a file said which part it shows, where several pictures show one."""


def parse_looks(sides: str) -> tuple[int, ...] | None:
    """`224,480` -> areas of the looks, those of squares with these sides, coarse first; None where nothing is given.

    Raises `RequestError` for anything but whole numbers from 32 to 4096.
    """
    if not sides:
        return None
    given = [side.strip() for side in sides.split(",")]
    if not all(side.isdecimal() and _SIDES[0] <= int(side) <= _SIDES[1] for side in given):
        raise RequestError(f"looks: expected sides from {_SIDES[0]} to {_SIDES[1]} with commas, got {sides!r}")
    return tuple(sorted({int(side) ** 2 for side in given}))


class Manifest(Frozen):
    """What fitted parts belong to; they are refused where this does not match."""

    format: int
    settings: LocalizerSettings
    appearance: Appearance
    """How the product is looked at, as its references suggested, with the reason."""
    backbone_sha256: str
    precision: str
    """In which the backbone saw the references."""
    prompts_sha256: str | None = None
    """Of the prompts that were used, if any."""
    aligned: bool = False
    """Whether pictures are compared with the references place by place."""
    image_prompted: bool = False
    """Whether those for pictures as a whole were used too."""
    noun: str | None = None
    """What texts call the product, where they alone say what is normal."""
    memory_parts: tuple[str, ...]
    """sha256 of each reference in the memory."""
    calibration_parts: tuple[str, ...]
    """sha256 of each picture of a normal part that was held out, in turn or for good; a lone reference stands here too."""
    odd_parts: tuple[str, ...] = ()
    """Those of them that stand out from all others (see `odd_parts`): the highest scores of the calibration."""
    scheme: Scheme
    farthest: Annotated[float, Field(ge=0)] | None = None
    """See `ImagingRange`."""
    tensors_sha256: str

    def without_hash(self) -> str:
        """JSON to be kept with the tensors, which cannot hold their own hash."""
        return self.model_copy(update={"tensors_sha256": ""}).model_dump_json()


class _Version(BaseModel):
    """All that manifests of every version have in common."""

    format: int


def read_manifest(folder: Path) -> Manifest:
    """The manifest of fitted parts; raises `FittedPartError` when there is none that this program can use."""
    content = read_part(folder / MANIFEST_FILE)
    try:
        version = _Version.model_validate_json(content).format
        if version != FORMAT:
            raise FittedPartError(f"{folder}: learned by another version of this program; enroll the product again")
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise FittedPartError(f"{folder}: {MANIFEST_FILE} is damaged; enroll the product again") from error


def read_part(path: Path) -> bytes:
    """A file of fitted parts; raises `FittedPartError` where it is not there or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FittedPartError(f"{path.parent}: nothing has been learned here yet; enroll the product first") from error
    except OSError as error:
        raise FittedPartError(f"{path} cannot be read ({error.strerror or error})") from error

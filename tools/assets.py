"""Safe intake of a file: known by its content, limited before anything is allocated, decoded to upright RGB.

Nothing of a file's metadata goes further than this room: only sizes, bit depths and the name, cleaned.
"""

import functools
import hashlib
import io
import logging
import math
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import Field, model_validator

from knowledge import AssetError, Frozen, Modality

MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
}

DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, OverflowError),
    *(EOFError, MemoryError, RuntimeError, AttributeError, struct.error),
)
"""What Pillow, tifffile and imagecodecs raise on damaged files, as found by mutating them."""

_ORIENTATION = 0x0112
"""Tag of TIFF and EXIF."""

_TURNED = "turned upright by its orientation mark"
_WINDOWED = "16-bit counts windowed to 8 bits"
_FLATTENED = "transparent areas laid on white"


class Limits(Frozen):
    """What a file may cost; checked on its size and header, before pixels are allocated."""

    max_bytes: int = 200_000_000
    max_pixels: int = 50_000_000
    min_side: int = 16
    """A part smaller than this on a side shows nothing that could be inspected."""


Count = Annotated[float, Field(allow_inf_nan=False)]


class Window(Frozen):
    """Counts of a 16-bit picture that become black and white; what lies outside is clipped to them."""

    low: Count
    high: Count

    @model_validator(mode="after")
    def _ordered(self) -> "Window":
        if self.low >= self.high:
            raise ValueError(f"expected low < high, got {self.low} and {self.high}")
        return self


class Asset(Frozen):
    """One source file: what it is, never what it says of itself."""

    id: str
    modality: Modality
    name: str
    """File name for people; control characters are removed, and it is never shown to a model."""
    sha256: str
    media_type: str = ""
    """Of pictures."""
    width: int = 0
    height: int = 0
    """Of the upright image: a camera's orientation mark is applied."""
    bits: int = 0
    """Bits a channel in the file."""
    window: Window | None = None
    """Given for pictures of 16 bits; 8-bit pictures are taken as they are."""
    notes: tuple[str, ...] = ()
    """What was done to bring the file to upright 8-bit RGB, or to read another modality's data."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """Of other modalities, in plain values: how many points, samples, frames, over what extent or time."""


class LoadedImage(NamedTuple):
    asset: Asset
    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    content: bytes
    """The file, byte for byte."""


def load_image(
    path: Path, limits: Limits | None = None, *, asset_id: str = "a1", window: Window | None = None
) -> LoadedImage:
    """Read an image file; raises `AssetError` with one sentence saying what is wrong and how to mend it."""
    content = read_file(path, limits or Limits())
    return decode_image(content, path.name, limits, asset_id=asset_id, window=window)


def decode_image(
    content: bytes, name: str, limits: Limits | None = None, *, asset_id: str = "a1", window: Window | None = None
) -> LoadedImage:
    """Decode the bytes of an image file to upright RGB; 16-bit counts are windowed, by `window` or by their range."""
    limits = limits or Limits()
    shown = clean_name(name)
    kind = _sniff(content)
    if kind is None:
        raise AssetError(f"{shown}: {_what_it_seems(content)}; expected a PNG, JPEG, TIFF, WebP or BMP picture")
    decoded = _decode(content, kind, limits, shown)
    window = (window or _full_range(decoded.array)) if decoded.array.dtype != np.uint8 else None
    pixels = _to_rgb(decoded.array, window)
    height, width = pixels.shape[:2]
    asset = Asset(
        id=asset_id,
        modality="image",
        name=shown,
        sha256=hashlib.sha256(content).hexdigest(),
        media_type=MEDIA_TYPES[kind],
        width=width,
        height=height,
        bits=decoded.array.dtype.itemsize * 8,
        window=window,
        notes=decoded.notes,
    )
    return LoadedImage(asset, pixels, content)


def clean_name(name: str) -> str:
    """A file name that can be printed: no control characters, at most its last 120 characters."""
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return printable if len(printable) <= 120 else "..." + printable[-117:]


class _Decoded(NamedTuple):
    array: NDArray[Any]
    """(H, W) or (H, W, 3), uint8 or uint16, upright."""
    notes: tuple[str, ...]


def is_picture(content: bytes) -> bool:
    """Whether a file begins as a picture of a known format does."""
    return _sniff(content) is not None


def read_file(path: Path, limits: Limits) -> bytes:
    """The bytes of a regular file within the limit; raises `AssetError`."""
    shown = clean_name(str(path))
    try:
        if path.is_dir():
            raise AssetError(f"{shown}: is a folder; name the files inside it")
        if not path.exists():
            raise AssetError(f"{shown}: there is no such file; check the path")
        if not path.is_file():
            raise AssetError(f"{shown}: is not a regular file; copy it to one")
        with path.open("rb") as file:
            content = file.read(limits.max_bytes + 1)
    except OSError as error:
        raise AssetError(f"{shown}: cannot be read ({error.strerror or error})") from error
    if not content:
        raise AssetError(f"{shown}: is empty (0 bytes); export it again")
    if len(content) > limits.max_bytes:
        raise AssetError(f"{shown}: is larger than {limits.max_bytes} bytes; export it smaller")
    return content


def _sniff(content: bytes) -> str | None:
    """Pillow's name of the format, from the first bytes alone."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "TIFF"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return "BMP" if content.startswith(b"BM") else None


def _what_it_seems(content: bytes) -> str:
    try:
        content[:512].decode("utf-8")
    except UnicodeDecodeError:
        return "is not a picture in a known format"
    return "contains text, not a picture"


def _decode(content: bytes, kind: str, limits: Limits, shown: str) -> _Decoded:
    decoders = {"PNG": _decode_png, "TIFF": _decode_tiff}
    check_size = functools.partial(_check_size, limits=limits, shown=shown)
    try:
        with _quiet():
            return decoders.get(kind, _decode_with_pillow)(content, kind, check_size)
    except AssetError:
        raise
    except Image.DecompressionBombError as error:
        limit = min(limits.max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or limits.max_pixels))
        raise AssetError(f"{shown}: has more than the limit of {limit} pixels; scale it down") from error
    except DECODER_ERRORS as error:
        reason = re.sub(r"<[^<>]* at 0x[0-9a-f]+>", "the file", " ".join(str(error).split()))[:120]
        raise AssetError(
            f"{shown}: the {kind} data is damaged or of a kind that is not read ({reason or type(error).__name__}); "
            "export the picture again"
        ) from error


_DECODING = threading.RLock()
"""Filters and loggers belong to the whole process, so one picture is decoded at a time."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Decoders warn and log of what they raise anyway; a damaged file must not write on the user's screen."""
    with _DECODING:
        yield from _silenced()


def _silenced() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("tifffile", "imagecodecs")]
    before = [logger.disabled for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, disabled in zip(loggers, before, strict=True):
                logger.disabled = disabled


def _check_size(width: int, height: int, limits: Limits, shown: str) -> None:
    if width * height > limits.max_pixels:
        raise AssetError(
            f"{shown}: {width} x {height} pixels are more than the limit of {limits.max_pixels}; "
            "crop or scale the picture, or raise ANOMALYST_MAX_PIXELS"
        )
    if min(width, height) < limits.min_side:
        raise AssetError(
            f"{shown}: {width} x {height} pixels are too few to inspect; "
            f"at least {limits.min_side} are needed on each side"
        )


CheckSize = Callable[[int, int], None]


def _decode_with_pillow(content: bytes, kind: str, check_size: CheckSize) -> _Decoded:
    image: Image.Image = Image.open(io.BytesIO(content), formats=[kind])
    check_size(*image.size)
    frames = getattr(image, "n_frames", 1)
    notes = [f"first of {frames} frames"] if frames > 1 else []
    image.load()
    if image.getexif().get(_ORIENTATION, 1) in range(2, 9):
        image = ImageOps.exif_transpose(image)
        notes.append(_TURNED)
    if image.mode.startswith("I"):
        return _Decoded(_counts(np.asarray(image)), (*notes, _WINDOWED))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        return _Decoded(_on_white(image.convert("RGBA")), (*notes, _FLATTENED))
    if image.mode not in ("RGB", "L"):
        notes.append(f"{image.mode} converted to RGB")
        image = image.convert("RGB")
    return _Decoded(np.asarray(image), tuple(notes))


def _on_white(image: Image.Image) -> NDArray[np.uint8]:
    flat = Image.new("RGBA", image.size, "white")
    flat.alpha_composite(image)
    return np.asarray(flat.convert("RGB"))


def _counts(array: NDArray[Any]) -> NDArray[np.uint16]:
    """Pillow gives some 16-bit pictures as 32-bit integers."""
    if array.min() < 0 or array.max() > 65535:
        raise ValueError("counts beyond 16 bits")
    return array.astype(np.uint16)


def _decode_png(content: bytes, kind: str, check_size: CheckSize) -> _Decoded:
    """Pillow fills missing rows with black and cuts 16-bit colours to 8 bits; libpng does neither."""
    header = Image.open(io.BytesIO(content), formats=[kind])
    check_size(*header.size)
    array = imagecodecs.png_decode(content)
    if content[24] != 16 or content[25] not in (2, 4, 6):
        return _decode_with_pillow(content, kind, check_size)
    return _turned(array, header.getexif().get(_ORIENTATION, 1), [])


def _decode_tiff(content: bytes, kind: str, check_size: CheckSize) -> _Decoded:
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        _require_plain(page, check_size)
        notes = [f"first of {len(file.pages)} frames"] if len(file.pages) > 1 else []
        array = page.asarray()
        array = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
        array = _tiff_colours(page, array, notes)
        orientation = int(page.tags.valueof(_ORIENTATION, default=1))
    return _turned(array, orientation, notes)


def _require_plain(page: Any, check_size: CheckSize) -> None:
    """One flat picture with all of its data, whose tiles too are within the limit."""
    if page.imagedepth != 1 or page.axes not in ("YX", "YXS", "SYX"):
        raise ValueError(f"axes {page.axes}; expected one flat picture")
    if page.dtype not in (np.bool_, np.uint8, np.uint16):
        raise ValueError(f"{page.dtype} samples; expected 8 or 16 bits a channel")
    check_size(page.imagewidth, page.imagelength)
    check_size(max(page.imagewidth, page.tilewidth), max(page.imagelength, page.tilelength))
    if len(page.dataoffsets) < math.prod(page.chunked) or not all(page.databytecounts):
        raise ValueError("parts of the picture are missing")


def _tiff_colours(page: Any, array: NDArray[Any], notes: list[str]) -> NDArray[Any]:
    """Gray, RGB or RGBA samples from what a TIFF calls its colours."""
    photometric = tifffile.PHOTOMETRIC(page.photometric)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
        return 255 - array if photometric == tifffile.PHOTOMETRIC.MINISWHITE else array
    if photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        inverted: NDArray[Any] = ((1 << page.bitspersample) - 1 - array).astype(array.dtype)
        return inverted
    if photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB):
        return array
    if array.dtype != np.uint8:
        raise ValueError(f"16-bit {photometric.name}; expected gray or RGB")
    kind = "CMYK" if photometric == tifffile.PHOTOMETRIC.SEPARATED else photometric.name.lower()
    notes.append(f"{kind} converted to RGB")
    if photometric == tifffile.PHOTOMETRIC.PALETTE:
        return np.ascontiguousarray((page.colormap[:, array] >> 8).astype(np.uint8).transpose(1, 2, 0))
    if photometric == tifffile.PHOTOMETRIC.SEPARATED and array.shape[-1] == 4:
        return np.asarray(Image.fromarray(np.ascontiguousarray(array), "CMYK").convert("RGB"))
    if photometric == tifffile.PHOTOMETRIC.YCBCR and page.compression == tifffile.COMPRESSION.JPEG:
        return array
    raise ValueError(f"colours {photometric.name}; expected gray, RGB, palette or CMYK")


def _turned(array: NDArray[Any], orientation: int, notes: list[str]) -> _Decoded:
    """Upright gray or RGB; transparent areas of 8-bit pictures are laid on white, counts are kept as they are."""
    if orientation in range(2, 9):
        array = _upright(array, orientation)
        notes.append(_TURNED)
    array = np.ascontiguousarray(array)
    channels = 1 if array.ndim == 2 else array.shape[2]
    if channels not in (1, 2, 3, 4):
        raise ValueError(f"{channels} channels; expected gray or RGB")
    if channels in (2, 4) and array.dtype == np.uint8:
        flat = _on_white(Image.fromarray(array, "LA" if channels == 2 else "RGBA").convert("RGBA"))
        return _Decoded(flat, (*notes, _FLATTENED))
    if channels in (2, 4):
        array = array[..., 0] if channels == 2 else array[..., :3]
        notes.append("alpha channel left out")
    if array.dtype == np.uint16:
        notes.append(_WINDOWED)
    return _Decoded(array.reshape(array.shape[:2]) if channels == 1 else array, tuple(notes))


def _upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply the TIFF/EXIF orientation 2..8 (TIFF 6.0, tag 274)."""
    if orientation >= 5:
        array = np.swapaxes(array, 0, 1)
    flip_rows, flip_columns = {
        **{2: (False, True), 3: (True, True), 4: (True, False), 5: (False, False)},
        **{6: (False, True), 7: (True, True), 8: (True, False)},
    }[orientation]
    return array[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _full_range(array: NDArray[Any]) -> Window:
    """From the 0.1 to the 99.9 percentile, so that one hot pixel does not darken the part."""
    low, high = np.percentile(array, (0.1, 99.9))
    if high <= low:
        low, high = float(array.min()), float(array.max())
    return Window(low=float(low), high=float(high) if high > low else float(low) + 1.0)


def _to_rgb(array: NDArray[Any], window: Window | None) -> NDArray[np.uint8]:
    if window is not None:
        scaled = (array.astype(np.float32) - window.low) * (255.0 / (window.high - window.low))
        array = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    return np.ascontiguousarray(array, dtype=np.uint8)

"""Safe intake of a file: known by its content, limited before anything is allocated, decoded to upright RGB.

Nothing of a file's metadata goes further than this room: only sizes, bit depths and the name, cleaned.
"""

import functools
import hashlib
import io
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from knowledge import AssetError, Frozen, Modality

MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
}

_DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, OverflowError),
    *(EOFError, MemoryError, RuntimeError, AttributeError, struct.error),
)
"""What Pillow, tifffile and imagecodecs raise on damaged files, as found by mutating them."""

_EXIF_ORIENTATION = 0x0112


class Limits(Frozen):
    """What a file may cost; checked on its size and header, before pixels are allocated."""

    max_bytes: int = 200_000_000
    max_pixels: int = 50_000_000
    min_side: int = 16
    """A part smaller than this on a side shows nothing that could be inspected."""


class Window(Frozen):
    """Counts of a 16-bit picture that become black and white; what lies outside is clipped to them."""

    low: float
    high: float


class Asset(Frozen):
    """One source file: what it is, never what it says of itself."""

    id: str
    modality: Modality
    name: str
    """File name for people; control characters are removed, and it is never shown to a model."""
    sha256: str
    media_type: str
    width: int
    height: int
    """Of the upright image: a camera's orientation mark is applied."""
    bits: int
    """Bits a channel in the file."""
    window: Window | None = None
    """Given for pictures of 16 bits; 8-bit pictures are taken as they are."""
    notes: tuple[str, ...] = ()
    """What was done to bring the file to upright 8-bit RGB."""


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
    content = _read_bytes(path, limits or Limits())
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
    """A file name that can be printed: no control characters, at most 120 characters."""
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return printable if len(printable) <= 120 else printable[:117] + "..."


class _Decoded(NamedTuple):
    array: NDArray[Any]
    """(H, W) or (H, W, 3), uint8 or uint16, upright."""
    notes: tuple[str, ...]


def _read_bytes(path: Path, limits: Limits) -> bytes:
    shown = clean_name(str(path))
    if path.is_dir():
        raise AssetError(f"{shown}: is a folder; name the picture files inside it")
    if not path.exists():
        raise AssetError(f"{shown}: there is no such file; check the path")
    if not path.is_file():
        raise AssetError(f"{shown}: is not a regular file; copy the picture to one")
    try:
        with path.open("rb") as file:
            content = file.read(limits.max_bytes + 1)
    except OSError as error:
        raise AssetError(f"{shown}: cannot be read ({error.strerror or error})") from error
    if not content:
        raise AssetError(f"{shown}: is empty (0 bytes); export the picture again")
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
    decode = _decode_with_pillow
    try:
        if kind == "PNG" and _is_deep_colour_png(content):
            decode = _decode_deep_png
        elif kind == "TIFF" and _tiff_bits(content) > 8:
            decode = _decode_deep_tiff
        return decode(content, kind, functools.partial(_check_size, limits=limits, shown=shown))
    except AssetError:
        raise
    except Image.DecompressionBombError as error:
        raise AssetError(
            f"{shown}: has far more than the limit of {limits.max_pixels} pixels; scale it down"
        ) from error
    except _DECODER_ERRORS as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise AssetError(f"{shown}: the {kind} data is damaged ({reason}); export the picture again") from error


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image: Image.Image = Image.open(io.BytesIO(content), formats=[kind])
        check_size(*image.size)
        frames = getattr(image, "n_frames", 1)
        notes = [f"first of {frames} frames"] if frames > 1 else []
        image.load()
        if image.getexif().get(_EXIF_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
            notes.append("turned upright by its orientation mark")
    if image.mode.startswith("I"):
        return _Decoded(_counts(np.asarray(image)), (*notes, "16-bit counts windowed to 8 bits"))
    if image.mode == "F":
        raise ValueError("32-bit float pictures are height maps, not photographs")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        flat = Image.new("RGBA", image.size, "white")
        flat.alpha_composite(image.convert("RGBA"))
        return _Decoded(np.asarray(flat.convert("RGB")), (*notes, "transparent areas laid on white"))
    if image.mode not in ("RGB", "L"):
        notes.append(f"{image.mode} converted to RGB")
        image = image.convert("RGB")
    return _Decoded(np.asarray(image), tuple(notes))


def _counts(array: NDArray[Any]) -> NDArray[np.uint16]:
    """Pillow gives some 16-bit pictures as 32-bit integers."""
    if array.min() < 0 or array.max() > 65535:
        raise ValueError("counts beyond 16 bits")
    return array.astype(np.uint16)


def _is_deep_colour_png(content: bytes) -> bool:
    """16 bits a channel and more than one channel, which Pillow cuts to 8 bits without a word."""
    return len(content) > 25 and content[24] == 16 and content[25] in (2, 4, 6)


def _decode_deep_png(content: bytes, kind: str, check_size: CheckSize) -> _Decoded:
    check_size(*struct.unpack(">II", content[16:24]))
    array = imagecodecs.png_decode(content)
    return _drop_alpha(array, ("16-bit counts windowed to 8 bits",))


def _tiff_bits(content: bytes) -> int:
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        return int(file.pages.first.bitspersample)


def _decode_deep_tiff(content: bytes, kind: str, check_size: CheckSize) -> _Decoded:
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        if page.dtype != np.uint16:
            raise ValueError(f"{page.dtype} samples; expected 8 or 16 bits a channel")
        if page.imagedepth != 1 or page.axes not in ("YX", "YXS", "SYX"):
            raise ValueError(f"axes {page.axes}; expected one flat picture")
        check_size(page.imagewidth, page.imagelength)
        notes = [f"first of {len(file.pages)} frames"] if len(file.pages) > 1 else []
        array = page.asarray()
        array = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            array = np.iinfo(np.uint16).max - array
        orientation = int(page.tags.valueof(_EXIF_ORIENTATION, default=1))
    if orientation != 1:
        array = _upright(array, orientation)
        notes.append("turned upright by its orientation mark")
    return _drop_alpha(np.ascontiguousarray(array), (*notes, "16-bit counts windowed to 8 bits"))


def _upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply the TIFF/EXIF orientation 2..8 (TIFF 6.0, tag 274)."""
    if orientation >= 5:
        array = np.swapaxes(array, 0, 1)
    flip_rows, flip_columns = {
        **{2: (False, True), 3: (True, True), 4: (True, False), 5: (False, False)},
        **{6: (False, True), 7: (True, True), 8: (True, False)},
    }[orientation]
    return array[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _drop_alpha(array: NDArray[Any], notes: tuple[str, ...]) -> _Decoded:
    """Gray or RGB from two or four channels; counts of transparent areas are kept as they are."""
    channels = 1 if array.ndim == 2 else array.shape[2]
    if channels in (2, 4):
        return _Decoded(array[..., 0] if channels == 2 else array[..., :3], (*notes, "alpha channel left out"))
    if channels not in (1, 3):
        raise ValueError(f"{channels} channels; expected gray or RGB")
    return _Decoded(array.reshape(array.shape[:2]) if channels == 1 else array, notes)


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

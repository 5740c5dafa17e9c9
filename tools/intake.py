"""A file -> an asset of one of the modalities that its product is inspected by."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from knowledge import AssetError, Modality, Product
from tools.assets import Asset, Limits, Window, clean_name, decode_image, is_picture, read_file
from tools.decoding.height_maps import kind_of
from tools.decoding.organised_scans import is_scan
from tools.modalities import NATIVE_MODALITIES, kit_of

ALL_MODALITIES: tuple[Modality, ...] = get_args(Modality)


_NPY = b"\x93NUMPY"


class LoadedAsset(NamedTuple):
    asset: Asset
    content: bytes
    """The file, byte for byte; of a folder of pictures what `asset_content` packs it into."""
    native: Any
    """(H, W, 3) RGB pixels of a picture; of other modalities what their kit reads."""


def load_asset(path: Path, product: Product, limits: Limits | None = None, *, asset_id: str = "a1") -> LoadedAsset:
    """Read a file as what its product is inspected by; raises `AssetError` saying what is wrong and how to mend it.

    A folder of numbered pictures is one video, where the product is inspected by videos.
    """
    limits = limits or Limits()
    content = asset_content(path, limits) if "video" in product.modality else read_file(path, limits)
    modality = modality_of(content, path.name, product.modality)
    if modality == "image":
        loaded = decode_image(content, path.name, limits, asset_id=asset_id, window=window_of(product))
        return LoadedAsset(loaded.asset, content, loaded.pixels)
    native = kit_of(modality).read(content, clean_name(path.name), product, limits)
    asset = Asset(
        id=asset_id,
        modality=modality,
        name=clean_name(path.name),
        sha256=hashlib.sha256(content).hexdigest(),
        facts=native.facts(),
        notes=native.notes,
    )
    return LoadedAsset(asset, content, native)


def asset_content(path: Path, limits: Limits | None = None) -> bytes:
    """The bytes that an asset is known by: a file's own, or the pictures of a folder packed in their order.

    The same pictures under the same names are the same bytes, whose sha256 is the asset's. Raises `AssetError`.
    """
    limits = limits or Limits()
    if not path.is_dir():
        return read_file(path, limits)
    from tools.motion import is_frame_folder, pack_folder

    return pack_folder(path, limits) if is_frame_folder(path) else read_file(path, limits)


def as_file(path: Path, scratch: Path, limits: Limits | None = None) -> Path:
    """A path to a file with an asset's content: its own, or of a folder of pictures one written into `scratch`."""
    if not path.is_dir():
        return path
    content = asset_content(path, limits)
    packed = scratch / f"{hashlib.sha256(content).hexdigest()[:16]}.frames"
    packed.write_bytes(content)
    return packed


def modality_of(content: bytes, name: str, allowed: Sequence[Modality]) -> Modality:
    """What a file is, among what is `allowed`; a 16-bit gray picture is a height map where that is allowed."""
    picture = is_picture(content) and not is_scan(content)
    if tuple(allowed) == ("image",) and picture:
        return "image"
    if "depth" in allowed and "image" not in allowed and picture:
        return "depth"  # its reader says what it lacks
    if tuple(allowed) == ("point_cloud",) and kind_of(content) == "TIFF":
        return "point_cloud"  # likewise
    could_be = [modality for modality in NATIVE_MODALITIES if kit_of(modality).fits(content, name)]
    if len(allowed) == 1 and not picture and (not could_be or content.startswith(_NPY)):
        return allowed[0]  # its reader says why it is none
    wanted = [modality for modality in could_be if modality in allowed]
    if len(wanted) > 1 and content.startswith(_NPY):
        raise AssetError(
            f"{clean_name(name)}: an array could be {' or '.join(wanted)}; say in product.yaml which `modality` it is"
        )
    if wanted and not (picture and wanted[0] != "depth" and "image" in allowed):
        return wanted[0]
    if "image" in allowed and (picture or not could_be):
        return "image"
    is_a = "image" if picture else could_be[0] if could_be else None
    said = ", ".join(allowed)
    if is_a is None:
        raise AssetError(f"{clean_name(name)}: is of no known kind; expected one of: {said}")
    raise AssetError(
        f"{clean_name(name)}: is of modality {is_a}, and the product is inspected by {said}; "
        "add it to `modality` in product.yaml and enroll it again"
    )


def window_of(product: Product) -> Window | None:
    """The counts that are black and white on every picture of a product, where it says so."""
    return None if product.window is None else Window(low=product.window[0], high=product.window[1])

"""Fitted parts on disk: tensors in safetensors, and beside them a manifest that names their hash, written last."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from knowledge import FittedPartError, write_atomically

_TENSORS = "fitted.safetensors"
MANIFEST = "fitted.json"


class Fitted(NamedTuple):
    tensors: dict[str, NDArray[Any]]
    about: dict[str, Any]
    sha256: str
    """Of the tensors and what is said about them."""


def save_fitted(
    folder: Path, kind: str, version: int, tensors: Mapping[str, NDArray[Any]], about: dict[str, Any]
) -> None:
    """`kind` and `version` say whose parts these are; `about` is plain JSON values."""
    content = save({name: np.ascontiguousarray(array) for name, array in tensors.items()})
    manifest = {"kind": kind, "version": version, "sha256": _hash(content, about), "about": about}
    write_atomically(folder / _TENSORS, content)
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1).encode())


def _hash(content: bytes, about: dict[str, Any]) -> str:
    """Of both, so that neither is changed by accident."""
    return hashlib.sha256(content + json.dumps(about, sort_keys=True).encode()).hexdigest()


def forget_fitted(folder: Path) -> None:
    """Remove what was learned; the manifest first, so that a kill leaves nothing that would be believed."""
    for name in (MANIFEST, _TENSORS):
        (folder / name).unlink(missing_ok=True)


def load_fitted(folder: Path, kind: str, version: int) -> Fitted:
    """Raises `FittedPartError` where there are none, or none that this program can use."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        content = (folder / _TENSORS).read_bytes()
    except FileNotFoundError as error:
        raise FittedPartError(f"{folder}: nothing has been learned here yet; enroll the product first") from error
    except (OSError, ValueError, RecursionError) as error:
        raise FittedPartError(
            f"{folder}: what was learned cannot be read ({error}); enroll the product again"
        ) from error
    if not isinstance(manifest, dict) or (manifest.get("kind"), manifest.get("version")) != (kind, version):
        raise FittedPartError(f"{folder}: learned by another version of this program; enroll the product again")
    about = manifest.get("about")
    if not isinstance(about, dict) or _hash(content, about) != manifest.get("sha256"):
        raise FittedPartError(f"{folder}: {_TENSORS} does not match its manifest; enroll the product again")
    try:
        return Fitted(load(content), about, manifest["sha256"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FittedPartError(f"{folder}: {_TENSORS} cannot be used ({error}); enroll the product again") from error

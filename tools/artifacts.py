"""Content-addressed files: pixels, maps and masks live here, and everything else holds their ids."""

import hashlib
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from knowledge import StoreError, write_atomically

_ID = re.compile(r"[0-9a-f]{64}\.(png|npy|npz|json|bin)")


class ArtifactStore:
    """Files named by the sha256 of their content, under one root; the same content is stored once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, content: bytes, suffix: str) -> str:
        """Store `content`; returns its id, `<sha256>.<suffix>`."""
        artifact = f"{hashlib.sha256(content).hexdigest()}.{suffix}"
        path = self.path(artifact)
        if not path.exists() or path.stat().st_size != len(content) or path.read_bytes() != content:
            write_atomically(path, content)
        return artifact

    def get(self, artifact: str) -> bytes:
        """Content of an artifact; raises `StoreError` when it is gone or no longer matches its name."""
        try:
            content = self.path(artifact).read_bytes()
        except OSError as error:
            raise StoreError(f"artifact {artifact} is missing from {self._root}; inspect the part again") from error
        if hashlib.sha256(content).hexdigest() != artifact.partition(".")[0]:
            raise StoreError(f"artifact {artifact} in {self._root} is damaged; delete it and inspect the part again")
        return content

    def path(self, artifact: str) -> Path:
        """Where an artifact lies; anything but an id of ours is refused, so no name leads outside the root."""
        if not _ID.fullmatch(artifact):
            raise StoreError(f"{artifact!r} is not an artifact id")
        return self._root / artifact[:2] / artifact

    def put_image(self, pixels: NDArray[np.uint8]) -> str:
        """Store (H, W), (H, W, 3) or (H, W, 4) uint8 pixels as PNG."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
        return self.put(buffer.getvalue(), "png")

    def get_image(self, artifact: str) -> NDArray[np.uint8]:
        """Pixels of a stored PNG, with the shape they were stored in."""
        try:
            with Image.open(io.BytesIO(self.get(artifact)), formats=["PNG"]) as image:
                return np.asarray(image)
        except UnidentifiedImageError as error:
            raise StoreError(f"artifact {artifact} is not a picture") from error

    def put_array(self, array: NDArray[Any]) -> str:
        """Store an array: masks and indices compressed, for they are large and say little; maps as they are."""
        buffer = io.BytesIO()
        if array.dtype in (np.bool_, np.int32):
            np.savez_compressed(buffer, array=array)
            return self.put(buffer.getvalue(), "npz")
        np.save(buffer, array, allow_pickle=False)
        return self.put(buffer.getvalue(), "npy")

    def get_array(self, artifact: str) -> NDArray[Any]:
        try:
            loaded = np.load(io.BytesIO(self.get(artifact)), allow_pickle=False)
            array: NDArray[Any] = loaded["array"] if artifact.endswith(".npz") else loaded
        except (ValueError, EOFError, LookupError, zipfile.BadZipFile) as error:
            raise StoreError(f"artifact {artifact} is not an array") from error
        return array

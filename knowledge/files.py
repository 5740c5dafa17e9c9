"""Writing a file whole or not at all."""

import os
import tempfile
from pathlib import Path

from knowledge.errors import StoreError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, flush, then rename over it; raises `StoreError` when the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise StoreError(
            f"cannot write to {path.parent} ({error.strerror or error}); choose another folder or mend its permissions"
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"cannot write {path} ({error.strerror or error})") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def require_writable(folder: Path) -> Path:
    """The folder, made where it is missing; raises `StoreError` when nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder} ({error.strerror or error}); set ANOMALYST_HOME to another folder"
        ) from error

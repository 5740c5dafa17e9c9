"""What `labels.json` of a set of recordings or videos says of its files."""

import json
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from knowledge import RequestError

NAME = "labels.json"


class FileLabels(BaseModel):
    """Of one file; numbers are of rows or frames, from 0, inclusive."""

    intervals: tuple[tuple[int, int], ...]
    """That are anomalous."""
    train_rows: tuple[int, int] | None = None
    train_file: str | None = None
    """To learn from instead, below the set's folder."""
    fps: float | None = Field(default=None, gt=0)
    train_frames: tuple[int, int] | None = None


class _Labels(BaseModel):
    files: dict[str, FileLabels]


def read_labels(path: Path) -> dict[str, FileLabels]:
    """By the file's path below the folder of the labels; raises `RequestError` for what is there and is no labels."""
    try:
        return _Labels.model_validate(json.loads(path.read_bytes())).files
    except ValidationError as error:
        first = error.errors()[0]
        raise RequestError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{path}: cannot be read as labels ({error}); put the file back as it was") from error


def labelled_bytes(folder: Path, name: str) -> bytes:
    """Of a file that the labels of a folder name; raises `RequestError` where it is not there."""
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise RequestError(
            f"{folder / NAME}: names {name}, which cannot be read ({error}); put the file back"
        ) from error

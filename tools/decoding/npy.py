"""What the header of an .npy file says, read without numpy's parser, which evaluates a literal that a hostile file wrote."""

import re
from typing import NamedTuple

MAGIC = b"\x93NUMPY"

_DESCR = re.compile(r"'descr'\s*:\s*'([<>|=]?[a-zA-Z]\d{1,3})'")
_SHAPE = re.compile(r"'shape'\s*:\s*\(([\d,\s]{0,80})\)")


class NpyHeader(NamedTuple):
    shape: tuple[int, ...]
    kind: str
    """One letter, as numpy's `dtype.kind`: f, i, u, b; others for what is no number."""
    item: int
    """Bytes of an element."""


def npy_header(content: bytes) -> NpyHeader | None:
    """The header of a plain array; `None` for anything else, such as one of records."""
    if not content.startswith(MAGIC) or len(content) < 12:
        return None
    text = content[8:600].decode("latin-1").partition("\n")[0]
    described, shaped = _DESCR.search(text), _SHAPE.search(text)
    if described is None or shaped is None:
        return None
    letter, item = described.group(1).lstrip("<>|="), 0
    item = int(letter[1:]) if letter[1:] else 1
    sides = tuple(int(side) for side in shaped.group(1).split(",") if side.strip().isdecimal())
    return NpyHeader(sides, letter[0], item)

"""Pictures and other files inside of a message, in the shapes in which chat pages send them."""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage

from knowledge import RequestError, write_atomically

_KINDS = frozenset({"image", "image_url", "input_image", "file", "input_file", "video", "media"})
_FIELDS = ("base64", "data", "file_data", "image_url", "url", "source", "file")
"""Where the shapes keep their content: LangChain's two, OpenAI's two, Anthropic's, and what chat pages make of them."""
_DATA = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{0,20}:", re.IGNORECASE)
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}", re.IGNORECASE)


def unpacked(message: HumanMessage, folder: Path, most: int) -> list[str]:
    """Paths of the files that a message holds, written into `folder`; `most` bytes each.

    Raises `RequestError` for what cannot be read, and for addresses: nothing is fetched.
    """
    if isinstance(message.content, str):
        return []
    blocks = [block for block in message.content if isinstance(block, dict) and block.get("type") in _KINDS]
    return [str(_written(block, folder, most)) for block in blocks]


def without_files(message: HumanMessage, files: list[str]) -> HumanMessage:
    """The same message with its files as paths, for a conversation's state holds no pixels."""
    more = {**message.additional_kwargs, "files": files}
    return HumanMessage(str(message.text), id=message.id, additional_kwargs=more)


def _written(block: Mapping[str, Any], folder: Path, most: int) -> Path:
    text = _content(block)
    if not text:
        raise RequestError("an attached file is empty, or of a shape that is not known; attach it again")
    data = _DATA.match(text)
    if data is None and _ADDRESS.match(text):
        raise RequestError("an attached file is given by an address, and nothing is fetched; attach the file itself")
    encoded = text[data.end() :] if data else text
    if len(encoded) * 3 // 4 > most:
        raise RequestError(f"an attached file is larger than {most} bytes; attach a smaller one")
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        raise RequestError("an attached file cannot be read: it is no valid base64; attach it again") from None
    path = folder / f"{hashlib.sha256(content).hexdigest()}{_suffix(block)}"
    write_atomically(path, content)
    return path


def _content(block: Mapping[str, Any]) -> str:
    found = next((block[field] for field in _FIELDS if block.get(field)), "")
    return _content(found) if isinstance(found, dict) else str(found)


def _suffix(block: Mapping[str, Any]) -> str:
    """Of the name that came with it: some recordings are known by theirs."""
    more = block.get("metadata")
    named = [block, more if isinstance(more, dict) else {}, file if isinstance(file := block.get("file"), dict) else {}]
    names = [str(each.get(key, "")) for each in named for key in ("filename", "name")]
    return next((suffix.lower() for name in names if _SUFFIX.fullmatch(suffix := Path(name[-60:]).suffix)), "")

"""Which part a picture shows, by the name of its file, where several pictures show one part."""

import functools
import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from knowledge.errors import ProductError, RequestError

_PART = "{part}"
_MOST_STARS = 2
"""With more of them, a long name that does not fit would take minutes to be told."""
_LONGEST = 100

_KEPT = re.compile(r"(?P<part>.+)~[0-9a-f]{16}", re.DOTALL)


def _checked(template: str) -> str:
    # Beside a star nobody knows where the name begins or ends.
    beside = f"*{_PART}" in template or f"{_PART}*" in template
    if template.count(_PART) != 1 or template.count("*") > _MOST_STARS or len(template) > _LONGEST or beside:
        raise ValueError(
            f"expected {_PART} once and * for anything, twice at most and not beside it, such as '*_{_PART}_*', in "
            f"{_LONGEST} characters or fewer, got {template!r}"
        )
    return template


PartName = Annotated[str, Field(min_length=1), AfterValidator(_checked)]
"""What a file's name without its suffix looks like, such as `*_{part}_*`: what stands in the place of `{part}` is the
name of the part; a `*` stands for anything or nothing. Each stands for as little as fits, the first one first."""


def parse_part_name(given: str) -> str | None:
    """As given on a command line; None where nothing is. Raises `RequestError` where it is no `PartName`."""
    try:
        return TypeAdapter(PartName).validate_python(given) if given else None
    except ValidationError as error:
        raise RequestError(f"part-name: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def named_part(template: str, name: str) -> str:
    """The part that a file of that `name`, without suffix, shows; raises `ProductError` where it does not fit.

    A reference that is kept under a `kept_name` shows the part of which that was said.
    """
    kept = _KEPT.fullmatch(name)
    if kept is not None:
        return kept["part"]
    found = _pattern(template).fullmatch(_composed(name))
    if found is None:
        raise ProductError(f"the file name {name!r} does not say which part it shows: it is not like {template!r}")
    return found["part"]


def kept_name(part: str, sha256: str) -> str:
    """Under which a reference that shows a part is kept, without suffix."""
    return f"{part}~{sha256[:16]}"


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    escaped = re.escape(_composed(template)).replace(re.escape("*"), ".*?").replace(re.escape(_PART), "(?P<part>.+?)")
    return re.compile(escaped, re.DOTALL)


def _composed(text: str) -> str:
    """Some file systems take letters and their marks apart."""
    return unicodedata.normalize("NFC", text)

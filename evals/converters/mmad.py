"""MMAD's published questions, `mmad.json` beside the folders of its pictures, as multiple choice."""

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError, field_validator

from evals.cases import Question, QuestionKind
from evals.converters.layout import (
    GOOD,
    NOTHING_KNOWN,
    Known,
    Layout,
    Notes,
    Part,
    Truth,
    listed_inside,
    named_inside,
    nothing_more,
    product_of,
    slug,
    type_of,
    unknown_type,
)
from evals.converters.masks import NO_MASK, masked_place
from evals.multiple_choice import verdict_of
from knowledge import DefectType, Product, RequestError
from tools import clean_name

QUESTIONS_FILE = "mmad.json"
KNOWLEDGE_FILE = "domain_knowledge.json"

_KINDS: dict[str, QuestionKind] = {
    "anomaly detection": "anomaly_detection",
    "defect classification": "defect_classification",
    "defect localization": "defect_localization",
    "defect description": "defect_description",
    "defect analysis": "defect_analysis",
    "object classification": "object_classification",
    "object structure": "object_analysis",
    "object details": "object_analysis",
    "object analysis": "object_analysis",
}
"""Published names of the kinds; the last three are counted as one."""

_WHAT = "mmad.json with the folders of its pictures beside it, as MMAD is published"
_LISTED = re.compile(r"^\s*([A-Z])\s*[:.)]\s*(.*)$", re.DOTALL)
_LETTER = re.compile(r"^\s*([A-Za-z])(?![A-Za-z])")
_HEADING = re.compile(r"^<[^>]*>\s*(?:Description:)?\s*")
"""Of the texts of domain_knowledge.json."""
_LONGEST = 4000


class _Asked(BaseModel):
    """A question of an entry."""

    Question: str
    Answer: str
    Options: dict[str, str]
    type: str = ""

    @field_validator("Options", mode="before")
    @classmethod
    def _by_letter(cls, given: Any) -> Any:
        """Some copies list `A: text`."""
        if not isinstance(given, list):
            return given
        found = [_LISTED.match(str(each)) for each in given]
        return {match[1]: match[2] for match in found if match}


class _Entry(BaseModel):
    mask_path: str | None = None
    similar_templates: tuple[str, ...] = ()
    random_templates: tuple[str, ...] = ()
    conversation: tuple[_Asked, ...] = Field(default=())


class _Picture(NamedTuple):
    key: str
    """As it is published: set, product, folders, file."""
    path: Path
    entry: _Entry

    @property
    def parts(self) -> list[str]:
        return self.key.split("/")


def read_mmad(source: Path, seed: int, notes: Notes) -> Layout:
    """The questions with their pictures; `source` is mmad.json or the folder that it lies in."""
    del seed
    file = source / QUESTIONS_FILE if source.is_dir() else source
    root = file.parent
    pictures = [
        picture
        for key, value in _mapping(file).items()
        if (picture := _picture(root, key, _entry(file, key, value), notes)) is not None
    ]
    if not pictures:
        raise RequestError(f"{file}: none of the pictures that it names is there; expected {_WHAT}")
    names = _product_names(pictures)
    parts = tuple(_part(root, picture, names[_home(picture)], notes) for picture in pictures)
    known = _mapping(root / KNOWLEDGE_FILE) if (root / KNOWLEDGE_FILE).is_file() else {}
    cases = {picture.path.resolve() for picture in pictures}
    products = tuple(
        Known(_product(home, name, known, parts), good_files=_templates(root, home, pictures, cases, notes))
        for home, name in names.items()
    )
    return Layout("mmad", products, parts)


def _mapping(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(
            f"{file}: cannot be read ({' '.join(str(error).split())[:200]}); expected {_WHAT}"
        ) from error
    if not isinstance(content, dict):
        raise RequestError(f"{file}: expected a mapping whose keys are paths of pictures, as in MMAD")
    return content


def _entry(file: Path, key: str, value: Any) -> _Entry:
    """One picture's entry; its questions stand under the first key that begins with `conversation`."""
    where = f"{file}: {clean_name(key)}"
    if not isinstance(value, dict):
        raise RequestError(f"{where}: expected a mapping with mask_path and conversation")
    asked = next((each for name, each in value.items() if name.startswith("conversation")), ())
    taken = {name: value[name] for name in _Entry.model_fields if value.get(name) is not None}
    try:
        return _Entry.model_validate({**taken, "conversation": [each for each in asked if each]})
    except (ValidationError, TypeError) as error:
        first = (
            error.errors()[0] if isinstance(error, ValidationError) else {"loc": ("conversation",), "msg": str(error)}
        )
        raise RequestError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _picture(root: Path, key: str, entry: _Entry, notes: Notes) -> _Picture | None:
    path = named_inside(root, key, QUESTIONS_FILE)
    if entry.mask_path:
        named_inside(root, entry.mask_path, f"{QUESTIONS_FILE}: mask_path")
    key = PurePosixPath(key.replace("\\", "/")).as_posix()
    if len(key.split("/")) < 3:
        raise RequestError(f"{QUESTIONS_FILE}: {clean_name(key)!r} is no path of SET/PRODUCT/.../PICTURE")
    if path is None or not path.is_file():
        notes.add("a picture that is not there, whose questions are left out", key)
        return None
    return _Picture(key, path, entry)


def _home(picture: _Picture) -> str:
    """Set and product."""
    return "/".join(picture.parts[:2])


def _product_names(pictures: list[_Picture]) -> dict[str, str]:
    """Set and product -> the product's name, with the set's where two sets have products of that name."""
    homes = dict.fromkeys(_home(picture) for picture in pictures)
    plain = [slug(home.split("/")[1]) for home in homes]
    return {home: name if plain.count(name) == 1 else slug(home) for home, name in zip(homes, plain, strict=True)}


# -- products --------------------------------------------------------------------------------------------------------


def _product(home: str, name: str, known: Mapping[str, Any], parts: tuple[Part, ...]) -> Product:
    """By what domain_knowledge.json says of it, where it is there; the types of its pictures' folders besides."""
    told = _told(home, known)
    kinds = {type_of(part.kind) for part in parts if part.product == name and part.anomalous} - {None}
    described = {slug(kind): text for kind, text in told.items() if type_of(kind)}
    types = [
        DefectType(name=kind, description=described[kind]) if kind in described else unknown_type(kind)
        for kind in sorted({*described, *(each for each in kinds if each)})
    ]
    product = product_of(name, "image", description=told.get(GOOD, NOTHING_KNOWN))
    return product.model_copy(update={"defect_types": tuple(types)})


def _told(home: str, known: Mapping[str, Any]) -> dict[str, str]:
    """Kind -> text; MVTec AD's stands under another name than its folder."""
    folder, product = home.split("/")
    of_set = known.get(folder.replace("DS-MVTec", "MVTec"))
    texts = of_set.get(product) if isinstance(of_set, dict) else None
    if not isinstance(texts, dict):
        return {}
    stripped = {kind: _HEADING.sub("", " ".join(str(text).split()))[:_LONGEST] for kind, text in texts.items()}
    return {kind: text for kind, text in stripped.items() if text}


def _templates(root: Path, home: str, pictures: list[_Picture], cases: set[Path], notes: Notes) -> tuple[Path, ...]:
    """The normal pictures that are published to be shown beside, without those that are asked about."""
    named = dict.fromkeys(
        name
        for picture in pictures
        if _home(picture) == home
        for name in (*picture.entry.similar_templates, *picture.entry.random_templates)
    )
    found = [path for name in named if (path := named_inside(root, name, QUESTIONS_FILE)) and path.is_file()]
    kept = tuple(path for path in found if path.resolve() not in cases)
    if not kept:
        notes.add("a product without templates, so that there is nothing to learn it from", home)
    return kept


# -- parts -----------------------------------------------------------------------------------------------------------


def _part(root: Path, picture: _Picture, product: str, notes: Notes) -> Part:
    kind = picture.parts[-2]
    questions = _questions(picture, notes)
    anomalous = _anomalous(kind, picture.key, questions, notes)
    truth = partial(_truth, root, picture, type_of(kind)) if anomalous else nothing_more
    return Part(
        product=product,
        name=PurePosixPath(picture.parts[0], *picture.parts[2:]).with_suffix("").as_posix(),
        assets=(picture.path,),
        anomalous=anomalous,
        kind=kind,
        truth=truth,
        tags=(picture.parts[0], kind, *(("logical",) if kind == "logical_anomalies" else ())),
        questions=questions,
    )


def _questions(picture: _Picture, notes: Notes) -> tuple[Question, ...]:
    """In their order and with their options in theirs, so that figures compare with published ones."""
    questions = []
    for number, asked in enumerate(picture.entry.conversation, start=1):
        kind = _KINDS.get(" ".join(asked.type.lower().split()))
        letters = list(asked.Options)
        answer = _LETTER.match(asked.Answer)
        right = answer[1].upper() if answer else ""
        if kind is None:
            notes.add(f"a question of the unknown kind {clean_name(asked.type)!r}, which is left out", picture.key)
        elif right not in letters or len(letters) < 2:
            notes.add("a question whose answer is none of its options, which is left out", picture.key)
        else:
            options = tuple(asked.Options[letter] for letter in letters)
            index = letters.index(right)
            questions.append(Question(id=f"q{number}", kind=kind, text=asked.Question, options=options, answer=index))
    return tuple(questions)


def _anomalous(kind: str, key: str, questions: tuple[Question, ...], notes: Notes) -> bool | None:
    """By the folder; unknown where the published answer says otherwise, since one of them is wrong."""
    by_folder = slug(kind) != GOOD
    answers = {
        verdict_of(question, question.answer)
        for question in questions
        if question.kind == "anomaly_detection" and question.answer is not None
    } - {None}
    if answers and answers != {"anomalous" if by_folder else "normal"}:
        notes.add("a picture whose folder and answer differ, whose verdict is therefore unknown", key)
        return None
    return by_folder


def _truth(root: Path, picture: _Picture, defect_type: str | None, notes: Notes) -> Truth:
    masks = _masks(root, picture)
    if not masks:
        notes.add(NO_MASK, picture.key)
    places = (masked_place(mask, picture.path, notes) for mask in masks)
    return Truth(tuple(place for place in places if place is not None), defect_type)


def _masks(root: Path, picture: _Picture) -> list[Path]:
    """The published path is relative to the product or to the folder below it; LOCO's may be a folder of masks."""
    given = picture.entry.mask_path
    if not given:
        return []
    for depth in (2, 3, 0):
        found = named_inside(root, "/".join((*picture.parts[:depth], given)), f"{QUESTIONS_FILE}: mask_path")
        if found is not None:
            return [listed_inside(root, each) for each in sorted(found.glob("*.png"))] if found.is_dir() else [found]
    return []

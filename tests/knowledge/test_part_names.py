"""Which part a picture shows, told from the name of its file."""

import time

import pytest
from pydantic import TypeAdapter, ValidationError

from knowledge import PartName, ProductError, RequestError, named_part, parse_part_name
from knowledge.part_names import kept_name


@pytest.mark.parametrize(
    ("template", "name", "part"),
    [
        ("exp*_num_{part}", "exp1_num_10334", "10334"),
        ("*_ND_{part}_*", "PA_BDP01_TL_S_ND_01_4", "01"),
        ("{part}_*", "a_b_c", "a"),
        ("*_{part}", "exp1_num_103", "num_103"),
        ("{part}", "whole name", "whole name"),
        ("{part} (*)", "part 7 (2)", "part 7"),
        ("*-{part}", "-7", "7"),
        ("[{part}]+*", "[7]+", "7"),
        ("U\u0308{part}", "\u00dc7", "7"),
        ("\u00dc{part}", "U\u03087", "7"),
        ("Ü{part}ß", "Ü7ß", "7"),
    ],
)
def test_a_part_is_what_stands_in_its_place_and_all_else_is_taken_literally(template, name, part) -> None:
    assert named_part(template, name) == part


@pytest.mark.parametrize(
    ("template", "name"), [("a_{part}", "b_1"), ("{part}_x", "_x"), ("a.{part}", "ab1"), ("{part}_*", "1")]
)
def test_a_name_that_does_not_fit_is_refused_with_both(template, name) -> None:
    with pytest.raises(ProductError, match="does not say which part") as refused:
        named_part(template, name)
    assert repr(name) in str(refused.value)
    assert repr(template) in str(refused.value)


@pytest.mark.parametrize(
    "template", ["part", "*", "{part}{part}", "*a*b*_{part}", "{part}" + "x" * 100, "{Part}", "*{part}", "{part}*"]
)
def test_what_is_no_template_is_refused(template) -> None:
    with pytest.raises(ValidationError, match=r"expected \{part\} once"):
        TypeAdapter(PartName).validate_python(template)
    with pytest.raises(RequestError, match=r"part-name: expected \{part\} once"):
        parse_part_name(template)


def test_a_reference_that_is_kept_says_its_part_whatever_the_template() -> None:
    kept = kept_name("a~b", "0123456789abcdef" * 4)
    assert kept == "a~b~0123456789abcdef"
    assert named_part("x{part}", kept) == "a~b"
    with pytest.raises(ProductError):
        named_part("x{part}", "a~0123")


def test_nothing_given_is_no_template() -> None:
    assert parse_part_name("") is None
    assert parse_part_name("a{part}") == "a{part}"


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(RequestError, match="part-name: "):
        parse_part_name("p{part}\udcff")


def test_a_long_name_that_does_not_fit_is_soon_refused() -> None:
    start = time.perf_counter()
    with pytest.raises(ProductError):
        named_part("*a*a{part}b", "a" * 255)
    assert time.perf_counter() - start < 5

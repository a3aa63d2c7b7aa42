"""What a code point is, for arrays of them, against Python's own answers one by one."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given

from bytespan.characters import (
    BLANK,
    DIGIT,
    JOINS,
    LETTER,
    LOWER,
    OTHER,
    SHAPE_SHIFT,
    UNSPACED,
    UNSPACED_CODES,
    UPPER,
    lowered,
    properties,
)
from strategies import texts


def codes_of(text: str) -> np.ndarray:
    return np.array([ord(character) for character in text], np.uint32)


def shape_of(character: str) -> int:
    if character.isupper():
        return UPPER
    if character.islower():
        return LOWER
    if character.isdigit():
        return DIGIT
    return LETTER if character.isalpha() else OTHER


@given(texts)
def test_properties_are_what_python_says_of_each_character(text: str) -> None:
    found = properties(codes_of(text))
    assert len(found) == len(text)
    for character, value in zip(text, found.tolist(), strict=True):
        unspaced = any(first <= ord(character) <= last for first, last in UNSPACED_CODES)
        is_mark = unicodedata.category(character)[0] == "M"
        assert bool(value & JOINS) == ((character.isalnum() or is_mark) and not unspaced)
        assert bool(value & BLANK) == character.isspace()
        assert bool(value & UNSPACED) == (unspaced and not character.isspace())
        assert value >> SHAPE_SHIFT == shape_of(character)


@given(texts)
def test_lower_case_is_the_first_character_of_pythons(text: str) -> None:
    codes = codes_of(text)
    properties(codes)
    assert lowered(codes).tolist() == [ord(character.lower()[0]) for character in text]


@pytest.mark.parametrize(
    ("character", "joins", "blank", "shape"),
    [
        ("A", True, False, UPPER),
        ("ß", True, False, LOWER),
        ("7", True, False, DIGIT),
        ("²", True, False, DIGIT),
        ("א", True, False, LETTER),
        ("\u0301", True, False, OTHER),
        ("ǅ", True, False, LETTER),  # title case is neither upper nor lower
        ("日", False, False, LETTER),
        ("ไ", False, False, LETTER),
        ("한", True, False, LETTER),
        ("_", False, False, OTHER),
        ("😀", False, False, OTHER),
        ("\u00a0", False, True, OTHER),
        ("\0", False, False, OTHER),
        ("\ud800", False, False, OTHER),
        ("\U0010ffff", False, False, OTHER),
    ],
)
def test_characters_of_every_kind(character: str, joins: bool, blank: bool, shape: int) -> None:
    value = int(properties(codes_of(character))[0])
    assert (bool(value & JOINS), bool(value & BLANK), value >> SHAPE_SHIFT) == (joins, blank, shape)


def test_no_characters_have_no_properties() -> None:
    assert len(properties(codes_of(""))) == len(lowered(codes_of(""))) == 0

"""What a code point is, for whole arrays of them: part of a word, white space, its case, its lower case.

One table over all of Unicode, filled in as code points are met, so that a text costs one look-up a character.
"""

import unicodedata

import numpy as np
from numpy.typing import NDArray

JOINS, BLANK, UNSPACED = 1, 2, 4
"""Flags: the character is one of those that make up words; is white space; is of a script without spaces."""

UPPER, LOWER, DIGIT, LETTER, OTHER = range(1, 6)
"""Shapes, stored above the flags. LETTER has no case."""

SHAPE_SHIFT = 3

UNSPACED_CODES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
"""First and last code points of scripts that set no space between words: Thai, Lao, Burmese, Khmer, Chinese and
Japanese, with their punctuation."""

_CODES = 0x110000
_PROPERTIES = np.zeros(_CODES, np.uint8)  # 0: not met yet, since every character has a shape
_LOWERED = np.zeros(_CODES, np.uint32)


def properties(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """(n,) flags and shape of each code point."""
    found = _PROPERTIES[codes]
    if not found.all():
        _meet(codes[found == 0])
        found = _PROPERTIES[codes]
    return found


def lowered(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """(n,) each code point in lower case, the first of several. Only for code points that `properties` has met."""
    return _LOWERED[codes]


def _meet(codes: NDArray[np.uint32]) -> None:
    for code in set(codes.tolist()):  # np.unique would import numpy.ma, 10 ms
        character = chr(code)
        _LOWERED[code] = ord(character.lower()[0])
        _PROPERTIES[code] = _flags(character) | _shape(character) << SHAPE_SHIFT


def _flags(character: str) -> int:
    if character.isspace():
        return BLANK
    if any(first <= ord(character) <= last for first, last in UNSPACED_CODES):
        return UNSPACED
    return JOINS if character.isalnum() or unicodedata.category(character).startswith("M") else 0


def _shape(character: str) -> int:
    tests = ((UPPER, str.isupper), (LOWER, str.islower), (DIGIT, str.isdigit), (LETTER, str.isalpha))
    return next((shape for shape, holds in tests if holds(character)), OTHER)

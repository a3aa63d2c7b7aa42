"""Where words are whole: the places of a text at which no span of whole words can begin, or end."""

import unicodedata

import numpy as np
from numpy.typing import NDArray

from bytespan.spans import byte_of_character

UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
"""Code points of scripts that set no space between words: Thai, Lao, Burmese, Khmer, Chinese and Japanese."""


def broken_edges(data: bytes) -> NDArray[np.bool_]:
    """(2, len(data) + 1): at which byte offsets a span of whole words can not begin (row 0), and not end (row 1).

    Inside a character, between two characters of one word, before white space (begin) and behind it (end). Letters,
    digits and marks in a row are a word, except in scripts without spaces. Bytes that are not UTF-8 pass for letters.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text, edges = data.decode("latin-1"), np.arange(len(data) + 1)
    else:
        edges = byte_of_character(text)
    distinct, places = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_inverse=True)
    joins, blank = (
        np.array([is_so(chr(code)) for code in distinct.tolist()], np.bool_)[places] for is_so in (_joins, str.isspace)
    )
    result = np.ones((2, len(data) + 1), np.bool_)
    result[:, edges] = False
    result[:, edges[1:-1]] = joins[:-1] & joins[1:]
    result[0, edges[:-1]] |= blank
    result[1, edges[1:]] |= blank
    return result


def _joins(character: str) -> bool:
    if any(first <= ord(character) <= last for first, last in UNSPACED):
        return False
    return character.isalnum() or unicodedata.category(character).startswith("M")

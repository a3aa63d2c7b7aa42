"""Where words are whole: the places of a text at which no span of whole words can begin, or end."""

import numpy as np
from numpy.typing import NDArray

from bytespan.characters import BLANK, JOINS, properties
from bytespan.spans import byte_of_character


def code_points(data: bytes) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The characters of UTF-8 `data`, (n,), and the byte offsets of their edges, (n + 1,).

    Bytes that are not UTF-8 are taken as one character each, as in Latin-1.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return np.frombuffer(data, np.uint8).astype(np.uint32), np.arange(len(data) + 1)
    return np.frombuffer(text.encode("utf-32-le"), np.uint32), byte_of_character(text)


def broken_edges(data: bytes) -> NDArray[np.bool_]:
    """(2, len(data) + 1): at which byte offsets a span of whole words can not begin (row 0), and not end (row 1).

    Inside a character, between two characters of one word, before white space (begin) and behind it (end). Letters,
    digits and marks in a row are a word, except in scripts without spaces. Bytes that are not UTF-8 pass for letters.
    """
    codes, edges = code_points(data)
    flags = properties(codes)
    joins, blank = flags & JOINS != 0, flags & BLANK != 0
    result = np.ones((2, len(data) + 1), np.bool_)
    result[:, edges] = False
    result[:, edges[1:-1]] = joins[:-1] & joins[1:]
    result[0, edges[:-1]] |= blank
    result[1, edges[1:]] |= blank
    return result

"""Where words are whole: the places of a text at which no span of whole words can begin, or end."""

import codecs
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bytespan.characters import BLANK, JOINS, properties
from bytespan.spans import byte_of_character

DECODED_BYTES = 1 << 16
"""Bytes that are decoded at a time to see whether they can be."""


def code_points(data: bytes) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The characters of UTF-8 `data`, (n,), and the byte offsets of their edges, (n + 1,).

    Bytes that are not UTF-8 are taken as one character each, as in Latin-1.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return latin_points(data)
    return np.frombuffer(text.encode("utf-32-le"), np.uint32), byte_of_character(text)


def latin_points(data: bytes) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """What `code_points` gives of `data` that are not UTF-8, for a part of such data."""
    return np.frombuffer(data, np.uint8).astype(np.uint32), np.arange(len(data) + 1)


def code_points_of_lines(lines: Sequence[bytes]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """`code_points` of several texts with a line end between any two, some of which may not be UTF-8."""
    joined = b"\n".join(lines)
    if is_utf8(joined):
        return code_points(joined)
    parts = [code_points(line + b"\n") for line in lines]
    bases = np.cumsum([0, *(len(line) + 1 for line in lines)])
    offsets = [base + edges[:-1] for base, (_, edges) in zip(bases, parts, strict=False)]
    return np.concatenate([codes for codes, _ in parts])[:-1], np.concatenate(offsets)


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8 from beginning to end; needs little memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for place in range(0, len(data), DECODED_BYTES):
            decoder.decode(data[place : place + DECODED_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


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

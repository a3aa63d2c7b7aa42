"""What is true of the places of a text: script, case, digits, quotes, word ends, and the labels that cover them.

A position is a character or a unit, whichever the model has a state for. What a property does not ask about (the case
of a comma, the label in the middle of a word) is NOT_ASKED there.
"""

import unicodedata
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bytespan.spans import ENTITIES, TOKENS, Document
from bytespan.units import cut_units

Strings = NDArray[np.str_]
Ints = NDArray[np.int64]

NOT_ASKED = ""
YES, NO = "yes", "no"
OUTSIDE = "O"
"""Label of what no span of a task covers."""

WORD_END, SCRIPT, CAPITAL, DIGIT, QUOTES, LANGUAGE = "word end", "script", "capital", "digit", "in quotes", "language"
LABEL_OF = {TOKENS: "part of speech", ENTITIES: "entity"}
"""Task -> what its labels are called as a property; another task's have its own name."""

CLOSED_BY = {"“": "”", "«": "»", "»": "«", "„": "“”", "「": "」", "『": "』", '"': '"', "‹": "›", "”": "”"}
"""Opening quotation mark -> those that close it, in one language or another. Apostrophes are none."""

LONGEST_QUOTE = 400
"""Characters after which a quotation mark that was not closed is taken to open nothing."""


def describe(document: Document, starts: Ints, ends: Ints, *, language: str) -> dict[str, Strings]:
    """Property -> its value at each position [start, end) of a text, a character or a unit each."""
    data = document.data
    pieces = [data[start:end].decode("utf-8", errors="replace") for start, end in zip(starts, ends, strict=True)]
    units = cut_units(data)
    words = np.array([span.end for span in document.spans[TOKENS]] if TOKENS in document.spans else units.ends)
    is_blank = np.array([piece.isspace() for piece in pieces], np.bool_)
    ends_unit = np.isin(ends, units.ends)
    found = {
        WORD_END: np.where(is_blank, NOT_ASKED, _yes_or_no(np.isin(ends, words))),
        SCRIPT: np.array([_script_of(piece) for piece in pieces], np.str_),
        CAPITAL: np.array([_case_of(piece) for piece in pieces], np.str_),
        DIGIT: np.where(
            is_blank, NOT_ASKED, _yes_or_no(np.array([any(map(str.isdigit, p)) for p in pieces], np.bool_))
        ),
        QUOTES: _in_quotes(document.text, data, starts, ends),
        LANGUAGE: np.where(ends_unit, language, NOT_ASKED),
    }
    for task in document.spans:
        found[LABEL_OF.get(task, task)] = np.where(ends_unit, _labels(document, task, ends), NOT_ASKED)
    return found


def types_of(data: bytes, ends: Ints) -> list[bytes]:
    """The word type of each position: the bytes of its unit, of a character those up to it; of white space none."""
    units = cut_units(data)
    if not len(units):
        return [b""] * len(ends)
    inside = np.maximum(np.searchsorted(units.starts, ends, side="left") - 1, 0)
    return [
        data[start:end] if start < end <= limit else b""
        for start, end, limit in zip(units.starts[inside], ends, units.ends[inside], strict=True)
    ]


def _yes_or_no(holds: NDArray[np.bool_]) -> Strings:
    return np.where(holds, YES, NO)


@lru_cache(maxsize=65536)
def _script_of(piece: str) -> str:
    """The script of the first letter, by the first word of its name in Unicode."""
    letter = next((character for character in piece if character.isalpha()), None)
    return NOT_ASKED if letter is None else unicodedata.name(letter, "UNKNOWN").split()[0].capitalize()


def _case_of(piece: str) -> str:
    return YES if piece[0].isupper() else NO if piece[0].islower() else NOT_ASKED


def _labels(document: Document, task: str, ends: Ints) -> Strings:
    """The label of the span of `task` that covers the byte before each end, OUTSIDE where there is none."""
    names = [OUTSIDE, *sorted({span.label for span in document.spans[task]})]
    covering = np.zeros(len(document.data), np.int64)
    for span in document.spans[task]:
        covering[span.start : span.end] = names.index(span.label)
    return np.array(names, np.str_)[covering[ends - 1]]


def _in_quotes(text: str, data: bytes, starts: Ints, ends: Ints) -> Strings:
    """Whether each position lies between quotation marks; not asked at the marks themselves."""
    inside, marks = np.zeros(len(data), np.bool_), np.zeros(len(data), np.bool_)
    opened: tuple[int, int, str] | None = None  # byte behind the mark, character, those that close it
    offset = 0
    for place, character in enumerate(text):
        size = len(character.encode("utf-8"))
        if opened is not None and (character == "\n" or place - opened[1] > LONGEST_QUOTE):
            opened = None
        if character in CLOSED_BY or any(character in closing for closing in CLOSED_BY.values()):
            marks[offset : offset + size] = True
            if opened is not None and character in opened[2]:
                inside[opened[0] : offset] = True
                opened = None
            elif character in CLOSED_BY and opened is None:
                opened = offset + size, place, CLOSED_BY[character]
        offset += size
    return np.where(marks[starts], NOT_ASKED, _yes_or_no(inside[ends - 1]))

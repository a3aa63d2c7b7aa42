"""Natural spacing for texts that set every token off by a space, as column corpora do and people do not."""

import re
from collections.abc import Iterable

import numpy as np

from bytespan.spans import Document, Span, byte_of_character

_BEFORE_CLOSING = re.compile(r" (?=(?:[,.;:!?…،؛؟)\]}»”’%]|\.\.\.|n't|'(?:s|re|ve|ll|d|m))(?=\s|$))")
_AFTER_OPENING = re.compile(r"(?:(?<=\s)|^)[(\[{«“„‘¿¡](?P<space> )")
_STRAIGHT_QUOTES = re.compile(r'(?:(?<=\s)|^)" (?P<inside>[^"\n]*?) "(?=\s|$)')
_BETWEEN_WIDE = re.compile(r"(?<=[\u2e80-\u9fff\uff00-\uffef]) (?=[\u2e80-\u9fff\uff00-\uffef])")


def close_up(document: Document) -> Document:
    """The same text with the spaces taken out that its punctuation would not have, and its spans moved along.

    By rule: none before closing and behind opening punctuation, none inside a pair of straight quotes, none between
    Chinese characters. Bytes that are not UTF-8 are left alone. Nothing but spaces outside of words is ever removed.
    """
    try:
        text = document.data.decode("utf-8")
    except UnicodeDecodeError:
        return document
    places = {match.start() for pattern in (_BEFORE_CLOSING, _BETWEEN_WIDE) for match in pattern.finditer(text)}
    places |= {match.start("space") for match in _AFTER_OPENING.finditer(text)}
    for match in _STRAIGHT_QUOTES.finditer(text):
        places |= {match.start("inside") - 1, match.end("inside")}
    return without_characters(document, places)


def without_characters(document: Document, places: Iterable[int]) -> Document:
    """A document in UTF-8 without the code points at `places`, its spans moved along."""
    offsets = byte_of_character(document.data.decode())
    kept_characters = np.ones(len(offsets) - 1, np.bool_)
    kept_characters[list(places)] = False
    kept = np.repeat(kept_characters, np.diff(offsets))
    moved = np.append(0, np.cumsum(kept))
    spans = {
        task: [Span(int(moved[span.start]), int(moved[span.end]), span.label, span.score) for span in members]
        for task, members in document.spans.items()
    }
    data = np.frombuffer(document.data, np.uint8)[kept].tobytes()
    return Document(data, spans, identifier=document.identifier)

"""Spans that stand off their text in code points, as JSON lines and brat have them."""

from collections.abc import Iterable
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import CorpusError
from bytespan.spans import Document, Span, byte_of_character, character_of_byte, encode_text

CharacterRange = tuple[int, int, str]
"""Start, end and label, in code points of the text."""


class Offsets:
    """Code points and bytes of one text, each from the other."""

    def __init__(self, text: str) -> None:
        """Raise CorpusError for a lone surrogate, which has no bytes."""
        self.text, self.data = text, encode_text(text)

    def byte(self, character: int) -> int:
        """The byte offset of a code point index in 0..len(text)."""
        return character if self.text.isascii() else int(self._bytes[character])

    def character(self, byte: int) -> int:
        """The code point index of a byte offset in 0..len(data); inside a character, that character's."""
        return byte if self.text.isascii() else int(self._characters[byte])

    def span(self, start: int, end: int, label: str, score: float = 1.0) -> Span:
        """The span at code points [start, end); CorpusError if it is empty or not inside the text."""
        if not 0 <= start < end <= len(self.text):
            raise CorpusError(
                f"span {start}..{end} ({label}) is empty or outside of the text's {len(self.text)} characters: "
                "correct its offsets"
            )
        return Span(self.byte(start), self.byte(end), label, score)

    @cached_property
    def _bytes(self) -> NDArray[np.int64]:
        return byte_of_character(self.text)

    @cached_property
    def _characters(self) -> NDArray[np.int64]:
        return character_of_byte(self.data)


def check_flat(data: bytes, spans: Iterable[Span]) -> None:
    """Raise CorpusError naming the first two spans that overlap."""
    before: Span | None = None
    for span in sorted(spans):
        if before is not None and span.start < before.end:
            raise CorpusError(
                f"spans {describe(data, before)} and {describe(data, span)} overlap, but the spans of a task are flat: "
                "keep one of them"
            )
        before = span


def describe(data: bytes, span: Span) -> str:
    """How an error calls a span: its text, its label and its code points."""
    start = len(data[: span.start].decode("utf-8", errors="replace"))
    text = data[span.start : span.end].decode("utf-8", errors="replace")
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return f"{shown!r} ({span.label}, characters {start}..{start + len(text)})"


def character_ranges(document: Document, task: str, *, fit: bool = False) -> list[CharacterRange]:
    """The task's spans in code points, sorted.

    Raises CorpusError for text that is not UTF-8, for spans that overlap, and for one that cuts a character; with `fit`
    such a span is narrowed to whole characters, or left out where none is whole.
    """
    offsets, ranges = Offsets(text_of(document)), list[CharacterRange]()
    members = document.spans.get(task, ())
    check_flat(document.data, members)
    for span, shown in zip(members, document.text_spans(task), strict=True):
        start, end = cast(int, shown.start), cast(int, shown.end)
        if (offsets.byte(start), offsets.byte(end)) != (span.start, span.end):
            if not fit:
                raise CorpusError(
                    f"span {span.start}..{span.end} ({span.label}), in bytes, cuts a character in two: correct it or "
                    "write JSON lines, which have byte offsets"
                )
            start += offsets.byte(start) < span.start
        if start < end:
            ranges.append((start, end, span.label))
    return ranges


def text_of(document: Document) -> str:
    """The document's text; CorpusError names the first byte that is not UTF-8."""
    try:
        return document.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"byte 0x{document.data[error.start]:02X} at {error.start} of the text is not UTF-8, so this format cannot "
            "hold it: convert it to UTF-8 first"
        ) from error


def in_document(document: Document, number: int, error: CorpusError) -> CorpusError:
    """The error with the document's identifier, or else its number, in front."""
    name = number if document.identifier is None else repr(document.identifier)
    return CorpusError(f"document {name}: {error}")


def only_task(document: Document, task: str | None) -> str | None:
    """The task to write where a format holds one: `task`, or the document's only one, None if it has none."""
    if task is not None:
        return task if task in document.spans else None
    if len(document.spans) > 1:
        raise CorpusError(f"this format holds one task and there are {', '.join(document.spans)}: name it with --task")
    return next(iter(document.spans), None)

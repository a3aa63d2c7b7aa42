"""Texts to tag, from plain text or JSON lines, handed on as their lines arrive and in bounded memory.

Plain text: each line is a document. A line ends at LF or CRLF, nothing else; the line end is not part of the document,
and a blank line is an empty document. A byte order mark is not part of the text. A line beyond LONGEST_LINE is cut into
consecutive parts, each a document of its own, whose places count from the beginning of the line.

JSON lines: an object with "text", and "id" if it has one, a line; blank lines are no documents, and no line is cut.

Annotated formats: the text of each document, as the reader of the format gives it.
"""

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from bytespan.corpora.lines import OnError, Source, open_bytes, source_of, stop
from bytespan.corpora.reading import read_documents
from bytespan.errors import CorpusError
from bytespan.spans import encode_text

LONGEST_LINE = 1 << 16
"""Bytes beyond which a line of plain text is cut: at its last space, or where there is none between two characters."""

READ_BYTES = 1 << 16
"""The most bytes that are read, and so handed on, at a time."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """One text to tag, in UTF-8: mostly a line."""

    data: bytes
    identifier: Any
    """The "id" of a JSON line, any JSON value; an annotated document's name; else the number of either, from 1."""
    ending: bytes = b"\n"
    """The line end as it stood: LF, CRLF, or nothing at the end of the file and where a line was cut."""
    start_byte: int = 0
    """Bytes of the line before `data`; above 0 in the later parts of a long line."""
    start_char: int = 0
    """Code points of the line before `data`."""


def read_texts(
    path: str | Path, *, form: str | None = None, encoding: str = "utf-8", on_error: OnError = stop
) -> Iterator[list[TextLine]]:
    """The texts of a file or of standard input (`-`), in the groups in which they arrive; a group is never empty.

    form: "text", "jsonl", "conllu", "conll", or None: `.jsonl` files and lines that open with `{"` are JSON lines,
    anything else is plain text. What cannot be read goes to `on_error` and is left out. A group has at most READ_BYTES,
    unless a text is longer.
    """
    if form in ("conllu", "conll"):
        yield from _annotated_texts(path, form, encoding, on_error)
        return
    source = source_of(path, encoding)
    if form is None and source.path.removesuffix(".gz").endswith(".jsonl"):
        form = "jsonl"
    lines = _Lines(form)
    blocks = _utf8_blocks(source)
    while True:
        block = next(blocks, None)
        group: list[TextLine] = []
        found = lines.finish() if block is None else lines.feed(block)
        for text in map(partial(_text_or_error, source, lines), found):  # no line is held beside its text
            if isinstance(text, CorpusError):
                if group:
                    yield group  # on_error may raise, and what stands before the bad line is to be tagged all the same
                    group = []
                on_error(text)
            elif text is not None:
                group.append(text)
        if group:
            yield group
        if block is None:
            return


def _annotated_texts(path: str | Path, form: str, encoding: str, on_error: OnError) -> Iterator[list[TextLine]]:
    group: list[TextLine] = []
    documents = read_documents(path, format=form, tag_column=None, pos_column=0, encoding=encoding, on_error=on_error)
    for number, document in enumerate(documents, 1):
        identifier = number if document.identifier is None else document.identifier
        group.append(TextLine(document.data, identifier))
        if sum(len(text.data) for text in group) >= READ_BYTES:
            yield group
            group = []
    if group:
        yield group


class _Lines:
    """Lines of a stream of UTF-8 blocks, as texts whose identifiers are their numbers."""

    def __init__(self, form: str | None) -> None:
        self.form = form
        self.pending = bytearray()
        self.number = 1
        self.start_byte = self.start_char = 0

    def is_json(self, line: bytes | bytearray, *, begins: bool = True) -> bool:
        """Whether the line, or the beginning of it, is to be read as JSON."""
        return self.form == "jsonl" or (self.form is None and begins and line.startswith(b'{"'))

    def feed(self, block: bytes) -> Iterator[TextLine]:
        """The lines that end in `block`, and parts of one that grows too long."""
        for place, part in enumerate(block.split(b"\n")):
            if place:
                yield self._take(len(self.pending), ends=True)
            self.pending += part
            while len(self.pending) > LONGEST_LINE and not self.is_json(self.pending, begins=self.start_byte == 0):
                yield self._take(_place_to_cut(bytes(self.pending[:LONGEST_LINE])))

    def finish(self) -> Iterator[TextLine]:
        """The last line, if the stream does not end in a line end."""
        if self.pending:
            yield self._take(len(self.pending))

    def _take(self, size: int, *, ends: bool = False) -> TextLine:
        with memoryview(self.pending) as pending:
            data, ending = bytes(pending[:size]), b""
        del self.pending[:size]
        if ends:
            data, ending = (data[:-1], b"\r\n") if data.endswith(b"\r") else (data, b"\n")
        line = TextLine(data, self.number, ending, self.start_byte, self.start_char)
        if ends:
            self.number, self.start_byte, self.start_char = self.number + 1, 0, 0
        else:
            self.start_byte += size
            self.start_char += len(data.decode("utf-8", errors="replace"))
        return line


def _place_to_cut(data: bytes) -> int:
    """After the last space in the second half of `data`, else before its last, perhaps incomplete, character."""
    space = data.rfind(b" ", len(data) // 2, len(data) - 1)
    if space >= 0:
        return space + 1
    last = len(data) - 1  # at least the last byte stays: it may be the CR of a CRLF
    while last > len(data) - 4 and (data[last] & 0xC0) == 0x80:
        last -= 1
    return last


def _text_or_error(source: Source, lines: _Lines, line: TextLine) -> TextLine | CorpusError | None:
    """What `_text_of_line` returns or raises."""
    try:
        return _text_of_line(line, source, is_json=lines.is_json(line.data, begins=line.start_byte == 0))
    except CorpusError as error:
        return error


def _text_of_line(line: TextLine, source: Source, *, is_json: bool) -> TextLine | None:
    """The line as it is, or the text of its JSON object, or None for a blank JSON line."""
    try:
        if is_json:
            return _text_of_json(line) if line.data and not line.data.isspace() else None
        line.data.decode("utf-8")
        return line
    except UnicodeDecodeError as error:
        raise source.at(
            line.identifier,
            f"byte 0x{line.data[error.start]:02X} at {line.start_byte + error.start} of the line is not UTF-8: "
            "give the file's own encoding, e.g. --encoding latin-1",
        ) from None
    except CorpusError as error:
        raise source.at(line.identifier, str(error)) from error


def _text_of_json(line: TextLine) -> TextLine:
    value = _parse_json(line.data)
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise CorpusError('no object with a string "text": write lines such as {"id": 1, "text": "..."}')
    identifier = value.get("id")
    return TextLine(encode_text(value["text"]), line.identifier if identifier is None else identifier)


def _parse_json(data: bytes) -> Any:
    """The JSON value; UnicodeDecodeError if the bytes are not UTF-8, CorpusError if they are not JSON."""
    decoded = data.decode("utf-8")
    try:
        return json.loads(decoded)
    except json.JSONDecodeError as error:
        raise CorpusError(
            f"not JSON ({error.msg} at column {error.colno}): write one whole object a line, or read it as it stands "
            "with --input-format text"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"JSON that cannot be read ({error}): correct it") from error


def _utf8_blocks(source: Source) -> Iterator[bytes]:
    """The file's bytes as they arrive, as UTF-8 without a BOM. UTF-8 is passed on unchecked."""
    is_utf8 = codecs.lookup(source.encoding).name in ("utf-8", "utf-8-sig")
    decoder = None if is_utf8 else codecs.getincrementaldecoder(source.encoding)()
    number = 1
    with open_bytes(source.path) as stream:
        blocks = _raw_blocks(stream)
        while True:
            try:
                block = next(blocks, b"")
                data = block if decoder is None else encode_text(decoder.decode(block, final=not block))
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise source.at(number, f"the gzip data is damaged or cut short ({error}): fetch it again") from error
            except UnicodeDecodeError as error:
                number += error.object[: error.start].count(b"\n")
                raise source.at(number, f"not {source.encoding} ({error.reason}): give its own --encoding") from error
            except OSError as error:
                raise source.at(number, f"cannot be read: {error.strerror or error}") from error
            number += data.count(b"\n")
            if data:
                yield data
            if not block:
                return


def _raw_blocks(stream: BinaryIO) -> Iterator[bytes]:
    read = getattr(stream, "read1", stream.read)
    first = block = read(READ_BYTES)
    while block and len(first) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(first):
        block = read(READ_BYTES)
        first += block
    first = first.removeprefix(codecs.BOM_UTF8)
    while not first and block:
        first = block = read(READ_BYTES)
    while first:
        yield first
        first = read(READ_BYTES)

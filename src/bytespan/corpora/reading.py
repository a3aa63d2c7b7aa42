"""Any annotated file -> documents: the format is picked by name and content."""

import difflib
import gzip
import re
import sys
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bytespan.corpora.brat import annotation_files, read_brat
from bytespan.corpora.columns import DOCSTART, Columns, read_columns
from bytespan.corpora.conllu import read_conllu
from bytespan.corpora.jsonlines import read_json_lines
from bytespan.corpora.lines import STANDARD_INPUT, OnError, check_is_file, is_stream, open_bytes, source_of, stop
from bytespan.corpora.plain import read_plain
from bytespan.errors import ConfigError, CorpusError
from bytespan.spans import Document

FORMATS = ("conllu", "conll", "jsonl", "doccano", "prodigy", "spacy", "brat", "text")
"""The formats that can be read; the four of JSON lines are told apart line by line, so each name stands for all."""

_FORMAT_OF_SUFFIX = {
    ".conllu": "conllu",
    ".conll": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bio": "conll",
    ".bioes": "conll",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".ann": "brat",
}
_JSON_LINE = re.compile(r'\s*(\{\s*"|\[\s*")')
_CONLLU_ROW = re.compile(r"[0-9]+(-[0-9]+)?\t[^\t]+(\t[^\t]*){8}")
_COLUMNS_ROW = re.compile(r"\S+(\s\S+)*\s+(O|[BIESLU]-\S+)\s*")
_HEAD_BYTES = 65536


def read_documents(
    path: str | Path,
    *,
    format: str | None = None,
    annotated: bool = True,
    encoding: str = "utf-8",
    token_column: int = 0,
    tag_column: int | None = -1,
    pos_column: int | None = None,
    sentences: int | None = None,
    on_error: OnError = stop,
) -> Iterator[Document]:
    """The documents of a file, gzipped or not, of standard input (`-`) or of a brat directory, lazily.

    Without `format` it is guessed, see `guess_format`. The column numbers are those of CoNLL columns. Of more than so
    many `sentences` only the first are read, or documents where the format has no sentences. What cannot be
    read goes to `on_error`, with file and line. Raises at once, before the first document is asked for, if the path or
    the format is of no use; raises at the end if there was no document.
    """
    source = source_of(path, encoding)
    if format is not None and format not in FORMATS:
        close = difflib.get_close_matches(format, FORMATS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(FORMATS)}"
        raise ConfigError(f"unknown format {format!r}: {hint}")
    chosen = format or guess_format(path, annotated=annotated, encoding=encoding)
    if chosen == "brat":
        annotation_files(Path(path))
    elif source.path != STANDARD_INPUT:
        check_is_file(source.path)
    if chosen == "conllu":
        documents = read_conllu(path, encoding=encoding, sentences=sentences, on_error=on_error)
    elif chosen == "conll":
        columns = Columns(token_column, tag_column, pos_column)
        documents = read_columns(path, columns, encoding=encoding, sentences=sentences, on_error=on_error)
    elif chosen == "brat":
        documents = read_brat(path, encoding=encoding, on_error=on_error)
    elif chosen == "text":
        documents = read_plain(path, encoding=encoding, on_error=on_error)
    else:
        documents = read_json_lines(path, encoding=encoding, on_error=on_error)
    if chosen not in ("conllu", "conll"):
        documents = islice(documents, sentences)
    return _at_least_one(documents, source.name, chosen)


def guess_format(path: str | Path, *, annotated: bool = True, encoding: str = "utf-8") -> str:
    """The format of a file by its suffix, else by its first lines; CorpusError if it is none that can be told.

    Without `annotated` the file is one to be tagged: JSON lines by suffix or because it opens with `{"`, else text.
    """
    name = str(path)
    if Path(name).is_dir():
        annotation_files(Path(name))
        return "brat"
    if name != STANDARD_INPUT and is_stream(name):
        raise CorpusError(f"{name}: is a pipe, whose format cannot be told before it is read: name the format")
    by_name = format_of_name(name)
    if by_name is not None and (annotated or by_name == "jsonl"):
        return by_name
    head = _head(name).decode(encoding, errors="replace").removeprefix("\ufeff")
    if not annotated:
        return "jsonl" if re.match(r'\{\s*"', head) else "text"
    guess = _format_of_head(head)
    if guess is None and name.removesuffix(".gz").lower().endswith(".txt"):
        return "text"
    if guess is None:
        raise CorpusError(
            f"{source_of(name).name}: the format can be told neither from the name nor from the first lines: name it "
            f"({', '.join(FORMATS)})"
        )
    return guess


def format_of_name(path: str | Path) -> str | None:
    """The format that a file's suffix stands for, None for a suffix that stands for none."""
    return _FORMAT_OF_SUFFIX.get(Path(str(path).removesuffix(".gz")).suffix.lower())


def _format_of_head(head: str) -> str | None:
    lines = [line.removesuffix("\r") for line in head.split("\n") if line.strip()]
    rows = [line for line in lines if not line.startswith("#")]
    if lines and _JSON_LINE.match(lines[0]):
        return "jsonl"
    if rows and _CONLLU_ROW.fullmatch(rows[0]):
        return "conllu"
    if lines and (lines[0].startswith(DOCSTART) or all(_COLUMNS_ROW.fullmatch(line) for line in lines[:5])):
        return "conll"
    return None


def _head(path: str) -> bytes:
    """The first bytes, unpacked; those of standard input stay there to be read."""
    if path != STANDARD_INPUT:
        with open_bytes(path) as stream:
            try:
                return stream.read(_HEAD_BYTES)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise CorpusError(f"{path}: the gzip data is damaged or cut short ({error}): fetch it again") from error
    stream = sys.stdin.buffer
    if hasattr(stream, "peek"):
        head: bytes = stream.peek(_HEAD_BYTES)
    else:
        head = stream.read(_HEAD_BYTES)
        stream.seek(-len(head), 1)
    if head[:2] == b"\x1f\x8b":
        head = zlib.decompressobj(wbits=31).decompress(head)
    return head


def _at_least_one(documents: Iterator[Document], name: str, format: str) -> Iterator[Document]:
    none_yet = True
    for document in documents:
        none_yet = False
        yield document
    if none_yet:
        raise CorpusError(f"{name}: holds no document that could be read as {format}: is it that format, or empty?")

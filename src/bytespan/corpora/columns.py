"""CoNLL columns: a token and its tags a line, a blank line after each sentence, `-DOCSTART-` before each document."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

from bytespan.corpora.lines import OnError, Source, source_of, stop
from bytespan.corpora.sentences import LabelledRange, Sentence, join_sentences
from bytespan.corpora.tags import ranges_of_tags, split_tag
from bytespan.corpora.tokenised import sentences_of, tokenise
from bytespan.errors import CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document

DOCSTART = "-DOCSTART-"

_WHITE_SPACE = re.compile(r"\s+")

Row = tuple[int, list[str]]
"""A line's number and its columns."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns to read, counted from 0, or from the end by negative numbers; None is not read."""

    token: int = 0
    tag: int | None = -1
    pos: int | None = None


def read_columns(
    path: str | Path,
    columns: Columns = Columns(),
    *,
    encoding: str = "utf-8",
    sentences: int | None = None,
    on_error: OnError = stop,
) -> Iterator[Document]:
    """Documents with the task "entities", lazily; a sentence that cannot be read goes to `on_error` and is left out.

    Columns are separated by white space. Tags may be IOB1, IOB2, BIOES or BILOU. With a part-of-speech column there is
    the task "tokens" too; without a tag column it is the only one.

    The text is that of the scorer: tokens joined by a space, sentences by a newline; a document begins at `-DOCSTART-`,
    or after 20 sentences in a file without any. Of more than so many `sentences` only the first are read.
    """
    with source_of(path, encoding).rereadable() as source:
        marked = any(text.startswith(DOCSTART) for _, text in source.lines(universal=True))
        yield from join_sentences(islice(_sentences(source, columns, on_error), sentences), marked=marked)


def _sentences(source: Source, columns: Columns, on_error: OnError) -> Iterator[Sentence]:
    begins_document = False
    for rows in _blocks(source):
        if not rows:
            begins_document = True
            continue
        try:
            data, spans = _parse(rows, source, columns)
        except CorpusError as error:
            on_error(error)
            continue
        yield Sentence(data, spans, separator=b"\n", begins_document=begins_document)
        begins_document = False


def _blocks(source: Source) -> Iterator[list[Row]]:
    """The rows of each sentence; an empty list where a document begins."""
    rows: list[Row] = []
    for number, text in source.lines(universal=True):
        values = text.split()
        if not values or values[0] == DOCSTART:
            if rows:
                yield rows
                rows = []
            if values:
                yield []
        else:
            rows.append((number, values))
    if rows:
        yield rows


def _parse(rows: list[Row], source: Source, columns: Columns) -> tuple[bytes, dict[str, list[LabelledRange]]]:
    for number, values in rows:
        source.check_encoding((number, " ".join(values)))
    tokens = [_value(row, columns.token, "token", source).encode("utf-8") for row in rows]
    ends = [end - 1 for end in accumulate(len(token) + 1 for token in tokens)]
    starts = [end - len(token) for end, token in zip(ends, tokens, strict=True)]
    spans: dict[str, list[LabelledRange]] = {}
    if columns.pos is not None:
        labels = [_value(row, columns.pos, "part of speech", source) for row in rows]
        spans[TOKENS] = list(zip(starts, ends, labels, strict=True))
    if columns.tag is not None:
        ranges = ranges_of_tags([_tag(row, columns, source) for row in rows])
        spans[ENTITIES] = [(starts[first], ends[last - 1], label) for first, last, label in ranges]
    return b" ".join(tokens), spans


def _tag(row: Row, columns: Columns, source: Source) -> tuple[str, str]:
    number, values = row
    if columns.tag is None or (columns.tag - columns.token) % len(values) == 0:
        raise source.at(number, f"{len(values)} column(s) in {' '.join(values)!r}: a token and a tag are needed")
    try:
        return split_tag(_value(row, columns.tag, "tag", source))
    except CorpusError as error:
        raise source.at(number, str(error)) from None


def _value(row: Row, column: int, what: str, source: Source) -> str:
    number, values = row
    try:
        return values[column]
    except IndexError:
        raise source.at(
            number, f"no column {column} for the {what} in {' '.join(values)!r}: it has {len(values)}, name another"
        ) from None


def columns_of(document: Document, *, fit: bool = False) -> str:
    """The document as columns, from `-DOCSTART-` to the blank line after its last sentence.

    Each line of the text is a sentence. The columns are the token, its part of speech if the document has the task
    "tokens" (`_` for text outside of them), and its IOB2 tag if it has the task "entities". Reading it again gives the
    same text if its white space is one space or one LF between tokens; else the tokens' forms, order and labels.

    Raises CorpusError for a token that an entity cuts or that holds white space, and for spans with white space at
    their ends; with `fit` tokens are cut and spans narrowed instead.
    """
    lines = [" ".join([DOCSTART, *["_"] * (TOKENS in document.spans), *["O"] * (ENTITIES in document.spans)]), ""]
    for sentence in sentences_of(tokenise(document, unwritable=_WHITE_SPACE, fit=fit)):
        for token in sentence:
            if token.form == DOCSTART:
                raise CorpusError(f"the text holds {DOCSTART}, which in columns begins a document: write JSON lines")
            row = [token.form]
            if TOKENS in document.spans:
                row.append(_label("_" if token.pos is None else token.pos))
            if token.tag is not None:
                row.append(_label(token.tag))
            lines.append(" ".join(row))
        lines.append("")
    return "\n".join([*lines, ""])


def _label(label: str) -> str:
    if not label or _WHITE_SPACE.search(label):
        raise CorpusError(f"label {label!r} is empty or holds white space, which columns cannot: rename it")
    return label

"""Documents -> a file in any of the formats."""

from collections.abc import Callable, Iterable
from typing import BinaryIO

from bytespan.corpora.columns import columns_of
from bytespan.corpora.conllu import conllu_of
from bytespan.corpora.jsonlines import SHAPES, json_line
from bytespan.corpora.lines import OnError, stop
from bytespan.corpora.standoff import in_document
from bytespan.errors import ConfigError, CorpusError
from bytespan.spans import Document

STREAM_FORMATS = ("jsonl", "conllu", "conll", "doccano", "prodigy", "spacy")
"""The formats of one file; brat, which is a directory, has `brat.write_brat`."""


def write_documents(
    documents: Iterable[Document],
    stream: BinaryIO,
    *,
    format: str,
    task: str | None = None,
    fit: bool = False,
    on_error: OnError = stop,
) -> int:
    """Write each document as it comes, in UTF-8, and return how many were written.

    `task` names the task to write where a format holds only one; `fit` lets CoNLL-U and columns cut tokens and narrow
    spans that they cannot hold as they are. A document that cannot be written goes to `on_error` and is left out.
    """
    render, count = renderer(format, task=task, fit=fit), 0
    for number, document in enumerate(documents, 1):
        try:
            block = render(document)
        except CorpusError as error:
            on_error(in_document(document, number, error))
            continue
        stream.write(block.encode("utf-8"))
        count += 1
    return count


def renderer(format: str, *, task: str | None = None, fit: bool = False) -> Callable[[Document], str]:
    """The function that gives one document's lines in the format; ConfigError for a format that is not known."""
    if format == "conllu":
        return lambda document: conllu_of(document, fit=fit)
    if format == "conll":
        return lambda document: columns_of(document, fit=fit)
    if format in SHAPES:
        shape = SHAPES[format]
        return lambda document: json_line(shape(document, task))
    if format == "brat":
        raise ConfigError("brat is a directory of files: name the directory to write to instead of a file")
    raise ConfigError(f"unknown format {format!r}: known are {', '.join(STREAM_FORMATS)} and brat")

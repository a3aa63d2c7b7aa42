"""Plain text as documents without annotation, to convert; `texts` hands it on for tagging."""

from collections.abc import Iterator
from pathlib import Path

from bytespan.corpora.lines import OnError, source_of, stop
from bytespan.errors import CorpusError
from bytespan.spans import Document


def read_plain(path: str | Path, *, encoding: str = "utf-8", on_error: OnError = stop) -> Iterator[Document]:
    """A document for every line, blank ones too, lazily; its identifier is the line's number.

    Line ends (LF or CRLF) are no part of the text, and neither is a BOM. A line that is not of the encoding goes to
    `on_error` and is left out.
    """
    source = source_of(path, encoding)
    for number, line in source.lines():
        try:
            source.check_encoding((number, line))
        except CorpusError as error:
            on_error(error)
            continue
        yield Document(line.encode("utf-8"), identifier=number)

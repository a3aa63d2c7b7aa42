"""Parts of annotated files, the same for every system: the first sentences, or documents at even distances."""

import gzip
from collections.abc import Iterator
from pathlib import Path

from bytespan.corpora.reading import read_documents
from bytespan.errors import CorpusError
from bytespan.spans import Document

MARKS = {".conll": "-DOCSTART-", ".conllu": "#"}
"""Suffix -> how the lines begin that are no words."""


def write_first_sentences(source: Path, target: Path, count: int | None) -> None:
    """Write the first `count` sentences (all if None) of CoNLL columns or CoNLL-U, gzipped or not, to a plain file.

    Marks of documents are kept. Raises CorpusError for another format, and for a file that holds fewer sentences.
    """
    suffix = Path(source.name.removesuffix(".gz")).suffix
    if suffix not in MARKS:
        raise CorpusError(f"{source}: sentences can be cut from {' and '.join(MARKS)} files alone")
    kept: list[str] = []
    sentences = 0
    for block in _blocks(source):
        kept.append(block)
        sentences += not all(line.startswith(MARKS[suffix]) for line in block.split("\n"))
        if sentences == count:
            break
    if count is not None and sentences < count:
        raise CorpusError(f"{source}: holds {sentences} sentences, fewer than the {count} that were asked for")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(f"{block}\n\n" for block in kept), encoding="utf-8", newline="\n")


def some_documents(path: Path, count: int | None) -> list[Document]:
    """So many documents of a file, at even distances; all if None."""
    documents = list(read_documents(path))
    return documents if count is None else documents[:: max(len(documents) // count, 1)][:count]


def _blocks(source: Path) -> Iterator[str]:
    """What stands between blank lines."""
    with (
        gzip.open(source, "rt", encoding="utf-8") if source.suffix == ".gz" else source.open(encoding="utf-8") as lines
    ):
        parts = (part.strip("\n") for part in lines.read().split("\n\n"))
    yield from (part for part in parts if part)

"""Documents with what their corpus annotates, and training text without the sentences that models are tested on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.config import CorpusConfig
from bytespan.spans import Document

SHORTEST_OVERLAP = 25
"""Bytes without spaces from which a sentence counts as the same one; shorter ones are everybody's."""

AS_IT_IS = CorpusConfig()
"""How a corpus is learnt from of which nothing is said."""

_BLANKS = b" \t\n\r"


@dataclass(frozen=True, slots=True)
class Annotated:
    """A document, and the labels that its corpus annotates.

    Where a label is none of them, its absence says nothing: the text may well hold such spans, unmarked.
    """

    document: Document
    labels: Mapping[str, frozenset[str]]
    """Task -> labels."""
    corpus_bytes: int
    """Bytes in all documents of the corpus."""
    corpus: CorpusConfig = AS_IT_IS
    """How it is to be learnt from."""


def annotate(documents: Iterable[Document], corpus: CorpusConfig = AS_IT_IS) -> list[Annotated]:
    """The documents of one corpus, which annotates what labels it uses anywhere."""
    members = list(documents)
    labels: dict[str, set[str]] = {}
    for document in members:
        for task, spans in document.spans.items():
            labels.setdefault(task, set()).update(span.label for span in spans)
    known = {task: frozenset(found) for task, found in labels.items()}
    size = sum(len(document.data) for document in members)
    return [Annotated(document, known, size, corpus) for document in members]


def without_sentences(documents: Iterable[Document], forbidden: Iterable[Document]) -> Iterator[Document]:
    """The documents, cut in pieces around every line of `forbidden` documents that they hold, whatever the spacing."""
    lines = {_packed(line)[0] for document in forbidden for line in document.data.split(b"\n")}
    sentences = sorted(line for line in lines if len(line) >= SHORTEST_OVERLAP)
    for document in documents:
        packed, places = _packed(document.data)
        kept = np.ones(len(document.data), np.bool_)
        for sentence in sentences:
            at = packed.find(sentence)
            while at >= 0:
                kept[places[at] : places[at + len(sentence) - 1] + 1] = False
                at = packed.find(sentence, at + 1)
        yield from [document] if kept.all() else _pieces(document, kept)


def hold_out(documents: Iterable[Document], *, every: int) -> tuple[list[Document], list[Document]]:
    """The documents without every so manieth line, counted through all of them, and those lines; both cut in pieces."""
    rest: list[Document] = []
    held_out: list[Document] = []
    lines = 0
    for document in documents:
        ends = np.frombuffer(document.data, np.uint8) == ord("\n")
        numbers = lines + np.cumsum(ends) - ends  # of the line that each byte stands in
        is_held_out = numbers % every == every - 1
        rest += _pieces(document, ~is_held_out)
        held_out += _pieces(document, is_held_out)
        lines += int(ends.sum()) + 1
    return rest, held_out


def _packed(data: bytes) -> tuple[bytes, NDArray[np.int64]]:
    """The bytes that are not white space, and where each stands."""
    places = np.flatnonzero(~np.isin(np.frombuffer(data, np.uint8), np.frombuffer(_BLANKS, np.uint8)))
    return data.translate(None, _BLANKS), places


def _pieces(document: Document, kept: NDArray[np.bool_]) -> Iterator[Document]:
    """What is kept, a document a piece, with the spans that lie wholly inside."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(np.int8)))
    for start, end in edges.reshape(-1, 2).tolist():
        spans = {
            task: [span.shifted(by=-start) for span in members if start <= span.start and span.end <= end]
            for task, members in document.spans.items()
        }
        if document.data[start:end].strip():
            yield Document(document.data[start:end], spans, identifier=document.identifier)

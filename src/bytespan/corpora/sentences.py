"""How sentences become documents; the same in training and in scoring."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bytespan.spans import Document, Span

SENTENCES_PER_DOCUMENT = 20
"""Where a corpus does not mark its documents, so many sentences are one."""

LabelledRange = tuple[int, int, str]
"""Start, end and label, in bytes of the sentence."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """The text of one sentence as it stands in its document, with its spans, a list a task."""

    data: bytes
    spans: dict[str, list[LabelledRange]]
    separator: bytes
    """What stands between this sentence and the one before it in the same document."""
    begins_document: bool = False
    """Whether the corpus marks the beginning of a document here."""
    identifier: str | None = None
    """The identifier of the document that begins here, if the corpus names it."""


def join_sentences(sentences: Iterable[Sentence], *, marked: bool) -> Iterator[Document]:
    """Documents of the sentences that follow one another.

    If the corpus marks its documents (`marked`), one begins at each mark, else after every 20 sentences.
    """
    data, spans, count, identifier = bytearray(), dict[str, list[Span]](), 0, None
    for sentence in sentences:
        begins = sentence.begins_document if marked else count == SENTENCES_PER_DOCUMENT
        if begins and data:
            yield Document(bytes(data), spans, identifier=identifier)
            data, spans, count, identifier = bytearray(), {}, 0, None
        if data:
            data += sentence.separator
        elif sentence.begins_document:
            identifier = sentence.identifier
        base = len(data)
        for task, ranges in sentence.spans.items():
            spans.setdefault(task, []).extend(Span(base + start, base + end, label) for start, end, label in ranges)
        data += sentence.data
        count += 1
    if data:
        yield Document(bytes(data), spans, identifier=identifier)

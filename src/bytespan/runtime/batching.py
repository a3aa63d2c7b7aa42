"""Many documents through one model: lazily, in order, in bounded memory."""

from collections.abc import Iterable, Iterator, Sequence

from bytespan.decoding import SegmentModel, predict_spans
from bytespan.spans import Document

MAX_GROUP_DOCUMENTS = 512
MAX_GROUP_BYTES = 1 << 16
"""A group ends once its documents hold this many bytes, about 2,000 segments: enough to fill the batches."""

GROUP_GROWTH = 4
"""How many times as many documents a group may hold as the one before."""


def tag_documents(
    model: SegmentModel,
    documents: Iterable[Document],
    *,
    tasks: Sequence[str],
    batch_size: int = 64,
    beam_size: int = 1,
) -> Iterator[Document]:
    """Each document with the model's spans instead of its own, in order, a group at a time."""
    for group in group_documents(documents):
        data = [document.data for document in group]
        found = predict_spans(model, data, tasks=tasks, batch_size=batch_size, beam_size=beam_size)
        for document, spans in zip(group, found, strict=True):
            yield Document(document.data, spans, identifier=document.identifier)


def group_documents(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Consecutive documents in groups that are worth a batch.

    The first group is a single document and each may be four times as large as the one before, so that the first
    results come at once and the reader is never far ahead of the consumer. Lazy: a group is read when it is asked for.
    """
    group: list[Document] = []
    size, most = 0, 1
    for document in documents:
        group.append(document)
        size += len(document.data)
        if len(group) >= most or size >= MAX_GROUP_BYTES:
            yield group
            group, size, most = [], 0, min(GROUP_GROWTH * most, MAX_GROUP_DOCUMENTS)
    if group:
        yield group

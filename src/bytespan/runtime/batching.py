"""Many documents through one model: lazily, in order, in bounded memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bytespan.decoding import predict_spans
from bytespan.package import Package
from bytespan.parallel import predict_by_units, predict_part_by_part
from bytespan.runtime.generate import OnnxGenerator
from bytespan.runtime.parallel import OnnxParallel
from bytespan.spans import Document, Span
from bytespan.words import is_utf8

MAX_GROUP_DOCUMENTS = 1024
MAX_GROUP_BYTES = 1 << 17
"""A group ends once its documents hold this many bytes, enough to fill the batches of either decoder."""

GROUP_GROWTH = 4
"""How many times as many documents a group may hold as the one before."""


Model = OnnxGenerator | OnnxParallel


def open_model(package: Package, *, threads: int | None = None) -> Model:
    """The decoder that the package holds; ModelError if its graph is not one for its settings and label sets."""
    if package.config.decoder == "parallel":
        return OnnxParallel(package, threads=threads)
    return OnnxGenerator(package, threads=threads)


def tag_documents(
    model: Model,
    documents: Iterable[Document],
    *,
    tasks: Sequence[str],
    beam_size: int = 1,
    floors: Mapping[str, float] | None = None,
    at_hand: bool = False,
) -> Iterator[Document]:
    """Each document with the model's spans instead of its own, in order, a group at a time.

    `at_hand`: all documents exist already, so that no first result need come before the others.

    Of a task in `floors` every span that is at least so probable, overlapping or not.
    """
    for group in group_documents(documents, first=MAX_GROUP_DOCUMENTS if at_hand else 1):
        found = _predict(model, [document.data for document in group], tasks, beam_size, floors or {})
        for document, spans in zip(group, found, strict=True):
            yield Document(document.data, spans, identifier=document.identifier)


def tag_parts(
    model: Model,
    document: Document,
    *,
    tasks: Sequence[str],
    beam_size: int = 1,
    floors: Mapping[str, float] | None = None,
) -> Iterator[tuple[int, Document]]:
    """The document in parts as by `Tagger.parts`, with spans as by `tag_documents`."""
    data = document.data
    if isinstance(model, OnnxParallel) and is_utf8(data):
        for begin, end, spans in predict_part_by_part(model, data, tasks=tasks, floors=floors):
            yield begin, Document(data[begin:end], spans, identifier=document.identifier)
    else:
        (found,) = _predict(model, [data], tasks, beam_size, floors or {})
        yield 0, Document(data, found, identifier=document.identifier)


def _predict(
    model: Model, data: Sequence[bytes], tasks: Sequence[str], beam_size: int, floors: Mapping[str, float]
) -> list[dict[str, list[Span]]]:
    if isinstance(model, OnnxParallel):
        return predict_by_units(model, data, tasks=tasks, floors=floors)
    return predict_spans(model, data, tasks=tasks, beam_size=beam_size, floors=floors)


def group_documents(documents: Iterable[Document], *, first: int = 1) -> Iterator[list[Document]]:
    """Consecutive documents in groups that are worth a batch.

    The first group has `first` documents and each may be four times as large as the one before, so that the first
    results come at once and the reader is never far ahead of the consumer. Lazy: a group is read when it is asked for.
    """
    group: list[Document] = []
    size, most = 0, first
    for document in documents:
        group.append(document)
        size += len(document.data)
        if len(group) >= most or size >= MAX_GROUP_BYTES:
            yield group
            group, size, most = [], 0, min(GROUP_GROWTH * most, MAX_GROUP_DOCUMENTS)
    if group:
        yield group

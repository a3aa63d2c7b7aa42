"""Training text with other mentions in it: little text names few things, but says much about how things are named."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from bytespan.spans import TOKENS, Document, Span


def mentions_of(documents: Iterable[Document], *, task: str) -> dict[str, list[bytes]]:
    """Label -> the different texts that have it, sorted."""
    found: dict[str, set[bytes]] = {}
    for document in documents:
        for span in document.spans[task]:
            found.setdefault(span.label, set()).add(document.data[span.start : span.end])
    return {label: sorted(texts) for label, texts in found.items()}


def replace_mentions(document: Document, replacement: Callable[[str, bytes], bytes], *, task: str) -> Document:
    """The document with the text of each span of `task` replaced, given its label and text; no other task is kept."""
    data, spans, end = bytearray(), list[Span](), 0
    for span in document.spans[task]:
        data += document.data[end : span.start]
        text = replacement(span.label, document.data[span.start : span.end])
        spans.append(Span(len(data), len(data) + len(text), span.label))
        data += text
        end = span.end
    data += document.data[end:]
    return Document(bytes(data), {task: spans}, identifier=document.identifier)


def swap_mentions(documents: Sequence[Document], *, copies: int, fraction: float, seed: int) -> list[Document]:
    """The documents with mentions, `copies` times more, a fraction of the mentions replaced by others of their label.

    Words are not swapped, as their endings go with their neighbours'. A copy annotates one task. The same arguments
    give the same copies.
    """
    rng = random.Random(seed)
    swapped: list[Document] = []
    for task in sorted({task for document in documents for task in document.spans} - {TOKENS}):
        members = [document for document in documents if document.spans.get(task)]
        draw = partial(_draw, mentions_of(members, task=task), fraction, rng)
        swapped += [replace_mentions(document, draw, task=task) for _ in range(copies) for document in members]
    return swapped


def _draw(
    mentions: Mapping[str, Sequence[bytes]], fraction: float, rng: random.Random, label: str, text: bytes
) -> bytes:
    return rng.choice(mentions[label]) if rng.random() < fraction else text

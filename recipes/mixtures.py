"""Text in two languages made of annotated text in one: clauses in turn, and names replaced."""

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bytespan.corpora.mentions import replace_mentions
from bytespan.spans import Document, Span

CLAUSE_WORDS = 3
"""The fewest words of a clause, but for a document's last."""

_BREAK = re.compile("(?:[,;:.!?،؛؟] |\n)\\s*".encode())
"""Where a clause may end."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """A text, and the parts of it that are scored."""

    document: Document
    """With the gold spans of these parts alone."""
    scored: Sequence[tuple[int, int]]
    """Byte ranges, in order."""

    def owns(self, span: Span) -> bool:
        """Whether a span begins in a part that is scored."""
        return any(start <= span.start < end for start, end in self.scored)


def clauses_of(documents: Iterable[Document], *, task: str) -> Iterator[Document]:
    """What stands between commas, full stops and line ends, with its spans; no span is cut."""
    for document in documents:
        spans = document.spans[task]
        inside = np.zeros(len(document.data) + 1, np.bool_)
        for span in spans:
            inside[span.start + 1 : span.end] = True
        start = 0
        for end in [*(found.end() for found in _BREAK.finditer(document.data)), len(document.data)]:
            data = document.data[start:end].rstrip()
            if end < len(document.data) and (inside[end] or len(data.split()) < CLAUSE_WORDS):
                continue
            if data:
                members = (span.shifted(by=-start) for span in spans if start <= span.start < end)
                yield Document(data, {task: members})
            start = end


def mix_clauses(own: Sequence[Document], others: Sequence[Document], *, task: str) -> Mixture:
    """Clauses in turn, one of `own` first, with a space between any two; those of `own` are scored."""
    data, spans, scored = bytearray(), list[Span](), list[tuple[int, int]]()
    for number, clause in enumerate(own):
        start = len(data)
        data += clause.data
        spans += (span.shifted(by=start) for span in clause.spans[task])
        scored.append((start, len(data)))
        data += b" " + others[number].data + b" " if number < len(others) else b" "
    return Mixture(Document(bytes(data[:-1]), {task: spans}), scored)


def replace_names(document: Document, names: Mapping[str, Sequence[bytes]], *, task: str, seed: str) -> Mixture:
    """The text with another name of the same label for every name, the same one wherever a name comes again."""
    rng = random.Random(seed)
    replacements: dict[tuple[str, bytes], bytes] = {}

    def replacement(label: str, old: bytes) -> bytes:
        if (label, old) not in replacements:
            others = [name for name in names.get(label, ()) if name != old]
            replacements[label, old] = rng.choice(others) if others else old
        return replacements[label, old]

    replaced = replace_mentions(document, replacement, task=task)
    return Mixture(replaced, [(0, len(replaced.data))])

"""All windows over some documents as arrays, and the document's spans that the symbols written in them spell."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bytespan.codec import decode_batch
from bytespan.segments import kept_ends, segment_starts
from bytespan.spans import Span
from bytespan.vocabulary import STOP, Vocabulary
from bytespan.words import broken_edges

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Windows:
    """One row a window.

    Into a window that begins later than its document, up to `carried` bytes before it are carried: they are read first,
    then STOP, then the window.
    """

    def __init__(self, data: Sequence[bytes], length: int, *, carried: int = 0) -> None:
        self.length = length
        self.data = data
        self.buffer = np.frombuffer(b"".join(data), np.uint8)
        sizes = np.array([len(item) for item in data], np.int64)
        parts = [segment_starts(int(size), length=length) for size in sizes]
        kept = [kept_ends(part, size=int(size), length=length) for part, size in zip(parts, sizes, strict=True)]
        self.document = np.repeat(np.arange(len(data)), [len(part) for part in parts])
        self.start = np.concatenate([np.zeros(0, np.int64), *parts])
        self.low = np.concatenate([np.zeros(0, np.int64), *(low for low, _ in kept)]) - self.start
        self.high = np.concatenate([np.zeros(0, np.int64), *(high for _, high in kept)]) - self.start
        self.base = (np.cumsum(sizes) - sizes)[self.document]
        self.limit = np.cumsum(sizes)[self.document]
        self.lengths = np.minimum(sizes[self.document] - self.start, length)
        self.carried = np.minimum(self.start, carried)
        self.read_lengths = self.lengths + self.carried + (self.carried > 0)

    def batches(self, size: int) -> list[Ints]:
        """Row numbers in batches of up to `size` windows of like length, in the order of the documents."""
        rows = np.argsort(self.lengths != self.length, kind="stable")
        whole = int((self.lengths == self.length).sum())
        short = rows[whole:][np.argsort(self.lengths[rows[whole:]], kind="stable")]
        return [part[i : i + size] for part in (rows[:whole], short) for i in range(0, len(part), size)]

    def inputs(self, rows: Ints, *, stop: int = STOP) -> Ints:
        """(B, K) input symbols, zero beyond what is read for each window; `stop` stands behind what is carried."""
        columns = np.arange(int(self.read_lengths[rows].max()))
        inside = columns < self.read_lengths[rows, None]
        carried = self.carried[rows, None]
        is_behind = (carried > 0) & (columns >= carried)
        places = (self.base + self.start - self.carried)[rows, None] + columns - is_behind
        symbols = np.where(inside, self.buffer[np.where(inside, places, 0)], 0).astype(np.int64)
        return np.where(is_behind & (columns == carried), stop, symbols)

    def broken_edges(self, rows: Ints) -> NDArray[np.bool_]:
        """(2, B, k + 1): `words.broken_edges` of each window's document, true beyond the window.

        True, too, for starts behind which no word ends within the window: no length would fit them.
        """
        columns = np.arange(self.length + 1)
        within = columns <= self.lengths[rows, None]
        first = (self.base + self.document + self.start)[rows]  # a document has one offset more than bytes
        broken: NDArray[np.bool_] = ~within | self._broken_edges[:, np.where(within, first[:, None] + columns, 0)]
        last_end = np.where(broken[1], -1, columns).max(axis=1)
        broken[0] |= columns >= last_end[:, None]
        return broken

    @cached_property
    def _broken_edges(self) -> NDArray[np.bool_]:
        return np.concatenate([broken_edges(item) for item in self.data], axis=1)

    def document_spans(
        self, rows: Ints, symbols: Ints, log_probabilities: Floats, vocabulary: Vocabulary, task: str
    ) -> list[tuple[int, Span]]:
        """(document, span) of every kept span that `symbols` (n, T) spell in the windows of `rows` (n,).

        In bytes of its document, scored by the product of its symbols' probabilities.
        """
        spans = decode_batch(symbols, vocabulary, task=task, lengths=self.lengths[rows])
        row = rows[spans.segment]
        logs = sum(log_probabilities[spans.segment, spans.position + i] for i in range(3))
        scores = np.exp(logs)
        kept = (self.low[row] <= spans.end) & (spans.end < self.high[row])
        start, end = self._whole_characters(row, spans.start, spans.end)
        columns = (self.document[row], start, end, spans.label, scores)
        return [
            (document, Span(first, last, vocabulary.label_names[label], score))
            for document, first, last, label, score in zip(*(c[kept].tolist() for c in columns), strict=True)
        ]

    def _whole_characters(self, row: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints]:
        """Offsets in the document, the start moved back and the end moved on to the edges of UTF-8 characters."""
        base, limit = self.base[row], self.limit[row]
        start, end = base + self.start[row] + start, base + self.start[row] + end
        for _ in range(3):  # a character has at most three continuation bytes
            start = start - ((start > base) & _continues(self.buffer, start))
            end = end + ((end < limit) & _continues(self.buffer, end))
        return start - base, end - base


def _continues(buffer: NDArray[np.uint8], places: Ints) -> NDArray[np.bool_]:
    continues: NDArray[np.bool_] = (buffer[np.minimum(places, len(buffer) - 1)] & 0xC0) == 0x80
    return continues

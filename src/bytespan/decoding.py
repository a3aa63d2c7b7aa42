"""From bytes to spans with the generator, whatever runs its arithmetic: greedy and beam search, windows, stitching.

This room knows neither torch nor ONNX Runtime. Both wings offer a `SegmentModel`, so that the development score of a
training and the tagger of a user come from the very same steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bytespan.codec import decode_batch
from bytespan.config import ModelConfig
from bytespan.segments import kept_ends, reverse_segments, segment_starts, stitch
from bytespan.spans import Span
from bytespan.vocabulary import STOP, Vocabulary
from bytespan.words import broken_edges

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DecoderState:
    """What the decoder remembers. L layers, B segments, H units, K bytes."""

    hidden: Floats
    """(L, B, H)"""
    cell: Floats
    """(L, B, H)"""
    lengths: Ints
    """(B,) bytes of each segment."""
    memory: Floats | None = None
    """(K, B, H) encoder states, for models with attention."""

    def select(self, rows: Ints) -> "DecoderState":
        """The state of some segments, in the given order; rows may repeat."""
        memory = None if self.memory is None else np.ascontiguousarray(self.memory[:, rows])
        return DecoderState(self.hidden[:, rows], self.cell[:, rows], self.lengths[rows], memory)


class SegmentModel(Protocol):
    """A generator that can be run segment by segment."""

    @property
    def config(self) -> ModelConfig:
        """Its shape."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its symbols."""

    def encode(self, inputs: Ints, lengths: Ints) -> DecoderState:
        """The state after reading (B, K) input symbols, of which `lengths` (B,) count."""

    def step(self, symbols: Ints, state: DecoderState) -> tuple[Floats, DecoderState]:
        """Logits (B, V) after feeding one input symbol (B,) to each segment, and the state then."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the decoder wrote: symbols (B, T) int64 filled with STOP, and each one's log-probability (B, T) float32."""

    symbols: Ints
    log_probabilities: Floats


def decode_greedily(
    model: SegmentModel,
    state: DecoderState,
    *,
    task: str,
    needed_from: Ints | None = None,
    forbidden: NDArray[np.bool_] | None = None,
) -> Written:
    """Write each segment's most likely symbol at every step until its STOP (paper, section 5).

    Segments that are done leave the batch. With `needed_from` (B,), a segment is also done once it has written a span
    that ends before that byte: spans are written last first, so none that matters can follow. `forbidden` (2, B, k + 1)
    marks the bytes at which no span may begin, and end.
    """
    vocabulary = model.vocabulary
    batch, limits = len(state.lengths), most_symbols(state.lengths)
    steps = int(limits.max(initial=1))
    symbols = np.full((batch, steps), STOP, np.int64)
    scores = np.zeros((batch, steps), np.float32)
    active = np.arange(batch)
    fed = np.full(batch, vocabulary.go(task), np.int64)
    for t in range(steps):
        logits, state = model.step(fed, state)
        if forbidden is not None:
            logits = _forbid(logits, fed - vocabulary.first_fed_output, forbidden[:, active], vocabulary)
        best = logits.argmax(axis=1)
        symbols[active, t] = best
        scores[active, t] = log_softmax(logits)[np.arange(len(best)), best]
        goes_on = (best != STOP) & (t + 1 < limits[active])
        if needed_from is not None and t >= 2:
            goes_on &= ~_ends_before(symbols[active, t - 2 : t + 1], vocabulary, needed_from[active])
        if not goes_on.all():
            rows = np.flatnonzero(goes_on)
            active, best, state = active[rows], best[rows], state.select(rows)
        if not len(active):
            return Written(symbols[:, : t + 1], scores[:, : t + 1])
        fed = best + vocabulary.first_fed_output
    return Written(symbols, scores)


def decode_by_beam(
    model: SegmentModel,
    state: DecoderState,
    *,
    task: str,
    beam_size: int,
    forbidden: NDArray[np.bool_] | None = None,
) -> Written:
    """Write each segment's most likely whole sequence, as far as `beam_size` sequences at a time can tell.

    A longer sequence is never more likely, so a segment is done once its most likely sequence is.
    """
    vocabulary = model.vocabulary
    batch, size, limits = len(state.lengths), beam_size, most_symbols(state.lengths)
    steps = int(limits.max(initial=1))
    state = state.select(np.repeat(np.arange(batch), size))
    symbols = np.full((batch, size, steps), STOP, np.int64)
    scores = np.zeros((batch, size, steps), np.float32)
    totals = np.full((batch, size), -np.inf)
    totals[:, 0] = 0  # all sequences of a segment begin as one
    done = np.zeros((batch, size), bool)
    active = np.arange(batch)
    fed = np.full(batch * size, vocabulary.go(task), np.int64)
    for t in range(steps):
        logits, state = model.step(fed, state)
        if forbidden is not None:
            rows = np.repeat(forbidden[:, active], size, axis=1)
            logits = _forbid(logits, fed - vocabulary.first_fed_output, rows, vocabulary)
        gains = log_softmax(logits).reshape(len(active), size, -1)
        gains[done[active]] = np.where(np.arange(vocabulary.output_size) == STOP, 0, -np.inf)
        candidates = (totals[active, :, None] + gains).reshape(len(active), -1)
        chosen = np.argsort(-candidates, axis=1, kind="stable")[:, :size]
        parent, symbol = np.divmod(chosen, vocabulary.output_size)  # (active, size)
        totals[active] = np.take_along_axis(candidates, chosen, axis=1)
        row = active[:, None]
        symbols[active], scores[active], done[active] = symbols[row, parent], scores[row, parent], done[row, parent]
        symbols[active, :, t] = symbol
        scores[active, :, t] = gains[np.arange(len(active))[:, None], parent, symbol]
        done[active] |= (symbol == STOP) | (t + 1 >= limits[row])
        goes_on = np.flatnonzero(~done[active, 0])
        if not len(goes_on):
            break
        state = state.select((goes_on[:, None] * size + parent[goes_on]).ravel())
        active, fed = active[goes_on], symbol[goes_on].ravel() + vocabulary.first_fed_output
    return Written(symbols[:, 0, : t + 1], scores[:, 0, : t + 1])


def most_symbols(lengths: Ints) -> Ints:
    """Symbols that a segment of each length may write: as many spans as it has bytes, and STOP."""
    return 3 * lengths + 1


def predict_spans(
    model: SegmentModel, data: Sequence[bytes], *, tasks: Sequence[str], batch_size: int = 64, beam_size: int = 1
) -> list[dict[str, list[Span]]]:
    """The flat spans of every task in each of some documents, in order.

    All documents' windows are dealt into batches together, short ones with short ones. A span whose edge lies inside a
    UTF-8 character is widened to whole characters. The result does not depend on which documents come together.
    """
    windows = _Windows(data, model.config.segment_length)
    found: dict[str, list[list[Span]]] = {task: [[] for _ in data] for task in tasks}
    for rows in windows.batches(batch_size):
        inputs, lengths = windows.inputs(rows), windows.lengths[rows]
        if model.config.input_order == "reversed":
            inputs = reverse_segments(inputs, lengths)
        state = model.encode(inputs, lengths)
        for task in tasks:
            written = _write(model, state, windows, rows, task=task, beam_size=beam_size)
            for document, span in windows.document_spans(rows, written, model.vocabulary, task):
                found[task][document].append(span)
    return [{task: stitch(found[task][i]) for task in tasks} for i in range(len(data))]


def _write(
    model: SegmentModel, state: DecoderState, windows: "_Windows", rows: Ints, *, task: str, beam_size: int
) -> Written:
    forbidden = windows.broken_edges(rows) if model.config.whole_words else None
    if beam_size > 1:
        return decode_by_beam(model, state, task=task, beam_size=beam_size, forbidden=forbidden)
    needed_from = windows.low[rows] if model.config.span_order == "last-first" else None
    return decode_greedily(model, state, task=task, needed_from=needed_from, forbidden=forbidden)


class _Windows:
    """All windows over some documents, as arrays: one row a window."""

    def __init__(self, data: Sequence[bytes], length: int) -> None:
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

    def batches(self, size: int) -> list[Ints]:
        """Row numbers in batches of up to `size` windows of like length, in the order of the documents."""
        rows = np.argsort(self.lengths != self.length, kind="stable")
        whole = int((self.lengths == self.length).sum())
        short = rows[whole:][np.argsort(self.lengths[rows[whole:]], kind="stable")]
        return [part[i : i + size] for part in (rows[:whole], short) for i in range(0, len(part), size)]

    def inputs(self, rows: Ints) -> Ints:
        """(B, K) input symbols, zero beyond each window's length."""
        columns = np.arange(int(self.lengths[rows].max()))
        inside = columns < self.lengths[rows, None]
        places = (self.base + self.start)[rows, None] + columns
        return np.where(inside, self.buffer[np.where(inside, places, 0)], 0).astype(np.int64)

    def broken_edges(self, rows: Ints) -> NDArray[np.bool_]:
        """(2, B, k + 1): `words.broken_edges` of each window's document, true beyond the window."""
        columns = np.arange(self.length + 1)
        within = columns <= self.lengths[rows, None]
        first = (self.base + self.document + self.start)[rows]  # a document has one offset more than bytes
        beyond: NDArray[np.bool_] = ~within
        return beyond | self._broken_edges[:, np.where(within, first[:, None] + columns, 0)]

    @cached_property
    def _broken_edges(self) -> NDArray[np.bool_]:
        return np.concatenate([broken_edges(item) for item in self.data], axis=1)

    def document_spans(self, rows: Ints, written: Written, vocabulary: Vocabulary, task: str) -> list[tuple[int, Span]]:
        """(document, span) of every kept span of a batch, in bytes of its document."""
        spans = decode_batch(written.symbols, vocabulary, task=task, lengths=self.lengths[rows])
        row = rows[spans.segment]
        logs = sum(written.log_probabilities[spans.segment, spans.position + i] for i in range(3))
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


def _forbid(logits: Floats, previous: Ints, forbidden: NDArray[np.bool_], vocabulary: Vocabulary) -> Floats:
    """Logits (B, V) without the starts, and behind a start the lengths, that `forbidden` (2, B, k + 1) rules out."""
    logits = logits.copy()
    count = vocabulary.segment_length + 1
    logits[:, vocabulary.first_start : vocabulary.first_start + count][forbidden[0]] = -np.inf
    start = previous - vocabulary.first_start
    rows = np.flatnonzero((start >= 0) & (start < count))
    ends = start[rows, None] + np.arange(count)
    lead_nowhere = (ends >= count) | forbidden[1][rows[:, None], np.minimum(ends, count - 1)]
    lengths = logits[rows, vocabulary.first_length : vocabulary.first_length + count]
    logits[rows, vocabulary.first_length : vocabulary.first_length + count] = np.where(lead_nowhere, -np.inf, lengths)
    return logits


def _ends_before(triple: Ints, vocabulary: Vocabulary, bytes_: Ints) -> NDArray[np.bool_]:
    """Whether the last three symbols (B, 3) are a span that ends before a byte (B,)."""
    start, length = triple[:, 0] - vocabulary.first_start, triple[:, 1] - vocabulary.first_length
    k = vocabulary.segment_length
    is_span = (start >= 0) & (start <= k) & (length >= 1) & (length <= k) & (triple[:, 2] >= vocabulary.first_label)
    return is_span & (start + length < bytes_)


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities of each row's scores."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result

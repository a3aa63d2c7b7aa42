"""From bytes to spans with the generator, whatever runs its arithmetic: greedy and beam search, windows, stitching.

This room knows neither torch nor ONNX Runtime. Both wings offer a `SegmentModel`, so that the development score of a
training and the tagger of a user come from the very same steps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bytespan.config import ModelConfig
from bytespan.segments import reverse_segments, stitch
from bytespan.spans import Span
from bytespan.vocabulary import STOP, Vocabulary
from bytespan.windows import Windows

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
    """(B,) symbols that were read of each segment."""
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


Watch = Callable[[Ints, Ints, Floats, DecoderState], None]
"""Is shown each step: which segments are written (n,), the symbols fed (n,), the logits (n, V) and the state then."""


def decode_greedily(
    model: SegmentModel,
    state: DecoderState,
    *,
    task: str,
    needed_from: Ints | None = None,
    forbidden: NDArray[np.bool_] | None = None,
    watch: Watch | None = None,
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
        if watch is not None:
            watch(active, fed, logits, state)
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


BRANCHES = 256
"""Spans begun at a time beside what is written greedily, so that their states stay within a few megabytes."""


class _LikelySpans:
    """Every span of `task` at least as probable as `floor` that could follow where one or STOP is written greedily."""

    def __init__(
        self, model: SegmentModel, *, task: str, floor: float, forbidden: NDArray[np.bool_] | None = None
    ) -> None:
        self._model, self._least, self._forbidden = model, np.log(floor), forbidden
        vocabulary = model.vocabulary
        labels = vocabulary.label_range(task)
        self._lengths = slice(vocabulary.first_length, vocabulary.first_label)
        self._labels = slice(labels.start, labels.stop)
        self._found: list[Floats] = []

    def watch(self, active: Ints, fed: Ints, logits: Floats, state: DecoderState) -> None:
        """Follow up every start that is likely enough; see `Watch`."""
        vocabulary = self._model.vocabulary
        previous = fed - vocabulary.first_fed_output
        is_due = (previous < 0) | (previous >= vocabulary.first_label)
        logs = log_softmax(logits)[:, : vocabulary.first_length]
        logs[:, STOP] = -np.inf
        rows, starts = np.nonzero((logs >= self._least) & is_due[:, None])
        for i in range(0, len(rows), BRANCHES):
            row, start = rows[i : i + BRANCHES], starts[i : i + BRANCHES]
            self._follow(active[row], start, logs[row, start], state.select(row))

    def _follow(self, segments: Ints, starts: Ints, logs: Floats, state: DecoderState) -> None:
        """Add the spans of likely lengths and labels behind each start."""
        first, lengths, both, state = self._extend(segments, starts, logs, state, self._lengths)
        second, labels, all_three, _ = self._extend(segments[first], lengths, both, state.select(first), self._labels)
        first = first[second]
        symbols = (starts[first], lengths[second], labels)
        self._found.append(
            np.stack([segments[first], *symbols, logs[first], both[second] - logs[first], all_three - both[second]])
        )

    def _extend(
        self, segments: Ints, fed: Ints, logs: Floats, state: DecoderState, kind: slice
    ) -> tuple[Ints, Ints, Floats, DecoderState]:
        """Row, symbol and log-probability so far of each symbol of a kind that is likely enough, and the state."""
        vocabulary = self._model.vocabulary
        if not len(fed):
            return fed, fed, logs, state
        logits, state = self._model.step(fed + vocabulary.first_fed_output, state)
        if self._forbidden is not None:
            logits = _forbid(logits, fed, self._forbidden[:, segments], vocabulary)
        totals = logs[:, None] + log_softmax(logits)[:, kind]
        rows, symbols = np.nonzero(totals >= self._least)
        return rows, symbols + kind.start, totals[rows, symbols], state

    def written(self) -> tuple[Ints, Written]:
        """The segment of each span, and the spans, one a row; some may stand there twice."""
        columns = np.concatenate([np.zeros((7, 0)), *self._found], axis=1)
        return columns[0].astype(np.int64), Written(columns[1:4].T.astype(np.int64), columns[4:].T.astype(np.float32))


def most_symbols(lengths: Ints) -> Ints:
    """Symbols that may be written behind so many that were read: as many spans, and STOP."""
    return 3 * lengths + 1


def predict_spans(
    model: SegmentModel,
    data: Sequence[bytes],
    *,
    tasks: Sequence[str],
    batch_size: int = 64,
    beam_size: int = 1,
    floors: Mapping[str, float] | None = None,
) -> list[dict[str, list[Span]]]:
    """The flat spans of every task in each of some documents, in order.

    Of a task in `floors`, instead, every span that is at least so probable where greedy decoding writes a span or STOP:
    these may overlap, and are in no order.

    All documents' windows are dealt into batches together, short ones with short ones. A span whose edge lies inside a
    UTF-8 character is widened to whole characters. The result does not depend on which documents come together.
    """
    floors = floors or {}
    windows = Windows(data, model.config.segment_length, carried=model.config.carried_bytes)
    found: dict[str, list[list[Span]]] = {task: [[] for _ in data] for task in tasks}
    for rows in windows.batches(batch_size):
        inputs, lengths = windows.inputs(rows, stop=model.vocabulary.fed_stop), windows.read_lengths[rows]
        if model.config.input_order == "reversed":
            inputs = reverse_segments(inputs, lengths)
        state = model.encode(inputs, lengths)
        for task in tasks:
            segments, written = _write(
                model, state, windows, rows, task=task, beam_size=beam_size, floor=floors.get(task)
            )
            symbols, logs = written.symbols, written.log_probabilities
            for document, span in windows.document_spans(rows[segments], symbols, logs, model.vocabulary, task):
                found[task][document].append(span)
    return [
        {task: (_most_probable if task in floors else stitch)(found[task][i]) for task in tasks}
        for i in range(len(data))
    ]


def _write(
    model: SegmentModel,
    state: DecoderState,
    windows: Windows,
    rows: Ints,
    *,
    task: str,
    beam_size: int,
    floor: float | None,
) -> tuple[Ints, Written]:
    """(n,) which of the segments each row of what was written is of, and what was written."""
    forbidden = windows.broken_edges(rows) if model.config.whole_words else None
    needed_from = windows.low[rows] if model.config.span_order == "last-first" else None
    if floor is not None:
        likely = _LikelySpans(model, task=task, floor=floor, forbidden=forbidden)
        decode_greedily(model, state, task=task, needed_from=needed_from, forbidden=forbidden, watch=likely.watch)
        return likely.written()
    if beam_size > 1:
        written = decode_by_beam(model, state, task=task, beam_size=beam_size, forbidden=forbidden)
    else:
        written = decode_greedily(model, state, task=task, needed_from=needed_from, forbidden=forbidden)
    return np.arange(len(rows)), written


def _most_probable(spans: list[Span]) -> list[Span]:
    """Each span once, with the highest of its scores."""
    best = {span: span for span in sorted(spans, key=lambda span: span.score)}
    return list(best.values())


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

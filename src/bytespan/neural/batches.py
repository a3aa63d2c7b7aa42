"""Training batches: windows drawn at random from all corpora shuffled together (paper, section 4)."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.codec import encode
from bytespan.config import ModelConfig, TrainConfig
from bytespan.segments import reverse_segments
from bytespan.spans import TOKENS, Document, Span
from bytespan.vocabulary import DROP, Vocabulary, feed_bytes

IGNORED = -100
"""Target that no loss counts."""

BATCHES_PER_POOL = 16
"""Segments are drawn for this many batches at once and dealt out by target length, so that few steps are padding."""

SHORT_TARGET = 16
"""Targets of up to this many symbols are dealt out at random: a batch of nothing but empty ones teaches little else."""

WORDS = "words"
"""The task of writing every word, for training only: no model package knows it."""

OUTSIDE = "O"
"""Label of a word of that task that no span overlaps."""

MIN_SHORT_LENGTH = 4
"""Shortest segment, in bytes, of a batch of short ones."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The segments of one optimizer step. B segments, K bytes, T output steps."""

    inputs: NDArray[np.int64]
    """(B, K) input symbols, byte dropout applied, zero beyond `lengths`."""
    lengths: NDArray[np.int64]
    """(B,) symbols that are read of each segment: its bytes, behind what is carried into it."""
    fed: NDArray[np.int64]
    """(B, T) GO, then the gold symbols as input symbols."""
    targets: NDArray[np.int64]
    """(B, T) gold output symbols, IGNORED after STOP."""

    ended: NDArray[np.int64]
    """(B, K) label, from the vocabulary's first, of the span read to its end just before each byte; IGNORED if none."""

    @property
    def bytes_read(self) -> int:
        """Bytes of all segments, with what is carried into them."""
        return int(self.lengths.sum())

    @property
    def longest(self) -> int:
        """Bytes in the longest segment, with what is carried into it."""
        return int(self.inputs.shape[1])

    def rows(self, part: slice) -> "Batch":
        """Some of the segments."""
        return Batch(self.inputs[part], self.lengths[part], self.fed[part], self.targets[part], self.ended[part])


def growth_at(step: int, config: TrainConfig) -> float:
    """How far a training has grown at a step, in 0..1: segments to their full length, dropouts to their full rate."""
    return min(step / config.growth_steps, 1.0) if config.growth_steps else 1.0


class _Source:
    """One document's bytes with the spans of one task, as arrays sorted by end."""

    def __init__(self, data: bytes, task: str, spans: Iterable[Span]) -> None:
        self.task = task
        self.symbols = feed_bytes(data)
        self.spans = sorted(spans, key=lambda span: span.end)
        self.ends = np.array([span.end for span in self.spans], np.int64)

    def window_spans(self, start: int, end: int) -> list[Span]:
        """The spans wholly inside [start, end), counted from `start`."""
        low, high = np.searchsorted(self.ends, [start, end], side="right")
        return [span.shifted(by=-start) for span in self.spans[low:high] if span.start >= start]


@dataclass(frozen=True, slots=True)
class _Window:
    """Bytes [start, end) of a source."""

    source: _Source
    start: int
    end: int

    @property
    def spans(self) -> list[Span]:
        return self.source.window_spans(self.start, self.end)


class _SourceSet:
    """Sources from which windows are drawn, evenly from all their places or evenly from all their spans."""

    def __init__(self, sources: Sequence[_Source]) -> None:
        self.sources = sources
        self.owners = np.repeat(np.arange(len(sources)), [len(source.spans) for source in sources])
        self.first_span = np.cumsum([0] + [len(source.spans) for source in sources])

    def anywhere(self, count: int, length: int, rng: np.random.Generator) -> list[_Window]:
        """Windows drawn evenly from all places where a window of `length` bytes fits (paper, section 4)."""
        places = np.array([max(len(source.symbols) - length + 1, 1) for source in self.sources])
        before = np.cumsum(places)
        drawn = rng.integers(before[-1], size=count) if count else np.zeros(0, np.int64)
        owners = np.searchsorted(before, drawn, side="right")
        starts = drawn - (before - places)[owners]
        return [
            self._window(owner, start, length) for owner, start in zip(owners.tolist(), starts.tolist(), strict=True)
        ]

    def around(self, count: int, length: int, rng: np.random.Generator) -> list[_Window]:
        """Windows that hold a span drawn evenly from all spans (or its first bytes, if it is longer)."""
        windows = []
        for index in rng.integers(len(self.owners), size=count).tolist() if count else ():
            owner = int(self.owners[index])
            source = self.sources[owner]
            span = source.spans[index - int(self.first_span[owner])]
            low = max(min(span.end - length, span.start), 0)
            high = max(min(span.start, len(source.symbols) - length), low)
            windows.append(self._window(owner, int(rng.integers(low, high + 1)), length))
        return windows

    def _window(self, owner: int, start: int, length: int) -> _Window:
        source = self.sources[owner]
        return _Window(source, start, min(start + length, len(source.symbols)))


class SegmentSampler:
    """Draws the batch of any step: the same step gives the same batch, so a resumed run needs no state of it."""

    def __init__(
        self, documents: Sequence[Document], vocabulary: Vocabulary, model: ModelConfig, train: TrainConfig
    ) -> None:
        self.vocabulary, self.model, self.train = vocabulary, model, train
        annotated = [(doc.data, task, spans) for doc in documents if doc.data for task, spans in doc.spans.items()]
        sparse = [(data, task, spans) for data, task, spans in annotated if task != TOKENS]
        is_asked = WORDS in vocabulary.labels
        words = [(data, WORDS, words_of(data, spans)) for data, _, spans in sparse if is_asked]
        self.gold, self.sparse, self.words = (
            _SourceSet([_Source(*item) for item in items]) for items in (annotated, sparse, words)
        )
        self._pool: tuple[int, list[Batch]] = (-1, [])

    def batch(self, step: int) -> Batch:
        """The batch of optimizer step `step` (0-based)."""
        number = step // BATCHES_PER_POOL
        if self._pool[0] != number:
            self._pool = (number, self.pool(number))
        return self._pool[1][step % BATCHES_PER_POOL]

    def segment_length_at(self, step: int) -> int:
        """Bytes in a segment at a step: short segments first, where the train config asks for that."""
        longest = self.model.segment_length
        first = min(self.train.first_length, longest)
        return first + int((longest - first) * growth_at(step, self.train))

    def pool(self, number: int) -> list[Batch]:
        """The batches of BATCHES_PER_POOL steps in a row."""
        rng = np.random.default_rng([self.train.seed, number])
        length = self.segment_length_at(number * BATCHES_PER_POOL)
        dropped = self.train.byte_dropout * growth_at(number * BATCHES_PER_POOL, self.train)
        if rng.random() < self.train.short_fraction:
            length = int(rng.integers(min(MIN_SHORT_LENGTH, length), length + 1))
        count = self.train.batch_size * BATCHES_PER_POOL
        words = int(rng.binomial(count, self.train.words_fraction)) if self.words.sources else 0
        around = int(rng.binomial(count - words, self.train.span_fraction)) if len(self.sparse.owners) else 0
        windows = [
            *self.words.anywhere(words, length, rng),
            *self.sparse.around(around, length, rng),
            *self.gold.anywhere(count - words - around, length, rng),
        ]
        segments = [(windows[i], self._target(windows[i])) for i in rng.permutation(count)]
        segments.sort(key=lambda segment: max(len(segment[1]), SHORT_TARGET))
        batches = [segments[i : i + self.train.batch_size] for i in range(0, count, self.train.batch_size)]
        return [self._collate(batches[i], dropped, rng) for i in rng.permutation(len(batches))]

    def _target(self, window: _Window) -> list[int]:
        return encode(window.spans, self.vocabulary, task=window.source.task, span_order=self.model.span_order)

    def _collate(
        self, segments: Sequence[tuple[_Window, list[int]]], byte_dropout: float, rng: np.random.Generator
    ) -> Batch:
        read = [self._read(window) for window, _ in segments]
        lengths = np.array([len(symbols) for symbols in read])
        steps = max(len(target) for _, target in segments)
        inputs = np.zeros((len(segments), int(lengths.max())), np.int64)
        targets = np.full((len(segments), steps), IGNORED, np.int64)
        fed = np.full((len(segments), steps), self.vocabulary.fed_stop, np.int64)
        ended = np.full(inputs.shape, IGNORED, np.int64)
        for row, (window, target) in enumerate(segments):
            inputs[row, : lengths[row]] = read[row]
            targets[row, : len(target)] = target
            fed[row, 0] = self.vocabulary.go(window.source.task)
            fed[row, 1 : len(target)] = self.vocabulary.first_fed_output + np.array(target[:-1], np.int64)
            size = window.end - window.start
            for at, label in self._ends(target, size):
                ended[row, int(lengths[row]) - size + at] = label
        dropped = rng.random(inputs.shape) < byte_dropout
        inputs[dropped & (inputs < DROP) & (np.arange(inputs.shape[1]) < lengths[:, None])] = DROP
        if self.model.input_order == "reversed":
            inputs = reverse_segments(inputs, lengths)
        return Batch(inputs, lengths, fed, targets, ended)

    def _read(self, window: _Window) -> NDArray[np.int64]:
        """The symbols that are read of a segment: `windows.Windows` does the same at use."""
        first = max(window.start - self.model.carried_bytes, 0)
        before, inside = window.source.symbols[first : window.start], window.source.symbols[window.start : window.end]
        return np.concatenate([before, [self.vocabulary.fed_stop], inside]) if len(before) else inside

    def _ends(self, target: list[int], size: int) -> Iterator[tuple[int, int]]:
        """(place of the next byte that is read, label) behind each span of a target, unless the segment ends there."""
        vocabulary = self.vocabulary
        for start, length, label in zip(target[0:-1:3], target[1:-1:3], target[2:-1:3], strict=True):
            first = start - vocabulary.first_start
            end = first + length - vocabulary.first_length
            at = size - first if self.model.input_order == "reversed" else end
            if at < size:
                yield at, label - vocabulary.first_label


def words_of(data: bytes, spans: Iterable[Span]) -> list[Span]:
    """Every white-space-separated piece of a document as a span, labelled with the span that it overlaps, else OUTSIDE.

    Written as a task of its own while training, they teach the decoder to point at bytes, and the encoder what the
    labels look like, some ten times a segment, where the task itself has one span or none to learn that from.
    """
    words, labelled = [], sorted(spans)
    ends = [span.end for span in labelled]
    for match in re.finditer(rb"\S+", data):
        following = bisect_right(ends, match.start())
        is_inside = following < len(labelled) and labelled[following].start < match.end()
        words.append(Span(match.start(), match.end(), labelled[following].label if is_inside else OUTSIDE))
    return words

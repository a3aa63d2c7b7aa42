"""Training batches: windows drawn at random from all corpora shuffled together (paper, section 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bytespan.codec import encode
from bytespan.config import ModelConfig, TrainConfig
from bytespan.segments import reverse_segments
from bytespan.spans import Document, Span
from bytespan.vocabulary import DROP, STOP, Vocabulary, feed_bytes

IGNORED = -100
"""Target that no loss counts."""

BATCHES_PER_POOL = 16
"""Segments are drawn for this many batches at once and dealt out by target length, so that few steps are padding."""

MIN_SHORT_LENGTH = 4
"""Shortest segment, in bytes, of a batch of short ones."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The segments of one optimizer step. B segments, K bytes, T output steps."""

    inputs: NDArray[np.int64]
    """(B, K) input symbols, byte dropout applied, zero beyond `lengths`."""
    lengths: NDArray[np.int64]
    """(B,) bytes of each segment."""
    fed: NDArray[np.int64]
    """(B, T) GO, then the gold symbols as input symbols."""
    targets: NDArray[np.int64]
    """(B, T) gold output symbols, IGNORED after STOP."""
    auxiliary: NDArray[np.int64]
    """(B, K, 3) start, length and label + 1 of the last span that ended before each byte; label 0 and IGNORED if none."""

    def rows(self, part: slice) -> "Batch":
        """Some of the segments."""
        return Batch(self.inputs[part], self.lengths[part], self.fed[part], self.targets[part], self.auxiliary[part])


def growth_at(step: int, config: TrainConfig) -> float:
    """How far a training has grown at a step, in 0..1: segments to their full length, both dropouts to their full rate."""
    return min(step / config.growth_steps, 1.0) if config.growth_steps else 1.0


class _Source:
    """One document's bytes with the spans of one task, as arrays sorted by end."""

    def __init__(self, document: Document, task: str) -> None:
        self.task = task
        self.symbols = feed_bytes(document.data)
        self.spans = sorted(document.spans[task], key=lambda span: span.end)
        self.starts = np.array([span.start for span in self.spans], np.int64)
        self.ends = np.array([span.end for span in self.spans], np.int64)

    def window_spans(self, start: int, end: int) -> list[Span]:
        """The spans wholly inside [start, end), counted from `start`."""
        low, high = np.searchsorted(self.ends, [start, end], side="right")
        return [span.shifted(by=-start) for span in self.spans[low:high] if span.start >= start]


class SegmentSampler:
    """Draws the batch of any step: the same step gives the same batch, so a resumed run needs no state of it."""

    def __init__(
        self, documents: Sequence[Document], vocabulary: Vocabulary, model: ModelConfig, train: TrainConfig
    ) -> None:
        self.vocabulary, self.model, self.train = vocabulary, model, train
        self.sources = [_Source(doc, task) for doc in documents for task in doc.spans if doc.data]
        self._pool: tuple[int, list[Batch]] = (-1, [])

    @cached_property
    def _span_owners(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.sources)), [len(source.spans) for source in self.sources])

    def batch(self, step: int) -> Batch:
        """The batch of optimizer step `step` (0-based)."""
        number = step // BATCHES_PER_POOL
        if self._pool[0] != number:
            self._pool = (number, self._draw_pool(number))
        return self._pool[1][step % BATCHES_PER_POOL]

    def segment_length_at(self, step: int) -> int:
        """Bytes in a segment at a step: short segments first, where the train config asks for that."""
        longest = self.model.segment_length
        first = min(self.train.first_length or longest, longest)
        return first + int((longest - first) * growth_at(step, self.train))

    def _draw_pool(self, number: int) -> list[Batch]:
        rng = np.random.default_rng([self.train.seed, number])
        length = self.segment_length_at(number * BATCHES_PER_POOL)
        dropped = self.train.byte_dropout * growth_at(number * BATCHES_PER_POOL, self.train)
        if rng.random() < self.train.short_fraction:
            length = int(rng.integers(min(MIN_SHORT_LENGTH, length), length + 1))
        count = self.train.batch_size * BATCHES_PER_POOL
        around = int(rng.binomial(count, self.train.span_fraction)) if len(self._span_owners) else 0
        windows = self._windows_anywhere(count - around, length, rng) + self._windows_around(around, length, rng)
        segments = [(*window, self._target(*window)) for window in windows]
        segments.sort(key=lambda segment: (len(segment[3]), segment[2] - segment[1]))
        batches = [segments[i : i + self.train.batch_size] for i in range(0, count, self.train.batch_size)]
        return [self._collate(batches[i], dropped, rng) for i in rng.permutation(len(batches))]

    def _windows_anywhere(self, count: int, length: int, rng: np.random.Generator) -> list[tuple[int, int, int]]:
        """(source, start, end) of windows drawn evenly from all places where a window of `length` bytes fits."""
        places = np.array([max(len(source.symbols) - length + 1, 1) for source in self.sources])
        before = np.cumsum(places)
        drawn = rng.integers(before[-1], size=count)
        owners = np.searchsorted(before, drawn, side="right")
        starts = drawn - (before - places)[owners]
        return [self._window(int(owner), int(start), length) for owner, start in zip(owners, starts, strict=True)]

    def _windows_around(self, count: int, length: int, rng: np.random.Generator) -> list[tuple[int, int, int]]:
        """Windows that hold a span drawn evenly from all spans (or the span's first bytes, if it is longer)."""
        first_of = np.cumsum([0] + [len(source.spans) for source in self.sources])
        windows = []
        for index in rng.integers(len(self._span_owners), size=count).tolist():
            owner = int(self._span_owners[index])
            source = self.sources[owner]
            span = source.spans[index - int(first_of[owner])]
            low = max(min(span.end - length, span.start), 0)
            high = max(min(span.start, len(source.symbols) - length), low)
            windows.append(self._window(owner, int(rng.integers(low, high + 1)), length))
        return windows

    def _window(self, owner: int, start: int, length: int) -> tuple[int, int, int]:
        return owner, start, min(start + length, len(self.sources[owner].symbols))

    def _target(self, owner: int, start: int, end: int) -> list[int]:
        source = self.sources[owner]
        spans = source.window_spans(start, end)
        return encode(spans, self.vocabulary, task=source.task, span_order=self.model.span_order)

    def _collate(
        self, segments: list[tuple[int, int, int, list[int]]], byte_dropout: float, rng: np.random.Generator
    ) -> Batch:
        lengths = np.array([end - start for _, start, end, _ in segments])
        steps = max(len(target) for *_, target in segments)
        inputs = np.zeros((len(segments), int(lengths.max())), np.int64)
        targets = np.full((len(segments), steps), IGNORED, np.int64)
        fed = np.full((len(segments), steps), self.vocabulary.first_fed_output + STOP, np.int64)
        auxiliary = np.full((*inputs.shape, 3), IGNORED, np.int64)
        for row, (owner, start, end, target) in enumerate(segments):
            source = self.sources[owner]
            inputs[row, : end - start] = source.symbols[start:end]
            targets[row, : len(target)] = target
            fed[row, 0] = self.vocabulary.go(source.task)
            fed[row, 1 : len(target)] = self.vocabulary.first_fed_output + np.array(target[:-1], np.int64)
            if self.train.auxiliary_weight:
                auxiliary[row, : end - start] = self._auxiliary(target, end - start)
        dropped = rng.random(inputs.shape) < byte_dropout
        inputs[dropped & (np.arange(inputs.shape[1]) < lengths[:, None])] = DROP
        if self.model.input_order == "reversed":
            inputs = reverse_segments(inputs, lengths)
        return Batch(inputs, lengths, fed, targets, auxiliary)

    def _auxiliary(self, target: list[int], length: int) -> NDArray[np.int64]:
        """(length, 3): of the last span that ended at or before each byte, start, length and label + 1."""
        first = np.array([self.vocabulary.first_start, self.vocabulary.first_length, self.vocabulary.first_label - 1])
        spans = np.array(target[:-1], np.int64).reshape(-1, 3) - first
        spans = spans[np.argsort(spans[:, 0] + spans[:, 1], kind="stable")]
        last = np.searchsorted(spans[:, 0] + spans[:, 1], np.arange(length), side="right") - 1
        none = np.array([[IGNORED, IGNORED, 0]])
        return np.concatenate([spans, none])[last]

"""From bytes to spans with the parallel decoder, whatever runs its arithmetic: units, windows, best tags.

This room knows neither torch nor ONNX Runtime. Both wings offer a `UnitModel`, so that the development score of a
training and the tagger of a user come from the very same steps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bytespan.config import ModelConfig
from bytespan.decoding import log_softmax
from bytespan.lattice import (
    LikelySpans,
    TagSets,
    best_tags,
    ends_likely_spans,
    likely_spans,
    stand_apart,
    unit_windows,
)
from bytespan.spans import Span
from bytespan.units import UnitBatch, Units, collate_units, cut_units

Floats = NDArray[np.float32]

BATCH_UNITS = 4096
"""Units in a batch, padding counted, so that its arrays stay within a few megabytes."""

ROUND_UNITS = 4 * BATCH_UNITS
"""Units whose scores are held at a time, about; of those before them only the best tags are kept."""

Window = tuple[int, int, int, int, int]
"""(document, first unit, last unit, first kept, last kept), each half-open."""


class UnitModel(Protocol):
    """A parallel decoder that can be run batch by batch."""

    @property
    def config(self) -> ModelConfig:
        """Its shape."""

    @property
    def tags(self) -> TagSets:
        """Its tags, one a column of its scores."""

    def score(self, batch: UnitBatch) -> Floats:
        """(T, B, V) the score of every tag of every task at every unit, before any softmax."""


def predict_by_units(
    model: UnitModel, data: Sequence[bytes], *, tasks: Sequence[str], floors: Mapping[str, float] | None = None
) -> list[dict[str, list[Span]]]:
    """The flat spans of every task in each of some documents, in order.

    Of a task in `floors`, instead, every span that is at least so probable: these may overlap, and are in no order.

    The windows of all documents are dealt into batches together, those of like length with one another. The result
    does not depend on which documents come together.
    """
    documents = [cut_units(item) for item in data]
    windows = [
        (number, *window)
        for number, units in enumerate(documents)
        for window in unit_windows(units, length=model.config.segment_length)
    ]
    floors = floors or {}
    found = [
        {task: _Likely(len(units), floors[task]) if task in floors else _Tags(len(units)) for task in tasks}
        for units in documents
    ]
    for group in _rounds(windows):
        for (number, *_), scores in zip(group, _score_windows(model, documents, group), strict=True):
            for task, settled in found[number].items():
                settled.add(scores[:, model.tags.columns[task]])
    return [
        {task: settled.spans(model.tags, units, task) for task, settled in members.items()}
        for units, members in zip(documents, found, strict=True)
    ]


class _Tags:
    """The best tags of a document's units for one task, settled as the scores come in."""

    def __init__(self, units: int) -> None:
        self._stretches = _Stretches(units, stand_apart)
        self._best = np.zeros(units, np.int64)
        """(U,)"""
        self._logs = np.zeros(units, np.float32)
        """(U,) their log-probabilities."""

    def add(self, scores: Floats) -> None:
        """Take the scores (n, N) of the next units."""
        for first, logs, count in self._stretches.add(scores):
            tags = best_tags(logs[:count])
            self._best[first : first + count] = tags
            self._logs[first : first + count] = logs[np.arange(count), tags]

    def spans(self, tags: TagSets, units: Units, task: str) -> list[Span]:
        """The spans that the tags stand for, once all scores came."""
        return tags.decode(self._best, self._logs, units, task)


class _Likely:
    """A document's spans of one task that are probable enough, found as the scores come in."""

    def __init__(self, units: int, floor: float) -> None:
        self._stretches = _Stretches(units, partial(ends_likely_spans, floor=floor))
        self._floor = floor
        self._found: list[LikelySpans] = []

    def add(self, scores: Floats) -> None:
        """Take the scores (n, N) of the next units."""
        for first, logs, count in self._stretches.add(scores):
            found = likely_spans(logs, self._floor, count=count)
            self._found.append(replace(found, first=found.first + first, last=found.last + first))

    def spans(self, tags: TagSets, units: Units, task: str) -> list[Span]:
        """The spans, once all scores came."""
        return [span for found in self._found for span in tags.spans(found, units, task)]


class _Stretches:
    """Scores of a document's units as they come in, handed on once what is to be known of them can be known."""

    def __init__(self, units: int, apart: Callable[[Floats], NDArray[np.bool_]]) -> None:
        """`apart` says before which units what is before does not depend on what follows."""
        self._units, self._apart = units, apart
        self._settled = 0
        self._waiting: list[Floats] = []
        """Log-probabilities (n, N) of the units that may still depend on what follows."""

    def add(self, scores: Floats) -> Iterator[tuple[int, Floats, int]]:
        """Of the units before the last one that stands apart: the first, log-probabilities, and how many they are.

        Behind theirs stand those of the next unit, if there is one.
        """
        logs = log_softmax(scores)
        self._waiting.append(logs)
        is_last = self._settled + sum(map(len, self._waiting)) == self._units
        cuts = [len(logs)] if is_last else (np.flatnonzero(self._apart(logs)[1:]) + 1).tolist()
        for place in cuts[-1:]:
            self._waiting[-1] = logs[: place + 1]
            stretch = np.concatenate(self._waiting)
            count = len(stretch) - (place < len(logs))
            yield self._settled, stretch, count
            self._settled += count
            self._waiting = [logs[place:]]


def _score_windows(model: UnitModel, documents: Sequence[Units], windows: Sequence[Window]) -> list[Floats]:
    """Of each window the scores (n, V) of the units that it keeps."""
    found: dict[Window, Floats] = {}
    for batch in _batches(sorted(windows, key=lambda window: window[2] - window[1])):
        segments = [documents[number].slice(first, last) for number, first, last, _, _ in batch]
        scores = model.score(collate_units(segments, rows=model.config.table_rows))
        for column, window in enumerate(batch):
            _, first, _, kept, end = window
            found[window] = scores[kept - first : end - first, column]
    return [found[window] for window in windows]


def _rounds(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """The windows, in order, in groups of about ROUND_UNITS units."""
    sizes = np.array([last - first for _, first, last, _, _ in windows], np.int64)
    numbers = np.cumsum(sizes) // ROUND_UNITS
    for _, members in groupby(zip(numbers.tolist(), windows, strict=True), key=itemgetter(0)):
        yield [window for _, window in members]


def _batches(windows: Sequence[Window]) -> list[list[Window]]:
    """Windows, shortest first, in batches of about BATCH_UNITS units with padding."""
    batches: list[list[Window]] = []
    for window in windows:
        size = window[2] - window[1]
        if not batches or (len(batches[-1]) + 1) * size > BATCH_UNITS:
            batches.append([])
        batches[-1].append(window)
    return batches

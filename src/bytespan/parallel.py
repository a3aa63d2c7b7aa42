"""From bytes to spans with the parallel decoder, whatever runs its arithmetic: units, windows, best tags.

This room knows neither torch nor ONNX Runtime. Both wings offer a `UnitModel`, so that the development score of a
training and the tagger of a user come from the very same steps.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bytespan.config import ModelConfig
from bytespan.lattice import TagSets, best_tags, unit_windows
from bytespan.spans import Span
from bytespan.units import UnitBatch, Units, collate_units, cut_units

Floats = NDArray[np.float32]

BATCH_UNITS = 4096
"""Units in a batch, padding counted, so that its arrays stay within a few megabytes."""


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


def predict_by_units(model: UnitModel, data: Sequence[bytes], *, tasks: Sequence[str]) -> list[dict[str, list[Span]]]:
    """The flat spans of every task in each of some documents, in order.

    The windows of all documents are dealt into batches together, those of like length with one another. The result
    does not depend on which documents come together.
    """
    documents = [cut_units(item) for item in data]
    scores = [np.zeros((len(units), model.tags.size), np.float32) for units in documents]
    windows = [
        (number, *window)
        for number, units in enumerate(documents)
        for window in unit_windows(units, length=model.config.segment_length)
    ]
    windows.sort(key=lambda window: window[2] - window[1])
    for group in _batches(windows):
        segments = [documents[number].slice(first, last) for number, first, last, _, _ in group]
        found = model.score(collate_units(segments, rows=model.config.table_rows))
        for column, (number, first, _, kept, end) in enumerate(group):
            scores[number][kept:end] = found[kept - first : end - first, column]
    return [
        {task: _best_spans(model.tags, task, columns, units) for task in tasks}
        for units, columns in zip(documents, scores, strict=True)
    ]


def _best_spans(tags: TagSets, task: str, scores: Floats, units: Units) -> list[Span]:
    if not len(units):
        return []
    logs = _log_softmax(scores[:, tags.columns[task]])
    best = best_tags(logs)
    return tags.decode(best, np.take_along_axis(logs, best[:, None], axis=1)[:, 0], units, task)


def _batches(windows: list[tuple[int, int, int, int, int]]) -> list[list[tuple[int, int, int, int, int]]]:
    """Windows, shortest first, in batches of about BATCH_UNITS units with padding."""
    batches: list[list[tuple[int, int, int, int, int]]] = []
    for window in windows:
        size = window[2] - window[1]
        if not batches or (len(batches[-1]) + 1) * size > BATCH_UNITS:
            batches.append([])
        batches[-1].append(window)
    return batches


def _log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result

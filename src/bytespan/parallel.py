"""From bytes to spans with the parallel decoder, whatever runs its arithmetic: units, windows, best tags.

This room knows neither torch nor ONNX Runtime. Both wings offer a `UnitModel`, so that the development score of a
training and the tagger of a user come from the very same steps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bytespan.config import ModelConfig
from bytespan.decoding import log_softmax
from bytespan.languages import Profiles, recognised, recognised_parts
from bytespan.lattice import (
    Edges,
    Ints,
    LikelySpans,
    TagSets,
    best_tags,
    ends_likely_spans,
    likely_spans,
    stand_apart,
    tagged_spans,
    unit_windows,
)
from bytespan.spans import Span
from bytespan.units import PART_BYTES, UnitBatch, Units, collate_windows, cut_documents, cut_parts

Floats = NDArray[np.float32]

BATCH_UNITS = 1024
"""Units in a batch, padding counted: enough to keep a processor busy, few enough for its cache."""

BATCH_WINDOWS = 2
"""Windows in a batch at least, whatever their length: the LSTM reads one alone at two thirds of the speed."""

PASSAGE_BYTES = 1 << 17
"""The most bytes of whole documents whose windows are dealt into batches together."""


class UnitModel(Protocol):
    """A parallel decoder that can be run batch by batch."""

    @property
    def config(self) -> ModelConfig:
        """Its shape."""

    @property
    def tags(self) -> TagSets:
        """Its tags, one a column of its scores."""

    @property
    def profiles(self) -> Profiles | None:
        """The languages that it tells apart, if any."""

    def score(self, batch: UnitBatch) -> Floats:
        """(T, B, V) the score of every tag of every task at every unit, before any softmax."""


def predict_by_units(
    model: UnitModel, data: Sequence[bytes], *, tasks: Sequence[str], floors: Mapping[str, float] | None = None
) -> list[dict[str, list[Span]]]:
    """The flat spans of every task in each of some documents, in order.

    Of a task in `floors`, instead, every span that is at least so probable: these may overlap, and are in no order.

    The documents are worked on as one row of units, in which no span goes on into another document; the windows of some
    are dealt into batches together, those of like length with one another. The result does not depend on which
    documents come together.
    """
    floors = floors or {}
    found = {task: _Likely(floors[task]) if task in floors else _Tags() for task in tasks}
    places = [_Places(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    counts = np.zeros(len(data), np.int64)
    for passage in _passages(data, model.config.segment_length, model.profiles):
        for begins, scores in _scores(model, passage):
            for task, settled in found.items():
                logs = log_softmax(scores[:, model.tags.columns[task]])
                logs[begins, 2::2] = -np.inf  # nothing goes on in a document's first unit
                settled.add(logs)
        counts[passage.documents] += passage.counts
        places.append(passage.kept_places())
    units = _Places(*map(np.concatenate, zip(*places, strict=True)))
    bounds = np.append(0, np.cumsum(counts))
    by_task = {task: _dealt_out(settled.found(), bounds, model.tags, units, task) for task, settled in found.items()}
    return [{task: members[i] for task, members in by_task.items()} for i in range(len(data))]


def score_units(model: UnitModel, data: Sequence[bytes]) -> Iterator[Floats]:
    """(n, V) the scores of the units of all documents in a row, some units at a time; see `predict_by_units`."""
    for passage in _passages(data, model.config.segment_length, model.profiles):
        for _, scores in _scores(model, passage):
            yield scores


def _dealt_out(found: LikelySpans, bounds: Ints, tags: TagSets, units: Edges, task: str) -> list[list[Span]]:
    """The spans of each document, the units of which are those between two `bounds`."""
    spans = tags.spans(found, units, task)
    edges = np.searchsorted(found.first, bounds).tolist()
    return [spans[first:last] for first, last in pairwise(edges)]


class _Tags:
    """The best tags of units for one task, settled as their log-probabilities come in."""

    def __init__(self) -> None:
        self._stretches = _Stretches(stand_apart)
        self._best: list[Ints] = []
        self._logs: list[Floats] = []
        """Log-probabilities of the best tags."""

    def add(self, logs: Floats) -> None:
        """Take the log-probabilities (n, N) of the next units."""
        for _, stretch, count in self._stretches.add(logs):
            self._settle(stretch[:count])

    def _settle(self, logs: Floats) -> None:
        tags = best_tags(logs)
        self._best.append(tags.astype(np.int16))
        self._logs.append(logs[np.arange(len(logs)), tags])

    def found(self) -> LikelySpans:
        """The spans that the tags stand for, in order, once all came."""
        for _, stretch, _ in self._stretches.rest():
            self._settle(stretch)
        tags = np.concatenate([np.zeros(0, np.int16), *self._best])
        return tagged_spans(tags, np.concatenate([np.zeros(0, np.float32), *self._logs]))


class _Likely:
    """Spans of one task that are probable enough, found as the log-probabilities come in."""

    def __init__(self, floor: float) -> None:
        self._stretches = _Stretches(partial(ends_likely_spans, floor=floor))
        self._floor = floor
        self._found: list[LikelySpans] = []

    def add(self, logs: Floats) -> None:
        """Take the log-probabilities (n, N) of the next units."""
        for stretch in self._stretches.add(logs):
            self._find(*stretch)

    def _find(self, first: int, logs: Floats, count: int) -> None:
        found = likely_spans(logs, self._floor, count=count)
        self._found.append(replace(found, first=found.first + first, last=found.last + first))

    def found(self) -> LikelySpans:
        """The spans, in the order of their first units, once all came."""
        for stretch in self._stretches.rest():
            self._find(*stretch)
        return LikelySpans.joined(self._found)


class _Stretches:
    """Log-probabilities of units as they come in, handed on once what is to be known of them can be known."""

    def __init__(self, apart: Callable[[Floats], NDArray[np.bool_]]) -> None:
        """`apart` says before which units what is before does not depend on what follows."""
        self._apart = apart
        self._settled = 0
        self._waiting: list[Floats] = []
        """Log-probabilities (n, N) of the units that may still depend on what follows."""

    def add(self, logs: Floats) -> Iterator[tuple[int, Floats, int]]:
        """Of the units before the last one that stands apart: the first, log-probabilities, and how many they are.

        Behind theirs stand those of the next unit.
        """
        self._waiting.append(logs)
        for place in (np.flatnonzero(self._apart(logs)[1:]) + 1).tolist()[-1:]:
            self._waiting[-1] = logs[: place + 1]
            stretch = np.concatenate(self._waiting)
            yield self._settled, stretch, len(stretch) - 1
            self._settled += len(stretch) - 1
            self._waiting = [logs[place:]]

    def rest(self) -> Iterator[tuple[int, Floats, int]]:
        """The same of all units that are left, behind which nothing follows."""
        if self._waiting:
            stretch = np.concatenate(self._waiting)
            yield self._settled, stretch, len(stretch)


class _Places(NamedTuple):
    """Where units begin and end in their documents."""

    starts: Ints
    ends: Ints


@dataclass(frozen=True, slots=True)
class _Passage:
    """Several whole documents or part of one, as units with the windows in which they are read."""

    units: Units
    windows: Ints
    """(W, 4) first unit, last unit, first kept, last kept, each half-open; the kept ranges are one row of units."""
    documents: slice
    """Numbers of the documents."""
    counts: Ints
    """Kept units of each."""
    begins: NDArray[np.bool_]
    """Which of the kept units are the first of their documents."""

    def kept_places(self) -> _Places:
        """Where the kept units begin and end."""
        kept = slice(int(self.windows[0, 2]), int(self.windows[-1, 3]))
        return _Places(self.units.starts[kept], self.units.ends[kept])


def _passages(data: Sequence[bytes], length: int, profiles: Profiles | None) -> Iterator[_Passage]:
    """All units of all documents, in order; small documents together, large ones bit by bit."""
    first = size = 0
    for number, item in enumerate([*data, None]):
        is_large = item is None or len(item) > PART_BYTES
        if first < number and (is_large or size + len(item or b"") > PASSAGE_BYTES):
            yield from _whole_documents(data, first, number, length, profiles)
            first, size = number, 0
        if item is not None and is_large:
            yield from _bit_by_bit(item, number, length, profiles)
            first = number + 1
        else:
            size += len(item or b"")


def _whole_documents(
    data: Sequence[bytes], first: int, last: int, length: int, profiles: Profiles | None
) -> Iterator[_Passage]:
    units, bounds = cut_documents(data[first:last])
    counts, begins = np.diff(bounds), np.zeros(len(units), np.bool_)
    begins[bounds[:-1][counts > 0]] = True
    windows = [
        (low + a, low + b, low + c, low + d)
        for low, high in pairwise(bounds.tolist())
        for a, b, c, d in unit_windows(_Places(units.starts[low:high], units.ends[low:high]), length=length)
    ]
    if windows:
        yield _Passage(recognised(units, bounds, profiles), np.array(windows), slice(first, last), counts, begins)


def _bit_by_bit(item: bytes, number: int, length: int, profiles: Profiles | None) -> Iterator[_Passage]:
    """One document, of whose units those are held that windows still to come may hold."""
    parts = recognised_parts(cut_parts(item), profiles)
    held, kept, is_first = next(parts, None), 0, True
    while held is not None:
        part = next(parts, None)
        windows = np.array(unit_windows(held, length=length, kept=kept, is_whole=part is None))
        if len(windows):
            begins = np.zeros(int(windows[-1, 3]) - kept, np.bool_)
            begins[0], is_first = is_first, False
            yield _Passage(held, windows, slice(number, number + 1), np.array([len(begins)]), begins)
            kept = int(windows[-1, 3])
        if part is None:
            return
        needed = int(np.searchsorted(held.starts, held.starts[min(kept, len(held) - 1)] - length // 8))
        held, kept = Units.joined([held.slice(needed, len(held)), part]), kept - needed


def _scores(model: UnitModel, passage: _Passage) -> Iterator[tuple[NDArray[np.bool_], Floats]]:
    """Of up to BATCH_UNITS kept units at a time which are the first of their documents, and the scores (n, V)."""
    firsts, lasts, kept, ends = passage.windows.T
    scores = np.empty((int(ends[-1] - kept[0]), model.tags.size), np.float32)
    for rows in _batches(lasts - firsts):
        batch = collate_windows(passage.units, firsts[rows], lasts[rows], rows=model.config.table_rows)
        counts = (ends - kept)[rows]
        column = np.repeat(np.arange(len(rows)), counts)
        place = np.arange(len(column)) - np.repeat(np.cumsum(counts) - counts, counts) + kept[rows][column]
        scores[place - kept[0]] = model.score(batch)[place - firsts[rows][column], column]
    for first in range(0, len(scores), BATCH_UNITS):
        part = slice(first, first + BATCH_UNITS)
        yield passage.begins[part], scores[part]


def _batches(sizes: Ints) -> Iterator[Ints]:
    """Numbers of windows of these sizes, shortest first, in batches of about BATCH_UNITS units with padding."""
    order = np.argsort(sizes, kind="stable")
    while len(order):
        most = sizes[order[:BATCH_UNITS]] * np.arange(1, len(order[:BATCH_UNITS]) + 1)
        count = max(int(np.searchsorted(most, BATCH_UNITS, side="right")), BATCH_WINDOWS)
        yield order[:count]
        order = order[count:]

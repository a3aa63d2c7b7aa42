"""From bytes to spans with the parallel decoder, whatever runs its arithmetic: units, windows, best tags.

This room knows neither torch nor ONNX Runtime. Both wings offer a `UnitModel`, so that the development score of a
training and the tagger of a user come from the very same steps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bytespan.config import ModelConfig
from bytespan.decoding import log_softmax
from bytespan.languages import Profiles, recognised, recognised_parts
from bytespan.lattice import (
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
from bytespan.ngrams import NgramFilter
from bytespan.spans import Span
from bytespan.units import PART_BYTES, UnitBatch, Units, collate_windows, cut_documents, cut_parts

Floats = NDArray[np.float32]

BATCH_UNITS = 1024
"""Units in a batch, padding counted: enough to keep a processor busy, few enough for its cache."""

BATCH_WINDOWS = 2
"""Windows in a batch at least, whatever their length: the LSTM reads one alone at two thirds of the speed."""

PASSAGE_BYTES = 1 << 15
"""The most bytes of whole documents whose windows are dealt into batches together."""

PASSAGE_UNITS = 8192
"""About how many units of these at the most, where there is little else than marks."""

WAITING_UNITS = 4096
"""Units in a row none of which stands apart, behind which a span ends all the same, so that none waits for ever."""


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

    @property
    def ngrams(self) -> NgramFilter | None:
        """The n-grams that it knows, None if it takes all for known."""

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
    result: list[dict[str, list[Span]]] = [{task: [] for task in tasks} for _ in data]
    for settled in _settle(model, data, tasks=tasks, floors=floors or {}):
        for task, found in settled.found.items():
            spans = model.tags.spans(found, settled.units, task)
            numbers = settled.units.documents[found.first]
            edges = np.append(np.flatnonzero(np.diff(numbers, prepend=-1)), len(numbers)).tolist()
            for first, last in pairwise(edges):
                result[numbers[first]][task] += spans[first:last]
    return result


def predict_part_by_part(
    model: UnitModel, data: bytes, *, tasks: Sequence[str], floors: Mapping[str, float] | None = None
) -> Iterator[tuple[int, int, dict[str, list[Span]]]]:
    """The same spans of one document as they are found: first and last byte of the part that they lie in, spans.

    The spans count from the first byte of their part. The parts, in order, make up the document; they are as long as
    the model happens to leave them, mostly a few kilobytes.
    """
    begin = 0
    for settled in _settle(model, [data], tasks=tasks, floors=floors or {}):
        end = int(settled.units.ends[-1])
        within = settled.units.moved(by=-begin)
        yield begin, end, {task: model.tags.spans(found, within, task) for task, found in settled.found.items()}
        begin = end
    yield begin, len(data), {task: [] for task in tasks}


class _Places(NamedTuple):
    """Where units lie in their documents."""

    starts: Ints
    ends: Ints
    documents: Ints
    """Number of each one's document."""

    def slice(self, first: int, last: int | None) -> "_Places":
        """Some units in a row."""
        return _Places(*(column[first:last] for column in self))

    def moved(self, *, by: int) -> "_Places":
        """The same units so many bytes further on."""
        return _Places(self.starts + by, self.ends + by, self.documents)


def score_units(model: UnitModel, data: Sequence[bytes]) -> Iterator[Floats]:
    """(n, V) the scores of the units of all documents in a row, some units at a time; see `predict_by_units`."""
    for passage in _passages(data, model.config.segment_length, model.profiles):
        for _, scores in _scores(model, passage):
            yield scores


class _Settled(NamedTuple):
    """Units in a row, and all spans that lie in them: none goes on into other units."""

    units: _Places
    found: dict[str, LikelySpans]
    """Task -> spans, in the order of their first units."""


class _Rule(NamedTuple):
    """Which spans of a task are looked for."""

    apart: Callable[[Floats], NDArray[np.bool_]]
    """Before which units, of log-probabilities (n, N), the spans before do not depend on what follows."""
    find: Callable[[Floats, int], LikelySpans]
    """Those that begin in the first so many units, behind which the next one may stand, too."""


def _settle(
    model: UnitModel, data: Sequence[bytes], *, tasks: Sequence[str], floors: Mapping[str, float]
) -> Iterator[_Settled]:
    """The spans in all units of all documents, in order."""
    rules = {
        task: _Rule(partial(ends_likely_spans, floor=floors[task]), partial(_find_likely, floors[task]))
        if task in floors
        else _Rule(stand_apart, _find_best)
        for task in tasks
    }
    row = _Row(rules)
    for passage in _passages(data, model.config.segment_length, model.profiles):
        for places, scores in _scores(model, passage):
            begins = np.diff(places.documents, prepend=row.document) != 0
            logs = {task: log_softmax(scores[:, model.tags.columns[task]]) for task in tasks}
            for members in logs.values():
                members[begins, 2::2] = -np.inf  # nothing goes on in a document's first unit
            yield from row.add(places, logs)
    yield from row.rest()


def _find_best(logs: Floats, count: int) -> LikelySpans:
    logs = logs[:count]
    tags = best_tags(logs)
    return tagged_spans(tags, logs[np.arange(count), tags])


def _find_likely(floor: float, logs: Floats, count: int) -> LikelySpans:
    return LikelySpans.joined([likely_spans(logs, floor, count=count)])


class _Row:
    """Units as they come in, handed on with their spans once these can be known."""

    def __init__(self, rules: Mapping[str, _Rule]) -> None:
        self.document = -1
        """Number of the document that the last unit is in."""
        self._rules = rules
        self._units: list[_Places] = []
        """Units whose spans may still depend on what follows; of them all, only the first stands apart."""
        self._logs: dict[str, list[Floats]] = {task: [] for task in rules}
        """Task -> their log-probabilities (n, N)."""
        self._last: dict[str, Floats] = {}
        """Task -> those of the last unit (1, N), as they came in."""

    def add(self, units: _Places, logs: Mapping[str, Floats]) -> Iterator[_Settled]:
        """Take the next units; those before the last one that stands apart in all tasks are settled."""
        self.document = int(units.documents[-1])
        apart = self._stand_apart(logs)
        self._last = {task: members[-1:].copy() for task, members in logs.items()}
        for place in self._overdue(apart):
            apart[place] = True
            for members in logs.values():
                members[place, 2::2] = -np.inf
        for place in np.flatnonzero(apart).tolist()[-1:]:
            if place or self._units:
                yield self._settled(units.slice(0, place), {task: logs[task][: place + 1] for task in logs})
            units, logs = units.slice(place, None), {task: logs[task][place:] for task in logs}
        self._units.append(units)
        for task, members in logs.items():
            self._logs[task].append(members)

    def rest(self) -> Iterator[_Settled]:
        """All units that are left, behind which nothing follows."""
        if self._units:
            yield self._settled(self._units.pop(), {task: members.pop() for task, members in self._logs.items()})

    def _stand_apart(self, logs: Mapping[str, Floats]) -> NDArray[np.bool_]:
        """(n,) of new units, which ones stand apart in all tasks."""
        found = []
        for task, rule in self._rules.items():
            before = self._last.get(task, logs[task][:0])
            found.append(rule.apart(np.concatenate([before, logs[task]]))[len(before) :])
        apart: NDArray[np.bool_] = np.logical_and.reduce(found)
        return apart

    def _overdue(self, apart: NDArray[np.bool_]) -> Iterator[int]:
        """Of new units those that are WAITING_UNITS, twice as many ... behind the last one that stands apart.

        So they are the same however many units come at a time.
        """
        waiting = sum(len(units.starts) for units in self._units)
        edges = np.concatenate([[-waiting], np.flatnonzero(apart), [len(apart)]])
        for edge in np.flatnonzero(np.diff(edges) > WAITING_UNITS).tolist():
            yield from range(edges[edge] + WAITING_UNITS, edges[edge + 1], WAITING_UNITS)

    def _settled(self, units: _Places, logs: Mapping[str, Floats]) -> _Settled:
        """The waiting units, which wait no longer, and these, behind whose `logs` the next unit's may stand."""
        places = _Places(*map(np.concatenate, zip(*self._units, units, strict=True)))
        found = {
            task: rule.find(np.concatenate([*self._logs[task], logs[task]]), len(places.documents))
            for task, rule in self._rules.items()
        }
        self._units, self._logs = [], {task: [] for task in self._rules}
        return _Settled(places, found)


@dataclass(frozen=True, slots=True)
class _Passage:
    """Several whole documents or part of one, as units with the windows in which they are read."""

    units: Units
    windows: Ints
    """(W, 4) first unit, last unit, first kept, last kept, each half-open; the kept ranges are one row of units."""
    documents: Ints
    """Number of the document that each kept unit is in."""

    def kept_places(self) -> _Places:
        """Where the kept units lie."""
        kept = slice(int(self.windows[0, 2]), int(self.windows[-1, 3]))
        return _Places(self.units.starts[kept], self.units.ends[kept], self.documents)


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
    places = _Places(units.starts, units.ends, np.repeat(np.arange(first, last), np.diff(bounds)))
    windows = [
        (low + a, low + b, low + c, low + d)
        for low, high in pairwise(bounds.tolist())
        for a, b, c, d in unit_windows(places.slice(low, high), length=length)
    ]
    if windows:
        told, table = recognised(units, bounds, profiles), np.array(windows)
        for few in np.split(table, np.flatnonzero(np.diff(table[:, 3] // PASSAGE_UNITS)) + 1):
            yield _Passage(told, few, places.documents[few[0, 2] : few[-1, 3]])


def _bit_by_bit(item: bytes, number: int, length: int, profiles: Profiles | None) -> Iterator[_Passage]:
    """One document, of whose units those are held that windows still to come may hold."""
    parts = recognised_parts(cut_parts(item), profiles)
    held, kept = next(parts, None), 0
    while held is not None:
        part = next(parts, None)
        windows = np.array(unit_windows(held, length=length, kept=kept, is_whole=part is None))
        for few in _some_at_a_time(windows, is_whole=part is None):
            yield _Passage(held, few, np.full(int(few[-1, 3]) - kept, number))
            kept = int(few[-1, 3])
        if part is None:
            return
        needed = int(np.searchsorted(held.starts, held.starts[min(kept, len(held) - 1)] - length // 8))
        held, kept = Units.joined([held.slice(needed, len(held)), part]), kept - needed


def _some_at_a_time(windows: Ints, *, is_whole: bool) -> Iterator[Ints]:
    """The windows of a long document in order, as many as make up about two batches.

    Unless these are all, an odd one at the end is left out, to be read beside others instead of alone.
    """
    if not len(windows):
        return
    longest = int((windows[:, 1] - windows[:, 0]).max())
    count = BATCH_WINDOWS * max(2 * BATCH_UNITS // (BATCH_WINDOWS * longest), 1)
    last = len(windows) if is_whole else len(windows) // BATCH_WINDOWS * BATCH_WINDOWS
    for first in range(0, last, count):
        yield windows[first : min(first + count, last)]


def _scores(model: UnitModel, passage: _Passage) -> Iterator[tuple[_Places, Floats]]:
    """Up to BATCH_UNITS kept units at a time, and their scores (n, V)."""
    firsts, lasts, kept, ends = passage.windows.T
    scores = np.empty((int(ends[-1] - kept[0]), model.tags.size), np.float32)
    for rows in _batches(lasts - firsts):
        windows = firsts[rows], lasts[rows]
        batch = collate_windows(passage.units, *windows, rows=model.config.table_rows, known=model.ngrams)
        counts = (ends - kept)[rows]
        column = np.repeat(np.arange(len(rows)), counts)
        place = np.arange(len(column)) - np.repeat(np.cumsum(counts) - counts, counts) + kept[rows][column]
        scores[place - kept[0]] = model.score(batch)[place - firsts[rows][column], column]
    places = passage.kept_places()
    for first in range(0, len(scores), BATCH_UNITS):
        yield places.slice(first, first + BATCH_UNITS), scores[first : first + BATCH_UNITS]


def _batches(sizes: Ints) -> Iterator[Ints]:
    """Numbers of windows of these sizes, shortest first, in batches of about BATCH_UNITS units with padding."""
    order = np.argsort(sizes, kind="stable")
    while len(order):
        most = sizes[order[:BATCH_UNITS]] * np.arange(1, len(order[:BATCH_UNITS]) + 1)
        count = max(int(np.searchsorted(most, BATCH_UNITS, side="right")), BATCH_WINDOWS)
        yield order[:count]
        order = order[count:]

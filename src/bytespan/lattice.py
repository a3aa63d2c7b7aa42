"""Spans <-> tags of units, and the best spans that tag scores can make: the parallel decoder's side of `codec`.

Each task has a tag O, outside any span, and for each label a tag B, its first unit, and I, any further one. A span
scores what its tags score; of all ways to lay flat spans over a document `best_tags` finds the one that scores most.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import LabelError
from bytespan.spans import Span, spans_from_columns
from bytespan.units import Units

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Edges(Protocol):
    """Where units begin and end, as `Units` tells."""

    @property
    def starts(self) -> Ints:
        """(U,) first byte of each."""

    @property
    def ends(self) -> Ints:
        """(U,) byte after each."""


OUTSIDE = 0
"""Tag of a unit that is in no span; label i has the tags 2 i + 1 (first unit) and 2 i + 2 (further ones)."""

FEWEST_UNITS = 8
"""Of a text with more marks than words, a window may hold so many units, however short it is."""


@dataclass(frozen=True, slots=True)
class LikelySpans:
    """Spans of units, one row a span; they may overlap."""

    first: Ints
    """(n,) first unit."""
    last: Ints
    """(n,) unit behind the last."""
    label: Ints
    """(n,) place in the label set."""
    probability: NDArray[np.float64]
    """(n,)"""

    @staticmethod
    def joined(parts: "Sequence[LikelySpans]") -> "LikelySpans":
        """The spans of all parts, in the order of their first units."""
        columns = [(part.first, part.last, part.label, part.probability) for part in parts]
        none = (np.zeros(0, np.int64),) * 3 + (np.zeros(0),)
        first, last, label, probability = (np.concatenate(column) for column in zip(none, *columns, strict=True))
        order = np.argsort(first, kind="stable")
        return LikelySpans(first[order], last[order], label[order], probability[order])


@dataclass(frozen=True)
class TagSets:
    """The tags of a model's tasks, and the columns of its output that score them."""

    labels: Mapping[str, tuple[str, ...]]
    """Task -> its label set."""

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Task -> its columns, one a tag."""
        edges = np.cumsum([0, *(2 * len(labels) + 1 for labels in self.labels.values())]).tolist()
        return {task: slice(*pair) for task, pair in zip(self.labels, pairwise(edges), strict=True)}

    @property
    def size(self) -> int:
        """Tags of all tasks together."""
        return sum(2 * len(labels) + 1 for labels in self.labels.values())

    def meanings(self) -> list[tuple[str, ...]]:
        """What each column stands for: equal meanings are equal columns of two models."""
        tags = {task: ["O", *(f"{place}-{label}" for label in labels for place in "BI")]
                for task, labels in self.labels.items()}  # fmt: skip
        return [(task, tag) for task, names in tags.items() for tag in names]

    def places_in(self, other: "TagSets", task: str) -> list[int]:
        """Where this one's tags of a task stand among another's, which must know all its labels."""
        known = other.labels[task]
        return [OUTSIDE, *(2 * known.index(label) + place for label in self.labels[task] for place in (1, 2))]

    def encode(self, spans: Iterable[Span], units: Units, task: str) -> tuple[Ints, NDArray[np.bool_]]:
        """(U,) the tags that the spans give the units, and (U,) of which units they do not tell the truth.

        Those are the units of spans that begin or end inside a unit, or overlap one before them. Raises LabelError for
        a label that is not in the set.
        """
        members = sorted(spans)
        tags, untold = np.zeros(len(units), np.int64), np.zeros(len(units), np.bool_)
        starts, ends = (np.array([edge(span) for span in members], np.int64) for edge in (_start, _end))
        firsts = np.searchsorted(units.ends, starts, side="right")
        lasts = np.searchsorted(units.starts, ends, side="left")
        number = {label: i for i, label in enumerate(self.labels.get(task, ()))}
        reached = 0
        for span, first, last in zip(members, firsts.tolist(), lasts.tolist(), strict=True):
            if span.label not in number:
                raise LabelError(f"label {span.label!r} is not in the {task} label set ({', '.join(number) or 'none'})")
            fits = first < last and units.starts[first] == span.start and units.ends[last - 1] == span.end
            if not fits or first < reached:
                untold[first:last] = True
            else:
                tags[first:last] = 2 * number[span.label] + 2
                tags[first] -= 1
            reached = max(reached, last)
        return tags, untold

    def spans(self, found: LikelySpans, units: Edges, task: str) -> list[Span]:
        """The same spans in bytes of the document, each scored by its probability."""
        names = [self.labels[task][label] for label in found.label.tolist()]
        return spans_from_columns(units.starts[found.first], units.ends[found.last - 1], names, found.probability)


def tagged_spans(tags: NDArray[Any], logs: Floats) -> LikelySpans:
    """The spans that possible tags (U,) stand for, in order; `logs` (U,) are the tags' log-probabilities.

    A span's own probability is that of its tags.
    """
    firsts = np.flatnonzero(tags % 2 == 1)
    goes_on = (tags % 2 == 0) & (tags != OUTSIDE)
    breaks = np.append(np.flatnonzero(~goes_on), len(tags))
    lasts = breaks[np.searchsorted(breaks, firsts, side="right")]
    edges = np.stack([firsts, lasts], axis=1).ravel()
    sums = np.add.reduceat(np.append(logs, 0), edges, dtype=np.float64)[::2] if len(edges) else np.zeros(0)
    return LikelySpans(firsts, lasts, (tags[firsts].astype(np.int64) - 1) // 2, np.exp(np.minimum(sums, 0)))


def best_tags(scores: Floats) -> Ints:
    """(U,) the possible tags of one task with the highest sum of scores (U, N), ruling out only impossible ones.

    Impossible is an I whose unit before is neither B nor I of the same label. Where every unit's best tag makes a
    possible sequence, that is it; the Viterbi algorithm runs only where it is not, between two units that stand apart.
    """
    tags: Ints = scores.argmax(axis=1)
    before = np.append(OUTSIDE, tags[:-1])[: len(tags)]
    broken = np.flatnonzero((tags % 2 == 0) & (tags != OUTSIDE) & (before != tags) & (before != tags - 1))
    if len(broken):
        edges = np.append(np.flatnonzero(stand_apart(scores)), len(tags))
        stretches = np.searchsorted(edges, broken, side="right")
        stretches = stretches[np.diff(stretches, prepend=-1) > 0]
        firsts, lasts = edges[stretches - 1], edges[stretches]
        places = np.repeat(lasts - np.cumsum(lasts - firsts), lasts - firsts) + np.arange(int((lasts - firsts).sum()))
        tags[places] = _viterbi(scores, firsts, lasts)
    return tags


def stand_apart(scores: Floats) -> NDArray[np.bool_]:
    """(U,) units before which the best tags can be cut: those before and those from there on do not depend on others.

    That is so where no I can be worth it. Let a sequence go on with a span of label X there. Beginning another span
    instead costs the I less the B of X, and is possible behind anything. In return the unit before need be no part of
    X: its O or a B will do, which gain their score less that of X. Where for no X the cost is above the gain, some best
    sequence has a cut. The first unit always stands apart.
    """
    begins, goes_on = scores[:, 1::2], scores[:, 2::2]
    costs = goes_on[1:] - begins[1:]
    free = np.maximum(scores[:, 0], begins.max(axis=1))
    gains = free[:-1, None] - np.maximum(begins, goes_on)[:-1]
    result = np.ones(len(scores), np.bool_)
    result[1:] = np.logical_and.reduce(costs <= gains, axis=1)
    return result


def likely_spans(logs: Floats, floor: float, *, count: int) -> LikelySpans:
    """Every span of one task that begins in the first `count` units and is at least as probable as `floor`.

    logs: (U, N) log-probabilities of the tags. A span's probability is that its units have its tags, and the unit
    behind it no I of its label. Nearly all are ruled out at their first unit, so this takes linear time.
    """
    least = np.log(floor)
    begins, goes_on = logs[:, 1::2], logs[:, 2::2]
    ends = np.zeros_like(begins)
    ends[:-1] = np.log1p(-np.minimum(np.exp(goes_on[1:]), 1 - 1e-7))
    first, label = np.nonzero(begins[:count] >= least)
    last, log = first + 1, begins[first, label].astype(np.float64)
    found = []
    while len(first):
        whole = log + ends[last - 1, label]
        found.append(np.stack([first, last, label, whole])[:, whole >= least])
        rows = np.flatnonzero(last < len(logs))
        first, last, label, log = first[rows], last[rows], label[rows], log[rows]
        log = log + goes_on[last, label]
        rows = np.flatnonzero(log >= least)
        first, last, label, log = first[rows], last[rows] + 1, label[rows], log[rows]
    columns = np.concatenate([np.zeros((4, 0)), *found], axis=1)
    first, last, label = columns[:3].astype(np.int64)
    return LikelySpans(first, last, label, np.exp(np.minimum(columns[3], 0)))


def ends_likely_spans(logs: Floats, floor: float) -> NDArray[np.bool_]:
    """(U,) units into which no span reaches from before that is as probable as `floor`."""
    result: NDArray[np.bool_] = (logs[:, 2::2] < np.log(floor)).all(axis=1)
    return result


def _viterbi(scores: Floats, firsts: Ints, lasts: Ints) -> Ints:
    """(n,) the best possible tags of the units of some stretches, one behind the other, scores (U, N).

    firsts, lasts: (S,) the stretches. They are worked on side by side, with those of like length.
    """
    lengths = lasts - firsts
    tags = np.zeros(int(lengths.sum()), np.int64)
    begins = np.cumsum(lengths) - lengths
    sizes = np.ceil(np.log2(lengths)).astype(np.int64)
    for size in sorted(set(sizes.tolist())):
        rows = np.flatnonzero(sizes == size)
        steps = np.arange(int(lengths[rows].max()))[:, None]
        inside = steps < lengths[rows]  # (T, S)
        best = _viterbi_side_by_side(scores[np.minimum(firsts[rows] + steps, lasts[rows] - 1)], inside)
        tags[(begins[rows] + steps)[inside]] = best[inside]
    return tags


def _viterbi_side_by_side(scores: Floats, inside: NDArray[np.bool_]) -> Ints:
    """(T, S) the best possible tags, scores (T, S, N), of the steps `inside` (T, S); the rest means nothing."""
    steps, stretches, count = scores.shape
    rows = np.arange(stretches)
    total = scores[0].astype(np.float64)
    total[:, 2::2] = -np.inf
    previous = np.zeros((steps, stretches, count), np.int16)
    firsts = np.arange(1, count, 2)
    for t in range(1, steps):
        best = total.argmax(axis=1)
        goes_on = total[:, 2::2] >= total[:, 1::2]
        previous[t] = best[:, None]
        previous[t, :, 2::2] = firsts + goes_on
        following = np.repeat(total[rows, best][:, None], count, axis=1)
        following[:, 2::2] = np.maximum(total[:, 2::2], total[:, 1::2])
        total = np.where(inside[t][:, None], following + scores[t], total)
    tags = np.zeros((steps, stretches), np.int64)
    tags[-1] = total.argmax(axis=1)
    for t in range(steps - 1, 0, -1):
        tags[t - 1] = np.where(inside[t], previous[t, rows, tags[t]], tags[t])
    return tags


def unit_windows(units: Edges, *, length: int, kept: int = 0, is_whole: bool = True) -> list[tuple[int, int, int, int]]:
    """Windows of at most `length` bytes over all units: (first, last, first kept, last kept), each half-open.

    The kept ranges partition the units from `kept` on. A window reaches an eighth of its length beyond what it keeps,
    so that no kept unit, but at the text's ends, is seen without context. A window holds at least one unit, however
    long that is, and at most one in three bytes, as Chinese has: nothing but marks takes no more memory than words.
    Unless these units are the `is_whole` document, windows that may reach beyond them are left out.
    """
    windows = []
    count, margin, most = len(units.starts), length // 8, max(length // 3 + 1, FEWEST_UNITS)
    while kept < count:
        begin = int(units.starts[kept]) - (margin if kept else 0)
        first = int(np.searchsorted(units.starts, begin, side="left"))
        last = int(np.searchsorted(units.ends, int(units.starts[first]) + length, side="right"))
        last = max(min(last, first + most), kept + 1)
        if last == count and not is_whole:
            break
        end = count if last == count else int(
            np.searchsorted(units.ends, int(units.ends[last - 1]) - margin, side="right"))  # fmt: skip
        end = max(end, kept + 1)
        windows.append((first, last, kept, end))
        kept = end
    return windows


def _start(span: Span) -> int:
    return span.start


def _end(span: Span) -> int:
    return span.end

"""What trained models say of a corpus, for another to learn from: their tags' probabilities, unit by unit.

Learning by distillation (Hinton et al. 2015): a model learns more from "most likely B-ORG, perhaps B-LOC", the mean of
what several models say, than from B-ORG alone. The teachers read the training documents once, before the first step, as
they would for a user: in windows of their own length and without dropout.

This room knows neither torch nor ONNX Runtime: a teacher is any `parallel.UnitModel`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytespan.corpora.annotated import Annotated
from bytespan.decoding import log_softmax
from bytespan.errors import ConfigError, LabelError
from bytespan.lattice import Floats, TagSets
from bytespan.parallel import UnitModel, score_units
from bytespan.units import cut_units

KEPT = 8
"""Tags of a unit that are kept, the likeliest ones: 24 bytes a unit and task instead of some hundred."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What teachers say of the units of a document for one task. U units, K tags of each."""

    tags: NDArray[Any]
    """(U, K) the likeliest tags, by their places in the pupil's tag set."""
    shares: NDArray[Any]
    """(U, K) their probabilities, the largest first, which add up to 1."""
    labels: frozenset[str]
    """Labels that a teacher knows."""


Lessons = Mapping[str, Lesson]
"""Task -> lesson, of tasks that a document's teachers know; none without teachers."""


def ask_teachers(
    members: Sequence[Annotated], labels: Mapping[str, tuple[str, ...]], open_teacher: Callable[[str], UnitModel]
) -> Iterator[Lessons]:
    """For each document, in order, the mean over its corpus's teachers of what they say of the tasks it annotates.

    labels: task -> the pupil's label set. A label of it that no teacher knows has no probability.
    Raises LabelError for a teacher's label that the pupil lacks, ConfigError for a teacher of other tasks, both before
    the first document is read.
    """
    pupil = TagSets(labels)
    asked = groupby(
        members, key=lambda member: (member.corpus.teachers, frozenset(labels.keys() & member.labels.keys()))
    )
    groups = [(names, tasks, [member.document.data for member in group]) for (names, tasks), group in asked]
    for name, tasks in dict.fromkeys((name, tasks) for names, tasks, _ in groups for name in names):
        _check(name, open_teacher(name).tags, pupil, tasks)  # and close it: all at once may be too many
    for names, tasks, data in groups:
        if names:
            yield from _lessons(data, [open_teacher(name) for name in names], pupil, tasks)
        else:
            yield from ({} for _ in data)


def _check(name: str, teacher: TagSets, pupil: TagSets, tasks: frozenset[str]) -> None:
    if tasks.isdisjoint(teacher.labels):
        raise ConfigError(f"{name}: teaches {', '.join(teacher.labels)}, but its corpus annotates "
                          f"{', '.join(sorted(tasks))}: give another teacher or leave it out")  # fmt: skip
    for task in tasks.intersection(teacher.labels):
        unknown = [label for label in teacher.labels[task] if label not in pupil.labels.get(task, ())]
        if unknown:
            raise LabelError(f"{name}: teaches the {task} labels {', '.join(unknown)}, which no training corpus has: "
                             "leave the teacher out or add a corpus that has them")  # fmt: skip


def _lessons(
    data: Sequence[bytes], teachers: Sequence[UnitModel], pupil: TagSets, tasks: frozenset[str]
) -> Iterator[Lessons]:
    """The lessons on some documents that have the same teachers and tasks."""
    known = {
        task: frozenset(label for teacher in teachers for label in teacher.tags.labels.get(task, ()))
        for task in pupil.labels
        if task in tasks and any(task in teacher.tags.labels for teacher in teachers)
    }
    stream = _Rows(
        _likeliest({task: _mean(scores, teachers, pupil, task) for task in known})
        for scores in _side_by_side([score_units(teacher, data) for teacher in teachers])
    )
    for item in data:
        found = stream.take(len(cut_units(item)))
        columns = {task: found[task] for task in known} if len(found) else {}
        yield {task: Lesson(rows["tags"], rows["shares"], known[task]) for task, rows in columns.items()}


def _side_by_side(streams: Sequence[Iterator[Floats]]) -> Iterator[list[Floats]]:
    """What the streams say of the same units, the rows of which come in other portions from each."""
    held = [next(stream, None) for stream in streams]
    while all(part is not None for part in held):
        parts = [part for part in held if part is not None]
        size = min(map(len, parts))
        yield [part[:size] for part in parts]
        held = [part[size:] if len(part) > size else next(stream, None)
                for part, stream in zip(parts, streams, strict=True)]  # fmt: skip


def _mean(scores: Sequence[Floats], teachers: Sequence[UnitModel], pupil: TagSets, task: str) -> Floats:
    """(n, N) the mean probabilities of the pupil's tags of a task, over the teachers that know the task."""
    shares = np.zeros((len(scores[0]), 2 * len(pupil.labels[task]) + 1), np.float32)
    known = [(found, teacher.tags) for found, teacher in zip(scores, teachers, strict=True)
             if task in teacher.tags.labels]  # fmt: skip
    for found, tags in known:
        shares[:, tags.places_in(pupil, task)] += np.exp(log_softmax(found[:, tags.columns[task]])) / len(known)
    return shares


def _likeliest(means: Mapping[str, Floats]) -> NDArray[Any]:
    """(n,) records of the likeliest tags and their shares, a field a task, from (n, N) probabilities of each."""
    kinds, columns = [], []
    for task, mean in means.items():
        tags = np.argsort(-mean, axis=1, kind="stable")[:, :KEPT]
        shares = np.take_along_axis(mean, tags, axis=1)
        kinds.append((task, [("tags", np.min_scalar_type(mean.shape[1]), tags.shape[1]),
                             ("shares", np.float16, tags.shape[1])]))  # fmt: skip
        columns.append((tags, shares / shares.sum(axis=1, keepdims=True)))
    rows = np.zeros(len(columns[0][0]), kinds)
    for task, (tags, shares) in zip(means, columns, strict=True):
        rows[task]["tags"], rows[task]["shares"] = tags, shares
    return rows


class _Rows:
    """Rows that come in blocks, given out in other portions."""

    def __init__(self, blocks: Iterator[NDArray[Any]]) -> None:
        self._blocks = blocks
        self._rest = next(blocks, np.zeros(0))

    def take(self, count: int) -> NDArray[Any]:
        """The next rows, in memory of their own."""
        pieces = [self._rest[:count]]
        self._rest = self._rest[count:]
        while (missing := count - sum(map(len, pieces))) > 0:
            block = next(self._blocks)
            pieces.append(block[:missing])
            self._rest = block[missing:]
        return np.concatenate(pieces)

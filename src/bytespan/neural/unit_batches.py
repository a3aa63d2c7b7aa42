"""Training batches of the parallel decoder: segments of whole units, drawn at random from all corpora."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bytespan.config import ModelConfig, TrainConfig
from bytespan.corpora.annotated import Annotated
from bytespan.languages import line_starts, salt_of
from bytespan.lattice import TagSets
from bytespan.neural.batches import BATCHES_PER_POOL, IGNORED
from bytespan.ngrams import Hashes, NgramFilter, find_ngrams
from bytespan.teaching import KEPT, Lessons
from bytespan.units import HASHES, PREFIXES, SALTED, WHOLE, WIDTH, UnitBatch, Units, collate_units, cut_units, salted
from bytespan.vocabulary import DROP, Vocabulary

STEPS_MULTIPLE = 16
"""Units of a batch's segments, padding included, are a multiple of it: oneDNN keeps what it makes for every shape that
it meets, gigabytes in the end, and makes it anew where it forgets."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TaughtTags:
    """What teachers say of a task in the segments of one optimizer step."""

    tags: Ints
    """(T, B, KEPT)."""
    shares: NDArray[np.float32]
    """(T, B, KEPT) their probabilities, the largest first; 0 where nobody teaches."""


@dataclass(frozen=True, slots=True)
class TaggedBatch:
    """The segments of one optimizer step. T units, B segments, V tags of all tasks."""

    units: UnitBatch
    """What the model reads, byte dropout applied."""
    shown: Floats
    """(T, B, HASHES) what byte dropout leaves of each hash: 0, or so much more than 1 that the batch's mean is 1, as in
    use, where every hash is seen (inverted dropout)."""
    gold: dict[str, Ints]
    """Task -> (T, B) gold tags, IGNORED where the task is not annotated."""
    free: Bools | None
    """(B, V) tags of labels that the segment's corpus does not annotate and its teachers do not know; None if there is
    none in the batch."""
    bytes_read: int
    """Bytes that the segments span."""
    taught: dict[str, TaughtTags]
    """Task -> what teachers say, of tasks that they teach in the batch."""
    agreement: Floats
    """(B,) weight of the divergence between what the model says of a segment and of the one before it, where these are
    the same one, read twice; 0 elsewhere."""

    @property
    def lengths(self) -> Ints:
        """(B,) units of each segment."""
        return self.units.lengths

    @property
    def longest(self) -> int:
        """Units in the longest segment."""
        return int(self.lengths.max(initial=0))

    def rows(self, part: slice) -> "TaggedBatch":
        """Some of the segments."""
        units = UnitBatch(
            self.units.rows[:, part],
            self.units.symbols[:, part],
            self.units.gaps[:, part],
            self.units.words[:, part],
            self.units.lengths[part],
        )
        gold = {task: tags[:, part] for task, tags in self.gold.items()}
        free = None if self.free is None else self.free[part]
        taught = {task: TaughtTags(found.tags[:, part], found.shares[:, part]) for task, found in self.taught.items()}
        return TaggedBatch(units, self.shown[:, part], gold, free, self.bytes_read, taught, self.agreement[part])


@dataclass(frozen=True, slots=True)
class _Source:
    """One document: its units, their tags for each task that it annotates, and what its corpus does not annotate."""

    units: Units
    tags: dict[str, Ints]
    free: Bools
    """(V,) tags of labels that neither the corpus nor its teachers know."""
    lessons: Lessons
    weight: float
    """How many times as often as in proportion to its size it is drawn."""
    salt: int
    """Of its language, 0 if the model does not know it."""
    agreement: float
    """Of two readings of its segments; 0 if these are read once."""


def ngrams_met(members: Iterable[Annotated], model: ModelConfig, train: TrainConfig) -> NgramFilter | None:
    """The n-grams that a model with these settings is to know, from its training text; None if it takes all for known.

    Those that `train.least_lines` different lines hold. Lines that differ in white space alone are the same; those of
    copies do not count. What only lines hold that are not told their language counts for as much as training shows of
    it.
    """
    if not model.known_bits:
        return None
    told: list[tuple[Hashes, Hashes]] = []
    untold: list[tuple[Hashes, Hashes]] = []
    for member in members:
        units = cut_units(member.document.data)
        if member.corpus.copies or not len(units):
            continue
        starts = line_starts(units.gaps)
        sums = np.add.reduceat(units.hashes[:, 0], starts, dtype=np.uint32)
        lines = np.repeat(sums, np.diff(np.append(starts, len(units))))
        salt = salt_of(member.corpus.language) if member.corpus.language in model.languages else 0
        told.append((salted(units, np.array([salt], np.uint32)).hashes, lines))
        if salt:
            untold.append((units.hashes[:, SALTED], lines))
    known = find_ngrams(told, least=train.least_lines, size=model.known_bits)
    if not train.language_dropout:
        return known
    return known.joined(find_ngrams(untold, least=train.least_lines / train.language_dropout, size=model.known_bits))


class _Segment(NamedTuple):
    """Units of a document, from the first to before the last."""

    source: _Source
    first: int
    last: int

    def length(self) -> int:
        """How many units they are."""
        return self.last - self.first


class UnitSampler:
    """Draws the batch of any step: the same step gives the same batch, so a resumed run needs no state of it."""

    def __init__(
        self,
        members: Sequence[Annotated],
        vocabulary: Vocabulary,
        model: ModelConfig,
        train: TrainConfig,
        lessons: Iterable[Lessons] | None = None,
        known: NgramFilter | None = None,
    ) -> None:
        """`lessons`: what each document's teachers say, in order; None if there are none.

        `known`: the n-grams that the model knows; None if it takes all for known.
        """
        self.known = known
        self.tags, self.model, self.train = TagSets(vocabulary.labels), model, train
        self.untold = 0
        """Units that no loss counts because a span of theirs does not begin and end where units do."""
        taught = zip(members, repeat({}) if lessons is None else lessons, strict=lessons is not None)
        sources = (self._source(member, lesson) for member, lesson in taught if member.document.spans)
        self.sources = [source for source in sources if len(source.units)]
        weights = np.array([len(source.units) * source.weight for source in self.sources])
        self._before = np.append(0, np.cumsum(weights)) / weights.sum()
        self._pool: tuple[int, list[TaggedBatch]] = (-1, [])

    def batch(self, step: int) -> TaggedBatch:
        """The batch of optimizer step `step` (0-based)."""
        number = step // BATCHES_PER_POOL
        if self._pool[0] != number:
            self._pool = (number, self.pool(number))
        return self._pool[1][step % BATCHES_PER_POOL]

    def _source(self, member: Annotated, lessons: Lessons) -> _Source:
        document = member.document
        units = cut_units(document.data)
        tags = {}
        for task in self.tags.labels:
            if task in document.spans:
                found, untold = self.tags.encode(document.spans[task], units, task)
                tags[task] = np.where(untold, IGNORED, found)
                self.untold += int(untold.sum())
        known = {task: member.labels.get(task, frozenset()) for task in tags}
        known |= {task: known[task] | lesson.labels for task, lesson in lessons.items() if task in tags}
        free = np.array([
            task in tags and tag != "O" and tag[2:] not in known[task] for task, tag in self.tags.meanings()
        ], np.bool_)  # fmt: skip
        weight = member.corpus.weight * member.corpus_bytes**-self.train.balance
        salt = salt_of(member.corpus.language) if member.corpus.language in self.model.languages else 0
        return _Source(units, tags, free, lessons, weight, salt, member.corpus.agreement)

    def pool(self, number: int) -> list[TaggedBatch]:
        """The batches of BATCHES_PER_POOL steps in a row.

        Their segments are dealt out by length, so that little of a batch is padding. Both readings of one are in the
        same batch, and with several processes in the same part of it, if its segments can be dealt out two by two.
        """
        rng = np.random.default_rng([self.train.seed, number])
        count = self.train.batch_size * BATCHES_PER_POOL
        single, double = list[_Segment](), list[_Segment]()
        while (left := count - len(single) - 2 * len(double)) > 0:
            segment = self._draw(rng)
            (double if segment.source.agreement and left > 1 else single).append(segment)
        single.sort(key=_Segment.length)
        pairs = [*zip(single[::2], single[1::2], strict=True), *((segment, segment) for segment in double)]
        pairs.sort(key=lambda pair: pair[0].length())
        segments = [segment for pair in pairs for segment in pair]
        batches = [segments[i : i + self.train.batch_size] for i in range(0, count, self.train.batch_size)]
        return [self._collate(batches[i], rng) for i in rng.permutation(len(batches))]

    def _draw(self, rng: np.random.Generator) -> _Segment:
        """A segment: every unit of a corpus is as likely to be in one."""
        owner = int(np.searchsorted(self._before[1:-1], rng.random(), side="right"))
        source = self.sources[owner]
        units = source.units
        at = int(rng.integers(len(units)))
        length = min(self.train.segment_bytes, self.model.segment_length)
        if rng.random() < self.train.short_fraction:
            length = int(rng.integers(1, length + 1))
        first_byte = int(units.starts[at]) - int(rng.integers(length))
        latest = max(int(units.ends[-1]) - length, 0)
        first = min(int(np.searchsorted(units.starts, min(first_byte, latest))), at)
        last = int(np.searchsorted(units.ends, units.starts[first] + length, side="right"))
        return _Segment(source, first, max(last, first + 1))

    def _collate(self, segments: Sequence[_Segment], rng: np.random.Generator) -> TaggedBatch:
        parts = [self._salted(source, first, last, rng) for source, first, last in segments]
        batch = collate_units(parts, rows=self.model.table_rows, known=self.known, multiple=STEPS_MULTIPLE)
        gold = {task: np.full(batch.gaps.shape, IGNORED, np.int64) for task in self.tags.labels}
        for column, (source, first, last) in enumerate(segments):
            for task, tags in source.tags.items():
                gold[task][: last - first, column] = tags[first:last]
        shown = self._drop_bytes(batch, parts, rng)
        free = np.stack([source.free for source, _, _ in segments])
        size = sum(int(units.ends[-1] - units.starts[0]) for units in parts)
        taught = _collate_lessons([(source.lessons, first, last) for source, first, last in segments], batch.gaps.shape)
        agreement = [0.0, *(one.source.agreement if one is before else 0.0 for before, one in pairwise(segments))]
        told = free if free.any() else None
        return TaggedBatch(batch, shown, gold, told, size, taught, np.array(agreement, np.float32))

    def _salted(self, source: _Source, first: int, last: int, rng: np.random.Generator) -> Units:
        """Some units, salted with their language but for the fraction that is not told it."""
        units = source.units.slice(first, last)
        if not source.salt or rng.random() < self.train.language_dropout:
            return units
        return salted(units, np.array([source.salt], np.uint32))

    def _drop_bytes(self, batch: UnitBatch, parts: Sequence[Units], rng: np.random.Generator) -> Floats:
        """Replace bytes of the batch by DROP, and return how much is seen of each hash: those that hold no dropped byte
        and are not dropped themselves, in proportion to how few these are."""
        shape = batch.symbols.shape
        dropped = rng.random(shape, np.float32) < self.train.byte_dropout
        dropped |= (rng.random(shape[:2], np.float32) < self.train.unit_dropout)[..., None]
        dropped &= batch.symbols < DROP
        batch.symbols[dropped] = DROP
        lengths = (batch.symbols <= DROP).sum(axis=2)
        first = np.where(dropped.any(axis=2), dropped.argmax(axis=2), WIDTH)
        last = np.where(dropped.any(axis=2), WIDTH - dropped[..., ::-1].argmax(axis=2), 0)
        shown = np.ones((*shape[:2], HASHES), np.bool_)
        shown[..., :WHOLE] = (first == WIDTH)[..., None]
        for column, units in enumerate(parts):
            inside = slice(len(units)), column
            begins, ends = units.affixes[:, : len(PREFIXES)], units.affixes[:, len(PREFIXES) :]
            shown[inside][:, WHOLE : WHOLE + len(PREFIXES)] = first[inside][:, None] >= begins
            left = lengths[inside] - last[inside]
            shown[inside][:, WHOLE + len(PREFIXES) :] = (left[:, None] >= ends) | (last[inside] == 0)[:, None]
        if self.train.hash_dropout:
            shown &= rng.random(shown.shape, np.float32) >= self.train.hash_dropout
        if self.train.word_dropout:
            draws = rng.random((int(batch.words.max()) + 1, shape[1]), np.float32)
            hidden = np.take_along_axis(draws, np.maximum(batch.words, 0), axis=0) < self.train.word_dropout
            shown[..., : WHOLE - 1] &= ~hidden[..., None]
        share = max(float(shown[batch.words >= 0].mean()), 1 / HASHES)  # not beyond one hash of a unit
        return shown.astype(np.float32) / np.float32(share)


def _collate_lessons(segments: Sequence[tuple[Lessons, int, int]], shape: tuple[int, ...]) -> dict[str, TaughtTags]:
    """What teachers say of segments of a batch of that shape (T, B): their documents' lessons, first and last unit."""
    taught: dict[str, TaughtTags] = {}
    for column, (lessons, first, last) in enumerate(segments):
        for task, lesson in lessons.items():
            if task not in taught:
                taught[task] = TaughtTags(np.zeros((*shape, KEPT), np.int64), np.zeros((*shape, KEPT), np.float32))
            inside = slice(last - first), column, slice(lesson.tags.shape[1])
            taught[task].tags[inside] = lesson.tags[first:last]
            taught[task].shares[inside] = lesson.shares[first:last]
    return taught

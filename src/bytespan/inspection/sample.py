"""Positions of texts with the model's states there and what is true of them: what probes are trained and scored on."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import CorpusError
from bytespan.inspection.properties import LANGUAGE, NOT_ASKED, Strings, describe, types_of
from bytespan.runtime.states import StateReader
from bytespan.spans import Document
from bytespan.units import cut_units
from bytespan.words import code_points

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ALL_BYTES = 100_000
"""Bytes of all languages together whose states are read."""

ALL_POSITIONS = 20_000
"""Positions of all languages together that are kept."""

PASSAGE_BYTES = 1024
"""The most bytes that are read at a time; as many as the parallel decoder is trained on."""

LEAST_PASSAGES = 9
"""A language's text is cut into so many passages at least, since every third of them is held out."""


TOO_LITTLE = "the files hold too little text to ask anything of the states: give a few hundred words"


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of an annotated or plain text in one language."""

    document: Document
    language: str
    is_held_out: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """N positions of many passages."""

    states: Floats
    """(N, C)"""
    properties: Mapping[str, Strings]
    """Property -> its values, (N,)."""
    spoken: Strings
    """(N,) the language of each position's text."""
    types: Ints
    """(N,) the number of each position's word type."""
    held_out: Bools
    """(N,) whether probes are scored there, not trained."""


def choose_passages(texts: Mapping[str, Sequence[Document]]) -> list[Passage]:
    """Passages from all over the documents of each language, as many bytes of each; every third is held out."""
    chosen = []
    for language, documents in texts.items():
        total = sum(len(document.data) for document in documents)
        size = min(max(total // LEAST_PASSAGES, 32), PASSAGE_BYTES)
        passages = [passage for document in documents for passage in cut_passages(document, size=size)]
        wanted = min(1.0, ALL_BYTES / len(texts) / max(total, 1))
        places = np.linspace(0, len(passages) - 1, math.ceil(wanted * len(passages))).astype(np.int64)
        chosen += [Passage(passages[place], language, number % 3 == 1) for number, place in enumerate(places)]
    return chosen


def cut_passages(document: Document, *, size: int) -> Iterator[Document]:
    """The document in parts of at most about `size` bytes, cut at spaces where there are any, and through no span."""
    data, first = document.data, 0
    edges = code_points(data)[1]
    while first < len(data):
        last = _place_to_cut(document, first, size, edges)
        inside = {
            task: [span.shifted(by=-first) for span in spans if first <= span.start and span.end <= last]
            for task, spans in document.spans.items()
        }
        yield Document(data[first:last], inside)
        first = last


def _place_to_cut(document: Document, first: int, size: int, edges: Ints) -> int:
    data = document.data
    if len(data) - first <= size:
        return len(data)
    whole = int(edges[np.searchsorted(edges, first + size, side="right") - 1])  # before a character
    last = (
        max(data.rfind(b" ", first + size // 2, first + size), data.rfind(b"\n", first + size // 2, first + size)) + 1
    )
    last = last or max(whole, int(edges[np.searchsorted(edges, first, side="right")]))
    spans = [span for spans in document.spans.values() for span in spans]
    before = last
    while crossed := [span.start for span in spans if span.start < before < span.end]:
        before = min(crossed)
    if before > first:
        return before
    while crossed := [span.end for span in spans if span.start < last < span.end]:
        last = max(crossed)
    return last


def read_sample(reader: StateReader, passages: Iterable[Passage], *, count: int, rng: np.random.Generator) -> Sample:
    """States and properties at positions drawn from `count` passages, of which half are ends of units at least."""
    quota = max(ALL_POSITIONS // max(count, 1), 8)
    values: list[Floats] = []
    rows: list[dict[str, Strings]] = []
    spoken: list[Strings] = []
    types: list[bytes] = []
    held_out: list[Bools] = []
    for passage in passages:
        data = passage.document.data
        states = reader.read(data)
        starts, ends = positions(data, reads_bytes=reader.reads_bytes)
        found = describe(passage.document, starts, ends, language=passage.language)
        drawn = _draw(found[LANGUAGE] != NOT_ASKED, quota, rng)
        values.append(states.values[np.searchsorted(states.ends, ends[drawn])])
        rows.append({name: column[drawn] for name, column in found.items()})
        spoken.append(np.full(int(drawn.sum()), passage.language))
        types += types_of(data, ends[drawn])
        held_out.append(np.full(int(drawn.sum()), passage.is_held_out))
    if not types:
        raise CorpusError(TOO_LITTLE)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name, np.full(len(row[LANGUAGE]), NOT_ASKED)) for row in rows] for name in names}
    return Sample(
        np.concatenate(values),
        {name: np.concatenate(parts) for name, parts in columns.items()},
        np.concatenate(spoken),
        np.unique(np.array(types, np.object_), return_inverse=True)[1],
        np.concatenate(held_out),
    )


def positions(data: bytes, *, reads_bytes: bool) -> tuple[Ints, Ints]:
    """First and last bytes (half-open) of the places of a text that are asked about: its characters or its units."""
    if reads_bytes:
        edges = code_points(data)[1]
        return edges[:-1], edges[1:]
    units = cut_units(data)
    return units.starts, units.ends


def _draw(ends_unit: Bools, quota: int, rng: np.random.Generator) -> Bools:
    """Which positions to keep: at most `quota`, half of them ends of units if there are as many."""
    places = rng.permutation(len(ends_unit))
    first = [place for place in places if ends_unit[place]][: math.ceil(quota / 2)]
    rest = np.setdiff1d(places, first, assume_unique=True)
    drawn = np.zeros(len(ends_unit), np.bool_)
    drawn[[*first, *rng.permutation(rest)[: quota - len(first)]]] = True
    return drawn

"""A few lines of text with what the most telling cells hold at each place of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.inspection.probes import CellScore
from bytespan.inspection.properties import YES, describe
from bytespan.inspection.sample import Passage, positions
from bytespan.runtime.states import StateReader
from bytespan.words import code_points

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

MOST_EXCERPTS = 4
EXCERPT_BYTES = 110
ROWS_A_QUESTION = 3
MOST_ROWS = 18


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some text and the activations of R cells at its P positions."""

    language: str
    data: bytes
    starts: Ints
    """(P,) first byte of each position."""
    ends: Ints
    """(P,) byte after each."""
    rows: tuple[CellScore, ...]
    """R cells, the most telling first."""
    activations: Floats
    """(R, P) in -1..1: how far from the cell's mean, in the direction of the row's class if above 0."""


def cell_title(score: CellScore, names: Mapping[int, str]) -> str:
    """What a cell tells, how well, and where it is."""
    return f"{class_title(score)}  {score.auc:.2f}  {names[score.cell]}"


def class_title(score: CellScore) -> str:
    """The class of a question, or the question alone if it is one of yes or no."""
    return score.question if score.name == YES else f"{score.question} {score.name}"


def choose_rows(cells: Mapping[str, Sequence[CellScore]]) -> tuple[CellScore, ...]:
    """The most telling cells of each question, a few of each, the most telling of all first."""
    chosen = [score for found in cells.values() for score in found[:ROWS_A_QUESTION]]
    ordered = sorted(chosen, key=lambda score: -score.auc)
    once = {score.cell: score for score in reversed(ordered)}  # of a cell that tells two things, the better told
    return tuple(score for score in ordered if once[score.cell] is score)[:MOST_ROWS]


def read_excerpts(
    reader: StateReader, passages: Sequence[Passage], rows: tuple[CellScore, ...], states: Floats
) -> Iterator[Excerpt]:
    """One excerpt each of a few languages; `states` (N, C) tell what is much and what is little for a cell."""
    languages = list(dict.fromkeys(passage.language for passage in passages))
    places = np.unique(np.linspace(0, len(languages) - 1, min(len(languages), MOST_EXCERPTS)).astype(np.int64))
    cells = [score.cell for score in rows]
    mean = states[:, cells].mean(axis=0)  # (R,)
    reach = np.maximum(np.quantile(np.abs(states[:, cells] - mean), 0.98, axis=0), 1e-6)
    signs = np.array([1 if score.rises else -1 for score in rows])
    for place in places:
        spoken = [passage for passage in passages if passage.language == languages[place]]
        document = max(spoken, key=_variety).document
        found = reader.read(document.data)
        inside = found.ends <= _end(document.data)
        activations = np.clip(signs * (found.values[inside][:, cells] - mean) / reach, -1, 1).T
        yield Excerpt(
            languages[place],
            document.data[: _end(document.data)],
            found.starts[inside],
            found.ends[inside],
            rows,
            activations.astype(np.float32),
        )


def _variety(passage: Passage) -> tuple[int, int]:
    """How many different things are true in the part of a passage that would be shown, and how long it is."""
    data = passage.document.data
    starts, ends = positions(data, reads_bytes=True)
    shown = ends <= _end(data)
    found = describe(passage.document, starts[shown], ends[shown], language=passage.language)
    return sum(len(np.unique(values)) for values in found.values()), _end(data)


def _end(data: bytes) -> int:
    """EXCERPT_BYTES, or as many as there are, in whole characters."""
    edges = code_points(data)[1]
    return int(edges[np.searchsorted(edges, EXCERPT_BYTES, side="right") - 1])

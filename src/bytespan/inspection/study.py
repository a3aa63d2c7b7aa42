"""A model and texts in, all that was found in its cells out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import CorpusError
from bytespan.inspection.clusters import (
    MAP_POSITIONS,
    MOST_POSITIONS,
    Clustering,
    Groups,
    Transfer,
    balance,
    cluster,
    project,
    transfer_labels,
)
from bytespan.inspection.excerpts import Excerpt, choose_rows, read_excerpts
from bytespan.inspection.probes import CellScore, Probe, Question, best_cells, pose, probe
from bytespan.inspection.properties import LABEL_OF
from bytespan.inspection.sample import TOO_LITTLE, Sample, choose_passages, read_sample
from bytespan.package import Package
from bytespan.runtime.states import StateReader
from bytespan.spans import Document

Floats = NDArray[np.float32]
Item = TypeVar("Item")
SEED = 1


class Track(Protocol):
    """Hands the items of a long work on, and may show how far it is."""

    def __call__(self, items: Sequence[Item], description: str, /) -> Iterable[Item]:
        """The items, in order."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What was found in one layer, or in what the first one reads."""

    name: str
    cells: int
    probes: Mapping[str, Probe]
    """Question -> its probe."""
    clustering: Clustering | None
    """None where no label is known, or one language only."""
    transfers: Mapping[str, Transfer]
    """Language -> how labels are found there; empty where there is no clustering."""


@dataclass(frozen=True, slots=True)
class StateMap:
    """States of the last layer on a plane."""

    places: Floats
    """(N, 2)"""
    labels: tuple[str, ...]
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that was found."""

    model: str
    reads_bytes: bool
    """Whether there is a state behind each byte, not at each unit."""
    positions: Mapping[str, int]
    """Language -> positions that were looked at."""
    questions: tuple[Question, ...]
    label: str | None
    """Which of the questions clusters are sought for."""
    layers: tuple[Layer, ...]
    cells: Mapping[str, tuple[CellScore, ...]]
    """Question -> for each of its classes the best cell, the most telling first."""
    names: Mapping[int, str]
    """Cell -> its layer and number."""
    excerpts: tuple[Excerpt, ...]
    map: StateMap | None


def _untracked(items: Sequence[Item], what: str) -> Iterable[Item]:
    return items


def inspect_model(
    package: Package,
    texts: Mapping[str, Sequence[Document]],
    *,
    threads: int | None = None,
    track: Track = _untracked,
) -> Inspection:
    """What the cells of a model represent in texts, language -> documents.

    The same texts give the same findings. Raises CorpusError if there is too little text to ask anything, MissingExtra
    without the extra "inspect", ModelError for a graph that is not one of docs/format.md.
    """
    rng = np.random.default_rng(SEED)
    reader = StateReader(package, threads=threads)
    passages = choose_passages(texts)
    sample = read_sample(reader, track(passages, "reading"), count=len(passages), rng=rng)
    posed = (pose(name, values, sample.held_out) for name, values in sample.properties.items())
    questions = tuple(question for question in posed if question is not None)
    if not questions:
        raise CorpusError(TOO_LITTLE)
    label = _label(questions, package.vocabulary.tasks)
    groups = None
    if label is not None and len(texts) > 1:
        groups = balance(label, sample.spoken, sample.types, count=MOST_POSITIONS, rng=rng)
    layers = tuple(
        _study_layer(reader, name, sample, questions, label, groups, rng) for name in track([*reader.layers], "probing")
    )
    first = reader.layers["input"].stop
    cells = {
        question.name: tuple(best_cells(question, sample.states, sample.held_out, first=first))
        for question in track(questions, "ranking cells")
    }
    rows = choose_rows(cells)
    return Inspection(
        f"{package.provenance.name} {package.provenance.version}",
        reader.reads_bytes,
        {language: int(np.sum(sample.spoken == language)) for language in texts},
        questions,
        None if label is None else label.name,
        layers,
        cells,
        {score.cell: reader.name(score.cell) for found in cells.values() for score in found},
        tuple(read_excerpts(reader, passages, rows, sample.states)),
        None if label is None else _draw_map(reader, sample, label, rng),
    )


def _label(questions: Sequence[Question], tasks: Sequence[str]) -> Question | None:
    """The question about labels: of the first of the model's tasks, else of any, that the texts are annotated with."""
    named = {question.name: question for question in questions}
    known = [LABEL_OF.get(task, task) for task in (*tasks, *LABEL_OF)]
    return next((named[name] for name in known if name in named), None)


def _study_layer(
    reader: StateReader,
    name: str,
    sample: Sample,
    questions: Sequence[Question],
    label: Question | None,
    groups: Groups | None,
    rng: np.random.Generator,
) -> Layer:
    cells = reader.layers[name]
    states = np.ascontiguousarray(sample.states[:, cells])
    probes = {question.name: probe(question, states, sample.types, sample.held_out, rng) for question in questions}
    if label is None or groups is None:
        return Layer(name, states.shape[1], probes, None, {})
    transfers = transfer_labels(label, states, sample.spoken, sample.held_out)
    return Layer(name, states.shape[1], probes, cluster(states[groups.places], groups), transfers)


def _draw_map(reader: StateReader, sample: Sample, label: Question, rng: np.random.Generator) -> StateMap:
    groups = balance(label, sample.spoken, sample.types, count=MAP_POSITIONS, rng=rng)
    last = list(reader.layers.values())[-1]
    return StateMap(
        project(sample.states[groups.places, last]),
        tuple(label.classes[number] for number in groups.labels),
        tuple(sample.spoken[groups.places].tolist()),
    )

"""From bytes to spans by units: whatever comes together, each document gets its own spans."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bytespan.parallel
import bytespan.units
from bytespan.config import ModelConfig
from bytespan.decoding import log_softmax
from bytespan.lattice import TagSets, likely_spans, unit_windows
from bytespan.parallel import BATCH_UNITS, predict_by_units, predict_part_by_part
from bytespan.spans import Span
from bytespan.units import UnitBatch, collate_units, cut_units
from strategies import texts

inputs = texts.map(str.encode) | st.binary(max_size=30)
LABELS = {"tokens": ("NOUN", "VERB"), "entities": ("PER",)}


class Arithmetic:
    """A model whose scores depend on each unit, its neighbours and those that are the same word; notes its batches."""

    config = ModelConfig(decoder="parallel", segment_length=24, table_rows=97)
    tags = TagSets(LABELS)
    profiles = None
    ngrams = None

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def score(self, batch: UnitBatch) -> np.ndarray:
        steps, count = batch.gaps.shape
        self.shapes.append((steps, count))
        scores = np.full((steps, count, self.tags.size), np.nan, np.float32)
        for column, length in enumerate(batch.lengths.tolist()):
            own = batch.rows[:length, column].sum(axis=1) + batch.symbols[:length, column, 0]
            words = batch.words[:length, column]
            same = (words[:, None] == words).sum(axis=1)
            padded = np.pad(own, 1)
            around = padded[:-2] + 3 * own + padded[2:]
            values = (
                around[:, None] * np.arange(3, 3 + self.tags.size) + same[:, None] + batch.gaps[:length, column, None]
            )
            scores[:length, column] = values % 11 / 2
        return scores


floors = st.sampled_from([{}, {"tokens": 0.02}])
"""Whether the spans of a task are the best ones or all likely ones."""


@given(st.lists(inputs, max_size=5), floors, st.data())
def test_result_does_not_depend_on_company_or_order(
    data: list[bytes], floors: dict[str, float], draw: st.DataObject
) -> None:
    tasks = ("tokens", "entities")
    alone = [predict_by_units(Arithmetic(), [item], tasks=tasks, floors=floors)[0] for item in data]
    assert predict_by_units(Arithmetic(), data, tasks=tasks, floors=floors) == alone
    order = draw.draw(st.permutations(range(len(data))))
    shuffled = predict_by_units(Arithmetic(), [data[i] for i in order], tasks=tasks, floors=floors)
    assert shuffled == [alone[i] for i in order]


@given(st.lists(inputs, max_size=5), st.integers(1, 60), st.integers(1, 60), st.integers(1, 9))
def test_result_does_not_depend_on_how_much_is_worked_on_at_a_time(
    data: list[bytes], part_bytes: int, passage_bytes: int, batch_units: int
) -> None:
    tasks = ("tokens", "entities")
    expected = predict_by_units(Arithmetic(), data, tasks=tasks)
    with pytest.MonkeyPatch.context() as patch:
        for module in (bytespan.units, bytespan.parallel):
            patch.setattr(module, "PART_BYTES", part_bytes)
        patch.setattr(bytespan.parallel, "PASSAGE_BYTES", passage_bytes)
        patch.setattr(bytespan.parallel, "BATCH_UNITS", batch_units)
        assert predict_by_units(Arithmetic(), data, tasks=tasks) == expected


@given(inputs | st.text("abcD .\n", max_size=300).map(str.encode), floors, st.integers(1, 60), st.integers(1, 9))
def test_parts_of_a_document_make_it_up_and_have_its_spans(
    data: bytes, floors: dict[str, float], part_bytes: int, batch_units: int
) -> None:
    tasks = ("tokens", "entities")
    (expected,) = predict_by_units(Arithmetic(), [data], tasks=tasks, floors=floors)
    with pytest.MonkeyPatch.context() as patch:
        for module in (bytespan.units, bytespan.parallel):
            patch.setattr(module, "PART_BYTES", part_bytes)
        patch.setattr(bytespan.parallel, "BATCH_UNITS", batch_units)
        parts = list(predict_part_by_part(Arithmetic(), data, tasks=tasks, floors=floors))
    assert [begin for begin, _, _ in parts] == [0, *(end for _, end, _ in parts[:-1])]
    assert parts[-1][1] == len(data)
    assert all(span.end <= end - begin for begin, end, spans in parts for task in tasks for span in spans[task])
    for task in tasks:
        found = [span.shifted(by=begin) for begin, _, spans in parts for span in spans[task]]
        assert found == expected[task]
        assert [span.score for span in found] == [span.score for span in expected[task]]


class Undecided(Arithmetic):
    """A model in whose scores no unit stands apart: nothing is as good as to go on with a span."""

    def score(self, batch: UnitBatch) -> np.ndarray:
        return np.tile(np.array([-3, -2, 1, -2, 1, -3, -2, 1], np.float32), (*batch.gaps.shape, 1))


@given(st.integers(0, 70), st.integers(1, 9), st.integers(1, 60))
def test_units_of_which_none_stands_apart_wait_no_longer_than_they_may(count: int, at_once: int, ahead: int) -> None:
    """A span ends then; the same ones, however many units come at a time and in whatever company."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bytespan.parallel, "WAITING_UNITS", 16)
        data = b"a" + b" a" * count
        (expected,) = predict_by_units(Undecided(), [data], tasks=("tokens", "entities"))
        patch.setattr(bytespan.parallel, "BATCH_UNITS", at_once)
        found = predict_by_units(Undecided(), [b"a " * ahead, data], tasks=("tokens", "entities"))[1]
    assert found == expected
    assert all(spans[-1].end == len(data) for spans in found.values())
    lengths = {task: [(span.end - span.start + 1) // 2 for span in spans] for task, spans in found.items()}
    assert lengths == {task: [16] * ((count + 1) // 16) + [(count + 1) % 16] * bool((count + 1) % 16) for task in found}


def test_marks_alone_take_no_more_memory_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of nothing but marks once waited to its end for a unit that stands apart."""
    for module in (bytespan.units, bytespan.parallel):
        monkeypatch.setattr(module, "PART_BYTES", 1024)
    monkeypatch.setattr(bytespan.parallel, "WAITING_UNITS", 64)
    peaks = []
    for repeats in (2_000, 6_000):
        tracemalloc.start()
        for _ in predict_part_by_part(Undecided(), b".,;" * repeats, tasks=("tokens", "entities")):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.1


@given(inputs)
def test_spans_are_flat_and_made_of_whole_units(data: bytes) -> None:
    units = cut_units(data)
    (found,) = predict_by_units(Arithmetic(), [data], tasks=("tokens", "entities"))
    for task, spans in found.items():
        assert all(a.end <= b.start for a, b in pairwise(spans))
        assert {span.start for span in spans} <= set(units.starts.tolist())
        assert {span.end for span in spans} <= set(units.ends.tolist())
        assert {span.label for span in spans} <= set(LABELS[task])
        assert all(0 < span.score <= 1 for span in spans)


def test_tasks_are_those_asked_for_in_their_order() -> None:
    data = [b"one two", b""]
    found = predict_by_units(Arithmetic(), data, tasks=("entities", "tokens"))
    assert [list(spans) for spans in found] == [["entities", "tokens"]] * 2
    assert found[1] == {"entities": [], "tokens": []}
    assert predict_by_units(Arithmetic(), data, tasks=("tokens",))[0] == {"tokens": found[0]["tokens"]}
    assert predict_by_units(Arithmetic(), [], tasks=("tokens",)) == []


def test_batches_hold_windows_of_like_length_and_no_more_than_they_may() -> None:
    model = Arithmetic()
    predict_by_units(model, [b"a b c d e f g h " * 3000, b"a", b"b c"], tasks=("tokens",))
    assert all(steps * count <= BATCH_UNITS for steps, count in model.shapes)
    assert len(model.shapes) == pytest.approx(sum(s * c for s, c in model.shapes) / BATCH_UNITS, abs=3)


@given(st.text("abcD .\n", max_size=300).map(str.encode), st.integers(10, 60))
def test_best_tags_are_those_of_the_whole_document_at_once(data: bytes, length: int) -> None:
    """However they were settled bit by bit as the windows' scores came."""
    model = Arithmetic()
    model.config = ModelConfig(decoder="parallel", segment_length=length, table_rows=97)
    units = cut_units(data)
    (found,) = predict_by_units(model, [data], tasks=("tokens", "entities"))
    for task, spans in found.items():
        columns = model.tags.columns[task]
        scores = np.zeros((len(units), columns.stop - columns.start), np.float64)
        for first, last, kept, end in unit_windows(units, length=length):
            seen = model.score(collate_units([units.slice(first, last)], rows=97))[
                kept - first : end - first, 0, columns
            ]
            scores[kept:end] = seen - np.logaddexp.reduce(seen, axis=1, keepdims=True)
        tags, untold = model.tags.encode(spans, units, task)
        assert not untold.any()
        if len(units):
            best = most(scores)
            assert scores[np.arange(len(units)), tags].sum() == pytest.approx(best, abs=1e-3)


@given(st.text("abcD .\n", max_size=300).map(str.encode), st.integers(10, 60), st.floats(0.001, 0.6))
def test_likely_spans_are_those_of_the_whole_document_at_once(data: bytes, length: int, floor: float) -> None:
    """And a task without a floor has its best spans beside them."""
    model = Arithmetic()
    model.config = ModelConfig(decoder="parallel", segment_length=length, table_rows=97)
    units = cut_units(data)
    tasks = ("tokens", "entities")
    (found,) = predict_by_units(model, [data], tasks=tasks, floors={"tokens": floor})
    assert found["entities"] == predict_by_units(model, [data], tasks=tasks)[0]["entities"]
    logs = np.zeros((len(units), 5), np.float32)
    for first, last, kept, end in unit_windows(units, length=length):
        seen = model.score(collate_units([units.slice(first, last)], rows=97))
        logs[kept:end] = log_softmax(seen[kept - first : end - first, 0, model.tags.columns["tokens"]])
    whole = model.tags.spans(likely_spans(logs, floor, count=len(units)), units, "tokens")
    assert sorted(found["tokens"]) == sorted(whole)
    assert [span.score for span in sorted(found["tokens"])] == [span.score for span in sorted(whole)]


def most(scores: np.ndarray) -> float:
    """The highest score of any possible tags, unit by unit: for each tag the best sequence that ends with it."""
    totals = np.where((np.arange(scores.shape[1]) > 0) & (np.arange(scores.shape[1]) % 2 == 0), -np.inf, scores[0])
    for row in scores[1:]:
        before = [max(totals[tag - 1 : tag + 1]) if tag and tag % 2 == 0 else max(totals) for tag in range(len(totals))]
        totals = row + np.array(before)
    return float(max(totals))


def test_memory_does_not_grow_with_a_documents_scores() -> None:
    """With 401 tags a unit, all scores of this text would take 96 MB."""

    class Wide(Arithmetic):
        tags = TagSets({"tokens": tuple(map(str, range(200)))})
        config = ModelConfig(decoder="parallel", segment_length=1024, table_rows=97)

        def score(self, batch: UnitBatch) -> np.ndarray:
            return np.zeros((*batch.gaps.shape, self.tags.size), np.float32)

    data = b"a b " * 30_000
    tracemalloc.start()
    predict_by_units(Wide(), [data], tasks=("tokens",))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 70_000_000


class Recogniser(Arithmetic):
    """A model that is sure that every word behind an equal word of its window is a name."""

    def score(self, batch: UnitBatch) -> np.ndarray:
        scores = np.zeros((*batch.gaps.shape, self.tags.size), np.float32)
        for column in range(batch.gaps.shape[1]):
            seen: set[int] = set()
            for place, word in enumerate(batch.words[:, column].tolist()):
                scores[place, column, self.tags.columns["entities"].start + (word in seen)] = 9
                seen.add(word)
        return scores


def test_words_are_numbered_within_their_window() -> None:
    (found,) = predict_by_units(Recogniser(), [b"Rom, ROM Ulm"], tasks=("entities",))
    assert found == {"entities": [Span(5, 8, "PER")]}

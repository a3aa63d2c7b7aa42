"""Probes and single cells, on states in which something was planted, and on states in which nothing was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn", reason="needs the extra inspect")

from bytespan.inspection.probes import areas_under_curve, best_cells, mean_recall, pose, predict, probe
from bytespan.inspection.properties import NOT_ASKED

POSITIONS, CELLS, TYPES = 1200, 20, 400


def values_of(truth: np.ndarray) -> np.ndarray:
    return np.where(truth, "yes", "no")


def drawn(seed: int = 0) -> tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray]:
    """A source of chance, states of noise, word types, and which positions are held out."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(POSITIONS, CELLS)).astype(np.float32)
    return rng, states, rng.integers(TYPES, size=POSITIONS), rng.random(POSITIONS) < 0.3


def test_a_planted_cell_is_found_and_a_probe_reads_it() -> None:
    rng, states, types, held_out = drawn()
    truth = rng.random(POSITIONS) < 0.2
    states[:, 7] -= 5 * truth
    question = pose("capital", values_of(truth), held_out)
    assert question is not None
    (score,) = best_cells(question, states, held_out)
    assert (score.cell, score.question, score.name, score.rises) == (7, "capital", "yes", False)
    assert score.auc > 0.97
    found = probe(question, states, types, held_out, rng)
    assert found.accuracy > 0.95
    assert found.control < 0.6
    assert found.selectivity == found.accuracy - found.control > 0.35


def test_states_of_noise_tell_nothing_and_their_probe_is_not_selective() -> None:
    rng, states, types, held_out = drawn(1)
    question = pose("capital", values_of(rng.random(POSITIONS) < 0.5), held_out)
    assert question is not None
    found = probe(question, states, types, held_out, rng)
    assert abs(found.accuracy - 0.5) < 0.1
    assert abs(found.selectivity) < 0.12
    assert abs(best_cells(question, states, held_out)[0].auc - 0.5) < 0.12


def test_what_only_the_word_tells_is_not_selective() -> None:
    """States that name the word type let a probe learn any property of types by heart: its control does as well."""
    rng, _, _, held_out = drawn(2)
    types = rng.integers(40, size=POSITIONS)
    states = np.eye(40, dtype=np.float32)[types]
    question = pose("random", values_of(rng.random(40) < 0.5)[types], held_out)
    assert question is not None
    found = probe(question, states, types, held_out, rng)
    assert found.accuracy > 0.99
    assert abs(found.selectivity) < 0.02


def test_each_of_several_classes_has_its_cell_and_the_best_comes_first() -> None:
    rng, states, _, held_out = drawn(3)
    label = rng.integers(3, size=POSITIONS)
    for number, strength in enumerate((1.0, 4.0, 2.0)):
        states[:, 5 + number] += strength * (label == number)
    question = pose("label", np.array(["A", "B", "C"])[label], held_out)
    assert question is not None
    scores = best_cells(question, states, held_out, first=5)
    assert [(score.name, score.cell) for score in scores] == [("B", 6), ("C", 7), ("A", 5)]
    assert all(score.rises for score in scores)


def test_rare_classes_and_places_that_are_not_asked_about_are_left_out() -> None:
    held_out = np.arange(300) % 3 == 0
    values = np.array(["A", "B", NOT_ASKED])[np.arange(300) // 3 % 3].astype("<U4")
    values[:4] = "rare"
    question = pose("label", values, held_out)
    assert question is not None
    assert question.classes == ("A", "B")
    assert set(values[question.places]) == {"A", "B"}
    assert [question.classes[number] for number in question.gold] == values[question.places].tolist()
    assert pose("label", np.where(values == "B", NOT_ASKED, values), held_out) is None
    assert pose("label", values, np.zeros(300, np.bool_)) is None


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40))
def test_the_area_under_the_curve_is_that_of_all_pairs(points: list[tuple[int, bool]]) -> None:
    states = np.array([[value] for value, _ in points], np.float32)
    truth = np.array([[holds] for _, holds in points])
    above = [
        [(one > other) + 0.5 * (one == other) for other, is_in in points if not is_in] for one, in_ in points if in_
    ]
    expected = np.mean(above) if above and above[0] else 0.0
    assert areas_under_curve(states, truth)[0, 0] == pytest.approx(expected)


def test_a_class_counts_as_much_as_another_however_rare_it_is() -> None:
    gold = np.array([0] * 90 + [1] * 10)
    assert mean_recall(np.zeros(100, np.int64), gold) == 0.5
    assert mean_recall(gold, gold) == 1.0
    assert np.isnan(mean_recall(gold[:0], gold[:0]))


def test_a_probe_that_was_shown_one_class_knows_no_other() -> None:
    states = np.zeros((4, 2), np.float32)
    assert predict(states, np.full(4, 3), states).tolist() == [3] * 4
    assert predict(states[:0], np.zeros(0, np.int64), states).tolist() == [-1] * 4

"""Clusters, on states laid out by label, by language, or by neither."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra inspect")

from bytespan.inspection.clusters import balance, cluster, project, transfer_labels
from bytespan.inspection.probes import Question

COUNT = 600
RNG = np.random.default_rng(0)
LABELS = RNG.integers(3, size=COUNT)
SPOKEN = np.array(["de", "en"])[RNG.integers(2, size=COUNT)]
NOISE = RNG.normal(size=(COUNT, 6)).astype(np.float32)
QUESTION = Question("part of speech", ("A", "B", "C"), np.arange(COUNT), LABELS)
TYPES = np.arange(COUNT)


def placed(by_label: float, by_language: float) -> np.ndarray:
    """States at a corner a label, a corner a language, and noise."""
    states = NOISE.copy()
    states[:, :3] += by_label * np.eye(3, dtype=np.float32)[LABELS]
    states[:, 3] += by_language * (SPOKEN == "en")
    return states


def test_states_that_lie_by_label_are_found_to() -> None:
    groups = balance(QUESTION, SPOKEN, TYPES, count=COUNT, rng=np.random.default_rng(1))
    found = cluster(placed(12, 0)[groups.places], groups)
    assert found.label.share > 0.99
    assert found.abroad.above_chance > 0.99
    assert abs(found.language.above_chance) < 0.1
    assert found.label_silhouette > 0.5 > abs(found.language_silhouette) + 0.4


def test_states_that_lie_by_language_are_found_to() -> None:
    groups = balance(QUESTION, SPOKEN, TYPES, count=COUNT, rng=np.random.default_rng(1))
    found = cluster(placed(0, 12)[groups.places], groups)
    assert found.language.share > 0.99
    assert abs(found.label.above_chance) < 0.1
    assert abs(found.abroad.above_chance) < 0.1
    assert found.language_silhouette > 0.5


def test_states_of_noise_have_neighbours_by_chance() -> None:
    groups = balance(QUESTION, SPOKEN, TYPES, count=COUNT, rng=np.random.default_rng(1))
    found = cluster(NOISE[groups.places], groups)
    for purity in (found.label, found.language, found.abroad):
        assert abs(purity.above_chance) < 0.06


def test_a_word_is_no_neighbour_of_itself() -> None:
    """Every type lies on one point by itself, so that without the rule all neighbours would be of the same label."""
    types = np.arange(COUNT) // 20
    labels = RNG.integers(3, size=COUNT // 20)[types]
    states = RNG.normal(size=(COUNT // 20, 6)).astype(np.float32)[types]
    question = Question("part of speech", ("A", "B", "C"), np.arange(COUNT), labels)
    groups = balance(question, SPOKEN, types, count=COUNT, rng=np.random.default_rng(1))
    assert cluster(states[groups.places], groups).label.share < 0.75


def test_every_label_in_every_language_has_about_as_many_positions() -> None:
    languages = np.where(np.arange(COUNT) % 10 == 0, "rare", "de")
    groups = balance(QUESTION, languages, TYPES, count=60, rng=np.random.default_rng(1))
    pairs, counts = np.unique(np.stack([groups.labels, groups.languages]), axis=1, return_counts=True)
    assert pairs.shape[1] == 6
    assert counts.tolist() == [10] * 6
    assert len(np.unique(groups.places)) == 60


def test_a_map_has_a_place_for_every_state_and_keeps_groups_apart() -> None:
    states, labels = placed(15, 0)[:150], LABELS[:150]
    places = project(states)
    assert places.shape == (150, 2)
    centres = np.stack([places[labels == label].mean(axis=0) for label in range(3)])
    nearest = np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.95


def test_labels_are_found_in_a_language_that_was_never_shown_only_if_they_look_alike_there() -> None:
    held_out = np.arange(COUNT) % 3 == 0
    found = transfer_labels(QUESTION, placed(12, 0), SPOKEN, held_out)
    assert set(found) == {"de", "en"}
    assert all(one.shown > 0.95 and one.abroad > 0.95 for one in found.values())
    states = NOISE.copy()
    states[:, :3] += 12 * np.eye(3, dtype=np.float32)[np.where(SPOKEN == "de", LABELS, (LABELS + 1) % 3)]
    states[:, 3] += 12 * (SPOKEN == "de")
    assert all(one.abroad < 0.1 for one in transfer_labels(QUESTION, states, SPOKEN, held_out).values())

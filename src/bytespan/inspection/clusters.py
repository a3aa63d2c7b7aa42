"""Whether states lie together by label or by language: neighbours, silhouettes, a map, and labels in a new language.

Every language and label has about as many positions here, so that neither is favoured by being frequent. Two positions
of the same word type never count as neighbours: that a word lies beside itself tells of neither.

Letters in shapes: N positions, C cells.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import import_extra
from bytespan.inspection.probes import Question, mean_recall, predict
from bytespan.inspection.properties import Strings

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NEIGHBOURS = 10
MOST_POSITIONS = 3000
"""Positions whose neighbours are looked for."""

MAP_POSITIONS = 1000
"""Positions on a map, about."""


@dataclass(frozen=True, slots=True)
class Purity:
    """Share of a position's nearest neighbours that are of its own kind, on the mean."""

    share: float
    chance: float
    """What it is for neighbours drawn at random."""

    @property
    def above_chance(self) -> float:
        """0 at chance, 1 where all neighbours are of the same kind."""
        return (self.share - self.chance) / (1 - self.chance) if self.chance < 1 else 0.0


@dataclass(frozen=True, slots=True)
class Clustering:
    """How far states lie together by label and by language."""

    label: Purity
    language: Purity
    abroad: Purity
    """By label again, with neighbours of other languages only."""
    label_silhouette: float
    """-1 to 1: how much nearer the states of one label are to each other than to those of the next label."""
    language_silhouette: float


@dataclass(frozen=True, slots=True)
class Transfer:
    """Accuracy of a probe for labels in one language, on positions held out: mean over the labels."""

    shown: float
    """Trained on all languages."""
    abroad: float
    """Trained on all languages but this one."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Positions for clustering, with their kinds as numbers."""

    places: Ints
    """(N,) positions of the sample."""
    labels: Ints
    languages: Ints
    types: Ints


def balance(labels: Question, languages: Strings, types: Ints, *, count: int, rng: np.random.Generator) -> Groups:
    """About `count` positions of which every label in every language has equally many, or all that there are."""
    spoken = np.unique(languages[labels.places], return_inverse=True)[1]
    pairs = np.stack([labels.gold, spoken], axis=1)
    known, pair = np.unique(pairs, axis=0, return_inverse=True)
    most = max(count // len(known), 2)
    drawn = [rng.permutation(np.flatnonzero(pair.ravel() == number))[:most] for number in range(len(known))]
    rows = np.sort(np.concatenate(drawn))
    places = labels.places[rows]
    return Groups(places, labels.gold[rows], spoken[rows], types[places])


def cluster(states: Floats, groups: Groups) -> Clustering:
    """How the states (N, C) of the groups' positions lie."""
    distances = _distances(states)
    distances[groups.types[:, None] == groups.types] = np.inf
    same_label = groups.labels[:, None] == groups.labels
    same_language = groups.languages[:, None] == groups.languages
    return Clustering(
        _purity(distances, same_label),
        _purity(distances, same_language),
        _purity(np.where(same_language, np.inf, distances), same_label),
        _silhouette(states, groups.labels),
        _silhouette(states, groups.languages),
    )


def project(states: Floats) -> Floats:
    """(N, 2) a map of the states (N, C), on which only neighbourhood has a meaning: t-SNE of principal components."""
    import_extra("sklearn", extra="inspect", purpose="drawing a map of states")
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    fewer = PCA(min(50, *states.shape), svd_solver="full").fit_transform(states)
    perplexity = min(30.0, (len(states) - 1) / 3)
    found: Floats = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(fewer)
    return found


def transfer_labels(labels: Question, states: Floats, languages: Strings, held_out: Bools) -> dict[str, Transfer]:
    """Language -> how well a linear map finds its labels that was, or was not, shown that language."""
    chosen, spoken, asked = states[labels.places], languages[labels.places], held_out[labels.places]
    gold, everywhere = labels.gold, np.zeros(len(asked), np.int64)
    everywhere[asked] = predict(chosen[~asked], gold[~asked], chosen[asked])
    found = {}
    for language in np.unique(spoken).tolist():
        here, elsewhere = asked & (spoken == language), ~asked & (spoken != language)
        abroad = predict(chosen[elsewhere], gold[elsewhere], chosen[here])
        found[language] = Transfer(mean_recall(everywhere[here], gold[here]), mean_recall(abroad, gold[here]))
    return found


def _distances(states: Floats) -> Floats:
    """(N, N) squared."""
    squares = np.einsum("nc,nc->n", states, states)
    found: Floats = squares[:, None] + squares - 2 * states @ states.T
    return found


def _purity(distances: Floats, same: Bools) -> Purity:
    """Of the nearest of those at a finite distance."""
    allowed = np.isfinite(distances)
    count = min(NEIGHBOURS, int(allowed.sum(axis=1).min(initial=NEIGHBOURS)))
    if count < 1:
        return Purity(float("nan"), float("nan"))
    nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
    share = np.take_along_axis(same, nearest, axis=1).mean()
    chance = ((same & allowed).sum(axis=1) / allowed.sum(axis=1)).mean()
    return Purity(float(share), float(chance))


def _silhouette(states: Floats, kinds: Ints) -> float:
    import_extra("sklearn", extra="inspect", purpose="measuring clusters")
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(kinds)) < len(states):
        return float("nan")
    return float(silhouette_score(states, kinds))

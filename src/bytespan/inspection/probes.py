"""What can be read off states by a linear map, and which single cells say it.

A probe is a linear classifier from states to the classes of a property (linear discriminant analysis, every class
counted alike). What it finds may be in the model, or only in the probe: with enough cells any words can be told apart.
So each probe is set beside its control task (Hewitt and Liang 2019): the same states, but every word type has a class
drawn at random, and nothing but knowing the type helps. Selectivity is the accuracy less that of the control.

Letters in shapes: N positions, C cells, K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import import_extra
from bytespan.inspection.properties import NOT_ASKED, Strings

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LEAST_TRAINING, LEAST_HELD_OUT = 20, 10
"""Positions of a class on either side of the split without which it is left out."""

SHRINKAGE = 1e-3
"""Share of a sphere in the covariance of the states within a class, so that cells that never differ do no harm."""


@dataclass(frozen=True, slots=True)
class Question:
    """One property, at the positions that it is asked about, with the classes that are frequent enough."""

    name: str
    classes: tuple[str, ...]
    """K names, at least two."""
    places: Ints
    """(n,) positions."""
    gold: Ints
    """(n,) class of each."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How well a property can be read off some states, on positions held out, as shares of 1."""

    accuracy: float
    """Mean over the classes of the share that is found, so that guessing is right once in K times."""
    control: float
    """The same for the control task."""

    @property
    def selectivity(self) -> float:
        """What the states tell beyond which word it is."""
        return self.accuracy - self.control


@dataclass(frozen=True, slots=True)
class CellScore:
    """How well one cell alone tells one class of a question from all others."""

    cell: int
    """Column of the states."""
    question: str
    name: str
    """The class."""
    auc: float
    """Chance that, of two positions held out, the one of the class has the more telling activation; 0.5 is nothing."""
    rises: bool
    """Whether the activation is higher where the class holds."""


def pose(name: str, values: Strings, held_out: Bools) -> Question | None:
    """The question that the values (N,) of a property make, None if fewer than two classes are frequent enough."""
    known = [
        value
        for value in np.unique(values).tolist()
        if value != NOT_ASKED
        and np.sum((values == value) & ~held_out) >= LEAST_TRAINING
        and np.sum((values == value) & held_out) >= LEAST_HELD_OUT
    ]
    if len(known) < 2:
        return None
    places = np.flatnonzero(np.isin(values, known))
    return Question(name, tuple(known), places, np.searchsorted(np.array(known), values[places]))


def probe(question: Question, states: Floats, types: Ints, held_out: Bools, rng: np.random.Generator) -> Probe:
    """Train and score a probe and its control on states (N, C). `types`: (N,) number of each position's word type."""
    chosen, asked = states[question.places], held_out[question.places]
    random_class = rng.integers(len(question.classes), size=int(types.max(initial=0)) + 1)
    control = random_class[types[question.places]]
    accuracies = (
        mean_recall(predict(chosen[~asked], gold[~asked], chosen[asked]), gold[asked])
        for gold in (question.gold, control)
    )
    return Probe(*accuracies)


def predict(training: Floats, gold: Ints, states: Floats) -> Ints:
    """(n,) the classes of other states (n, C) by a linear map trained on some whose classes (N,) are known."""
    import_extra("sklearn", extra="inspect", purpose="probing states")
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    known = np.unique(gold)
    if len(known) < 2:
        return np.full(len(states), known[0] if len(known) else -1)
    prior = np.full(len(known), 1 / len(known))
    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE, priors=prior).fit(training, gold)
    found: Ints = analysis.predict(states)
    return found


def mean_recall(predicted: Ints, gold: Ints) -> float:
    """Mean over the classes in `gold` of the share of them that is found; not a number if there are none."""
    known = np.unique(gold)
    return (
        float(np.mean([np.mean(predicted[gold == label] == label) for label in known])) if len(known) else float("nan")
    )


def best_cells(question: Question, states: Floats, held_out: Bools, *, first: int = 0) -> list[CellScore]:
    """For each class (of two: the second) the cell that tells it best alone, chosen on the positions not held out.

    Only cells from number `first` on. Sorted, the most telling first.
    """
    chosen, asked = states[question.places, first:], held_out[question.places]
    places = range(1, 2) if len(question.classes) == 2 else range(len(question.classes))
    truth = np.stack([question.gold == place for place in places], axis=1)  # (n, K)
    areas = areas_under_curve(chosen[~asked], truth[~asked])  # (K, C)
    cells = np.abs(areas - 0.5).argmax(axis=1)
    scored = areas_under_curve(chosen[asked][:, cells], truth[asked]).diagonal()
    rises = areas[np.arange(len(cells)), cells] > 0.5
    found = [
        CellScore(first + int(cell), question.name, question.classes[place], float(auc if up else 1 - auc), bool(up))
        for place, cell, auc, up in zip(places, cells, scored, rises, strict=True)
    ]
    return sorted(found, key=lambda score: -score.auc)


def areas_under_curve(states: Floats, truth: Bools) -> NDArray[np.float64]:
    """(K, C): the chance that a position of a class has a higher value than another; truth (n, K), ties count half."""
    import_extra("scipy", extra="inspect", purpose="ranking cells")
    from scipy.stats import rankdata

    ranks = rankdata(np.ascontiguousarray(states.T), axis=1)  # (C, n)
    members = truth.sum(axis=0)[:, None].astype(np.float64)  # (K, 1)
    above = truth.T.astype(np.float64) @ ranks.T - members * (members + 1) / 2
    found: NDArray[np.float64] = above / np.maximum(members * (len(states) - members), 1)
    return found

"""Confidences that mean what they say, and the operating point between precision and recall, from development data.

A model's probability of a span is mapped to a confidence, the share of such spans that were right. Two numbers do it
(Platt, 1999), so that a small development file suffices, and they keep the order of the spans. All spans whose
confidence is at least a threshold are then an operating point. Those above one half exclude each other; below, a place
may have several spans, alternatives to each other, of which a flat answer keeps the most probable.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import ConfigError
from bytespan.evaluation import score_documents
from bytespan.segments import stitch
from bytespan.spans import TOKENS, Document, Span

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_PROBABILITY = 0.005
"""No span that the model finds less probable is looked for, whatever the threshold."""

BINS = 15
"""Bins of equal width over the confidences, for their error."""

THRESHOLDS = np.arange(1, 100) / 100
"""At which a curve is drawn."""

USUAL_THRESHOLD = 0.4
"""Of a parallel decoder's tasks that were not tuned, but for tokens, which leave no text out.

F1 is best where spans are given that are more probable than half of it (Lipton et al. 2014, "Optimal Thresholding of
Classifiers to Maximize F1 Measure"), here half of 0.8. See recipes/LOG.md for what it gains over the most likely
segmentation.
"""


@dataclass(frozen=True, slots=True)
class Calibration:
    """confidence = 1 / (1 + exp(-(slope * log(p / (1 - p)) + offset))), p being the model's probability of a span."""

    slope: float
    offset: float

    def __post_init__(self) -> None:
        if not (0 < self.slope < np.inf and abs(self.offset) < np.inf):
            raise ConfigError(f"a calibration needs a slope above 0, got slope {self.slope} and offset {self.offset}")

    def confidence(self, probability: Floats) -> Floats:
        """(n,) of probabilities (n,)."""
        confidence: Floats = _logistic(self.slope * _logit(probability) + self.offset)
        return confidence

    def probability(self, confidence: float) -> float:
        """Which probability has this confidence."""
        logit = float(_logit(np.array([confidence]))[0])
        return float(_logistic(np.array([(logit - self.offset) / self.slope]))[0])


UNCALIBRATED = Calibration(1.0, 0.0)
"""Takes the model at its word."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Which spans of a task are given out, and how their confidence is known."""

    threshold: float
    """The least confidence, above 0 and below 1."""
    alternatives: bool = False
    """Whether spans that overlap more probable ones are given out too."""
    calibration: Calibration = UNCALIBRATED

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold must be above 0 and below 1, got {self.threshold}")

    @property
    def floor(self) -> float:
        """The least probability."""
        return max(self.calibration.probability(self.threshold), LEAST_PROBABILITY)

    def choose(self, spans: Iterable[Span]) -> list[Span]:
        """Of spans that are probable enough those to give out, scored by their confidence."""
        kept = list(spans) if self.alternatives else stitch(list(spans))
        scores = self.calibration.confidence(np.array([span.score for span in kept])).tolist()
        return [Span(span.start, span.end, span.label, score) for span, score in zip(kept, scores, strict=True)]


def usual_points(tasks: Iterable[str], *, alternatives: bool = False) -> dict[str, OperatingPoint]:
    """Task -> the operating point of a parallel decoder that was not tuned; tokens have none."""
    return {task: OperatingPoint(USUAL_THRESHOLD, alternatives) for task in tasks if task != TOKENS}


def floors_of(points: Mapping[str, OperatingPoint]) -> dict[str, float]:
    """Task -> how probable a span must be for its operating point."""
    return {task: point.floor for task, point in points.items()}


def choose_spans(
    points: Mapping[str, OperatingPoint], spans: Mapping[str, Sequence[Span]]
) -> dict[str, Sequence[Span]]:
    """Task -> the spans that its operating point chooses; all of a task that has none."""
    return {task: points[task].choose(found) if task in points else found for task, found in spans.items()}


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a threshold gives."""

    threshold: float
    precision: float
    recall: float

    def f(self, beta: float = 1.0) -> float:
        """F-beta: the harmonic mean of precision and recall in which recall counts beta times as much."""
        weighted = beta**2 * self.precision + self.recall
        return (1 + beta**2) * self.precision * self.recall / weighted if weighted else 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """Spans of some documents that were compared with gold ones, one row a span."""

    probability: Floats
    """(n,) as the model has it."""
    is_correct: Bools
    """(n,)"""
    is_flat: Bools
    """(n,) whether it overlaps no span that is more probable and stays itself."""
    document: NDArray[np.int64]
    """(n,) number of its document."""
    gold: int
    """Spans that there are to find."""

    def select(self, rows: Bools) -> "Judged":
        """Some of the spans."""
        columns = (self.probability[rows], self.is_correct[rows], self.is_flat[rows], self.document[rows])
        return Judged(*columns, self.gold)


def judge(pairs: Iterable[tuple[Document, Document]], *, task: str) -> Judged:
    """Compare (gold, likely) documents; the likely spans may overlap and are scored by their probability."""
    rows: list[tuple[float, bool, bool, int]] = []
    count = 0
    for number, (gold, likely) in enumerate(pairs):
        truth, found = set(gold.spans.get(task, ())), likely.spans.get(task, ())
        flat = set(stitch(list(found)))
        rows += [(span.score, span in truth, span in flat, number) for span in found]
        count += len(truth)
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    return Judged(columns[0], columns[1] > 0, columns[2] > 0, columns[3].astype(np.int64), count)


def measure(pairs: Iterable[tuple[Document, Document]], *, task: str) -> CurvePoint:
    """What (gold, predicted) documents have, whatever threshold chose the spans: it is given as 0."""
    counts = score_documents(pairs, task=task).total
    return CurvePoint(0.0, counts.precision / 100, counts.recall / 100)


def fit_calibration(judged: Judged) -> Calibration:
    """The most likely calibration if, beforehand, the model at its word is thought likeliest.

    Logistic regression by Newton's method, with a normal distribution of variance 1 around UNCALIBRATED before any span
    is seen: a few spans hardly move it, and it stays finite where all are right.
    """
    inputs = np.stack([_logit(judged.probability), np.ones(len(judged.probability))], axis=1)
    start = np.array([UNCALIBRATED.slope, UNCALIBRATED.offset])
    weights = start.copy()
    for _ in range(100):
        expected = _logistic(inputs @ weights)
        slope = inputs.T @ (judged.is_correct - expected) - (weights - start)
        curvature = inputs.T @ (inputs * (expected * (1 - expected))[:, None]) + np.eye(2)
        step = np.linalg.solve(curvature, slope)
        weights = weights + step / max(1.0, float(np.abs(step).max()))
    return Calibration(max(float(weights[0]), 0.01), float(weights[1]))  # the order of the spans is kept


def cross_calibrate(judged: Judged) -> Floats:
    """(n,) confidences of the spans of every other document by a calibration fitted on the rest."""
    confidence = np.zeros(len(judged.probability))
    for half in (0, 1):
        is_held_out = judged.document % 2 == half
        calibration = fit_calibration(judged.select(~is_held_out))
        confidence[is_held_out] = calibration.confidence(judged.probability[is_held_out])
    return confidence


@dataclass(frozen=True, slots=True)
class Bin:
    """Spans of like confidence: low <= confidence < high."""

    low: float
    high: float
    spans: int
    confidence: float
    """Mean."""
    precision: float
    """Share that is right."""


def reliability(confidence: Floats, is_correct: Bools, *, bins: int = BINS) -> list[Bin]:
    """The bins that hold spans, in order; 1.0 belongs to the last."""
    number = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    found = []
    for i in np.unique(number).tolist():
        rows = number == i
        found.append(
            Bin(i / bins, (i + 1) / bins, int(rows.sum()), float(confidence[rows].mean()),
                float(is_correct[rows].mean()))
        )  # fmt: skip
    return found


def expected_calibration_error(confidence: Floats, is_correct: Bools, *, bins: int = BINS) -> float:
    """By how much confidence and precision differ, the mean over spans of the differences of their bins (ECE)."""
    members = reliability(confidence, is_correct, bins=bins)
    total = sum(member.spans for member in members)
    return sum(member.spans * abs(member.confidence - member.precision) for member in members) / max(total, 1)


def trace_curve(judged: Judged, calibration: Calibration, *, alternatives: bool) -> tuple[CurvePoint, ...]:
    """The points at THRESHOLDS, ascending, as far as spans were looked for and found."""
    chosen = judged if alternatives else judged.select(judged.is_flat)
    confidence = calibration.confidence(chosen.probability)
    order = np.argsort(-confidence, kind="stable")
    correct = np.append(0, np.cumsum(chosen.is_correct[order]))
    lowest = float(calibration.confidence(np.array([LEAST_PROBABILITY]))[0])
    points = []
    for threshold in THRESHOLDS[lowest <= THRESHOLDS].tolist():
        count = int((confidence >= threshold).sum())
        if count:
            right = int(correct[count])
            points.append(CurvePoint(threshold, right / count, right / judged.gold if judged.gold else 0.0))
    return tuple(points)


@dataclass(frozen=True, slots=True)
class Target:
    """What an operating point is to have; of the three at most one is given, and none means the best F1."""

    precision: float | None = None
    recall: float | None = None
    f_beta: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
        if len(given) > 1:
            raise ConfigError(f"give one of precision, recall and f_beta, not {' and '.join(given)}")
        for name, value in given.items():
            if not (value > 0 and (value <= 1 or name == "f_beta")):
                raise ConfigError(f"{name} must be above 0{'' if name == 'f_beta' else ' and at most 1'}, got {value}")


def choose_point(curve: Sequence[CurvePoint], target: Target) -> CurvePoint:
    """The point that reaches the target and has, of those, the most of the other: recall or precision.

    Raises ConfigError with the nearest point if there is none.
    """
    if not curve:
        raise ConfigError("no operating point can be chosen: the model found no spans on the development data")
    if target.recall is not None:
        reached = [point for point in curve if point.recall >= target.recall]
        if reached:
            return max(reached, key=lambda point: (point.precision, point.threshold))
        best = max(curve, key=lambda point: (point.recall, point.precision))
        raise ConfigError(f"recall {target.recall:g} is out of reach: the highest is {best.recall:.4f}, at threshold "
                          f"{best.threshold:g}, with precision {best.precision:.4f}")  # fmt: skip
    if target.precision is not None:
        reached = [point for point in curve if point.precision >= target.precision]
        if reached:
            return max(reached, key=lambda point: (point.recall, -point.threshold))
        best = max(curve, key=lambda point: (point.precision, point.recall))
        raise ConfigError(f"precision {target.precision:g} is out of reach: the highest is {best.precision:.4f}, at "
                          f"threshold {best.threshold:g}, with recall {best.recall:.4f}")  # fmt: skip
    beta = target.f_beta or 1.0
    return max(curve, key=lambda point: point.f(beta))


def _logit(probability: Floats) -> Floats:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    logit: Floats = np.log(clipped / (1 - clipped))
    return logit


def _logistic(values: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-np.clip(values, -500, 500)))
    return result

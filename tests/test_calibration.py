"""Confidences against spans whose odds are known, and operating points against counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.calibration import (
    LEAST_PROBABILITY,
    UNCALIBRATED,
    Calibration,
    CurvePoint,
    Judged,
    OperatingPoint,
    Target,
    choose_point,
    cross_calibrate,
    expected_calibration_error,
    fit_calibration,
    judge,
    measure,
    reliability,
    trace_curve,
)
from bytespan.errors import ConfigError
from bytespan.segments import stitch
from bytespan.spans import Document, Span

shares = st.floats(0, 1)
calibrations = st.builds(Calibration, st.floats(0.1, 5), st.floats(-3, 3))


def draw_judged(seed: int, truth: Calibration, *, count: int = 20_000) -> Judged:
    """Spans of 40 documents that are right as often as `truth` says of their probability."""
    rng = np.random.default_rng(seed)
    probability = rng.uniform(LEAST_PROBABILITY, 1, count)
    is_correct = rng.uniform(size=count) < truth.confidence(probability)
    return Judged(probability, is_correct, np.ones(count, np.bool_), np.arange(count) % 40, int(is_correct.sum()) + 10)


@given(calibrations, st.lists(shares, min_size=2, max_size=9))
def test_confidence_keeps_the_order_of_probabilities(calibration: Calibration, probabilities: list[float]) -> None:
    confidence = calibration.confidence(np.array(sorted(probabilities)))
    assert (np.diff(confidence) >= 0).all()
    assert ((confidence >= 0) & (confidence <= 1)).all()


@given(calibrations, st.floats(0.01, 0.99))
def test_probability_inverts_confidence(calibration: Calibration, confidence: float) -> None:
    probability = calibration.probability(confidence)
    if 1e-5 < probability < 1 - 1e-5:
        assert calibration.confidence(np.array([probability]))[0] == pytest.approx(confidence, abs=1e-6)


@pytest.mark.parametrize(("slope", "offset"), [(0.0, 0.0), (-1.0, 0.0), (float("nan"), 0.0), (1.0, float("inf"))])
def test_calibration_that_would_turn_the_order_round_is_refused(slope: float, offset: float) -> None:
    with pytest.raises(ConfigError, match="needs a slope above 0"):
        Calibration(slope, offset)


@pytest.mark.parametrize("truth", [Calibration(0.6, -0.4), Calibration(1.8, 0.7), UNCALIBRATED])
def test_calibration_is_found_from_the_spans_that_it_made(truth: Calibration) -> None:
    found = fit_calibration(draw_judged(1, truth))
    assert found.slope == pytest.approx(truth.slope, abs=0.06)
    assert found.offset == pytest.approx(truth.offset, abs=0.06)


@given(st.lists(st.tuples(shares, st.booleans()), max_size=6))
def test_a_few_spans_give_a_calibration_whatever_they_are(spans: list[tuple[float, bool]]) -> None:
    """All right or all wrong, none, or the most probable ones wrong."""
    probability, is_correct = np.array([p for p, _ in spans]), np.array([right for _, right in spans], np.bool_)
    judged = Judged(probability, is_correct, is_correct | True, np.zeros(len(spans), np.int64), 3)
    found = fit_calibration(judged)
    assert 0 < found.slope < 5
    assert abs(found.offset) < 5
    if not spans:
        assert found == UNCALIBRATED


def test_calibration_lowers_the_error_on_documents_that_it_has_not_seen() -> None:
    judged = draw_judged(2, Calibration(0.5, -0.5))
    raw = expected_calibration_error(judged.probability, judged.is_correct)
    assert raw > 0.08
    assert expected_calibration_error(cross_calibrate(judged), judged.is_correct) < 0.02


def test_documents_are_calibrated_without_their_own_spans() -> None:
    judged = draw_judged(3, UNCALIBRATED, count=400)
    turned = np.where(judged.document % 2 == 0, ~judged.is_correct, judged.is_correct)
    other = Judged(judged.probability, turned, judged.is_flat, judged.document, judged.gold)
    before, after = cross_calibrate(judged), cross_calibrate(other)
    assert np.array_equal(before[judged.document % 2 == 0], after[judged.document % 2 == 0])
    assert not np.allclose(before[judged.document % 2 == 1], after[judged.document % 2 == 1])


@given(st.lists(st.tuples(shares, st.booleans()), min_size=1, max_size=50), st.integers(1, 20))
def test_error_is_the_mean_gap_of_the_bins(spans: list[tuple[float, bool]], bins: int) -> None:
    confidence, right = np.array([p for p, _ in spans]), np.array([value for _, value in spans])
    gap = 0.0
    for i in range(bins):
        members = [(p, y) for p, y in spans if min(int(p * bins), bins - 1) == i]
        gap += abs(sum(p for p, _ in members) - sum(y for _, y in members))
    assert expected_calibration_error(confidence, right, bins=bins) == pytest.approx(gap / len(spans), abs=1e-9)
    members = reliability(confidence, right, bins=bins)
    assert sum(member.spans for member in members) == len(spans)
    assert all(member.low <= member.confidence <= member.high + 1e-9 for member in members)


def test_error_without_spans_is_nought() -> None:
    assert expected_calibration_error(np.zeros(0), np.zeros(0, np.bool_)) == 0.0


GOLD = Document(b"Ana Bea Chloe", {"entities": [Span(0, 7, "PER"), Span(8, 13, "PER")]})
LIKELY = Document(
    GOLD.data,
    {"entities": [Span(0, 7, "PER", 0.6), Span(0, 3, "PER", 0.3), Span(8, 13, "PER", 0.1), Span(8, 13, "LOC", 0.7)]},
)


def test_judged_spans_are_right_if_start_end_and_label_are() -> None:
    judged = judge([(GOLD, LIKELY), (Document(b"x"), Document(b"x"))], task="entities")
    rows = zip(judged.probability, judged.is_correct, judged.is_flat, judged.document, strict=True)
    assert sorted(rows) == [(0.1, True, False, 0), (0.3, False, False, 0), (0.6, True, True, 0), (0.7, False, True, 0)]
    assert judged.gold == 2
    assert measure([(GOLD, LIKELY)], task="entities") == CurvePoint(0.0, 0.5, 1.0)


def test_alternatives_are_what_lets_recall_reach_beyond_flat_spans() -> None:
    judged = judge([(GOLD, LIKELY)], task="entities")
    flat = trace_curve(judged, UNCALIBRATED, alternatives=False)
    overlapping = trace_curve(judged, UNCALIBRATED, alternatives=True)
    assert max(point.recall for point in flat) == 0.5
    assert max(point.recall for point in overlapping) == 1.0
    assert [point for point in flat if point.threshold == 0.65] == [CurvePoint(0.65, 0.0, 0.0)]
    assert flat[-1].threshold == 0.7


@given(st.integers(0, 99), calibrations)
def test_curve_counts_the_spans_at_or_above_each_threshold(seed: int, calibration: Calibration) -> None:
    judged = draw_judged(seed, UNCALIBRATED, count=50)
    curve = trace_curve(judged, calibration, alternatives=False)
    for point in curve:
        chosen = calibration.confidence(judged.probability) >= point.threshold
        assert point.precision == pytest.approx(judged.is_correct[chosen].mean())
        assert point.recall == pytest.approx(judged.is_correct[chosen].sum() / judged.gold)
    thresholds = [point.threshold for point in curve]
    assert thresholds == sorted(thresholds)


CURVE = [CurvePoint(0.2, 0.5, 0.9), CurvePoint(0.4, 0.8, 0.7), CurvePoint(0.6, 0.7, 0.6), CurvePoint(0.8, 0.95, 0.2)]


@pytest.mark.parametrize(
    ("target", "threshold"),
    [
        (Target(), 0.4),
        (Target(f_beta=3), 0.2),
        (Target(f_beta=0.2), 0.8),
        (Target(recall=0.6), 0.4),
        (Target(recall=0.9), 0.2),
        (Target(precision=0.7), 0.4),
        (Target(precision=0.9), 0.8),
    ],
    ids=str,
)
def test_the_point_with_the_most_of_the_rest_is_chosen(target: Target, threshold: float) -> None:
    assert choose_point(CURVE, target).threshold == threshold


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (
            Target(recall=0.95),
            "recall 0.95 is out of reach: the highest is 0.9000, at threshold 0.2, with precision 0.5",
        ),
        (
            Target(precision=1),
            "precision 1 is out of reach: the highest is 0.9500, at threshold 0.8, with recall 0.2000",
        ),
    ],
    ids=str,
)
def test_target_out_of_reach_is_answered_with_the_nearest_point(target: Target, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        choose_point(CURVE, target)


def test_no_point_can_be_chosen_where_nothing_was_found() -> None:
    with pytest.raises(ConfigError, match="found no spans on the development data"):
        choose_point([], Target())


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"precision": 0.5, "recall": 0.5}, "give one of precision, recall and f_beta, not precision and recall"),
        ({"recall": 1.1}, "recall must be above 0 and at most 1, got 1.1"),
        ({"precision": 0.0}, "precision must be above 0 and at most 1"),
        ({"f_beta": -1.0}, "f_beta must be above 0, got -1.0"),
    ],
    ids=str,
)
def test_target_that_cannot_be_is_refused(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Target(**values)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, float("nan")])
def test_threshold_must_lie_between_nought_and_one(threshold: float) -> None:
    with pytest.raises(ConfigError, match="threshold must be above 0 and below 1"):
        OperatingPoint(threshold)


@given(st.floats(0.001, 0.999), calibrations)
def test_floor_is_the_probability_of_the_threshold_but_never_below_the_least(
    threshold: float, calibration: Calibration
) -> None:
    floor = OperatingPoint(threshold, calibration=calibration).floor
    assert LEAST_PROBABILITY <= floor <= 1
    if floor < 1 - 1e-5:  # nearer to 1 probabilities are not told apart
        assert calibration.confidence(np.array([floor]))[0] >= threshold - 1e-6


def test_chosen_spans_are_flat_unless_alternatives_are_wanted_and_scored_by_confidence() -> None:
    calibration = Calibration(0.7, -0.3)
    likely = LIKELY.spans["entities"]
    flat = OperatingPoint(0.05, calibration=calibration).choose(likely)
    assert flat == stitch(list(likely)) == [Span(0, 7, "PER"), Span(8, 13, "LOC")]
    assert [span.score for span in flat] == pytest.approx(calibration.confidence(np.array([0.6, 0.7])))
    assert set(OperatingPoint(0.05, True, calibration).choose(likely)) == set(likely)
    assert OperatingPoint(0.5).choose([]) == []

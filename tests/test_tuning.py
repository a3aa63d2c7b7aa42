"""What tuning keeps: it comes back as it was, and nothing else is taken for it."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.calibration import Calibration, CurvePoint, Judged, Target
from bytespan.errors import ConfigError, ModelError
from bytespan.tuning import (
    Tuning,
    calibration_errors,
    chosen_bins,
    fit_tuning,
    tunings_from_json,
    tunings_to_json,
)

decimals = st.integers(1, 999_999).map(lambda value: value / 1_000_000)
points = st.builds(CurvePoint, decimals, decimals, decimals)
tunings = st.builds(
    Tuning,
    st.builds(Calibration, decimals, decimals),
    points,
    st.booleans(),
    st.lists(points, max_size=3).map(tuple),
    st.lists(points, max_size=3).map(tuple),
)


@given(st.dictionaries(st.text(max_size=5), tunings, max_size=3))
def test_tunings_come_back_as_they_were_written(found: dict[str, Tuning]) -> None:
    assert tunings_from_json(tunings_to_json(found), source="model/tuning.json") == found


POINT = CurvePoint(0.5, 0.75, 0.25)
GOOD = json.loads(tunings_to_json({"entities": Tuning(Calibration(1, 0), POINT, False, (POINT,), (POINT,))}))


def changed(**entry: Any) -> dict[str, Any]:
    return GOOD | {"tasks": {"entities": GOOD["tasks"]["entities"] | entry}}


@pytest.mark.parametrize(
    "values",
    [
        [],
        {},
        GOOD | {"tasks": []},
        GOOD | {"tasks": {"entities": {}}},
        changed(slope=0),
        changed(slope="steep"),
        changed(offset=None),
        changed(alternatives=1),
        changed(chosen=[0.5, 0.5]),
        changed(chosen=[1.0, 0.5, 0.5]),
        changed(flat=[[0.5, 1.5, 0.5]]),
        changed(overlapping=[[0.5, 0.5, float("nan")]]),
        changed(overlapping=7),
    ],
    ids=str,
)
def test_what_is_no_tuning_is_refused_in_one_sentence(values: Any) -> None:
    with pytest.raises(ModelError, match=r"^model/tuning.json: not as docs/format.md says: tune the model again$"):
        tunings_from_json(json.dumps(values).encode(), source="model/tuning.json")


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000])
def test_damaged_json_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"not as docs/format\.md says"):
        tunings_from_json(data, source="tuning.json")


def test_unknown_version_is_refused_by_its_number() -> None:
    with pytest.raises(ModelError, match=r"tuning.json: has version 2, this bytespan reads 1: upgrade bytespan"):
        tunings_from_json(json.dumps(GOOD | {"version": 2, "tasks": 5}).encode(), source="tuning.json")


def overconfident() -> Judged:
    """Spans of which two in three overlap a more probable one; all are less often right than the model thinks."""
    rng, count = np.random.default_rng(4), 9000
    probability = rng.uniform(0.01, 1, count)
    is_correct = rng.uniform(size=count) < Calibration(0.5, -1.0).confidence(probability)
    return Judged(probability, is_correct, np.arange(count) % 3 == 0, np.arange(count) % 10, int(is_correct.sum()) + 50)


def test_tuning_calibrates_and_chooses_on_the_wanted_curve() -> None:
    judged = overconfident()
    flat = fit_tuning(judged, Target(precision=0.6))
    assert flat.chosen in flat.flat
    assert flat.chosen.precision >= 0.6
    assert (flat.point().threshold, flat.point().alternatives) == (flat.chosen.threshold, False)
    overlapping = fit_tuning(judged, Target(recall=0.9), alternatives=True)
    assert overlapping.chosen in overlapping.overlapping
    assert overlapping.point().alternatives
    assert overlapping.point(threshold=0.6, alternatives=False).threshold == 0.6
    assert not overlapping.point(threshold=0.6, alternatives=False).alternatives
    before, after = calibration_errors(judged, flat)
    assert before > 3 * after
    bins = chosen_bins(judged, flat)
    assert [sum(member.spans for member in members) for members in bins.values()] == [
        int((judged.is_flat & (flat.calibration.confidence(judged.probability) >= flat.chosen.threshold)).sum())
    ] * 2


def test_lookup_says_when_alternatives_would_reach_what_flat_spans_do_not() -> None:
    tuning = fit_tuning(overconfident(), Target())
    assert tuning.lookup(Target(recall=0.9), alternatives=True).recall >= 0.9
    with pytest.raises(ConfigError, match=r"recall 0.9 is out of reach: the highest is .*; alternatives reach it$"):
        tuning.lookup(Target(recall=0.9))
    with pytest.raises(ConfigError, match=r"recall 1 is out of reach: the highest is .* precision [\d.]*$"):
        tuning.lookup(Target(recall=1.0))

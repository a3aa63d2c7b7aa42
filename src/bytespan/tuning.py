"""What `bytespan tune` finds out about a task, and how a model package keeps it: see docs/format.md."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bytespan.calibration import (
    Bin,
    Bools,
    Calibration,
    CurvePoint,
    Floats,
    Judged,
    OperatingPoint,
    Target,
    choose_point,
    cross_calibrate,
    expected_calibration_error,
    fit_calibration,
    reliability,
    trace_curve,
)
from bytespan.errors import ConfigError, ModelError
from bytespan.package import TUNING, Package

TUNING_VERSION = 1
DIGITS = 6
"""Decimals that are kept."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a task's spans are chosen, and what is known of other choices."""

    calibration: Calibration
    chosen: CurvePoint
    """The operating point, as measured on the development data."""
    alternatives: bool
    """Whether the chosen point gives out spans that overlap more probable ones."""
    flat: tuple[CurvePoint, ...]
    """Ascending thresholds, and what they gave on the development data without alternatives."""
    overlapping: tuple[CurvePoint, ...]
    """And with alternatives."""

    def point(self, *, threshold: float | None = None, alternatives: bool | None = None) -> OperatingPoint:
        """The operating point in use, as tuned where nothing else is said."""
        return OperatingPoint(
            self.chosen.threshold if threshold is None else threshold,
            self.alternatives if alternatives is None else alternatives,
            self.calibration,
        )

    def lookup(self, target: Target, *, alternatives: bool | None = None) -> CurvePoint:
        """The point of the curve that reaches the target; ConfigError if none does."""
        wanted = self.alternatives if alternatives is None else alternatives
        return _choose(self.flat, self.overlapping, target, alternatives=wanted)


def fit_tuning(judged: Judged, target: Target, *, alternatives: bool = False) -> Tuning:
    """Calibrate on development data and choose the point there that reaches the target; ConfigError if none does."""
    calibration = fit_calibration(judged)
    flat, overlapping = (trace_curve(judged, calibration, alternatives=wanted) for wanted in (False, True))
    chosen = _choose(flat, overlapping, target, alternatives=alternatives)
    return Tuning(calibration, chosen, alternatives, flat, overlapping)


def _choose(
    flat: Sequence[CurvePoint], overlapping: Sequence[CurvePoint], target: Target, *, alternatives: bool
) -> CurvePoint:
    try:
        return choose_point(overlapping if alternatives else flat, target)
    except ConfigError as error:
        if target.recall is None or not any(point.recall >= target.recall for point in overlapping):
            raise
        raise ConfigError(f"{error}; alternatives reach it") from error


def chosen_bins(judged: Judged, tuning: Tuning) -> dict[str, list[Bin]]:
    """The bins of the chosen spans before calibration and after, as `calibration_errors` has it."""
    rows, confidences = _held_out(judged, tuning)
    names = ("the model's probability", "calibrated on held-out halves")
    bins = (reliability(confidence, judged.is_correct[rows]) for confidence in confidences)
    return dict(zip(names, bins, strict=True))


def calibration_errors(judged: Judged, tuning: Tuning) -> tuple[float, float]:
    """The expected calibration error of the chosen spans before calibration and after.

    After, the spans of each half of the documents have confidences by a calibration that was fitted on the other half.
    """
    rows, (before, after) = _held_out(judged, tuning)
    is_correct = judged.is_correct[rows]
    return expected_calibration_error(before, is_correct), expected_calibration_error(after, is_correct)


def _held_out(judged: Judged, tuning: Tuning) -> tuple[Bools, tuple[Floats, Floats]]:
    """Which spans are chosen, and their probabilities and confidences."""
    rows = tuning.calibration.confidence(judged.probability) >= tuning.chosen.threshold
    rows &= judged.is_flat | tuning.alternatives
    return rows, (judged.probability[rows], cross_calibrate(judged)[rows])


def tunings_to_json(tunings: Mapping[str, Tuning]) -> bytes:
    """The content of `tuning.json`."""
    tasks = {
        task: {
            "slope": round(tuning.calibration.slope, DIGITS),
            "offset": round(tuning.calibration.offset, DIGITS),
            "chosen": _row(tuning.chosen),
            "alternatives": tuning.alternatives,
            "flat": [_row(point) for point in tuning.flat],
            "overlapping": [_row(point) for point in tuning.overlapping],
        }
        for task, tuning in tunings.items()
    }
    return (json.dumps({"version": TUNING_VERSION, "tasks": tasks}) + "\n").encode("utf-8")


def tunings_of(package: Package) -> dict[str, Tuning]:
    """Task -> tuning, of tasks that were tuned; ModelError if the package's file is not one that is known here."""
    return {} if package.tuning is None else tunings_from_json(package.tuning, source=str(package.path / TUNING))


def tunings_from_json(data: bytes, *, source: str) -> dict[str, Tuning]:
    """Task -> tuning; ModelError naming `source` if the file is of an unknown version or not as docs/format.md says."""
    try:
        values = json.loads(data)
        version = values["version"]
        if version == TUNING_VERSION:
            return {str(task): _tuning(entry) for task, entry in values["tasks"].items()}
    except (ConfigError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{source}: not as docs/format.md says: tune the model again") from error
    raise ModelError(f"{source}: has version {version!r}, this bytespan reads {TUNING_VERSION}: upgrade bytespan")


def _tuning(entry: Any) -> Tuning:
    if not isinstance(entry["alternatives"], bool):
        raise TypeError("alternatives must be true or false")
    calibration = Calibration(float(entry["slope"]), float(entry["offset"]))
    flat, overlapping = (tuple(map(_point, entry[name])) for name in ("flat", "overlapping"))
    return Tuning(calibration, _point(entry["chosen"]), entry["alternatives"], flat, overlapping)


def _row(point: CurvePoint) -> list[float]:
    return [round(value, DIGITS) for value in (point.threshold, point.precision, point.recall)]


def _point(row: Any) -> CurvePoint:
    threshold, precision, recall = map(float, row)
    if not (0 < threshold < 1 and 0 <= precision <= 1 and 0 <= recall <= 1):
        raise ValueError(f"no point of a curve: {row}")
    return CurvePoint(threshold, precision, recall)

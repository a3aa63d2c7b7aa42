"""What tuning found, as a picture: precision against recall, and confidence against precision before and after."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bytespan.calibration import Bin, CurvePoint
from bytespan.errors import OutputError, import_extra
from bytespan.tuning import Tuning


def draw_tuning(
    path: Path, tuning: Tuning, before: CurvePoint, bins: Mapping[str, Sequence[Bin]], *, title: str
) -> None:
    """Write a PNG; `before` is the model without tuning, `bins` are named by what their confidences are.

    Raises MissingExtra without matplotlib, OutputError if the file cannot be written.
    """
    import_extra("matplotlib", extra="train", purpose="drawing the tuning curves")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.2), layout="constrained")
    curve, reliable = figure.subplots(1, 2)
    for points, name, style in ((tuning.flat, "flat", "-"), (tuning.overlapping, "with alternatives", "--")):
        curve.plot([p.recall for p in points], [p.precision for p in points], style, color="black", label=name)
    marks = [point for point in tuning.flat if round(100 * point.threshold) % 20 == 10]
    curve.plot([p.recall for p in marks], [p.precision for p in marks], ".", color="black")
    for point in marks:
        curve.annotate(f"{point.threshold:.1f}", (point.recall, point.precision), (-4, -4), ha="right", va="top",
                       textcoords="offset points", fontsize="small")  # fmt: skip
    curve.plot(before.recall, before.precision, "s", color="tab:orange", markersize=8, label="before tuning")
    chosen = tuning.chosen
    curve.plot(chosen.recall, chosen.precision, "o", color="tab:blue", markersize=9,
               label=f"chosen: threshold {chosen.threshold:.2f}")  # fmt: skip
    curve.set(xlabel="recall", ylabel="precision", title=f"{title}: thresholds along the curve")
    reliable.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for (name, members), mark, colour in zip(bins.items(), "so", ("tab:orange", "tab:blue"), strict=False):
        reliable.plot([b.confidence for b in members], [b.precision for b in members], f"{mark}-", color=colour,
                      alpha=0.8, label=name)  # fmt: skip
    reliable.set(xlabel="confidence, mean of a bin", ylabel="share that is right", title="reliability", xlim=(0, 1),
                 ylim=(0, 1))  # fmt: skip
    for axes in (curve, reliable):
        axes.grid(alpha=0.3)
        axes.legend(loc="best")
    try:
        figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error

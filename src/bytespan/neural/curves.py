"""The learning curves of a run as a picture: loss and development scores over hours of compute."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import CorpusError, import_extra

SMOOTHED_STEPS = 100
"""Steps over which the loss is averaged, so that its course can be seen."""

STEP_COLUMNS = ("step", "loss", "auxiliary_loss", "learning_rate", "segment_length", "bytes_read", "step_s")
"""Columns of a run's `log.csv`, a row a step."""

DEV_COLUMNS = ("step", "corpus", "task", "main", "precision", "recall", "f1", "mean")
"""Columns of a run's `dev.csv`, a row a development corpus and task at each scored step."""


def draw_curves(run: Path) -> Path:
    """Write `curves.png` into a run directory from its `log.csv` and `dev.csv`; CorpusError if they are not a run's."""
    import_extra("matplotlib", extra="train", purpose="drawing learning curves")
    from matplotlib.figure import Figure

    steps, scores = read_rows(run / "log.csv", STEP_COLUMNS), read_rows(run / "dev.csv", DEV_COLUMNS)
    hours = np.cumsum([float(row["step_s"]) for row in steps]) / 3600
    figure = Figure(figsize=(13, 4.5), layout="constrained")
    loss_axes, dev_axes = figure.subplots(1, 2)
    loss = _smooth(np.array([float(row["loss"]) for row in steps]))
    loss_axes.plot(hours[len(hours) - len(loss) :], loss, color="black")
    loss_axes.set(xlabel="hours of training", ylabel="loss, nats a symbol", title=f"{run.name}: training loss")
    hour_of = {row["step"]: hour for row, hour in zip(steps, hours, strict=True)}
    rows = sorted({(row["corpus"], row["task"]) for row in scores})
    for corpus, task in rows:
        points = [row for row in scores if (row["corpus"], row["task"]) == (corpus, task)]
        label = f"{corpus} {task}" if len({name for _, name in rows}) > 1 else corpus
        dev_axes.plot([hour_of[p["step"]] for p in points], [float(p["main"]) for p in points], label=label)
    means = {hour_of[row["step"]]: float(row["mean"]) for row in scores}
    dev_axes.plot(list(means), list(means.values()), color="black", linewidth=2.5, label="mean")
    dev_axes.set(xlabel="hours of training", ylabel="percent", title="development: accuracy (tokens), F1 (entities)")
    for axes in (loss_axes, dev_axes):
        axes.grid(alpha=0.3)
    if rows:
        dev_axes.legend(ncols=1 + len(rows) // 20, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(run / "curves.png", dpi=110)
    return run / "curves.png"


def read_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a run's log; CorpusError if the file is not one."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except OSError as error:
        raise CorpusError(f"{path}: cannot read the run's log: {error.strerror}") from error
    if tuple(reader.fieldnames or ()) != columns or any(None in row.values() for row in rows):
        raise CorpusError(f"{path}: not the log of a run: expected the columns {', '.join(columns)}")
    return rows


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    width = min(SMOOTHED_STEPS, len(values))
    return np.convolve(values, np.ones(width) / width, mode="valid") if width else values

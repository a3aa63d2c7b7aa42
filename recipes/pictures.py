"""The pictures of docs/results.md. Systems without figures are left out of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from peers import POS_13, SIZES

if TYPE_CHECKING:
    from report import Results

Rows = Mapping[str, Sequence[float | None]]
"""System -> a percent, or nothing, for each place on the x axis."""

COLOURS = {"bytespan": "black", "UDPipe": "tab:green", "spaCy": "tab:blue", "CRF": "tab:orange"}


def draw_pictures(results: "Results", folder: Path) -> None:
    """Write conll.png, pos.png, entities.png and learning.png."""
    from report import CONLL, NATURAL, PEERS, POS_FILES, SPACED, conll_rows
    from tables import average

    folder.mkdir(parents=True, exist_ok=True)
    rows = {name: [*values, average(values)] for name, values in conll_rows(results).items()}
    _draw_points(folder / "conll.png", rows, [*CONLL, "mean"], "test F1")
    files = {name: POS_FILES[name] for name in POS_13}
    rows = {"bytespan": [results.figure("base", file, "upos_f1") for file in files.values()]}
    rows |= {PEERS[peer]: [results.peer(peer, file, "upos_f1") for file in files.values()] for peer in PEERS}
    _draw_points(folder / "pos.png", rows, list(files), "test UPOS F1")
    names = [*SPACED, *NATURAL]
    rows = {"bytespan": [results.figure("base", file, "f1") for file in names]}
    rows |= {PEERS[peer]: [results.peer(peer, file, "f1") for file in names] for peer in ("crf", "spacy")}
    places = [f"{file.split('/')[-2]}{' natural' if 'natural' in file else ''}" for file in names]
    _draw_points(folder / "entities.png", rows, places, "test F1")
    _draw_learning(results, folder / "learning.png")


def _draw_points(path: Path, rows: Rows, places: Sequence[str], unit: str) -> None:
    """A column of points a place, a mark a system."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots()
    shown = {name: values for name, values in rows.items() if any(value is not None for value in values)}
    marks = "osD^vPX*<>"
    for (name, values), mark in zip(shown.items(), marks, strict=False):
        known = [(i, value) for i, value in enumerate(values) if value is not None]
        size = 10 if name.startswith("bytespan") else 7
        x, y = zip(*known, strict=True)
        axes.plot(x, y, mark, color=COLOURS.get(name), markersize=size, alpha=0.8, label=name)
    axes.set_xticks(range(len(places)), places, rotation=30 if len(places) > 13 or max(map(len, places)) > 3 else 0)
    _finish(axes, unit)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _draw_learning(results: "Results", path: Path) -> None:
    """Scores over the sentences of the training set."""
    from report import LEARNING, learning_rows

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (name, _, _, _, total, title) in zip(figure.subplots(1, 2), LEARNING, strict=True):
        for system, values in learning_rows(results, name).items():
            known = [(size, value) for size, value in zip((*SIZES, total), values, strict=True) if value is not None]
            if known:
                x, y = zip(*known, strict=True)
                axes.plot(x, y, "o-", color=COLOURS[system], label=system)
        axes.set_xscale("log")
        axes.set_xticks((*SIZES, total), [f"{size:,}" for size in (*SIZES, total)])
        axes.minorticks_off()
        axes.set(xlabel="training sentences", title=title, xlim=(800, 18000))
        _finish(axes, "percent")
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _finish(axes: Axes, unit: str) -> None:
    axes.set_ylabel(unit)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")

"""The pictures of docs/performance.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import page
from matplotlib import pyplot
from matplotlib.axes import Axes

OURS, THEIRS = "#1f77b4", "#b0b0b0"
DPI = 110


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """One picture a result file that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in (("compare", draw_compare), ("growth", draw_growth)):
        if results.get(name):
            picture(results[name], folder / f"{name}.png")


def draw_compare(result: Mapping[str, Any], path: Path) -> None:
    """Speed and memory of each system, cold start of each program."""
    rows = result["systems"]
    starts = {name: median(row["starts"]) for name, row in result["families"].items() if row["starts"]}
    heights = [len(rows), len(rows), len(starts)]
    drawing, axes = pyplot.subplots(
        3, 1, figsize=(9, 0.3 * sum(heights) + 3), height_ratios=heights, layout="constrained"
    )
    names = [f"{row['name']} ({row['does']})" for row in rows]
    _bars(axes[0], names, [page.rate(result, row, "tokens") for row in rows], "tokens/s, more is better")
    _bars(axes[1], [row["name"] for row in rows], [row["peak_mb"] for row in rows], "peak memory, MB, less is better")
    _bars(axes[2], list(starts), list(starts.values()), "cold start of a whole process, s, less is better")
    drawing.savefig(path, dpi=DPI)
    pyplot.close(drawing)


def _bars(axis: Axes, names: Sequence[str], values: Sequence[float], title: str) -> None:
    colours = [OURS if name.startswith(page.OURS) else THEIRS for name in names]
    bars = axis.barh(range(len(names)), values, color=colours)
    axis.bar_label(bars, [page.figure(value) for value in values], padding=3, fontsize=9)
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.invert_yaxis()
    axis.set_title(title, fontsize=10, loc="left")
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)


def draw_growth(result: Mapping[str, Any], path: Path) -> None:
    """Speed and memory over the length of the text, speed over segment length and labels."""
    drawing, axes = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for axis in axes.flat:
        axis.set_xscale("log")
    kinds: dict[str, list[Any]] = {}
    for row in result["length"].values():
        if row["bytes"]:
            kinds.setdefault(row["kind"], []).append(row)
    kinds = {kind: rows for kind, rows in kinds.items() if len(rows) > 1}  # of which something can be seen to grow
    for label, rows in kinds.items():
        sizes = [row["bytes"] for row in rows]
        speeds = [(page.steady_rate(result, row) or float("nan")) / 1000 for row in rows]
        _line(axes[0, 0], sizes, speeds, label)
        _line(axes[0, 1], sizes, [row["peak_mb"] for row in rows], label)
    ticks = {row["bytes"]: page.size_of(row) for rows in kinds.values() for row in rows}
    for axis in axes[0]:
        axis.set_xticks(list(ticks), list(ticks.values()))
    for axis, part in ((axes[1, 0], "segments"), (axes[1, 1], "labels")):
        rows = result[part]
        _line(axis, list(map(int, rows)), [r["bytes"] / median(r["seconds"]) / 1000 for r in rows.values()], "")
        axis.set_xticks(list(map(int, rows)), list(rows))
    titles = ("kB/s after the start", "peak memory, MB", "kB/s on one thread", "kB/s on one thread")
    below = ("length of the text", "length of the text", "bytes in a segment", "labels")
    for axis, title, under in zip(axes.flat, titles, below, strict=True):
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_xlabel(under, fontsize=9)
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(fontsize=9, frameon=False)
    drawing.savefig(path, dpi=DPI)
    pyplot.close(drawing)


def _line(axis: Axes, across: Sequence[float], up: Sequence[float], label: str) -> None:
    axis.plot(across, up, marker="o", markersize=4, label=label)

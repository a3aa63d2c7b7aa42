"""The pictures of an inspection, each as the bytes of a PNG file."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bytespan.errors import import_extra
from bytespan.inspection.excerpts import Excerpt, cell_title
from bytespan.inspection.study import Inspection, StateMap
from bytespan.words import code_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

DPI = 110
PALETTE = 20
"""Colours of points, after which another mark begins with the first one again."""

MARKS = "osD^vP"


def draw_pictures(inspection: Inspection) -> dict[str, bytes]:
    """File name -> picture: activations, probes and, where labels are known, clusters and map."""
    import_extra("matplotlib", extra="inspect", purpose="drawing what cells do")
    drawn = {"activations.png": draw_activations(inspection), "probes.png": draw_probes(inspection)}
    if any(layer.clustering for layer in inspection.layers):
        drawn["clusters.png"] = draw_clusters(inspection)
    if inspection.map is not None:
        drawn["map.png"] = draw_map(inspection.map)
    return drawn


def draw_activations(inspection: Inspection) -> bytes:
    """A heatmap an excerpt: a column a byte, under the text, and a row a cell, the most telling first."""
    excerpts = inspection.excerpts
    heights = [len(excerpt.rows) + 3 for excerpt in excerpts]
    figure = _figure(16, 0.19 * sum(heights) + 0.5)
    grid = figure.subplots(len(excerpts), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    image = None
    for axes, excerpt in zip(grid[:, 0], excerpts, strict=True):
        image = _draw_excerpt(axes, excerpt, inspection.names)
    if image is not None:
        bar = figure.colorbar(image, ax=grid[:, 0], fraction=0.012, pad=0.01, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["against", "mean", "for"], fontsize=8)
    return _png(figure)


def _draw_excerpt(axes: "Axes", excerpt: Excerpt, names: Mapping[int, str]) -> "AxesImage":
    columns = np.full((len(excerpt.rows), len(excerpt.data)), np.nan)
    for place, (start, end) in enumerate(zip(excerpt.starts, excerpt.ends, strict=True)):
        columns[:, start:end] = excerpt.activations[:, place, None]
    image = axes.imshow(columns, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    codes, edges = code_points(excerpt.data)
    for code, start, end in zip(codes.tolist(), edges[:-1], edges[1:], strict=True):
        shown = _shown(chr(code))
        size = 9 if len(shown) == 1 else 5
        turned = 90 if len(shown) > 1 else 0
        axes.text((start + end - 1) / 2, -0.7, shown, ha="center", va="bottom", fontsize=size, rotation=turned,
                  parse_math=False)  # fmt: skip
    titles = [cell_title(row, names) for row in excerpt.rows]
    axes.set_yticks(range(len(titles)), titles, fontsize=7.5, parse_math=False)
    axes.set_xticks([])
    axes.set_xlim(-0.5, len(excerpt.data) - 0.5)
    axes.set_title(excerpt.language, loc="left", fontsize=10, fontweight="bold", pad=18, parse_math=False)
    return image


def _shown(character: str) -> str:
    """The character if the font has it, else its number; a mark for a line end."""
    from matplotlib.font_manager import findfont, get_font

    if character in "\n\t\r":
        return {"\n": "↵", "\t": "⇥", "\r": "␍"}[character]
    return character if get_font(findfont("DejaVu Sans")).get_char_index(ord(character)) else f"{ord(character):X}"


def draw_probes(inspection: Inspection) -> bytes:
    """Accuracy on positions held out, and selectivity, of each question in each layer."""
    questions, layers = inspection.questions, inspection.layers
    figure = _figure(3.6 + 1.5 * len(layers), 1.4 + 0.42 * len(questions))
    panels = figure.subplots(1, 2)
    for axes, title in zip(panels, ("accuracy on text held out", "selectivity: less that of the control"), strict=True):
        values = np.array(
            [
                [getattr(layer.probes[q.name], "accuracy" if axes is panels[0] else "selectivity") for layer in layers]
                for q in questions
            ]
        )
        axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9,
                      color="black" if value > 0.6 else "white")  # fmt: skip
        axes.set_xticks(range(len(layers)), [layer.name for layer in layers], fontsize=8)
        axes.set_title(title, fontsize=10)
    rows = [f"{q.name} (chance {1 / len(q.classes):.2f})" for q in questions]
    panels[0].set_yticks(range(len(rows)), rows, fontsize=9, parse_math=False)
    panels[1].set_yticks([])
    return _png(figure)


def draw_clusters(inspection: Inspection) -> bytes:
    """By layer: whether neighbours share the label or the language, and whether labels are found in a new language."""
    layers = [(layer.name, layer.clustering, layer.transfers) for layer in inspection.layers]
    names = [name for name, _, _ in layers]
    figure = _figure(12, 4.8)
    left, right = figure.subplots(1, 2)
    lines = {
        "same label": [c.label.above_chance for _, c, _ in layers if c],
        "same label, of other languages only": [c.abroad.above_chance for _, c, _ in layers if c],
        "same language": [c.language.above_chance for _, c, _ in layers if c],
    }
    for (title, values), style in zip(lines.items(), ("ko-", "k^--", "s-"), strict=True):
        left.plot(names, values, style, label=title, **({"color": "tab:red"} if style == "s-" else {}))
    left.set(ylim=(min(0, np.nanmin([*lines.values()])), 1), title="nearest neighbours of the same kind",
             ylabel="0: chance, 1: all")  # fmt: skip
    for title, kind, style in (("language shown to the probe", "shown", "ko-"), ("never shown", "abroad", "k^--")):
        values = [np.nanmean([getattr(found, kind) for found in transfers.values()]) for _, _, transfers in layers]
        right.plot(names, values, style, label=title)
    right.set(ylim=(0, 1), title=f"a linear map finds the label ({inspection.label})", ylabel="mean over languages")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)
    return _png(figure)


def draw_map(found: StateMap) -> bytes:
    """The same points twice: coloured by label, and by language if there are several."""
    kinds = {"label": found.labels} | ({"language": found.languages} if len(set(found.languages)) > 1 else {})
    figure = _figure(7.5 * len(kinds), 6.2)
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axes, (title, members) in zip(panels, kinds.items(), strict=True):
        _scatter(axes, found, members)
        axes.set(title=f"states of the last layer, by {title}", xticks=[], yticks=[])
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, markerscale=1.5)
    return _png(figure)


def _scatter(axes: "Axes", found: StateMap, members: Sequence[str]) -> None:
    from matplotlib import colormaps

    kinds = np.array(members)
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined, unused-ignore]
    colours = [*colours[::2], *colours[1::2]]  # the strong ones first
    for number, kind in enumerate(sorted(set(members))):
        here = found.places[kinds == kind]
        mark = MARKS[number // PALETTE % len(MARKS)]
        axes.scatter(
            here[:, 0], here[:, 1], s=14, color=colours[number % PALETTE], marker=mark, linewidths=0, label=kind
        )


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _png(figure: "Figure") -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # of a label in a script without a font
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()

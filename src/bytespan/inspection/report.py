"""An inspection as one HTML page that needs no other file, and as figures for a program."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from bytespan.inspection.clusters import NEIGHBOURS, Clustering, Purity
from bytespan.inspection.excerpts import Excerpt, cell_title, class_title
from bytespan.inspection.study import Inspection
from bytespan.words import code_points

HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ max-width: 75rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #111;
  background: #fff; }}
img {{ max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; font-size: .9rem; margin: 1rem 0; }}
th, td {{ padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; }}
.wide {{ overflow-x: auto; }}
.row {{ display: flex; gap: 1rem; align-items: baseline; }}
.row small {{ flex: 0 0 19rem; text-align: right; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }}
.row div {{ white-space: pre; }}
</style>
</head>
<body>
"""
FOOT = "</body>\n</html>\n"

FOR, AGAINST = np.array([205, 50, 60]), np.array([60, 110, 190])
"""Colours of activations of 1 and -1; 0 is white."""


def report_page(inspection: Inspection, pictures: Mapping[str, bytes]) -> str:
    """The page, with all pictures but the activations, which it shows as text."""
    title = f"What the cells of {inspection.model} represent"
    counts = ", ".join(f"{language} {count}" for language, count in inspection.positions.items())
    what = "characters, behind each of which" if inspection.reads_bytes else "units, at each of which"
    parts = [
        HEAD.format(title=escape(title)),
        f"<h1>{escape(title)}</h1>\n",
        f"<p>Looked at were {what} every cell holds a number: {escape(counts)}. Every third passage is held out: there "
        "all figures are measured, elsewhere probes are trained and cells chosen.</p>\n",
        *_clusters(inspection, pictures),
        "<h2>Probes</h2>\n<p>How well a linear map finds each property from the states of one layer, every class "
        "counted alike. A control probe is asked for a class drawn at random for each word: it can only learn words by "
        "heart, and what is found beyond it is selectivity (Hewitt and Liang 2019). <i>input</i> is what the first "
        f"layer reads.</p>\n{_image(pictures['probes.png'], 'accuracy and selectivity by layer')}",
        "<h2>Cells</h2>\n<p>The cell that tells each class from all others best alone, by the area under the curve: "
        "1 tells always, 0.5 never."
        + ("" if inspection.reads_bytes else " → reads from the start, ← from the end.")
        + f"</p>\n{_cells(inspection)}",
        "<h2>Activations</h2>\n<p>The most telling cells over some text, red where the cell is for the class, blue "
        "where it is against it, white at its mean.</p>\n",
        *(_excerpt(excerpt, inspection.names) for excerpt in inspection.excerpts),
        FOOT,
    ]
    return "".join(parts)


def figures(inspection: Inspection) -> dict[str, Any]:
    """All numbers of an inspection, for JSON; what could not be measured is None."""
    return {
        "model": inspection.model,
        "positions": dict(inspection.positions),
        "label": inspection.label,
        "probes": {
            question.name: {
                "classes": list(question.classes),
                "layers": {
                    layer.name: {
                        "accuracy": _number(layer.probes[question.name].accuracy),
                        "control": _number(layer.probes[question.name].control),
                        "selectivity": _number(layer.probes[question.name].selectivity),
                    }
                    for layer in inspection.layers
                },
            }
            for question in inspection.questions
        },
        "cells": {
            name: [{"class": s.name, "cell": inspection.names[s.cell], "auc": _number(s.auc)} for s in scores]
            for name, scores in inspection.cells.items()
        },
        "clusters": {
            layer.name: _clustering(layer.clustering)
            | {
                "label_accuracy": {
                    language: {"shown": _number(found.shown), "never_shown": _number(found.abroad)}
                    for language, found in layer.transfers.items()
                }
            }
            for layer in inspection.layers
            if layer.clustering is not None
        },
    }


def _clustering(found: Clustering) -> dict[str, Any]:
    def purity(one: Purity) -> dict[str, float | None]:
        return {"share": _number(one.share), "chance": _number(one.chance), "above_chance": _number(one.above_chance)}

    return {
        "neighbours_same_label": purity(found.label),
        "neighbours_same_language": purity(found.language),
        "neighbours_of_other_languages_same_label": purity(found.abroad),
        "silhouette_by_label": _number(found.label_silhouette),
        "silhouette_by_language": _number(found.language_silhouette),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _clusters(inspection: Inspection, pictures: Mapping[str, bytes]) -> list[str]:
    """The answer to whether states lie by label or by language, as far as the texts allow one."""
    parts = ["<h2>By label or by language</h2>\n"]
    last = inspection.layers[-1].clustering
    if inspection.label is None or last is None:
        parts.append("<p>Not asked: that takes annotated files of two or more languages.</p>\n")
    else:
        parts.append(
            f"<p>Of the {NEIGHBOURS} states next to a state of the last layer, those of the same word left out, "
            f"{_percent(last.label.share)} have its label ({escape(inspection.label)}; by chance "
            f"{_percent(last.label.chance)}) and {_percent(last.language.share)} its language (by chance "
            f"{_percent(last.language.chance)}). Among states of other languages, {_percent(last.abroad.share)} of the "
            "next have its label.</p>\n"
        )
        parts += [_image(pictures["clusters.png"], "neighbours and labels in a new language, by layer")]
        parts += [_clusters_table(inspection), _transfer_table(inspection)]
    if "map.png" in pictures:
        parts.append("<p>A map of states (t-SNE): points that are near are near in truth; the distance between groups "
                     f"has no meaning.</p>\n{_image(pictures['map.png'], 'map of states')}")  # fmt: skip
    return parts


def _clusters_table(inspection: Inspection) -> str:
    columns = ["layer", "same label", "same label, other languages only", "same language", "silhouette by label",
               "silhouette by language"]  # fmt: skip
    rows = [
        [
            layer.name,
            *(f"{one.above_chance:.3f}" for one in (found.label, found.abroad, found.language)),
            f"{found.label_silhouette:.3f}",
            f"{found.language_silhouette:.3f}",
        ]
        for layer in inspection.layers
        if (found := layer.clustering) is not None
    ]
    return "<p>Neighbours of the same kind, 0 being chance and 1 all of them; silhouettes from -1 to 1.</p>\n" + _table(
        columns, rows
    )


def _transfer_table(inspection: Inspection) -> str:
    transfers = inspection.layers[-1].transfers
    rows = [
        [title, *(_percent(getattr(found, kind)) for found in transfers.values())]
        for title, kind in (("shown", "shown"), ("never shown", "abroad"))
    ]
    return (
        "<p>Labels found by a linear map from the last layer that was, or was not, shown the language.</p>\n"
        + _table(["", *transfers], rows)
    )


def _cells(inspection: Inspection) -> str:
    rows = [
        [class_title(score), f"{score.auc:.3f}", inspection.names[score.cell], "higher" if score.rises else "lower"]
        for scores in inspection.cells.values()
        for score in scores
    ]
    return _table(["property", "area", "cell", "there it is"], rows)


def _excerpt(excerpt: Excerpt, names: Mapping[int, str]) -> str:
    pieces = _pieces(excerpt)
    lines = [f'<h3>{escape(excerpt.language)}</h3>\n<div class="wide">\n']
    for row, score in zip(excerpt.activations, excerpt.rows, strict=True):
        text = "".join(
            escape(piece) if place is None else f'<span style="background:{_colour(row[place])}">{escape(piece)}</span>'
            for place, piece in pieces
        )
        lines.append(f'<div class="row"><small>{escape(cell_title(score, names))}</small><div dir="auto">{text}</div>'
                     "</div>\n")  # fmt: skip
    return "".join([*lines, "</div>\n"])


def _pieces(excerpt: Excerpt) -> list[tuple[int | None, str]]:
    """The text in characters, those of one unit together: its position, None between units."""
    position = np.full(len(excerpt.data), -1)
    for number, (start, end) in enumerate(zip(excerpt.starts, excerpt.ends, strict=True)):
        position[start:end] = number
    codes, edges = code_points(excerpt.data)
    pieces: list[tuple[int | None, str]] = []
    for code, end in zip(codes.tolist(), edges[1:].tolist(), strict=True):
        found = int(position[end - 1])
        place = found if found >= 0 else None
        piece = chr(code) if chr(code).isprintable() else " "
        if pieces and pieces[-1][0] == place:
            pieces[-1] = place, pieces[-1][1] + piece
        else:
            pieces.append((place, piece))
    return pieces


def _colour(activation: float) -> str:
    target = FOR if activation > 0 else AGAINST
    red, green, blue = (255 + (target - 255) * abs(float(activation))).astype(int)
    return f"rgb({red},{green},{blue})"


def _image(picture: bytes, description: str) -> str:
    data = base64.b64encode(picture).decode("ascii")
    return f'<p><img alt="{escape(description)}" src="data:image/png;base64,{data}"></p>\n'


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}</table></div>\n'


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"

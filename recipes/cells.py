"""What the cells of the models represent: question 5 of docs/questions.md, asked by `questions.py cells`."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from peers import POS_13
from scoring import read_json, write_json
from tables import table

from bytespan.corpora.reading import read_documents
from bytespan.inspection.pictures import draw_activations, draw_map
from bytespan.inspection.report import figures
from bytespan.inspection.study import inspect_model
from bytespan.package import read_package

RECIPES = Path(__file__).parent
TITLE = "5. What the cells represent"
CONLL = ("en", "de", "es", "nl")

Models = Mapping[str, tuple[str, Path, str, Sequence[str]]]
"""Model -> what it is, where it lies, the files that are looked at, and their languages."""

MODELS: Models = {
    "pos-paper": ("the generator", RECIPES / "weights" / "pos-paper", "pos/{}/dev.conllu", POS_13),
    "base": ("the parallel decoder", RECIPES.parent / "src/bytespan/models/base.zip", "pos/{}/dev.conllu", POS_13),
    "conll-parallel": (
        "the parallel decoder, for entities", RECIPES / "weights" / "conll-parallel", "ner/conll/{}/dev.conll", CONLL,
    ),
}  # fmt: skip

DRAWN = {"base": ("cells-map.png", "map"), "pos-paper": ("cells-activations.png", "activations")}
"""Model -> a picture of its own."""

ASKED = """## 5. What the cells represent

The paper shares one set of parameters over all languages, and supposes that it represents what they have in common. Do
states cluster by label, not by language? Which cells track word ends, scripts, capitals, quotations?

Measured as by `bytespan inspect`, on 100 kB of development text of 13 languages (CoNLL: 4): of each position's state,
which are the ten nearest, those of the same word left out (0 is chance, 1 all of them), with as many positions of every
label in every language; and how well a linear map finds the label, mean over labels and languages, if it was trained on
all languages, or on all but the one where it is asked. The silhouette, from -1 to 1, says how much nearer a state is to
those of its own label (or language) than to those of the next one. *input* is what the first layer reads.

Then linear probes: the accuracy with which a property is found on text held out, every class counted alike, and in
brackets how much it is above that of a control that can only learn by heart which class each word has (Hewitt and Liang
2019). A generator is asked at each character whether the word ends there, before it has seen what follows."""

SINGLE = """The single cell that tells each best (of scripts, languages and labels: the one that is told best of all),
by the area under the ROC curve: 1 if its activation alone always tells, 0.5 if it tells nothing. → marks the half of
a layer that reads from the start, ← the one that reads from the end."""


def answer(arguments: argparse.Namespace, *, results: Path, pictures: Path, models: Models = MODELS) -> str:
    """Look into the models asked for, keep figures and pictures, and write the section of all that were looked into."""
    pictures.mkdir(parents=True, exist_ok=True)
    for name in [arguments.model] if arguments.model else models:
        _, path, files, languages = models[name]
        texts = {code: list(read_documents(arguments.data / files.format(code))) for code in languages}
        inspection = inspect_model(read_package(path, with_weights=False), texts, threads=arguments.threads)
        write_json(results / f"cells-{name}.json", figures(inspection))
        file, kind = DRAWN.get(name, (None, None))
        if kind == "map" and inspection.map is not None:
            (pictures / file).write_bytes(draw_map(inspection.map))
        elif kind == "activations":
            (pictures / file).write_bytes(draw_activations(inspection))
    found = read_results(results, models)
    draw_layers(pictures / "cells.png", found)
    return section(found, models)


def read_results(folder: Path, models: Models = MODELS) -> dict[str, dict[str, Any]]:
    """Model -> its figures, of models that were looked into."""
    read = {name: read_json(folder / f"cells-{name}.json") for name in models}
    return {name: result for name, result in read.items() if result}


def section(results: Mapping[str, dict[str, Any]], models: Models = MODELS) -> str:
    """The section of the page."""
    lines = [ASKED, ""]
    for name, result in results.items():
        lines += [f"{_capitalized(models[name][0])} (`{name}`), labels: {result['label']}:", ""]
        lines += [*_clusters_table(result), *_probes_table(result)]
    lines += ["![Nearest neighbours by layer](questions/cells.png)", ""]
    lines += ["![A map of states of the packaged model's last layer](questions/cells-map.png)", ""]
    lines += [SINGLE, "", *_cells_table(results)]
    lines += ["![Activations of the generator's most telling cells](questions/cells-activations.png)", ""]
    return "\n".join([*lines, _answer(results), "", "Again: `python recipes/questions.py cells`.", ""])


def _clusters_table(result: Mapping[str, Any]) -> list[str]:
    head = ["layer", "same label", "same label, other languages only", "same language", "silhouette by label",
            "silhouette by language", "label found", "label found, language never shown"]  # fmt: skip
    return table(head, [_clusters_row(layer, found) for layer, found in result["clusters"].items()])


def _clusters_row(layer: str, found: Mapping[str, Any]) -> list[object]:
    kinds = ("neighbours_same_label", "neighbours_of_other_languages_same_label", "neighbours_same_language")
    return [
        layer,
        *(found[kind]["above_chance"] for kind in kinds),
        found["silhouette_by_label"],
        found["silhouette_by_language"],
        *(label_accuracy(found, kind) for kind in ("shown", "never_shown")),
    ]


def label_accuracy(found: Mapping[str, Any], kind: str) -> float:
    """Mean over the languages of the accuracy with which a probe finds labels."""
    values = (language[kind] for language in found["label_accuracy"].values())
    return mean(value for value in values if value is not None)


def _probes_table(result: Mapping[str, Any]) -> list[str]:
    layers = list(result["clusters"])
    rows = [[name, *(_probe(probe["layers"][layer]) for layer in layers)] for name, probe in result["probes"].items()]
    return table(["probe", *layers], rows)


def _probe(found: Mapping[str, Any]) -> str:
    return f"{found['accuracy']:.2f} ({found['selectivity']:+.2f})"


def _cells_table(results: Mapping[str, dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for result in results.values() for name in result["cells"])
    return table(["", *results], [[name, *(_best(result, name) for result in results.values())] for name in names])


def _best(result: Mapping[str, Any], name: str) -> str | None:
    scores = result["cells"].get(name)
    if not scores:
        return None
    told = "" if scores[0]["class"] == "yes" else f"{scores[0]['class']}: "
    return f"{told}{scores[0]['auc']:.2f}, {scores[0]['cell']}"


def _answer(results: Mapping[str, dict[str, Any]]) -> str:
    """Two sentences."""
    last = {name: list(result["clusters"].items())[-1] for name, result in results.items()}
    by_label = [found["neighbours_same_label"]["above_chance"] for _, found in last.values()]
    by_language = [found["neighbours_same_language"]["above_chance"] for _, found in last.values()]
    against = [name for name, one, other in zip(last, by_label, by_language, strict=True) if one <= other]
    verdict = f"does not hold for {' and '.join(against)}" if against else "holds"
    shares = [
        f"{100 * found['neighbours_same_label']['share']:.0f} % have its label and "
        f"{100 * found['neighbours_same_language']['share']:.0f} % its language "
        f"(chance {100 * found['neighbours_same_label']['chance']:.0f} % and "
        f"{100 * found['neighbours_same_language']['chance']:.0f} %) in {name}"
        for name, (_, found) in last.items()
    ]
    lost = [100 * (label_accuracy(one, "shown") - label_accuracy(one, "never_shown")) for _, one in last.values()]
    read = [
        f"{100 * results[name]['probes']['language']['layers'][layer]['accuracy']:.0f} % in {name}"
        for name, (layer, _) in last.items()
    ]
    return (
        f"**The claim {verdict}: of the ten states next to one of the last layer, {'; '.join(shares)}; and a linear "
        f"map finds the labels of a language that it was never shown at most {max(lost):.1f} points worse than if it "
        "had been. Languages are not forgotten for all that, only laid across: a linear map still reads them off the "
        f"last layer with an accuracy of {', '.join(read)}.**"
    )


def draw_layers(path: Path, results: Mapping[str, dict[str, Any]]) -> None:
    """Neighbours of the same label and of the same language by layer, a panel a model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(results), 4.2), layout="constrained")
    kinds = {
        "neighbours_same_label": ("same label", "ko-"),
        "neighbours_of_other_languages_same_label": ("same label, of other languages only", "k^--"),
        "neighbours_same_language": ("same language", "rs-"),
    }
    panels = figure.subplots(1, len(results), squeeze=False)[0]
    for axes, (name, result) in zip(panels, results.items(), strict=True):
        layers = result["clusters"]
        for kind, (label, style) in kinds.items():
            axes.plot(list(layers), [found[kind]["above_chance"] for found in layers.values()], style, label=label)
        axes.set(title=f"{name}: {result['label']}", ylim=(0, 1))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("nearest neighbours, 0: chance, 1: all")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(results), fontsize="small")
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _capitalized(text: str) -> str:
    return text[0].upper() + text[1:]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `answer` takes."""
    parser.add_argument("--model", choices=MODELS, help="(default: all)")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=1)

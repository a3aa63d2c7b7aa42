"""Turn a run into the model package that is committed, with a card that names data, licences, scores and limits.

    python recipes/package.py conll-paper pos-paper --runs runs
    python recipes/package.py base --runs runs --precision int8 --no-weights --output src/bytespan/models

Writes `recipes/weights/NAME` from `runs/NAME/best`. Scores are those of `recipes/results/NAME.json`, if it is there:
run `recipes/report.py score NAME` and this once more to have them on the card.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from bytespan.config import Recipe, read_recipe
from bytespan.neural.checkpoint import load_model
from bytespan.neural.export import PRECISIONS, export_package
from bytespan.package import Provenance, describe_model

RECIPES = Path(__file__).parent

CONLL = "CoNLL-2002/2003 shared task, research only"
LICENCES = {
    "ner/conll": CONLL,
    "ner/germeval": "GermEval 2014, CC BY 4.0",
    "ner/uner": "Universal NER, CC BY-SA 4.0",
    "pos/bg": "UD Bulgarian-BTB, CC BY-NC-SA 3.0",
    "pos/cs": "UD Czech-FicTree, CC BY-NC-SA 4.0, Czech-CAC and Czech-CLTT, CC BY-SA 4.0",
    "pos/da": "UD Danish-DDT, CC BY-SA 4.0",
    "pos/de": "UD German-LIT, CC BY-NC-SA 4.0, and German-GSD, CC BY-SA 4.0",
    "pos/el": "UD Greek-GDT, CC BY-NC-SA 3.0",
    "pos/en": "UD English-EWT, CC BY-SA 4.0",
    "pos/es": "UD Spanish-AnCora, CC BY 4.0, and Spanish-GSD, CC BY-SA 4.0",
    "pos/fa": "UD Persian-Seraji and Persian-PerDT, CC BY-SA 4.0",
    "pos/fi": "UD Finnish-TDT and Finnish-OOD, CC BY-SA 4.0, and Finnish-FTB, CC BY 4.0",
    "pos/fr": "UD French-Sequoia, LGPL-LR",
    "pos/id": "UD Indonesian-GSD, CC BY-SA 4.0",
    "pos/it": "UD Italian-ParTUT, CC BY-NC-SA 4.0, and Italian-VIT, CC BY-NC-SA 3.0",
    "pos/sv": "UD Swedish-Talbanken, CC BY-SA 4.0",
    "pos/sv_lines": "UD Swedish-LinES, CC BY-NC-SA 4.0",
    "pos/af": "UD Afrikaans-AfriBooms, CC BY-SA 4.0",
    "pos/wo": "UD Wolof-WTB, CC BY-SA 4.0",
}
"""Folder of `../shared/data` -> the corpus and its licence, as its README states them."""

RESEARCH_ONLY = """
## Research only

This model was trained on the texts of the CoNLL-2002/2003 shared tasks, which may be used for research within these
tasks and not be passed on. It is for measuring: it is neither in the wheel nor in the sdist, and not for any other use.
"""

MEASURING = """
## Research only

This model repeats an experiment of Gillick et al. 2016 and is for measuring: it is neither in the wheel nor in the
sdist. Parts of its data forbid commercial use, and so does its licence.
"""

LIMITS = """
## Limits

The generator of the paper, trained for hours on one CPU core where its authors took days: it has not learnt all that it
can. Its commonest error is a span that begins or ends a byte or two off; words that it was unsure of are missing. Texts
unlike its training data (news, web, fiction) and languages that it never saw come out worse, and it knows no facts.
"""


def licence_of(names: list[str]) -> str:
    """The strictest licence of the data."""
    licences = " ".join(source_of(name) for name in names)
    if CONLL in licences:
        return "research only"
    return "CC BY-NC-SA 4.0" if "-NC" in licences else "CC BY-SA 4.0"


def source_of(name: str) -> str:
    """The corpus and licence of a training file."""
    folder = name.rsplit("/", 1)[0]
    return next(text for prefix, text in LICENCES.items() if folder == prefix or folder.startswith(f"{prefix}/"))


def provenance_of(name: str, recipe: Recipe, precision: str) -> Provenance:
    """What the card says of the model, field by field."""
    files = [file for corpus in recipe.corpora for file in corpus.train]
    data = tuple(dict.fromkeys(f"{file}: {source_of(file)}" for file in files))
    languages = tuple(dict.fromkeys(corpus.name for corpus in recipe.corpora))
    return Provenance(
        name=name,
        languages=languages,
        licence=licence_of(files),
        training_data=data,
        scores=scores_of(name),
        precision=precision,
    )


def scores_of(name: str) -> dict[str, float]:
    """What `report.py` measured, in percent."""
    path = RECIPES / "results" / f"{name}.json"
    if not path.exists():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    unit = {"tokens": "tokens, accuracy", "entities": "entities, F1"}
    return {f"{row['corpus']} {unit[row['task']]} on test": round(row["test"]["score"], 2) for row in rows}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="recipes, without .toml")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=RECIPES / "weights")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp16")
    parser.add_argument("--no-weights", action="store_true", help="leave out the weights to train on")
    options = parser.parse_args()
    for name in options.names:
        recipe = read_recipe(RECIPES / f"{name}.toml")
        model, _ = load_model(options.runs / name / "best")
        model.config = replace(model.config, whole_words=recipe.model.whole_words)
        provenance = provenance_of(name, recipe, options.precision)
        labels = {task: members for task, members in model.vocabulary.labels.items() if task != "words"}
        note = RESEARCH_ONLY if provenance.licence == "research only" else MEASURING if name != "base" else ""
        export_package(
            model,
            options.output / name,
            provenance=provenance,
            precision=options.precision,
            with_weights=not options.no_weights,
            card=describe_model(model.config, labels, provenance) + note + LIMITS,
        )


if __name__ == "__main__":
    main()

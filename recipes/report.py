"""Score the recipes' models on the corpora of `../shared/data` and write the table of `recipes/README.md`.

    python recipes/report.py score conll-paper pos-paper --free --data ../shared/data --runs runs
    python recipes/report.py score base --data ../shared/data --runs runs --models src/bytespan/models
    python recipes/report.py table

`score` tags development and test files of the recipe of that name with `recipes/weights/NAME`, from raw text, and
writes `recipes/results/NAME.json`: with spans that begin and end where words do and, with `--free`, anywhere, as in
the paper. Of development files, which only chose the checkpoint, the first 20 documents are scored. Hours and learning
curves come from the run `runs/NAME` if it is there. `table` makes the Markdown between the markers of
`recipes/README.md`.
"""

import argparse
import csv
import json
import shutil
import sys
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from bytespan.config import CorpusConfig, read_recipe
from bytespan.corpora.reading import read_documents
from bytespan.evaluation import Scores, score_documents
from bytespan.tagger import Tagger, load

RECIPES = Path(__file__).parent
MARKERS = ("<!-- table: begin -->", "<!-- table: end -->")

DEV_DOCUMENTS = 20

PAPER = {
    "entities": {"en": 86.50, "de": 76.22, "es": 82.95, "nl": 82.84},
    "tokens": {
        "bg": 97.84, "cs": 98.50, "da": 95.52, "de": 92.87, "el": 97.39, "en": 93.87, "es": 95.80, "fa": 96.82,
        "fi": 95.48, "fr": 95.75, "id": 92.85, "it": 97.56, "sv": 95.57,
    },
}  # fmt: skip
"""The paper's BTS, one model for all: F1 on CoNLL-2002/2003, accuracy on UD 1.1 (Gillick et al. 2016, section 6)."""


def score_corpus(tagger: Tagger, paths: list[Path], limit: int | None) -> Scores:
    """Scores of the first task that the files annotate, over all of them, or over the first `limit` documents."""
    gold = [document for path in paths for document in islice(read_documents(path), limit)]
    task = next(iter(gold[0].spans))
    predicted = tagger.pipe(gold, tasks=[task])
    return score_documents(zip(gold, predicted, strict=True), task=task)


def test_files(corpus: CorpusConfig, data: Path) -> list[Path]:
    """The test files beside the corpus's development files."""
    return [data / name.replace("dev.", "test.") for name in corpus.dev]


def score_model(name: str, options: argparse.Namespace) -> None:
    """Write `results/NAME.json`."""
    recipe = read_recipe(RECIPES / f"{name}.toml")
    path = options.models / name
    whole, free = (load(path, threads=options.threads, whole_words=is_whole) for is_whole in (True, False))
    rows: list[dict[str, Any]] = []
    for corpus in recipe.corpora:
        started_at = time.perf_counter()
        row: dict[str, Any] = {"corpus": corpus.name}
        dev, test = [options.data / file for file in corpus.dev], test_files(corpus, options.data)
        parts = [("dev", whole, dev, DEV_DOCUMENTS), ("test", whole, test, None)]
        parts += [("test, free", free, test, None)] if options.free else []
        for part, tagger, paths, limit in parts:
            scores = score_corpus(tagger, paths, limit)
            row |= {"task": scores.task, part: {"score": scores.main, "f1": scores.total.f1, **asdict(scores.total)}}
        rows.append(row)
        print(f"{name} {corpus.name}: {time.perf_counter() - started_at:.0f} s", file=sys.stderr)
    training = training_of(name, options.runs / name)
    result = {"model": name, "seed": recipe.train.seed, "training": training, "rows": rows}
    (RECIPES / "results").mkdir(exist_ok=True)
    text = json.dumps(result, indent=1) + "\n"
    (RECIPES / "results" / f"{name}.json").write_text(text, encoding="utf-8")


def training_of(name: str, run: Path) -> dict[str, float]:
    """Hours, steps and bytes of a run, whose learning curves are copied; without the run, what was recorded before."""
    if not (run / "log.csv").exists():
        recorded = RECIPES / "results" / f"{name}.json"
        known: dict[str, float] = json.loads(recorded.read_text())["training"] if recorded.exists() else {}
        return known
    (RECIPES / "curves").mkdir(exist_ok=True)
    shutil.copyfile(run / "curves.png", RECIPES / "curves" / f"{name}.png")
    with (run / "log.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    hours, bytes_read = sum(float(row["step_s"]) for row in rows) / 3600, sum(int(row["bytes_read"]) for row in rows)
    return {"hours": hours, "steps": len(rows), "bytes": bytes_read}


def tables_of(result: dict[str, Any]) -> list[str]:
    """The Markdown of one model: how it was trained, a table a task, its learning curves."""
    training = result["training"]
    lines = [
        f"### {result['model']}",
        "",
        f"{training['hours']:.1f} hours on one core, {training['steps']:,.0f} steps, "
        f"{training['bytes'] / 1e6:.0f} MB of segments, seed {result['seed']}.",
        "",
    ]
    for task in dict.fromkeys(row["task"] for row in result["rows"]):
        lines += _task_table(task, [row for row in result["rows"] if row["task"] == task])
    return [*lines, f"![learning curves](curves/{result['model']}.png)", ""]


def _task_table(task: str, rows: list[dict[str, Any]]) -> list[str]:
    figures: dict[str, list[float]] = {
        part: [row[part]["score"] for row in rows] for part in ("dev", "test", "test, free") if part in rows[0]
    }
    if [row["corpus"] for row in rows] == list(PAPER[task]):
        figures["paper, test"] = list(PAPER[task].values())
    unit = "tokens, accuracy" if task == "tokens" else "entities, F1"
    lines = [f"| {unit} | {' | '.join(row['corpus'] for row in rows)} | mean |", f"|---|{'--:|' * (len(rows) + 1)}"]
    for name, values in figures.items():
        cells = " | ".join(f"{value:.2f}" for value in values)
        lines.append(f"| {name} | {cells} | {sum(values) / len(values):.2f} |")
    return [*lines, ""]


def write_table() -> None:
    """Write the tables of all result files into `README.md`."""
    readme = RECIPES / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(MARKERS[0])
    _, _, after = rest.partition(MARKERS[1])
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((RECIPES / "results").glob("*.json"))]
    tables = "\n".join(line for result in results for line in tables_of(result))
    readme.write_text(f"{before}{MARKERS[0]}\n{tables}\n{MARKERS[1]}{after}", encoding="utf-8")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser("score", help="score models and write their result files")
    score.add_argument("names", nargs="+", help="recipes, without .toml")
    score.add_argument("--data", type=Path, default=Path("../shared/data"))
    score.add_argument("--runs", type=Path, default=Path("runs"))
    score.add_argument("--models", type=Path, default=RECIPES / "weights", help="folder of the packages")
    score.add_argument("--free", action="store_true", help="also score the paper's decoding on the test files")
    score.add_argument("--threads", type=int)
    commands.add_parser("table", help="write the table of README.md from the result files")
    options = parser.parse_args()
    if options.command == "score":
        for name in options.names:
            score_model(name, options)
    else:
        write_table()


if __name__ == "__main__":
    main()

"""Make any published figure again: train, package and score by name.

    python recipes/experiments.py list
    python recipes/experiments.py run conll-en --data ../shared/data --runs runs
    python recipes/experiments.py score base conll-parallel --data ../shared/data --runs runs
    python recipes/report.py

`run` trains in `runs/NAME`, going on where an earlier call was stopped, writes the model package (published ones to
their place in the repository, others to `runs/NAME/model`), scores it on the development and test files of every
folder of its training data, from raw text, and writes `recipes/results/NAME.json`. `score` does all but the training.

Before anything is written, the price of the package's precision is measured on the recipe's development files, against
fp32 weights; more than 0.3 points of a task on any of them are refused unless `--force` is given.
"""

import argparse
import csv
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from package import measure_runs, parameters_of, size_on_disk, write_run_package
from scoring import gold_files, read_json, score_file, score_lines, write_json

import bytespan
from bytespan.config import CorpusConfig, Recipe, choose_corpora, override, read_recipe
from bytespan.errors import BytespanError
from bytespan.package import SAMPLE_BYTES

RECIPES = Path(__file__).parent
ROOT = RECIPES.parent
RESULTS = RECIPES / "results"
CURVES = ROOT / "docs" / "results"


@dataclass(frozen=True, slots=True)
class Experiment:
    """A training that is reported: a recipe, and in what this training departs from it."""

    name: str
    recipe: str
    """Name of the TOML file beside this one."""
    corpora: tuple[str, ...] = ()
    """Names or folders, as for `bytespan train --corpus`; empty means all of the recipe."""
    seed: int = 1
    sentences: int | None = None
    """Only the first so many of each training file; None means all."""
    steps: int | None = None
    """Instead of the recipe's; the rate then falls over all of them."""
    settings: tuple[str, ...] = ()
    """Other settings, as for `bytespan train --set`."""
    also: tuple[str, ...] = ()
    """Folders to score besides those that it is trained on."""
    package: str | None = None
    """Where in the repository the package is published; None leaves it in the run."""
    precision: str = "fp16"
    sample_bytes: int = 0
    """How much text of its training files the package carries, which an adaptation keeps in mind."""
    f_beta: float | None = None
    """The package gives spans from the threshold on that has the best F-beta on the recipe's development files; None:
    it is not tuned."""
    scores: str | None = None
    """Name of the experiment whose package is scored here, with `options`, instead of a training."""
    options: tuple[str, ...] = ()
    """Of `bytespan tag`."""
    earlier: tuple[float, int, int] = (0.0, 0, 0)
    """Hours, steps and bytes of the trainings that led to the weights it began with (see README.md)."""
    initial: Path | None = None
    """The package with whose weights it begins."""
    with_silver: bool = False
    """Whether it learns the names that `silver.py` and `swaps.py` have written to the folder of runs, too."""
    device: str = "cpu"
    """The torch device of its training; scoring needs none."""
    joins: tuple[str, ...] = ()
    """Names of the experiments whose models tag together as this one, which then is no training of its own."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are on this machine, and how much of it to use."""

    data: Path = Path("../shared/data")
    runs: Path = Path("runs")
    results: Path = RESULTS
    threads: int | None = None
    """All cores if None."""
    force: bool = False
    """Whether to publish a package whose precision costs too much."""
    initial: Path | None = None
    """What a training begins with instead of its own; a checkpoint or a package."""


CONLL_STEPS = 8000
"""Steps of a training on one of the four CoNLL languages: more than a quarter of those of all in one model."""

SEEDS = tuple(f"conll-parallel-seed{i}" for i in (1, 2, 3))
JOINED = ("conll-parallel-first", *SEEDS[1:])
"""Of the four trainings on all CoNLL languages the three that tag best together, on development text."""

LINES = (ROOT / "examples" / "languages-names.jsonl", RECIPES / "held-out.jsonl")
"""Lines of ours with names in many languages, which a model with names in many is scored on besides."""

UNSEEN = ("pos/it_partut", "ner/conll/es")
"""Folders that the packaged model is scored on and learns nothing from."""

EXPERIMENTS = (
    Experiment(
        "conll-parallel",
        "conll-parallel",
        package="recipes/weights/conll-parallel",
        precision="int8",
        f_beta=1.0,
        joins=JOINED,
    ),
    Experiment(JOINED[0], "conll-parallel", steps=24000, precision="int8"),
    *(Experiment(name, "conll-parallel", seed=i, precision="int8") for i, name in enumerate(SEEDS, start=1)),
    *(Experiment(f"conll-{name}", "conll-parallel", (name,), steps=CONLL_STEPS) for name in ("en", "de", "es", "nl")),
    Experiment("conll-en-1000", "conll-parallel", ("en",), sentences=1000, steps=2000),
    Experiment("conll-en-3000", "conll-parallel", ("en",), sentences=3000, steps=4000),
    Experiment(
        "base-gold",
        "base",
        also=UNSEEN,
        package="recipes/weights/base-gold.zip",
        precision="int8",
        sample_bytes=99_000,
        f_beta=1.0,
        settings=(
            "train.batch_size=192",
            "train.learning_rate=3e-3",
            "train.table_rate=6",
            "train.warmup_steps=300",
            "train.dev_every=7568",
        ),
        steps=7568,
        device="cuda",
    ),
    Experiment(
        "base",
        "base",
        also=UNSEEN,
        package="src/bytespan/models/base.zip",
        precision="int8",
        sample_bytes=99_000,
        f_beta=1.2,
        settings=(
            "train.batch_size=32",
            "train.learning_rate=1e-3",
            "train.table_rate=6",
            "train.warmup_steps=100",
            "train.word_dropout=0.1",
            "train.precision=fp32",
            "train.checkpoint_every=250",
            "train.dev_every=5200",
        ),
        seed=42,
        steps=5200,
        earlier=(9.487, 58677, 1_686_928_028),
        initial=ROOT / "src/bytespan/models/base.zip",
        with_silver=True,
    ),
    Experiment("pos-en", "base", ("pos/en",), steps=6000),
    *(Experiment(f"pos-en-seed{i}", "base", ("pos/en",), seed=i, steps=6000) for i in (2, 3)),
    *(Experiment(f"pos-{name}", "base", (f"pos/{name}",), steps=4000) for name in ("el", "sv")),
    Experiment("pos-en-1000", "base", ("pos/en",), sentences=1000, steps=1500),
    Experiment("pos-en-3000", "base", ("pos/en",), sentences=3000, steps=3000),
    Experiment("ewt-en", "base", ("ner/uner/en_ewt",), steps=5000),
    Experiment(
        "african",
        "african",
        package="recipes/weights/african",
        precision="int8",
        sample_bytes=SAMPLE_BYTES,  # names take more text than words to keep in mind
        initial=ROOT / "recipes/weights/base-gold.zip",
        settings=("train.batch_size=16",),
        steps=6000,
    ),
    Experiment("conll-paper", "conll-paper", package="recipes/weights/conll-paper", earlier=(1.064, 16400, 22287360)),
    Experiment("conll-paper-free", "conll-paper", scores="conll-paper", options=("--no-whole-words",)),
    Experiment("pos-paper", "pos-paper", package="recipes/weights/pos-paper", earlier=(0.991, 22500, 19511872)),
    Experiment("pos-paper-free", "pos-paper", scores="pos-paper", options=("--no-whole-words",)),
)
"""All that docs/results.md tells of."""


def experiment_named(name: str) -> Experiment:
    """The experiment; exits with one sentence if there is none of that name."""
    known = {experiment.name: experiment for experiment in EXPERIMENTS}
    if name not in known:
        sys.exit(f"experiments: no experiment {name}: known are {', '.join(known)}")
    return known[name]


def recipe_of(experiment: Experiment) -> Recipe:
    """The recipe with the experiment's corpora and settings."""
    recipe = read_recipe(RECIPES / f"{experiment.recipe}.toml")
    if experiment.corpora:
        recipe = choose_corpora(recipe, experiment.corpora)
    if experiment.sentences is not None:
        corpora = (replace(corpus, sentences=experiment.sentences) for corpus in recipe.corpora)
        recipe = replace(recipe, corpora=tuple(corpora))
    steps = experiment.steps
    settings = {} if steps is None else {"steps": steps, "dev_every": steps // 4}
    changes = [f"train.{key}={value}" for key, value in settings.items()]
    return override(recipe, [*changes, f"train.seed={experiment.seed}", *experiment.settings])


def silver_of(experiment: Experiment) -> tuple[CorpusConfig, ...]:
    """The corpora of names that it learns besides its recipe's; their training files are in the folder of runs."""
    return read_recipe(RECIPES / "silver.toml").corpora if experiment.with_silver else ()


def folders_of(experiment: Experiment) -> list[str]:
    """The folders of the data that it is scored on: those of its training files, each once, and others."""
    files = (file for corpus in recipe_of(experiment).corpora for file in corpus.train)
    return list(dict.fromkeys([*(str(PurePosixPath(file).parent) for file in files), *experiment.also]))


def run(experiment: Experiment, places: Places) -> None:
    """Train, package and score."""
    if not experiment.scores:
        train(experiment, places)
    score(experiment, places)


def train(experiment: Experiment, places: Places) -> None:
    """Train in `runs/NAME`, or go on there; of an ensemble, its models one by one."""
    if experiment.joins:
        for name in experiment.joins:
            train(experiment_named(name), places)
        return
    from bytespan.neural import runs
    from bytespan.runtime.parallel import open_parallel
    from bytespan.teaching import ask_teachers

    recipe = recipe_of(experiment)
    for corpus in silver_of(experiment):
        files = [places.runs.resolve() / name for name in corpus.train]
        missing = next((file for file in files if not file.exists()), None)
        if missing is not None:
            sys.exit(f"experiments: {experiment.name}: no {missing}: write it with recipes/{missing.parent.name}.py")
        found = replace(corpus, train=tuple(map(str, files)))
        recipe = replace(recipe, corpora=(*recipe.corpora, found))
    runs.prepare(device=experiment.device, threads=places.threads)
    teach = partial(ask_teachers, open_teacher=partial(open_parallel, threads=places.threads))
    output, device = places.runs / experiment.name, experiment.device
    initial = places.initial or experiment.initial
    for record in runs.run_training(recipe, output, data=places.data, initial=initial, device=device, teach=teach):
        if record.dev is not None:
            report(f"{experiment.name}: step {record.step}, loss {record.loss:.3f}, dev {record.dev.mean:.2f}")


def publish(experiment: Experiment, places: Places) -> None:
    """Write the package of the run's best checkpoint, tuned if so wanted, its card with the scores of the result file.

    Without the run, the package that is there stays as it is.
    """
    runs = runs_of(experiment, places)
    if not runs:
        return
    scores = (read_json(places.results / f"{experiment.name}.json") or {}).get("scores", [])
    path = package_path(experiment, places)
    write_run_package(
        runs,
        path,
        recipe_of(experiment),
        scores=scores,
        precision=experiment.precision,
        data=places.data,
        sample_bytes=experiment.sample_bytes,
        initial=experiment.initial,
        silver=silver_of(experiment),
    )
    if experiment.f_beta:
        tune_package(path, experiment, places)


def tune_package(path: Path, experiment: Experiment, places: Places) -> None:
    """`bytespan tune` on the recipe's development files of entities; the picture goes to the run."""
    names = [name for corpus in recipe_of(experiment).corpora for name in corpus.dev if name.startswith("ner/")]
    files = [places.data / name for name in names]
    options = [
        "--output",
        path,
        "--f-beta",
        experiment.f_beta,
        "--plot",
        places.runs / f"{experiment.name}-tuning.png",
        *(part for file in files for part in ("--dev", file)),
    ]
    subprocess.run([sys.executable, "-m", "bytespan", "tune", str(path), *map(str, options)], check=True)


def runs_of(experiment: Experiment, places: Places) -> list[Path]:
    """The run of its training, or those of the models that it joins; nothing unless all are here."""
    runs = [places.runs / name for name in experiment.joins or [experiment.name]]
    return [] if experiment.scores or not all(run.exists() for run in runs) else runs


def package_path(experiment: Experiment, places: Places) -> Path:
    """Where the package of an experiment is, or of the one whose package it scores."""
    trained = experiment_named(experiment.scores) if experiment.scores else experiment
    return ROOT / trained.package if trained.package else places.runs / trained.name / "model"


def score(experiment: Experiment, places: Places) -> None:
    """Write the run's package, score it, write `results/NAME.json`, and the package again, with scores on its card."""
    price = price_of(experiment, places)
    publish(experiment, places)
    path = package_path(experiment, places)
    command = [sys.executable, "-m", "bytespan", "tag", "--format", "jsonl", "--model", path, *experiment.options]
    command += ["--threads", places.threads] if places.threads else []
    scores = []
    for folder in folders_of(experiment):
        for part in ("dev", "test"):
            for name in gold_files(places.data, folder, part):
                scores.append(score_file(name, command, data=places.data))
                figure = scores[-1].get("upos_f1", scores[-1].get("f1"))
                report(f"{experiment.name}: {name} {figure:.2f}")
    result = {
        "name": experiment.name,
        "command": f"python recipes/experiments.py run {experiment.name} --data ../shared/data --runs runs",
        "recipe": f"recipes/{experiment.recipe}.toml",
        "corpora": list(experiment.corpora),
        "sentences": experiment.sentences,
        "settings": list(experiment.settings),
        "seed": experiment.seed,
        "commit": commit(),
        "precision": experiment.precision,
        "price": price,
        "parameters": parameters_of(path),
        "megabytes": round(size_on_disk(path) / 1e6, 3),
        "training": training_of(experiment, places),
        "device": experiment.device,
        "scores": scores,
    }
    if experiment.with_silver:
        tagger = bytespan.load(path, threads=places.threads)
        result["lines"] = [score_lines(file, tagger) for file in LINES]
    write_json(places.results / f"{experiment.name}.json", result)
    publish(experiment, places)
    draw(experiment, places)


def price_of(experiment: Experiment, places: Places) -> list[dict[str, Any]]:
    """What the precision costs on each development file; what was recorded before if the run is not here.

    Exits with one sentence if it costs too much, unless that is forced.
    """
    from bytespan.errors import ConfigError
    from bytespan.price import refuse_dear

    runs = runs_of(experiment, places)
    if not runs:
        recorded: list[dict[str, Any]] = (read_json(places.results / f"{experiment.name}.json") or {}).get("price", [])
        return recorded
    files = [name for corpus in recipe_of(experiment).corpora for name in corpus.dev]
    prices = measure_runs(runs, files, data=places.data, precision=experiment.precision, threads=places.threads)
    for price in prices:
        lost = f"{price.exact:.2f} in fp32, {price.rounded:.2f} in {experiment.precision}, {price.points:.2f} lost"
        report(f"{experiment.name}: {price.file} {price.task} {lost}")
    try:
        refuse_dear(prices, precision=experiment.precision, remedy="give --force")
    except ConfigError as error:
        if not places.force:
            sys.exit(f"experiments: {experiment.name}: {error}")
    return [asdict(price) for price in prices]


def training_of(experiment: Experiment, places: Places) -> dict[str, Any]:
    """Hours (without scoring), steps and bytes of its run; what was recorded before if the run is not here.

    Of an ensemble the sums over its models.
    """
    if experiment.joins:
        parts = [training_of(experiment_named(name), places) for name in experiment.joins]
        return {key: sum(part[key] for part in parts) for key in parts[0]} if all(parts) else {}
    name = experiment.scores or experiment.name
    log = places.runs / name / "log.csv"
    if not log.exists():
        recorded: dict[str, Any] = (read_json(places.results / f"{name}.json") or {}).get("training", {})
        return recorded
    with log.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    hours, steps, size = experiment.earlier
    hours += sum(float(row["step_s"]) for row in rows) / 3600
    size += sum(int(row["bytes_read"]) for row in rows)
    return {"hours": round(hours, 3), "steps": steps + len(rows), "bytes": size}


def draw(experiment: Experiment, places: Places) -> None:
    """The learning curves of a published model (of an ensemble its last training's), for docs/results.md."""
    from bytespan.neural.curves import draw_curves

    runs = runs_of(experiment, places)
    if experiment.package and runs:
        CURVES.mkdir(parents=True, exist_ok=True)
        (CURVES / f"training-{experiment.name}.png").write_bytes(draw_curves(runs[-1]).read_bytes())


def commit() -> str | None:
    """The commit of the working tree, with a + if it holds changes beside it; None outside of git."""
    calls = (["git", "rev-parse", "--short", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"])
    ended = [subprocess.run(call, cwd=ROOT, capture_output=True, text=True) for call in calls]
    if any(run.returncode for run in ended):
        return None
    return ended[0].stdout.strip() + ("+" if ended[1].stdout.strip() else "")


def state_of(experiment: Experiment, places: Places) -> str:
    """How far it is, in a few words."""
    result = read_json(places.results / f"{experiment.name}.json")
    if result:
        return f"scored {result['training'].get('hours', 0):6.2f} h"
    training = training_of(experiment, places)
    if experiment.scores or not training:
        return "-"
    wanted = recipe_of(experiment).train.steps * max(len(experiment.joins), 1)
    state = "trained" if training["steps"] == wanted else f"step {training['steps']} of {wanted}"
    return f"{state} {training['hours']:.2f} h"


def show_list(places: Places) -> None:
    """Print a line an experiment."""
    for experiment in EXPERIMENTS:
        recipe = recipe_of(experiment)
        parts = [
            ", ".join(experiment.corpora) or f"all of {len(recipe.corpora)} corpora",
            f"{recipe.train.steps} steps",
        ]
        parts += [f"{experiment.sentences} sentences"] if experiment.sentences else []
        parts += [f"seed {experiment.seed}"] if experiment.seed != 1 else []
        parts += [f"{len(experiment.joins)} trainings together"] if experiment.joins else []
        parts += [" ".join(experiment.options)] if experiment.options else []
        what = f"{experiment.recipe}.toml: {'; '.join(parts)}"
        print(f"{experiment.name:18} {state_of(experiment, places):24} {what}")


def report(line: str) -> None:
    """Say how it goes, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("list", "how far each is"), ("run", "train and score"), ("score", "package and score")):
        command = commands.add_parser(name, help=text)
        if name != "list":
            command.add_argument("names", nargs="+", metavar="NAME")
            command.add_argument("--data", type=Path, default=Places().data, help="default: %(default)s")
            command.add_argument("--threads", type=int, help="default: all cores")
            command.add_argument("--force", action="store_true", help="publish even if the precision costs too much")
        if name == "run":
            command.add_argument("--initial", type=Path, help="checkpoint or package to begin with instead of its own")
        command.add_argument("--runs", type=Path, default=Places().runs, help="default: %(default)s")
    options = parser.parse_args()
    if options.command == "list":
        show_list(Places(runs=options.runs))
        return
    initial = getattr(options, "initial", None)
    places = Places(options.data, options.runs, threads=options.threads, force=options.force, initial=initial)
    for experiment in map(experiment_named, options.names):
        try:
            (run if options.command == "run" else score)(experiment, places)
        except BytespanError as error:  # no GPU, no data, another run in the folder
            sys.exit(f"experiments: {experiment.name}: {error}")


if __name__ == "__main__":
    main()

"""Question 6, a new language: adapted against from scratch and against peers, on the same first sentences.

    python recipes/questions.py adapt --python runs/peers-venv/bin/python
    python recipes/questions.py adapt --system adapted --system scratch --sentences 500
    python recipes/questions.py adapt --system related --sentences 500

A row is one system, folder and number of sentences; rows that
`recipes/results/questions/adapt.json` holds are not made again, unless they go back to another packaged model. What
is adapted from related languages begins with one of two models that saw the other half of the eight languages of
MasakhaNER 2.0, from the packaged model's weights; what is adapted to words, with a model of words of other languages,
as the packaged one has seen those. Each of the three is trained when it is first needed.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cutting import write_first_sentences
from experiments import RECIPES, experiment_named, recipe_of
from package import write_run_package
from peers import cpu_seconds
from scoring import read_json, score_file, write_json
from tables import table

from bytespan.config import CorpusConfig, Recipe, override, read_recipe
from bytespan.corpora.reading import read_documents
from bytespan.evaluation import score_annotated
from bytespan.package import SAMPLE_BYTES, read_package
from bytespan.tagger import PACKAGED_MODEL, load

TITLE = "6. A new language"
FILE = "adapt.json"

LANGUAGES = {"hau": "ha", "ibo": "ig", "kin": "rw", "lug": "lg", "swa": "sw", "wol": "wo", "yor": "yo", "zul": "zu"}
"""Folder of MasakhaNER 2.0 -> ISO 639 code."""

FOLDERS = (*(f"ner/masakhaner2/{name}" for name in LANGUAGES), "pos/af", "pos/wo", "pos/yo")
SIZES = (100, 500, None)
SYSTEMS = {
    "related": "adapted from related languages",
    "adapted": "adapted",
    "scratch": "from scratch",
    "crf": "CRF",
    "spacy": "spaCy",
}
ADAPTED = ("related", "adapted")
"""Systems that know other languages, and may forget them."""

LEFT_OUT = (("hau", "lug", "yor", "zul"), ("ibo", "kin", "swa", "wol"))
"""Languages that one model of related languages has not seen: two Bantu languages and two others of either half."""

RELATED_STEPS = 7000
"""Of a model of related languages, otherwise trained as recipes/african.toml says."""

WORDS_LEFT_OUT = ("af", "wo", "yo")
"""Languages that the model of words has not seen."""

WORDS_STEPS = 4000
"""Of the model of words, otherwise trained as recipes/base.toml says."""

SCRATCH_BATCH = 6
"""Segments a step, from scratch."""

SPACY_MINUTES = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One training."""

    system: str
    folder: str
    sentences: int | None
    """The first so many of the training file; all if None."""

    @property
    def task(self) -> str:
        """pos or ner."""
        return self.folder.partition("/")[0]

    @property
    def suffix(self) -> str:
        """Of its files."""
        return "conllu" if self.task == "pos" else "conll"

    @property
    def left_out(self) -> tuple[str, ...]:
        """Languages of MasakhaNER that the model of related languages has not seen, this row's among them."""
        language = self.folder.rpartition("/")[2]
        return next((group for group in LEFT_OUT if language in group), ())

    @property
    def begins_elsewhere(self) -> bool:
        """Whether it is adapted from another model than the packaged one."""
        return self.system in ADAPTED and (self.system == "related" or self.task == "pos")

    @property
    def figure(self) -> str:
        """What the scorer calls the figure that counts."""
        return "upos_f1" if self.task == "pos" else "f1"


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are on this machine."""

    data: Path
    work: Path
    results: Path
    model: Path
    """The packaged one, to adapt."""
    python: Path
    """Of the peers' environment."""
    threads: int

    def start(self, row: Row) -> Path:
        """The package that a row is adapted from."""
        if not row.begins_elsewhere:
            return self.model
        left_out = "-".join(row.left_out)
        return self.work / (f"{digest_of(self.model)}-without-{left_out}" if row.task == "ner" else "words") / "model"


ROWS = tuple(
    row
    for row in (Row(system, folder, size) for size in (500, 100, None) for folder in FOLDERS for system in SYSTEMS)
    if row.system != "related" or row.left_out
)


def measure(rows: Sequence[Row], places: Places) -> None:
    """Make what is not there yet; the result file is written after every row."""
    for row in rows:
        result = read_json(places.results) or {"old": {}, "rows": []}
        wanted = asdict(row)
        if row.system in ADAPTED and row.task == "ner":
            wanted["packaged"] = digest_of(places.model)
        if any(wanted.items() <= entry.items() for entry in result["rows"]):
            continue
        if row.begins_elsewhere:
            train_start(row, places)
        if row.system in ADAPTED:
            wanted["model"] = digest_of(places.start(row))
            if wanted["model"] not in result["old"]:
                result["old"][wanted["model"]] = old_scores(places.start(row), places, old_files(row, places))
                write_json(places.results, result)
        entry = wanted | make(row, places, result["old"].get(wanted.get("model"), {}))
        result["rows"] = [known for known in result["rows"] if not asdict(row).items() <= known.items()] + [entry]
        write_json(places.results, result)
        print(f"{row.system} {row.folder} {row.sentences or 'all'}: {entry['score']}", file=sys.stderr, flush=True)


def start_recipe(row: Row) -> Recipe:
    """Of the model that the row begins with, if that is not the packaged one.

    recipes/african.toml without the row's language and three more, words of theirs included; for words, those of
    recipes/base.toml, without the languages that are to be new.
    """
    name, steps = ("african", RELATED_STEPS) if row.task == "ner" else ("base", WORDS_STEPS)
    recipe = read_recipe(RECIPES / f"{name}.toml")
    if row.task == "ner":
        left_out = {LANGUAGES[language] for language in row.left_out}
        corpora = tuple(corpus for corpus in recipe.corpora if corpus.name not in left_out)
    else:
        words = (corpus for corpus in recipe.corpora if corpus.train[0].startswith("pos/"))
        corpora = tuple(corpus for corpus in words if corpus.name not in WORDS_LEFT_OUT)
    settings = (f"train.steps={steps}", f"train.dev_every={steps // 2}", "train.dev_bytes=20000")
    return override(replace(recipe, corpora=corpora), settings)


def train_start(row: Row, places: Places) -> None:
    """Train the model that the row begins with, unless it is there; goes on if it was stopped."""
    package = places.start(row)
    if package.exists():
        return
    from bytespan.neural import runs

    recipe = start_recipe(row)
    runs.prepare(device="cpu", threads=places.threads)
    run = package.parent / "run"
    initial = places.model if row.task == "ner" else None
    for record in runs.run_training(recipe, run, data=places.data, initial=initial):
        if record.dev is not None:
            print(f"{run}: step {record.step}, dev {record.dev.mean:.2f}", file=sys.stderr, flush=True)
    what = {"data": places.data, "sample_bytes": SAMPLE_BYTES, "initial": initial}
    write_run_package([run], package, recipe, scores=[], precision="int8", **what)


def make(row: Row, places: Places, before: Mapping[str, float]) -> dict[str, Any]:
    """Train, score on the test file, and for what was adapted on the old test files too."""
    folder = places.work / f"{row.system}-{row.folder.replace('/', '-')}-{row.sentences or 'all'}"
    shutil.rmtree(folder, ignore_errors=True)
    source = next((places.data / row.folder).glob(f"train.{row.suffix}*"))
    write_first_sentences(source, folder / f"train.{row.suffix}", row.sentences)
    makers = {name: adapt_package for name in ADAPTED} | {"scratch": train_from_scratch}
    began_at, began_cpu_s = time.monotonic(), time.process_time()
    if row.system in makers:
        makers[row.system](row, folder, places)
        command: list[object] = [sys.executable, "-m", "bytespan", "tag", "--format", "jsonl"]
        command += ["--model", folder / "model", "--threads", places.threads]
        cpu_s: int | None = round(time.process_time() - began_cpu_s)
    else:
        command, cpu_s = train_peer(row, folder, places)
    wall_s = round(time.monotonic() - began_at)
    found = score_file(f"{row.folder}/test.{row.suffix}", command, data=places.data)
    entry = {"score": found[row.figure], "wall_s": wall_s, "cpu_s": cpu_s}
    if row.system in ADAPTED:
        entry["old"] = old_scores(folder / "model", places, before)
    shutil.rmtree(folder)
    return entry


def adapt_package(row: Row, folder: Path, places: Places) -> None:
    """As `bytespan adapt` does it, in this process."""
    from bytespan.adaptation import adapt, export_adapted, prepare_adaptation
    from bytespan.neural import runs

    runs.prepare(device="cpu", threads=places.threads)
    files = ([str(folder / f"train.{row.suffix}")], [str(places.data / row.folder / f"dev.{row.suffix}")])
    adaptation = prepare_adaptation(places.start(row), *files)
    for _ in adapt(adaptation):
        pass
    export_adapted(adaptation, folder / "model", name="adapted", files=[row.folder])


def train_from_scratch(row: Row, folder: Path, places: Places) -> None:
    """Train a model of the same shape that sees nothing but these sentences."""
    from bytespan.neural import runs

    recipe = recipe_from_scratch(row, folder, places)
    runs.prepare(device="cpu", threads=places.threads)
    for _ in runs.run_training(recipe, folder / "run", data=Path()):
        pass
    runs.export_run(folder / "run", recipe).rename(folder / "model")


def recipe_from_scratch(row: Row, folder: Path, places: Places) -> Recipe:
    """As recipes/african.toml trains; of one language there is none to tell apart."""
    from bytespan.adaptation import settings_for

    file = (folder / f"train.{row.suffix}").absolute()
    size = sum(len(document.data) for document in read_documents(file))
    steps = settings_for(2 * size if row.task == "ner" else size).steps
    settings = recipe_of(experiment_named("african")).train
    corpus = CorpusConfig(train=(str(file),), natural=row.task == "ner")
    model = replace(read_package(places.model, with_weights=False).config, languages=())
    settings = replace(settings, steps=steps, checkpoint_every=steps, batch_size=SCRATCH_BATCH)
    return Recipe(model, settings, (corpus,))


def train_peer(row: Row, folder: Path, places: Places) -> tuple[list[object], int | None]:
    """Train a peer on the sentences and the folder's development file; how it tags, and its CPU seconds."""
    program = places.data / ".." / "peers" / f"{row.system}_peer.py"
    source = places.data / row.folder / f"dev.{row.suffix}"
    write_first_sentences(source, folder / source.name, None)
    options: list[object] = ["--task", row.task]
    if row.system == "spacy":
        options += ["--lang", "xx", "--minutes", SPACY_MINUTES, "--clock", "cpu"]
    call = [places.python, program, "train", folder, folder / "peer", *options]
    ended = subprocess.run([str(part) for part in call], stdout=subprocess.PIPE, check=True, text=True)
    return [places.python, program, "tag", folder / "peer"], cpu_seconds(ended.stdout)


def digest_of(package: Path) -> str:
    """Which model it is."""
    return hashlib.sha256(read_package(package, with_weights=False).onnx).hexdigest()[:12]


def old_files(row: Row, places: Places) -> Iterator[str]:
    """The test files of what the model that the row is adapted from was trained on."""
    recipe = start_recipe(row) if row.begins_elsewhere else recipe_of(experiment_named("base"))
    for folder in dict.fromkeys(file.rpartition("/")[0] for corpus in recipe.corpora for file in corpus.train):
        for name in ("test.conllu", "test.conll"):
            if (places.data / folder / name).exists():
                yield f"{folder}/{name}"


def old_scores(package: Path, places: Places, files: Iterable[str]) -> dict[str, float]:
    """Test file -> accuracy of words or F1 of names, in percent."""
    tagger = load(package, threads=places.threads, tuned=False)
    scores = {}
    for file in files:
        gold = list(read_documents(places.data / file))
        task = "tokens" if file.startswith("pos/") else "entities"
        found = list(tagger.pipe(gold, tasks=[task]))
        scores[file] = round(score_annotated(gold, found, task=task).main, 3)
    return scores


def forgotten(entry: Mapping[str, Any], result: Mapping[str, Any]) -> float:
    """Points that the mean of the old test files fell by; the files of the new language itself do not count."""
    language = entry["folder"].rpartition("/")[2]
    own = f"pos/{LANGUAGES.get(language, language)}/"
    before = result["old"][entry["model"]]
    falls = [before[file] - score for file, score in entry["old"].items() if not file.startswith(own)]
    return sum(falls) / len(falls)


def section(result: Mapping[str, Any]) -> str:
    """The section of docs/questions.md."""
    lines = [
        f"## {TITLE}",
        "",
        "Can an existing model be taught a language that it never saw, from little text and in minutes, without "
        "forgetting the old ones?",
        "",
        "`bytespan adapt` starts from a package, reads its weights back out of `model.onnx`, and trains on "
        "the first 100, 500 or all sentences of a training file. *Adapted*: from the "
        "packaged model, whose names are of European languages and Chinese. *Adapted from related languages*: from a "
        "model of the other half of MasakhaNER 2.0 "
        f"({'; '.join(', '.join(group) for group in LEFT_OUT)}: two models), {RELATED_STEPS:,} steps with "
        "`recipes/african.toml` from the packaged model's weights. (That one has seen words of Wolof and Yoruba, with "
        "their part of speech.) Words (`pos/`), as the packaged model has seen these three languages: from a model of "
        "the words of its others, "
        f"{WORDS_STEPS:,} steps from scratch with `recipes/base.toml`. All systems "
        "had the same sentences, and the peers the development file besides, from which spaCy chooses its best model; "
        "`adapt --dev` had it too, so that no sentence was held out, but nothing was chosen by it. From scratch: a "
        "model of the same shape, as many steps with the settings of `recipes/african.toml` and, unlike in adapting, "
        "no copies with swapped mentions. Neither was tuned. The score is that of the test file from raw "
        "text: F1 of entities, UPOS F1 of words. Forgotten: by how many points the mean of the test files of what the "
        "model had learnt before fell, accuracy of words and F1 of the entities that a file "
        "annotates. One seed.",
        "",
    ]
    earlier = {row["packaged"] for row in result["rows"] if "packaged" in row} - {digest_of(PACKAGED_MODEL)}
    if earlier:
        digests = ", ".join(f"{digest}…" for digest in sorted(earlier))
        lines += [
            "Rows of names are of an earlier packaged model than the one that is there now (`model.onnx` of SHA-256 "
            f"{digests}).",
            "",
        ]
    for size in SIZES:
        head, rows = _table(result, size)
        if len(head) > 2:
            lines += [f"{'All' if size is None else f'The first {size}'} sentences:", "", *table(head, rows)]
    return "\n".join([*lines, _answer(result), "", "Again: `python recipes/questions.py adapt`.", ""])


def _table(result: Mapping[str, Any], size: int | None) -> tuple[list[str], list[list[object]]]:
    """The head and rows of the table of one number of sentences."""
    known = {(row["system"], row["folder"]): row for row in result["rows"] if row["sentences"] == size}
    systems = [name for name in SYSTEMS if any(system == name for system, _ in known)]
    adapted = [name for name in systems if name in ADAPTED]
    rows: list[list[object]] = []
    for folder in FOLDERS:
        scores = [known.get((name, folder), {}).get("score") for name in systems]
        found = [known.get((name, folder)) for name in adapted]
        rows.append([folder, *scores, *(None if entry is None else forgotten(entry, result) for entry in found)])
    masakha = [row for row in rows if str(row[0]).startswith("ner/")]
    head = ["", *(SYSTEMS[name] for name in systems), *(f"forgotten, {SYSTEMS[name]}" for name in adapted)]
    return head, [*rows, ["MasakhaNER mean", *(_mean([row[i] for row in masakha]) for i in range(1, len(head)))]]


def _mean(values: Sequence[object]) -> float | None:
    """None unless all were measured."""
    numbers = [value for value in values if isinstance(value, float)]
    return sum(numbers) / len(numbers) if len(numbers) == len(values) else None


def _answer(result: Mapping[str, Any]) -> str:
    """Two or three sentences."""
    head, rows = _table(result, 500)
    means = dict(zip(head, rows[-1], strict=True))
    scratch = means.get(SYSTEMS["scratch"])
    parts = []
    for name, start in (("adapted", "the packaged model"), ("related", "a model of related languages")):
        score, lost = means.get(SYSTEMS[name]), means.get(f"forgotten, {SYSTEMS[name]}")
        if isinstance(score, float) and isinstance(scratch, float) and isinstance(lost, float):
            parts.append(
                f"adapted from {start} reaches {score:.1f} F1 on the MasakhaNER mean, {score - scratch:+.1f} against "
                f"one of its shape from scratch, and the old languages fall by {lost:.2f} points"
            )
    if not parts:
        return "Not all of it is measured yet."
    minutes = [row["cpu_s"] / 60 for row in result["rows"] if row["system"] in ADAPTED]
    return (
        f"**With 500 sentences a model {'; one '.join(parts)}.** An adaptation took "
        f"{min(minutes):.1f} to {max(minutes):.1f} minutes of CPU time."
    )


def answer(arguments: argparse.Namespace, *, results: Path) -> str:
    """Make the rows that are asked for and not there yet; the section of the page."""
    places = Places(
        arguments.data,
        arguments.runs / "adapt",
        results / FILE,
        arguments.model,
        arguments.python,
        arguments.threads,
    )
    sizes = {None if size == "all" else int(size) for size in arguments.sentences or ("100", "500", "all")}
    wanted = [
        row
        for row in ROWS
        if row.sentences in sizes
        and row.system in (arguments.system or SYSTEMS)
        and row.folder in (arguments.folder or FOLDERS)
    ]
    measure(wanted, places)
    return section(read_results(results))


def read_results(results: Path) -> dict[str, Any]:
    """What was measured before."""
    return read_json(results / FILE) or {"old": {}, "rows": []}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `answer` takes."""
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="may be given several times (default: all)")
    parser.add_argument("--folder", action="append", choices=FOLDERS, help="likewise")
    parser.add_argument("--sentences", action="append", choices=["100", "500", "all"], help="likewise")
    parser.add_argument("--model", type=Path, default=PACKAGED_MODEL, help="to adapt (default: the packaged model)")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of the peers' environment")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=2)

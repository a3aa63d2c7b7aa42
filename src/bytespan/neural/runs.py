"""A whole training from a recipe: corpora in, a run directory out, resumable at any moment.

The run directory holds `last/` (the checkpoint to resume from), `best/` (the best on the development corpora),
`log.csv` (a row a step), `dev.csv` (a row a development score), `dev.json` (where the development corpora are),
`teachers.json` (each corpus's, if there are any), `curves.png`, `tensorboard/` and, once the run has ended, `model/`,
the package to tag with.
"""

import atexit
import csv
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TextIO

import torch
import torch.distributed as distributed

from bytespan.atomic import recover
from bytespan.config import CorpusConfig, Recipe
from bytespan.corpora.annotated import Annotated, annotate, without_sentences
from bytespan.corpora.reading import read_documents
from bytespan.corpora.spacing import close_up
from bytespan.errors import ConfigError, import_extra
from bytespan.languages import count_profiles
from bytespan.neural.batches import OUTSIDE, WORDS
from bytespan.neural.checkpoint import (
    TrainingState,
    initialize_from,
    load_best,
    load_checkpoint,
    new_state,
    save_checkpoint,
)
from bytespan.neural.curves import DEV_COLUMNS, STEP_COLUMNS, draw_curves, read_rows
from bytespan.neural.decoders import new_sampler
from bytespan.neural.export import export_package
from bytespan.neural.losses import multiplies_in_bf16
from bytespan.neural.parallel import Parallel
from bytespan.neural.scoring import DevCorpus
from bytespan.neural.training import StepRecord, train
from bytespan.neural.unit_batches import UnitSampler, ngrams_met
from bytespan.package import Provenance
from bytespan.spans import TOKENS, Document
from bytespan.teaching import Lessons
from bytespan.units import cut_units
from bytespan.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

MAY_CHANGE = ("steps", "decay_steps", "dev_every", "dev_bytes", "checkpoint_every", "patience")
"""Settings that a resumed run may give anew; any other would make it another run."""

DRAWERS = 4
"""Processes that draw batches for a GPU, which takes a step of 192 segments in less time than one draws them."""

TEACHERS = "teachers.json"

Teach = Callable[[Sequence[Annotated], Mapping[str, tuple[str, ...]]], Iterable[Lessons]]
"""Gives what the documents' teachers say, for the label sets of the model in training; see `teaching.ask_teachers`."""


@dataclass(frozen=True, slots=True)
class Corpora:
    """The documents of a recipe."""

    train: tuple[Annotated, ...]
    dev: tuple[DevCorpus, ...]

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Task -> labels of the training documents, sorted."""
        found: dict[str, set[str]] = {}
        for member in self.train:
            for task, labels in member.labels.items():
                found.setdefault(task, set()).update(labels)
        return {task: tuple(sorted(labels)) for task, labels in sorted(found.items()) if labels}


def read_corpora(corpora: Sequence[CorpusConfig], *, data: Path, dev_bytes: int) -> Corpora:
    """All documents of a recipe's corpora; of each development file at most about `dev_bytes` bytes.

    Raises ConfigError if there is nothing to train on, CorpusError for a file that cannot be read.
    """
    members: list[Annotated] = []
    dev: list[DevCorpus] = []
    for corpus in corpora:
        forbidden = [document for name in corpus.without for document in read_documents(data / name)]
        files = [data / name for name in corpus.train]
        documents = [document for file in files for document in read_documents(file, sentences=corpus.sentences)]
        documents += [close_up(document) for document in documents] if corpus.natural else []
        kept = without_sentences(documents, forbidden) if forbidden else documents
        members += annotate(kept, corpus)
        scored = [document for name in corpus.dev for document in _beginning(data / name, dev_bytes)]
        if scored:
            dev.append(DevCorpus(corpus.name or Path(corpus.dev[0]).parent.name, tuple(scored)))
    if not any(labels for member in members for labels in member.labels.values()):
        raise ConfigError("no training document with a span: give a [[corpus]] with train = [...], or --train FILE")
    return Corpora(tuple(members), tuple(dev))


def _beginning(path: Path, size: int) -> Iterator[Document]:
    """The file's first documents, until they hold `size` bytes."""
    for document in read_documents(path):
        yield document
        size -= len(document.data)
        if size <= 0:
            return


def run_training(
    recipe: Recipe,
    output: Path,
    *,
    data: Path,
    initial: Path | None = None,
    device: str = "cpu",
    teach: Teach | None = None,
) -> Iterator[StepRecord]:
    """Train as the recipe says, or go on where `output/last` stands; yield each step's record once it is logged.

    Killed at any moment and called again, it ends with the same losses and weights as a run that was never stopped.
    A recipe with teachers needs `teach`, which is called once.
    """
    is_taught = any(corpus.teachers for corpus in recipe.corpora)
    if is_taught and recipe.model.decoder != "parallel":
        raise ConfigError("a generator cannot learn from teachers: leave them out or train a parallel decoder")
    if is_taught and teach is None:
        raise ConfigError("the recipe has teachers: give run_training a `teach` that asks them")
    recipe = _telling_languages_apart(recipe)
    corpora = read_corpora(recipe.corpora, data=data, dev_bytes=recipe.train.dev_bytes)
    if not corpora.dev:
        logger.warning("no development corpus: the last checkpoint is exported instead of the best")
    state = _begin_or_resume(recipe, corpora, output, initial=initial, device=device)
    _warn_of_unknown_labels(state.model.vocabulary, corpora.dev)
    vocabulary, begun_at = state.model.vocabulary, state.progress.step
    _refuse_other_teachers(recipe, output, step=begun_at)
    lessons = teach(corpora.train, vocabulary.labels) if teach is not None and is_taught else None
    known = state.model.ngrams if isinstance(state.model, Parallel) else None
    sampler = new_sampler(corpora.train, vocabulary, recipe.model, recipe.train, lessons, known)
    if isinstance(sampler, UnitSampler) and sampler.untold:
        logger.warning(
            "%d units are not trained on: their spans begin or end inside a word, or overlap, and the parallel decoder "
            "finds whole words only; if they are many, train a generator (--preset paper-1m)",
            sampler.untold,
        )
    if recipe.train.precision == "bf16" and not multiplies_in_bf16(recipe.train, torch.device(device)):
        logger.warning("this processor would only imitate bf16, several times as slowly: training in fp32")
    drawers = min(DRAWERS, (os.cpu_count() or 1) - 1) if device.startswith("cuda") else 0
    records = train(state, sampler, corpora.dev, recipe.train, drawers=drawers)
    if not is_first_process():
        yield from records
        return
    files = [str((data / name).absolute()) for corpus in recipe.corpora for name in corpus.dev]
    (output / "dev.json").write_text(json.dumps(files, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if is_taught and not begun_at:
        (output / TEACHERS).write_text(json.dumps(_teachers(recipe), ensure_ascii=False) + "\n", encoding="utf-8")
    with _RunLog(output, resumed_at=begun_at) as log:
        for record in records:
            log.write(record)
            if record.dev is not None and record.dev.is_best:
                save_checkpoint(output / "best", state, recipe.train, resumable=False)
            if record.step % recipe.train.checkpoint_every == 0 or record.step == recipe.train.steps:
                save_checkpoint(output / "last", state, recipe.train, resumable=True)
            yield record
    save_checkpoint(output / "last", state, recipe.train, resumable=True)


PRECISION = "fp16"
"""Of the package at the end of a run."""


def export_run(output: Path, recipe: Recipe) -> Path:
    """Write `output/model`, a package of the run's best checkpoint (of its last, without development scores).

    Also draws `curves.png`. Returns the package's path.
    """
    draw_curves(output)
    model = load_best(output)
    rows = read_rows(output / "dev.csv", DEV_COLUMNS)
    best = max(rows, key=lambda row: float(row["mean"]))["step"] if rows else None
    scores = {f"{row['corpus']} {row['task']} dev": float(row["main"]) for row in rows if row["step"] == best}
    data = [name for corpus in recipe.corpora for name in corpus.train]
    data += dict.fromkeys(
        f"what the model {name} says of them" for corpus in recipe.corpora for name in corpus.teachers
    )
    languages = tuple(corpus.name for corpus in recipe.corpora if corpus.name)
    provenance = Provenance(output.name, languages=languages, training_data=tuple(data), scores=scores)
    export_package(model, output / "model", provenance=provenance, precision=PRECISION)
    return output / "model"


def development_files(output: Path) -> list[str] | None:
    """The development files of a run, where they were when it was trained; None if they are not known."""
    path = output / "dev.json"
    try:
        files = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return [str(name) for name in files] if isinstance(files, list) else None


def _begin_or_resume(
    recipe: Recipe, corpora: Corpora, output: Path, *, initial: Path | None, device: str
) -> TrainingState:
    if is_first_process():
        recover(output / "last")
    if not (output / "last").exists():
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise ConfigError(f"{output}: holds files but no run to resume: choose another --output or empty it")
        vocabulary = Vocabulary(recipe.model.segment_length, _label_sets(corpora, recipe))
        state = new_state(recipe.model, vocabulary, recipe.train, device=device)
        if initial is not None:
            initialize_from(state, initial)
        if isinstance(state.model, Parallel) and recipe.model.languages:
            texts = ((member.corpus.language, cut_units(member.document.data)) for member in corpora.train)
            state.model.know(count_profiles(texts, recipe.model.languages))
        met = ngrams_met(corpora.train, recipe.model, recipe.train)
        if isinstance(state.model, Parallel) and met is not None:
            state.model.meet(met)
        if is_first_process():
            save_checkpoint(output / "last", state, recipe.train, resumable=True)
        return state
    state, before = load_checkpoint(output / "last", device=device)
    changes = {key: value for key, value in asdict(recipe.train).items() if key in MAY_CHANGE}
    if state.model.config != recipe.model or replace(before, **changes) != recipe.train:
        raise ConfigError(
            f"{output}: a run with other settings is there: give the same ones (only {', '.join(MAY_CHANGE)} may "
            "change) or another --output"
        )
    if state.model.vocabulary.labels != _label_sets(corpora, recipe):
        raise ConfigError(f"{output}: its run was trained on other label sets: choose another --output")
    logger.info("resuming %s at step %d", output, state.progress.step)
    return state


def _telling_languages_apart(recipe: Recipe) -> Recipe:
    """The recipe with a model that knows the languages of its corpora, if there are several."""
    if recipe.model.languages:
        raise ConfigError("model.languages follows from the corpora: give each [[corpus]] its language instead")
    names = tuple(dict.fromkeys(corpus.language for corpus in recipe.corpora if corpus.language))
    if recipe.model.decoder != "parallel" or len(names) < 2:
        names = ()
    return replace(recipe, model=replace(recipe.model, languages=names))


def _refuse_other_teachers(recipe: Recipe, output: Path, *, step: int) -> None:
    """Raise ConfigError for a run that has learnt from teachers that are not the recipe's."""
    path = output / TEACHERS
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else [[] for _ in recipe.corpora]
    if step and before != _teachers(recipe):
        raise ConfigError(f"{output}: its run has other teachers: give each corpus the same or choose another --output")


def _teachers(recipe: Recipe) -> list[list[str]]:
    return [list(corpus.teachers) for corpus in recipe.corpora]


def _label_sets(corpora: Corpora, recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Task -> labels, the training-only task of writing words behind the corpora's own."""
    labels = corpora.labels
    sparse = {label for task, members in labels.items() if task != TOKENS for label in members}
    asks_for_words = recipe.model.decoder == "generator" and recipe.train.words_fraction and sparse
    return labels | ({WORDS: (OUTSIDE, *sorted(sparse - {OUTSIDE}))} if asks_for_words else {})


def _warn_of_unknown_labels(vocabulary: Vocabulary, dev: Sequence[DevCorpus]) -> None:
    for corpus in dev:
        labels = {(task, span.label) for d in corpus.documents for task, spans in d.spans.items() for span in spans}
        unknown = sorted(label for task, label in labels if label not in vocabulary.labels.get(task, ()))
        if unknown:
            logger.warning("%s: development labels never seen in training: %s", corpus.name, ", ".join(unknown))


class _RunLog:
    """Writes `log.csv`, `dev.csv` and TensorBoard events; on resuming, rows after the resumed step are dropped."""

    def __init__(self, output: Path, *, resumed_at: int) -> None:
        tensorboard = import_extra("torch.utils.tensorboard", extra="train", purpose="training")
        self.output = output
        self.steps = _open_log(output / "log.csv", STEP_COLUMNS, resumed_at)
        self.dev = _open_log(output / "dev.csv", DEV_COLUMNS, resumed_at)
        self.events = tensorboard.SummaryWriter(str(output / "tensorboard"), purge_step=resumed_at + 1)

    def __enter__(self) -> "_RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.steps.close()
        self.dev.close()
        self.events.close()

    def write(self, record: StepRecord) -> None:
        """Log one step; what is written is on disk before the step's checkpoint is."""
        row = [getattr(record, column) for column in STEP_COLUMNS]
        csv.writer(self.steps).writerow(row)
        self.steps.flush()
        for name in ("loss", "auxiliary_loss", "learning_rate"):
            self.events.add_scalar(f"train/{name}", getattr(record, name), record.step)
        if record.dev is None:
            return
        for (corpus, task), scores in record.dev.scores.items():
            total = scores.total
            figures = [round(x, 3) for x in (scores.main, total.precision, total.recall, total.f1, record.dev.mean)]
            csv.writer(self.dev).writerow([record.step, corpus, task, *figures])
            self.events.add_scalar(f"dev/{corpus}/{task}", scores.main, record.step)
        self.events.add_scalar("dev/mean", record.dev.mean, record.step)
        self.dev.flush()


def _open_log(path: Path, columns: Sequence[str], resumed_at: int) -> TextIO:
    """The log opened for appending, holding its header and the rows of steps up to `resumed_at`."""
    rows: list[list[str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as stream:
            lines = list(csv.reader(stream))[1:]
        rows = [row for row in lines if len(row) == len(columns) and int(row[0]) <= resumed_at]
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns, *rows])
    temporary.replace(path)
    return path.open("a", newline="", encoding="utf-8")


def prepare(*, device: str, threads: int | None = None) -> None:
    """Set torch's threads, and join the other processes if torchrun started some: gloo on CPU, nccl on GPU.

    Raises ConfigError for a device that is not here.
    """
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:  # a torch that was built without CUDA asserts that it has it
        raise ConfigError(f"--device {device}: torch cannot use it here: {str(error).splitlines()[0]}") from error
    if threads is not None:
        torch.set_num_threads(threads)
    if distributed.is_torchelastic_launched() and not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        atexit.register(distributed.destroy_process_group)  # its threads, left to the interpreter's end, may abort it


def is_first_process() -> bool:
    """Whether this process writes the run's files: the only one, or rank 0 of several."""
    return not distributed.is_initialized() or distributed.get_rank() == 0

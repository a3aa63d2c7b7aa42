"""A packaged model taught a language or labels more, from some hundred sentences, while it keeps what it knows.

Training goes on from the package's weights, on the new documents, and at every second step on a rehearsal of old text
(see `neural.rehearsal`). The new documents are read with their mentions swapped, too; which n-grams the model knows
follows from the documents as they are, so that it learns to do without those of a single line. How long to train
follows from the amount of new text, and the last weights are kept: the rate falls to nothing, and a few held-out
sentences would choose by chance. What was learnt is measured on development documents; without any, every twentieth
line is held out for that.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bytespan.config import TrainConfig
from bytespan.corpora.annotated import Annotated, annotate, hold_out
from bytespan.corpora.mentions import swap_mentions
from bytespan.corpora.reading import read_documents
from bytespan.corpora.spacing import close_up
from bytespan.errors import ConfigError, ModelError
from bytespan.evaluation import Scores, score_annotated
from bytespan.languages import with_profile
from bytespan.neural.checkpoint import TrainingState, initialize_from, new_state
from bytespan.neural.export import export_package
from bytespan.neural.parallel import Parallel, begin_faintly
from bytespan.neural.rehearsal import Rehearsal, pack_sample, read_sample, sample_files
from bytespan.neural.scoring import DevCorpus
from bytespan.neural.training import StepRecord, train
from bytespan.neural.unit_batches import UnitSampler, ngrams_met
from bytespan.package import ADDED_BYTES, SAMPLE, Package, describe_model, read_package
from bytespan.spans import Document
from bytespan.tagger import PACKAGED_MODEL, Tagger, load
from bytespan.units import cut_units
from bytespan.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

HELD_OUT = 20
"""Every twentieth line is held out to measure on."""

ASKED = 10
"""Every tenth text that the package carries is not rehearsed: it tells what was kept."""

COPIES, SWAPPED = 3, 0.5
"""How often the new text is read once more with mentions swapped, and the fraction of the mentions that are."""

EPOCHS = 36
"""How often the new text is read, in any copy, within the bounds below."""

CARRIED = "carried text, agreement with the old model"
"""What a change on the package's own sample is measured on."""

STEPS = (500, 2500)
"""Fewest and most optimizer steps."""

FAINTNESS = 4.0
"""Nats by which a new label is less likely than none, at first."""

SETTINGS = TrainConfig(
    batch_size=4, learning_rate=2e-3, table_rate=8.0, warmup_steps=20, clip_norm=1.0, dropout=0.25, byte_dropout=0.05,
    unit_dropout=0.06, hash_dropout=0.4, short_fraction=0.1, auxiliary_weight=16.0,
)  # fmt: skip
"""What does not depend on the new text; see recipes/LOG.md for what was tried."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What there is to learn, from what, and what to keep."""

    package: Package
    old: Parallel
    state: TrainingState
    settings: TrainConfig
    train: tuple[Annotated, ...]
    dev: tuple[DevCorpus, ...]
    rehearsed: tuple[bytes, ...]
    """Old text that the training is held to."""
    asked: tuple[bytes, ...]
    """Old text that it never sees, on which old and adapted model are compared."""
    sample: bytes | None
    """Text that the adapted package will carry, packed."""

    @property
    def new_labels(self) -> dict[str, tuple[str, ...]]:
        """Task -> labels that the old model did not know."""
        known = self.package.labels
        found = {
            task: tuple(label for label in labels if label not in known.get(task, ()))
            for task, labels in self.state.model.vocabulary.labels.items()
        }
        return {task: labels for task, labels in found.items() if labels}


@dataclass(frozen=True, slots=True)
class Change:
    """A score of the old model and of the adapted one."""

    text: str
    """A file, or what else the text is."""
    task: str
    is_kept: bool
    """Whether it tells what was kept, else what was learnt."""
    before: float
    """F1 of entities, accuracy of tokens, in percent; 0 if the old model does not know the task."""
    after: float


def prepare_adaptation(
    model: Path, train_files: Sequence[str], dev_files: Sequence[str] = (), samples: Sequence[str] = ()
) -> Adaptation:
    """Read the model and the documents, and plan the training.

    Of `samples` some text will be carried besides the old text, so that a further adaptation keeps it in mind, too.

    Raises ModelError for a model that cannot be trained on, CorpusError for a file that cannot be read, ConfigError
    where there is nothing to learn from.
    """
    package = read_package(model)
    if package.config.decoder != "parallel":
        raise ModelError(f"{model}: a generator, and only a parallel decoder can be adapted: train on from it with "
                         "bytespan train --init")  # fmt: skip
    corpora, dev = _read_corpora(train_files, dev_files)
    added = sample_files(samples, ADDED_BYTES)
    settings = settings_for(sum(len(document.data) for corpus in corpora for document in corpus))
    members = tuple(member for corpus in corpora for member in annotate([*corpus, *_swapped(corpus, settings.seed)]))
    shape = package.config
    old = new_state(shape, Vocabulary(shape.segment_length, package.labels), settings)
    if shape.languages:
        shape = replace(shape, languages=(*shape.languages, ""))
    state = new_state(shape, Vocabulary(shape.segment_length, _with_labels_of(members, package.labels)), settings)
    for each in (old, state):
        initialize_from(each, model)
    assert isinstance(old.model, Parallel)
    assert isinstance(state.model, Parallel)
    if old.model.profiles:
        new = (cut_units(member.document.data) for member in members)
        state.model.know(with_profile(old.model.profiles, "", new))
    met = ngrams_met(annotate([document for corpus in corpora for document in corpus]), shape, settings)
    if met is not None:
        state.model.meet(met)
    begin_faintly(state.model, known=old.model, by=FAINTNESS)
    texts = _old_texts(package)
    rehearsed = tuple(text for i, text in enumerate(texts) if i % ASKED)
    sample = pack_sample([*texts, *added]) if added else package.files.get(SAMPLE)
    return Adaptation(package, old.model, state, settings, members, dev, rehearsed, tuple(texts[::ASKED]), sample)


def _old_texts(package: Package) -> list[bytes]:
    """What the package carries, else what the packaged model does: any text is better than none."""
    texts = read_sample(package)
    if not texts and PACKAGED_MODEL.exists():
        texts = read_sample(read_package(PACKAGED_MODEL))
        logger.warning(
            "%s carries no text to keep in mind (bytespan export --sample), %s",
            package.path,
            "so that of the packaged model has to do" if texts else "so what it knows may fade",
        )
    return texts


def settings_for(size: int) -> TrainConfig:
    """How to train on so many bytes of text."""
    steps = EPOCHS * size // (SETTINGS.batch_size * SETTINGS.segment_bytes)
    steps = min(max(steps, STEPS[0]), STEPS[1])
    return replace(SETTINGS, steps=steps)


def adapt(adaptation: Adaptation) -> Iterator[StepRecord]:
    """Train, changing `adaptation.state`; yield a record a step."""
    state, settings = adaptation.state, adaptation.settings
    assert isinstance(state.model, Parallel)
    known = state.model.ngrams
    sampler = UnitSampler(adaptation.train, state.model.vocabulary, state.model.config, settings, known=known)
    rehearsal = None
    if adaptation.rehearsed:
        rehearsal = Rehearsal(adaptation.old, adaptation.rehearsed, known=known, seed=settings.seed)
    yield from train(state, sampler, (), settings, rehearsal)


def export_adapted(
    adaptation: Adaptation,
    path: Path,
    *,
    name: str,
    files: Sequence[str],
    languages: Sequence[str] = (),
    changes: Sequence[Change] = (),
) -> None:
    """Write the adapted model as a package, in the old one's precision and under its licence.

    Its card says what it was made from, and of which training files; the sample goes along, so that it can be adapted
    again. ModelError if it cannot be written.
    """
    package = adaptation.package
    before = package.provenance
    provenance = replace(
        before,
        name=name,
        version="1",
        languages=tuple(dict.fromkeys([*before.languages, *languages])),
        training_data=(*before.training_data, *(f"{file}: licence not stated" for file in files)),
        scores={f"{change.text} {change.task}": round(change.after / 100, 4) for change in changes},
    )
    model = adaptation.state.model
    card = describe_model(model.config, model.vocabulary.labels, provenance) + _history(adaptation, files)
    with_weights = package.weights is not None
    export_package(
        model,
        path,
        provenance=provenance,
        precision=before.precision,
        with_weights=with_weights,
        sample=adaptation.sample,
        card=card,
    )


def measure_changes(adaptation: Adaptation, files: Sequence[str] = (), *, threads: int | None = None) -> list[Change]:
    """The old model against the adapted one, both as packages: on the development documents, then on what is kept.

    What `bytespan tune` chose for the old model does not hold for the adapted one, so neither is taken as tuned.

    That is measured on the gold files; without any, as agreement with the old model on old text that the training did
    not see, if the package carries some.
    """
    with TemporaryDirectory() as folder:
        export_adapted(adaptation, Path(folder) / "adapted", name="adapted", files=())
        paths = adaptation.package.path, Path(folder) / "adapted"
        before, after = (load(path, threads=threads, tuned=False) for path in paths)
        changes = [change for corpus in adaptation.dev for change in _compare(corpus, before, after, is_kept=False)]
        for file in files:
            corpus = DevCorpus(file, tuple(read_documents(file)))
            changes += _compare(corpus, before, after, is_kept=True)
        if not files and adaptation.asked:
            corpus = DevCorpus(CARRIED, tuple(before.pipe(adaptation.asked)))
            changes += _compare(corpus, before, after, is_kept=True)
        return changes


def _compare(corpus: DevCorpus, before: Tagger, after: Tagger, *, is_kept: bool) -> list[Change]:
    scores = [_score(corpus.documents, tagger) for tagger in (before, after)]
    return [
        Change(corpus.name, task, is_kept, scores[0][task].main if task in scores[0] else 0.0, score.main)
        for task, score in scores[1].items()
        if task in scores[0] or not is_kept
    ]


def _score(gold: Sequence[Document], tagger: Tagger) -> dict[str, Scores]:
    """Task -> scores of the labels that the documents annotate, for what both the tagger and the documents have."""
    annotated = {task for document in gold for task in document.spans}
    tasks = [task for task in tagger.tasks if task in annotated]
    predicted = list(tagger.pipe(gold, tasks=tasks)) if tasks else []
    return {task: score_annotated(gold, predicted, task=task) for task in tasks}


def _read_corpora(
    train_files: Sequence[str], dev_files: Sequence[str]
) -> tuple[list[list[Document]], tuple[DevCorpus, ...]]:
    """The documents to train on, file by file, and the development documents.

    Text whose tokens all stand apart comes with natural spacing too.
    """
    corpora: list[list[Document]] = []
    held_out: list[Document] = []
    for file in train_files:
        documents = list(read_documents(file))
        if not dev_files:
            documents, rest = hold_out(documents, every=HELD_OUT)
            held_out += rest
        closed = map(close_up, documents)
        documents += [new for new, old in zip(closed, tuple(documents), strict=True) if new.data != old.data]
        corpora.append(documents)
    if not any(spans for documents in corpora for document in documents for spans in document.spans.values()):
        raise ConfigError(f"{' '.join(train_files)}: no document with a span: there is nothing to learn")
    dev = [DevCorpus(file, tuple(read_documents(file))) for file in dev_files]
    if not dev_files:
        dev = [DevCorpus(f"every {HELD_OUT}th line, held out", tuple(held_out))]
    return corpora, tuple(corpus for corpus in dev if corpus.documents)


def _swapped(documents: Sequence[Document], seed: int) -> list[Document]:
    return swap_mentions(documents, copies=COPIES, fraction=SWAPPED, seed=seed)


def _with_labels_of(members: Sequence[Annotated], known: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The label sets with those of the documents behind them, so that known ones keep their places."""
    labels = dict(known)
    for member in members:
        for task, found in member.labels.items():
            labels[task] = (*labels.get(task, ()), *sorted(found - set(labels.get(task, ()))))
    return {task: found for task, found in labels.items() if found}


def _history(adaptation: Adaptation, files: Sequence[str]) -> str:
    """What the card says of the adaptation."""
    before = adaptation.package.provenance
    learnt = "; ".join(f"{task}: {', '.join(labels)}" for task, labels in adaptation.new_labels.items()) or "none"
    return f"""
## Adapted

From {before.name} {before.version} ({before.licence}), whose scores are not this model's, on {", ".join(files)},
{adaptation.state.progress.step} steps. New labels: {learnt}. The licence is that of {before.name}; that
of the new training data may ask for more.
"""

"""Whole runs: killed and resumed, in several processes, and refused where another run stands."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from bytespan.config import PRESETS, CorpusConfig, ModelConfig, Recipe, TrainConfig
from bytespan.corpora.writing import write_documents
from bytespan.errors import ConfigError, LabelError
from bytespan.languages import language_of, profiles_of
from bytespan.neural.checkpoint import initialize_from, load_model, new_state
from bytespan.neural.curves import STEP_COLUMNS, draw_curves, read_rows
from bytespan.neural.parallel import Parallel
from bytespan.neural.runs import development_files, export_run, read_corpora, run_training
from bytespan.neural.scoring import predict
from bytespan.package import read_package
from bytespan.runtime.parallel import open_parallel
from bytespan.spans import Document, Span
from bytespan.tagger import load
from bytespan.teaching import ask_teachers
from bytespan.units import cut_units
from neural import corpus

MODEL = ModelConfig(segment_length=12, layers=1, units=64, embedding=32)
TRAIN = TrainConfig(
    steps=60, batch_size=16, learning_rate=1e-2, warmup_steps=5, dropout=0.1, byte_dropout=0.1, auxiliary_weight=0.5,
    words_fraction=0.3, growth_steps=30, short_fraction=0, dev_every=25, checkpoint_every=10,
)  # fmt: skip

RECIPE = """
[model]
segment_length = 12
layers = 1
units = 32
embedding = 16

[train]
steps = 300
batch_size = 16
learning_rate = 1e-2
dropout = 0.1
byte_dropout = 0.1
auxiliary_weight = 0.5
dev_every = 70
checkpoint_every = 20

[[corpus]]
name = "toy"
train = ["toy.jsonl"]
dev = ["toy.jsonl"]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the toy corpus and a recipe for it."""
    with (tmp_path / "toy.jsonl").open("wb") as stream:
        write_documents(corpus.documents(), stream, format="jsonl")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def recipe(data: Path, train: TrainConfig = TRAIN) -> Recipe:
    toy = CorpusConfig(train=(str(data / "toy.jsonl"),), dev=(str(data / "toy.jsonl"),), name="toy")
    return Recipe(MODEL, train, (toy,))


def losses(run: Path) -> list[tuple[str, str]]:
    return [(row["step"], row["loss"]) for row in read_rows(run / "log.csv", STEP_COLUMNS)]


def command(data: Path, run: Path) -> list[str]:
    arguments = ["--recipe", str(data / "recipe.toml"), "--data", str(data), "--output", str(run), "--threads", "1"]
    return [sys.executable, "-m", "bytespan", "train", *arguments]


@pytest.mark.slow
def test_run_killed_ten_times_ends_with_the_losses_of_one_that_ran_through(data: Path) -> None:
    subprocess.run(command(data, data / "straight"), check=True, capture_output=True)
    rng, kills, log = random.Random(1), 0, data / "killed" / "log.csv"
    while kills < 10:
        before = len(log.read_bytes()) if log.exists() else 0
        process = subprocess.Popen(command(data, data / "killed"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while process.poll() is None and (not log.exists() or len(log.read_bytes()) <= before):
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.08))
        assert process.poll() is None, "the run ended before it could be killed: make it longer"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    subprocess.run(command(data, data / "killed"), check=True, capture_output=True)
    assert losses(data / "killed") == losses(data / "straight")
    assert len(losses(data / "straight")) == 300
    weights = [(data / run / "last" / "weights.safetensors").read_bytes() for run in ("killed", "straight")]
    assert weights[0] == weights[1]
    assert (data / "killed" / "dev.csv").read_text() == (data / "straight" / "dev.csv").read_text()


@pytest.mark.slow
def test_two_processes_give_the_result_of_one(data: Path) -> None:
    single = command(data, data / "one")
    subprocess.run([*single, "--set", "train.steps=30"], check=True, capture_output=True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    double = [*launcher, "-m", "bytespan", *command(data, data / "two")[3:], "--set", "train.steps=30"]
    ended = subprocess.run(double, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert ended.returncode == 0, ended.stderr
    for (_, one), (_, two) in zip(losses(data / "one"), losses(data / "two"), strict=True):
        assert float(one) == pytest.approx(float(two), rel=1e-3)
    one, two = (load_model(data / run / "last")[0].state_dict() for run in ("one", "two"))
    for name, weights in one.items():
        assert (weights - two[name]).abs().max() < 1e-2, name


def test_run_directory_holds_logs_checkpoints_pictures_and_a_model_that_tags(data: Path) -> None:
    wanted = recipe(data)
    records = list(run_training(wanted, data / "run", data=Path()))
    package = export_run(data / "run", wanted)
    assert [record.step for record in records] == list(range(1, 61))
    assert {path.name for path in (data / "run").iterdir()} == {
        "best", "curves.png", "dev.csv", "dev.json", "last", "log.csv", "model", "tensorboard",
    }  # fmt: skip
    assert development_files(data / "run") == [str(data / "toy.jsonl")]
    assert development_files(data) is None
    assert (data / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert set(read_package(package).labels) == {"entities", "tokens"}  # writing words is for training only
    assert load(package)("Ana saw Bo.").text == "Ana saw Bo."


def test_run_goes_on_with_more_steps_but_not_with_other_settings(data: Path) -> None:
    short = replace(TRAIN, steps=20)
    list(run_training(recipe(data, short), data / "run", data=Path()))
    with pytest.raises(ConfigError, match="a run with other settings is there"):
        next(run_training(recipe(data, replace(short, batch_size=8)), data / "run", data=Path()))
    more = list(run_training(recipe(data, replace(short, steps=25)), data / "run", data=Path()))
    assert [record.step for record in more] == [21, 22, 23, 24, 25]
    assert len(losses(data / "run")) == 25


def test_run_is_not_mixed_with_other_files(data: Path) -> None:
    with pytest.raises(ConfigError, match="holds files but no run to resume"):
        next(run_training(recipe(data), data, data=Path()))


@pytest.mark.parametrize(
    ("name", "text"), [("plain.jsonl", '{"id": 1, "text": "not annotated"}\n'), ("outside.conll", "Ana O\nlives O\n\n")]
)
def test_run_without_a_single_span_is_refused(data: Path, name: str, text: str) -> None:
    (data / name).write_text(text)
    nothing = Recipe(MODEL, TRAIN, (CorpusConfig(train=(str(data / name),)),))
    with pytest.raises(ConfigError, match="no training document with a span"):
        next(run_training(nothing, data / "run", data=Path()))


def test_corpus_is_trained_on_with_natural_spacing_too_where_the_recipe_asks_for_it(data: Path) -> None:
    (data / "spaced.conll").write_text("Ana B-PER\n, O\nBo B-PER\n\n")
    corpora = [CorpusConfig(train=("spaced.conll",), natural=natural) for natural in (False, True)]
    spaced, both = ([member.document for member in read_corpora([c], data=data, dev_bytes=9).train] for c in corpora)
    assert [document.text for document in spaced] == ["Ana , Bo"]
    assert [document.text for document in both] == ["Ana , Bo", "Ana, Bo"]
    assert [entity.text for entity in both[1].entities] == ["Ana", "Bo"]


def test_sentences_of_a_test_file_are_cut_out_of_the_training_text(data: Path) -> None:
    rows = [f"{word} B-PER\nlives O\nin O\n{word}town O\nand O\nlikes O\nit O\n\n" for word in ("Ana", "Bo", "Cy")]
    (data / "all.conll").write_text("".join(rows))
    (data / "tested.conll").write_text(rows[1])
    corpus = CorpusConfig(train=("all.conll",), without=("tested.conll",))
    members = read_corpora([corpus], data=data, dev_bytes=9).train
    assert [member.document.text.strip() for member in members] == [
        "Ana lives in Anatown and likes it", "Cy lives in Cytown and likes it",
    ]  # fmt: skip
    assert [member.document.entities[0].text for member in members] == ["Ana", "Cy"]


def test_training_text_has_what_its_corpus_says_of_it(data: Path) -> None:
    (data / "all.conll").write_text("Ana B-PER\n\n")
    corpora = [CorpusConfig(train=("all.conll",)), CorpusConfig(train=("all.conll",), language="it", agreement=0.5)]
    assert [member.corpus for member in read_corpora(corpora, data=data, dev_bytes=9).train] == corpora


def test_curves_name_every_corpus_and_need_a_runs_log(data: Path) -> None:
    list(run_training(recipe(data), data / "run", data=Path()))
    assert draw_curves(data / "run").stat().st_size > 10_000
    with (data / "run" / "log.csv").open("w", newline="") as stream:
        csv.writer(stream).writerow(["something", "else"])
    with pytest.raises(ValueError, match="not the log of a run"):
        draw_curves(data / "run")


def test_spans_that_the_parallel_decoder_cannot_find_are_told_of(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    (data / "inside.jsonl").write_text('{"text": "Hausboot am Ufer", "label": [[0, 4, "X"], [12, 16, "X"]]}\n')
    model = replace(PRESETS["parallel"], units=4, unit_width=4, table_rows=8, table_width=2, kernels=2)
    corpora = (CorpusConfig(train=(str(data / "inside.jsonl"),)),)
    list(run_training(Recipe(model, replace(TRAIN, steps=1), corpora), data / "run", data=Path()))
    assert "1 units are not trained on: their spans begin or end inside a word" in caplog.text


def test_fp32_on_a_processor_that_imitates_bf16_is_told_of(
    data: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    losses = {}
    for precision in ("fp32", "bf16"):
        wanted = recipe(data)
        wanted = replace(wanted, train=replace(wanted.train, steps=2, precision=precision))
        losses[precision] = [record.loss for record in run_training(wanted, data / precision, data=Path())]
    assert losses["fp32"] == losses["bf16"]
    assert [record.getMessage() for record in caplog.records if "imitate" in record.getMessage()] == [
        "this processor would only imitate bf16, several times as slowly: training in fp32"
    ]


TEACH = partial(ask_teachers, open_teacher=partial(open_parallel, threads=1))
PUPIL = ModelConfig(
    "parallel", segment_length=100, layers=2, units=24, embedding=8, table_rows=512, table_width=8, kernels=8,
    unit_width=24,
)  # fmt: skip
LEARNING = TrainConfig(
    steps=150, batch_size=8, learning_rate=1.5e-2, warmup_steps=5, clip_norm=1, dropout=0, byte_dropout=0,
    unit_dropout=0, hash_dropout=0, short_fraction=0, gold_weight=0, checkpoint_every=5,
)  # fmt: skip
WRONG = {"LOC": "PER", "PER": "LOC"}


@pytest.fixture
def taught(data: Path, tiny_documents: list[Document], tiny_parallel_package: Path) -> Recipe:
    """A training on names of the wrong kinds, with a teacher who knows better."""
    members = [
        Document(d.data, {"entities": [Span(s.start, s.end, WRONG[s.label]) for s in d.spans["entities"]]})
        for d in tiny_documents
    ]
    with (data / "wrong.jsonl").open("wb") as stream:
        write_documents(members, stream, format="jsonl")
    wrong = CorpusConfig(train=(str(data / "wrong.jsonl"),), teachers=(str(tiny_parallel_package),))
    return Recipe(PUPIL, LEARNING, (wrong,))


def test_model_that_is_not_held_to_gold_tags_says_what_its_teacher_says(
    data: Path, taught: Recipe, tiny_documents: list[Document], tiny_parallel_package: Path
) -> None:
    losses = [record.loss for record in run_training(taught, data / "run", data=Path(), teach=TEACH)]
    package = export_run(data / "run", taught)
    found = list(load(package).pipe(tiny_documents))
    gold = [[(entity.text, entity.label) for entity in document.entities] for document in tiny_documents]
    assert [[(entity.text, entity.label) for entity in document.entities] for document in found] == gold
    assert losses[-1] < 0.1
    assert read_package(package).provenance.training_data == (
        str(data / "wrong.jsonl"), f"what the model {tiny_parallel_package} says of them",
    )  # fmt: skip


def test_taught_run_that_was_stopped_goes_on_with_the_same_losses(data: Path, taught: Recipe) -> None:
    settings = replace(LEARNING, steps=12, dropout=0.1, byte_dropout=0.1, gold_weight=0.3, decay_steps=0)
    wanted = replace(taught, train=settings)
    list(run_training(wanted, data / "straight", data=Path(), teach=TEACH))
    for _ in zip(range(7), run_training(wanted, data / "stopped", data=Path(), teach=TEACH), strict=False):
        pass
    list(run_training(wanted, data / "stopped", data=Path(), teach=TEACH))
    assert losses(data / "stopped") == losses(data / "straight")
    weights = [(data / run / "last" / "weights.safetensors").read_bytes() for run in ("stopped", "straight")]
    assert weights[0] == weights[1]


def test_taught_run_goes_on_with_its_teachers_only(data: Path, taught: Recipe) -> None:
    short = replace(taught, train=replace(LEARNING, steps=2))
    untaught = replace(short, corpora=(replace(short.corpora[0], teachers=()),))
    list(run_training(short, data / "run", data=Path(), teach=TEACH))
    list(run_training(untaught, data / "alone", data=Path()))
    for other, run in ((untaught, "run"), (short, "alone")):
        with pytest.raises(ConfigError, match="its run has other teachers: give each corpus the same"):
            next(run_training(other, data / run, data=Path(), teach=TEACH))


def test_run_that_a_teacher_kept_from_its_first_step_may_begin_with_another(data: Path, taught: Recipe) -> None:
    (data / "people.jsonl").write_text('{"text": "Ana", "label": [[0, 3, "PER"]]}\n')
    people = replace(taught.corpora[0], train=(str(data / "people.jsonl"),))
    wanted = replace(taught, train=replace(LEARNING, steps=1), corpora=(people,))
    with pytest.raises(LabelError, match="teaches the entities labels LOC, which no training corpus has"):
        next(run_training(wanted, data / "run", data=Path(), teach=TEACH))
    untaught = replace(wanted, corpora=(replace(people, teachers=()),))
    assert len(list(run_training(untaught, data / "run", data=Path()))) == 1


def test_teachers_need_a_parallel_decoder_and_somebody_who_asks_them(data: Path, taught: Recipe) -> None:
    with pytest.raises(ConfigError, match="a generator cannot learn from teachers"):
        next(run_training(replace(taught, model=MODEL), data / "run", data=Path(), teach=TEACH))
    with pytest.raises(ConfigError, match="give run_training a `teach`"):
        next(run_training(taught, data / "run", data=Path()))


def test_model_of_several_languages_tells_them_apart(data: Path) -> None:
    spoken = {"de": "Ana sah gestern den Hund und die Katze.", "en": "Ana saw the dog and the cat yesterday."}
    for name, text in spoken.items():
        document = Document(text.encode(), {"entities": [Span(0, 3, "PER")]})
        with (data / f"{name}.jsonl").open("wb") as stream:
            write_documents([document] * 4, stream, format="jsonl")
    corpora = tuple(CorpusConfig(train=(f"{name}.jsonl",), dev=(f"{name}.jsonl",), language=name) for name in spoken)
    shape = replace(PRESETS["parallel"], units=8, embedding=8, table_rows=64, table_width=4, kernels=8, unit_width=8)
    recipe = Recipe(shape, TrainConfig(steps=3, dev_every=3, checkpoint_every=2), corpora)
    list(run_training(recipe, data / "run", data=data))
    list(run_training(replace(recipe, train=replace(recipe.train, steps=4)), data / "run", data=data))
    package = read_package(export_run(data / "run", recipe))
    assert package.config.languages == ("de", "en")
    profiles = profiles_of(package)
    assert profiles is not None
    assert [language_of(cut_units(text.encode()), profiles) for text in spoken.values()] == ["de", "en"]
    again = new_state(package.config, package.vocabulary, recipe.train)
    initialize_from(again, package.path)
    assert isinstance(again.model, Parallel)
    assert np.array_equal(again.model.profiles.logs, profiles.logs)
    texts = [text.encode() for text in spoken.values()]
    assert [set(found) for found in predict(again.model, texts, tasks=["entities"])] == [{"entities"}] * 2
    named = replace(recipe, model=replace(recipe.model, languages=("de",)))
    with pytest.raises(ConfigError, match="language"):
        next(run_training(named, data / "other", data=data))

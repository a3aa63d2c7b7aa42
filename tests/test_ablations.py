"""The small trainings that answer questions 2, 3, 4 and 9, in small."""

from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from bytespan.corpora.writing import write_documents
from bytespan.spans import Document
from programs import program_of

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes"

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")

program = partial(program_of, RECIPES)
SHORT = ("train.steps=4", "train.growth_steps=0", "model.units=8", "model.embedding=8", "train.batch_size=2")


@pytest.fixture
def ablations() -> ModuleType:
    """The module of recipes/, which is no package."""
    return program("ablations")


@pytest.fixture
def data(tmp_path: Path, tiny_documents: list[Document]) -> Path:
    """A data folder with words of one language and names of two."""
    for name, task, suffix in (("pos/en", "tokens", "conllu"), ("ner/conll/en", "entities", "conll"),
                               ("ner/conll/nl", "entities", "conll")):  # fmt: skip
        (tmp_path / "data" / name).mkdir(parents=True)
        for part in ("train", "dev"):
            with (tmp_path / "data" / name / f"{part}.{suffix}").open("wb") as stream:
                own = [Document(document.data, {task: document.spans[task]}) for document in tiny_documents]
                write_documents(own, stream, format=suffix)
    return tmp_path / "data"


def test_every_line_is_a_training_that_settings_and_corpora_allow(ablations: ModuleType) -> None:
    trials = program("trials")
    for question in ablations.QUESTIONS.values():
        names = [line.name for lines in question.tables.values() for line in lines]
        assert len(names) == len(list(question.lines()))
        for line in question.lines():
            recipe = trials.recipe_of(line.trial, seed=3)
            assert recipe.train.seed == 3
            assert [corpus.name for corpus in recipe.corpora] == list(line.trial.corpora)
            assert trials.model_at_use(recipe, line.use).units == recipe.model.units


def test_segments_of_any_length_read_as_many_bytes(ablations: ModuleType) -> None:
    trials = program("trials")
    read = []
    for lines in list(ablations.QUESTIONS["bottleneck"].tables.values())[::2]:
        for line in lines:
            recipe = trials.recipe_of(line.trial)
            is_parallel = recipe.model.decoder == "parallel"
            length = recipe.train.segment_bytes if is_parallel else recipe.model.segment_length
            scale = trials.recipe_of(replace(line.trial, settings=())).train.steps * (2048 if is_parallel else 960)
            read.append(recipe.train.steps * recipe.train.batch_size * length / scale)
    assert all(share == pytest.approx(1, abs=0.01) for share in read)
    assert len(read) == 14


def test_a_line_is_measured_once_a_seed_told_and_drawn(ablations: ModuleType, data: Path, tmp_path: Path) -> None:
    trials = program("trials")
    carried = "model.carried_bytes=7"
    lines = (
        ablations.Line("reset", trials.Trial("pos-small", SHORT)),
        ablations.Line("carried at use", trials.Trial("pos-small", SHORT), carried),
        ablations.Line("never made", trials.Trial("pos-small", ("model.layers=3",))),
    )
    uses = {lines[0].trial: ["", carried]}
    places = trials.Places(data, tmp_path / "work", tmp_path / "ablations.json", 1)
    trials.measure(uses, [1, 2], places)
    written = places.results.read_bytes()
    trials.measure(uses, [2, 1], places)
    assert places.results.read_bytes() == written
    entries = trials.read_json(places.results)
    assert [entry["seed"] for entry in entries] == [1, 2]
    for entry in entries:
        assert entry["scores"].keys() == {"", carried}
        assert entry["steps"] == 4
        assert entry["parameters"] > 1000
        assert 0 <= entry["scores"][""]["en"] <= 100
    question = ablations.Question("3. Trial", "help", "Asked?", {"Head:": lines}, "Answered: {generator: reset}.")
    page = ablations.section(question, entries, "carry")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["reset", "carried at use"]
    assert rows[2].split("|")[4].strip() == "2"
    assert f"**Answered: {sum(entry['scores']['']['en'] for entry in entries) / 2:.1f}.**" in page
    assert "Of 3 rows 1 are not measured yet." in page
    unknown = replace(question, answer="{generator: never made}")
    assert "**" not in ablations.section(unknown, entries, "carry")
    assert ablations.section(question, [], "carry") == ""


def test_scores_are_drawn_against_the_length_of_segments(ablations: ModuleType, tmp_path: Path) -> None:
    trials = program("trials")
    lines = [
        line
        for line in ablations.QUESTIONS["bottleneck"].lines()
        if line.name.split()[2].strip(",") in ("60", "64", "120")
    ]
    entries = [trials.identity(line.trial, 1) | {"scores": {line.use: {"en": 50.0}}} for line in lines]
    assert {name: [length for length, _ in points] for name, points in ablations.curves(entries).items()} == {
        "generator": [60, 120],
        "generator, attention": [60, 120],
        "parallel decoder, at use": [60, 120],
        "parallel decoder, in training": [64],
    }
    ablations.draw_lengths(tmp_path / "pictures" / "bottleneck.png", entries)
    assert (tmp_path / "pictures" / "bottleneck.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_corpus_is_cut_and_chosen_lines_alone_are_made(
    ablations: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = program("trials")
    settings = (*SHORT[:1], "model.units=8", "model.table_rows=64", "train.batch_size=2")
    both = trials.Trial("conll-small", settings, ("en", "nl"), sentences=2)
    lines = [
        ablations.Line("cut", both),
        ablations.Line("cut, in short segments", both, "model.segment_length=64"),
        ablations.Line("not asked for", replace(both, sentences=4)),
    ]
    question = ablations.Question("9. Trial", "help", "", {"Head:": lines}, "")
    monkeypatch.setattr(ablations, "QUESTIONS", {"ablations": question})
    arguments = Namespace(question="ablations", line=["cut"], seed=None, data=data, runs=tmp_path / "runs", threads=1)
    page = ablations.answer(arguments, results=tmp_path, pictures=tmp_path)
    (entry,) = trials.read_json(tmp_path / "ablations.json")
    assert (entry["sentences"], entry["seed"], list(entry["scores"][""])) == (2, 1, ["en", "nl"])
    assert entry["scores"].keys() == {"", "model.segment_length=64"}
    assert "| cut |" in page
    assert "not asked for" not in page
    assert len((tmp_path / "runs" / "trials" / "2" / "ner/conll/nl/train.conll").read_text(encoding="utf-8")) > 10


def test_the_sections_are_what_the_result_file_says(ablations: ModuleType) -> None:
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    for name, question in ablations.QUESTIONS.items():
        section = ablations.section_from(RECIPES / "results" / "questions", name)
        assert section.rstrip("\n") in page, f"run python recipes/questions.py {name}"
        if question.picture and question.picture in section:
            assert (ROOT / "docs" / "questions" / question.picture).exists()

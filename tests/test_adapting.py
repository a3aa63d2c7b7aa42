"""The measurements of recipes/adapting.py, in small."""

from dataclasses import replace
from pathlib import Path

import pytest

from bytespan.config import Recipe, TrainConfig
from bytespan.corpora.reading import read_documents
from bytespan.corpora.writing import write_documents
from bytespan.package import read_package
from bytespan.spans import Document
from bytespan.tagger import PACKAGED_MODEL
from test_recipes import RECIPES, ROOT, SHARED, columns, program

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")

FOLDER = "ner/masakhaner2/hau"


@pytest.fixture
def data(tmp_path: Path, tiny_documents: list[Document]) -> Path:
    """A data folder with one new language and one old, beside the scorer."""
    if not SHARED.is_dir():
        pytest.skip("needs the scorer of the shared folder")
    (tmp_path / "score").symlink_to((SHARED / "score").absolute())
    new, old = tmp_path / "data" / FOLDER, tmp_path / "data" / "pos" / "en"
    for folder in (new, old):
        folder.mkdir(parents=True)
    for name, sentences in (("train", 30), ("dev", 3), ("test", 3)):
        (new / f"{name}.conll").write_text(columns(sentences, marks=False), encoding="utf-8")
    with (old / "test.conllu").open("wb") as stream:
        write_documents(
            [Document(d.data, {"tokens": d.spans["tokens"]}) for d in tiny_documents[:2]], stream, format="conllu"
        )
    return tmp_path / "data"


def test_an_adaptation_is_measured_once_and_told_of(data: Path, tmp_path: Path, tiny_parallel_package: Path) -> None:
    adapting = program("adapting")
    results = tmp_path / "adapt.json"
    places = adapting.Places(data, tmp_path / "work", results, tiny_parallel_package, Path("python"), 1)
    row = adapting.Row("adapted", FOLDER, None)
    adapting.measure([row], places)
    written = results.read_bytes()
    adapting.measure([row], places)
    assert results.read_bytes() == written
    result = adapting.read_json(results)
    (entry,) = result["rows"]
    assert entry["old"].keys() == result["old"][entry["model"]].keys() == {"pos/en/test.conllu"}
    assert 0 <= entry["score"] <= 100
    page = adapting.section(result)
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {FOLDER} |"))
    assert f"{entry['score']:.2f}" in line
    assert f"{adapting.forgotten(entry, result):.2f}" in line
    assert "Not all of it is measured yet." in page


@pytest.mark.parametrize(("system", "folder"), [("related", FOLDER), ("adapted", "pos/wo")])
def test_a_model_to_begin_with_is_trained_once_and_adapted(
    system: str, folder: str, data: Path, tmp_path: Path, tiny_parallel_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapting = program("adapting")
    row = adapting.Row(system, folder, None)
    suffix = row.suffix
    new = data / folder
    if row.task == "pos":
        new.mkdir()
        for name in ("train", "dev", "test"):
            (new / f"{name}.conllu").write_bytes((data / "pos" / "en" / "test.conllu").read_bytes())
    (corpus, *_) = adapting.start_recipe(row).corpora
    for file in corpus.train:
        (data / file).parent.mkdir(parents=True)
        (data / file).write_bytes((new / f"train.{suffix}").read_bytes())
        (data / file).with_name(f"test.{suffix}").write_bytes((new / f"test.{suffix}").read_bytes())
    small = Recipe(read_package(tiny_parallel_package).config, TrainConfig(steps=2), (replace(corpus, dev=()),))
    monkeypatch.setattr(adapting, "start_recipe", lambda _: small)
    places = adapting.Places(data, tmp_path / "work", tmp_path / "adapt.json", tiny_parallel_package, Path("python"), 1)
    adapting.measure([row], places)
    package = places.start(row)
    assert read_package(package).provenance.training_data == tuple(
        f"{f}: {program('package').source_of(f)}" for f in corpus.train
    )
    result = adapting.read_json(places.results)
    (entry,) = result["rows"]
    old = {f"{file.rpartition('/')[0]}/test.{suffix}" for file in corpus.train}
    assert entry["old"].keys() == result["old"][entry["model"]].keys() == old
    monkeypatch.setattr(adapting, "train_start", None)  # not called again
    adapting.measure([row], places)
    assert f"| {adapting.SYSTEMS[system]} |" in adapting.section(result)


def test_an_adaptation_reads_all_sentences_and_is_measured_on_the_development_file(
    data: Path, tmp_path: Path, tiny_parallel_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bytespan import adaptation

    adapting = program("adapting")
    prepared = []
    prepare = adaptation.prepare_adaptation
    monkeypatch.setattr(
        adaptation, "prepare_adaptation", lambda *files: prepared.append(prepare(*files)) or prepared[0]
    )
    monkeypatch.setattr(adaptation, "adapt", lambda _: ())
    (tmp_path / "train.conll").write_bytes((data / FOLDER / "train.conll").read_bytes())
    places = adapting.Places(data, tmp_path, tmp_path / "adapt.json", tiny_parallel_package, Path("python"), 1)
    adapting.adapt_package(adapting.Row("adapted", FOLDER, None), tmp_path, places)
    (made,) = prepared
    assert [corpus.name for corpus in made.dev] == [str(data / FOLDER / "dev.conll")]
    gold = {document.data for document in read_documents(data / FOLDER / "train.conll")}
    assert gold <= {member.document.data for member in made.train}


def test_a_model_of_related_languages_has_seen_nothing_of_the_new_one() -> None:
    adapting = program("adapting")
    seen = {corpus.name: corpus for corpus in adapting.recipe_of(adapting.experiment_named("african")).corpora}
    for language, code in adapting.LANGUAGES.items():
        row = adapting.Row("related", f"ner/masakhaner2/{language}", 500)
        assert row in adapting.ROWS
        corpora = adapting.start_recipe(row).corpora
        files = [file for corpus in corpora for file in (*corpus.train, *corpus.dev)]
        assert not [file for file in files if f"/{language}/" in file or file.startswith(f"pos/{code}/")]
        assert {corpus.name for corpus in corpora} == seen.keys() - {adapting.LANGUAGES[name] for name in row.left_out}
        assert sum("masakhaner2" in corpus.train[0] for corpus in corpora) == 4


def test_a_model_of_words_has_seen_nothing_of_the_new_languages() -> None:
    adapting = program("adapting")
    corpora = adapting.start_recipe(adapting.Row("adapted", "pos/wo", 500)).corpora
    files = [file for corpus in corpora for file in (*corpus.train, *corpus.dev)]
    assert all(file.startswith("pos/") for file in files)
    assert not [file for file in files if file.split("/")[1] in ("af", "wo", "yo")]
    assert len({file.split("/")[1] for file in files}) == 19


def test_rows_of_an_earlier_packaged_model_are_told_of() -> None:
    if not PACKAGED_MODEL.exists():
        pytest.skip("this checkout has no packaged model")
    adapting = program("adapting")
    row = {"system": "adapted", "folder": FOLDER, "sentences": 500, "score": 60.0, "cpu_s": 120, "model": "m",
           "old": {"pos/en/test.conllu": 90.5}}  # fmt: skip
    old = {"m": {"pos/en/test.conllu": 90.75}}
    now = adapting.digest_of(PACKAGED_MODEL)
    assert "earlier packaged model" not in adapting.section({"old": old, "rows": [row | {"packaged": now}]})
    page = adapting.section({"old": old, "rows": [row | {"packaged": now}, row | {"packaged": "0123456789ab"}]})
    assert "earlier packaged model than the one that is there now (`model.onnx` of SHA-256 0123456789ab…)" in page


def test_the_section_is_what_the_result_file_says() -> None:
    adapting = program("adapting")
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    section = adapting.section(adapting.read_results(RECIPES / "results" / "questions"))
    assert section in page, "run python recipes/questions.py page"


def test_a_training_from_scratch_has_the_shape_of_a_model_that_tells_languages_apart(tmp_path: Path) -> None:
    """But tells none apart itself, for which a recipe would be refused."""
    if not PACKAGED_MODEL.exists():
        pytest.skip("this checkout has no packaged model")
    adapting = program("adapting")
    shape = read_package(PACKAGED_MODEL, with_weights=False).config
    assert shape.languages
    (tmp_path / "train.conll").write_text(columns(30, marks=False), encoding="utf-8")
    places = adapting.Places(tmp_path, tmp_path, tmp_path / "adapt.json", PACKAGED_MODEL, Path("python"), 1)
    recipe = adapting.recipe_from_scratch(adapting.Row("scratch", FOLDER, None), tmp_path, places)
    assert recipe.model == replace(shape, languages=())


def test_the_answer_compares_at_500_sentences() -> None:
    adapting = program("adapting")
    rows = [
        {"system": system, "folder": folder, "sentences": 500, "score": score, "cpu_s": 120,
         "model": "m", "old": {"pos/en/test.conllu": 90.5}}
        for system, score in (("related", 70.0), ("adapted", 60.0), ("scratch", 45.0))
        for folder in adapting.FOLDERS
    ]  # fmt: skip
    page = adapting.section({"old": {"m": {"pos/en/test.conllu": 90.75}}, "rows": rows})
    assert "reaches 60.0 F1 on the MasakhaNER mean, +15.0 against one of its shape from scratch" in page
    assert "one adapted from a model of related languages reaches 70.0 F1 on the MasakhaNER mean, +25.0" in page
    assert page.count("the old languages fall by 0.25 points") == 2
    assert "took 2.0 to 2.0 minutes of CPU time." in page

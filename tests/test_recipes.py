"""The recipes, and the programs that train, score and report them."""

import json
import re
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bytespan
from bytespan.config import CorpusConfig, Recipe, read_recipe
from bytespan.corpora.reading import read_documents
from bytespan.corpora.writing import write_documents
from bytespan.errors import CorpusError
from bytespan.package import read_package
from bytespan.spans import Document
from networks import unfit_for_int8
from programs import program_of

if TYPE_CHECKING:
    from bytespan.neural.parallel import Parallel

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes"
SAMPLES = Path(__file__).parent / "samples"
SHARED = ROOT.parent / "shared"

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")


program = partial(program_of, RECIPES)


def columns(sentences: int, *, marks: bool) -> str:
    """CoNLL columns of that many sentences, every third opening a document."""
    blocks = []
    for i in range(sentences):
        blocks += ["-DOCSTART- O"] if marks and i % 3 == 0 else []
        blocks.append(f"Ada B-PER\nsang O\n{i} O\nsongs O\nin O\nRome B-LOC")
    return "".join(f"{block}\n\n" for block in blocks)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_can_be_read(path: Path) -> None:
    assert read_recipe(path).corpora


def test_every_experiment_names_a_recipe_and_corpora_that_exist() -> None:
    experiments = program("experiments")
    names = [experiment.name for experiment in experiments.EXPERIMENTS]
    assert len(set(names)) == len(names)
    for experiment in experiments.EXPERIMENTS:
        recipe = experiments.recipe_of(experiment)
        assert recipe.corpora
        assert all(corpus.train for corpus in recipe.corpora)
        assert recipe.train.seed == experiment.seed
        assert recipe.train.steps == (
            experiment.steps or read_recipe(RECIPES / f"{experiment.recipe}.toml").train.steps
        )
        assert experiment.scores is None or experiment.scores in names


def test_every_training_file_has_a_licence() -> None:
    package = program("package")
    for path in RECIPES.glob("*.toml"):
        sources = [package.source_of(file) for corpus in read_recipe(path).corpora for file in corpus.train]
        assert all(re.search("CC |LGPL|MIT|only", source) for source in sources)
        assert package.licence_of(sources) == ("research only" if path.stem.startswith("conll") else "CC BY-NC-SA 4.0")
    assert package.source_of("swaps/pt.jsonl") == "other names by recipes/swaps.py in Universal NER, CC BY-SA 4.0"
    assert "in the text of MasakhaNER 2.0" in package.source_of("swaps/yor.jsonl")
    assert "other names by recipes/swaps.py in recipes/written/yor.txt, " in package.source_of(
        "swaps/yor_written.jsonl"
    )
    assert package.source_of("silver/ar_joined.jsonl").startswith(
        "names by recipes/silver.py in the text of UD Arabic-"
    )
    with pytest.raises(KeyError, match="say in LICENCES"):
        package.source_of("pos/xx/train.conllu")


def test_a_card_names_the_data_of_the_weights_it_began_with() -> None:
    package = program("package")
    free = Recipe(corpora=(CorpusConfig(train=("pos/da/train.conllu",), name="da"),))
    first = package.provenance_of("first", read_recipe(RECIPES / "african.toml"), scores=[], precision="int8")
    second = package.provenance_of("second", free, scores=[], precision="int8", initial=first)
    assert second.training_data[0] == "pos/da/train.conllu: UD Danish-DDT, CC BY-SA 4.0"
    assert f"{first.training_data[0]} (by first, with whose weights it began)" in second.training_data
    silver = Recipe(corpora=(CorpusConfig(train=("silver/el.jsonl", "silver/yor.jsonl", "swaps/sv.jsonl"), name="el"),))
    third = package.provenance_of("third", silver, scores=[], precision="int8", initial=second)
    names = "names by recipes/silver.py in the text of"
    assert third.training_data[:3] == (
        f"silver/el.jsonl: {names} UD Greek-GDT, CC BY-NC-SA 3.0",
        f"silver/yor.jsonl: {names} MasakhaNER 2.0, CC BY-NC 4.0",
        "swaps/sv.jsonl: other names by recipes/swaps.py in Universal NER, CC BY-SA 4.0",
    )
    same = package.provenance_of("same", free, scores=[], precision="int8", initial=second)
    assert len(same.training_data) == len(second.training_data)  # what both learnt from is named once
    assert package.provenance_of("alone", free, scores=[], precision="int8").licence == "CC BY-SA 4.0"
    assert second.licence == first.licence == "CC BY-NC-SA 4.0"


@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("count", [1, 4, 6, 11])
def test_a_cut_of_columns_holds_exactly_the_first_sentences(tmp_path: Path, marks: bool, count: int) -> None:
    source, target = tmp_path / "train.conll", tmp_path / "cut" / "train.conll"
    source.write_text(columns(11, marks=marks), encoding="utf-8")
    program("cutting").write_first_sentences(source, target, count)
    lines = [line.decode() for document in read_documents(target) for line in document.data.split(b"\n")]
    assert lines == [f"Ada sang {i} songs in Rome" for i in range(count)]


def test_a_cut_of_conllu_keeps_sentences_whole_and_all_is_all(tmp_path: Path) -> None:
    source, target = SAMPLES / "words.conllu", tmp_path / "words.conllu"
    whole = [document.spans for document in read_documents(source)]
    cut = program("cutting").write_first_sentences
    cut(source, target, None)
    assert [document.spans for document in read_documents(target)] == whole
    cut(source, target, 1)
    (first,) = read_documents(target)
    assert first.data == "Zoé vit au  Mans : « 10 000 » habitants.".encode()


def test_a_cut_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "train.conll"
    source.write_text(columns(2, marks=True), encoding="utf-8")
    cut = program("cutting").write_first_sentences
    with pytest.raises(CorpusError, match=r"train\.conll: holds 2 sentences, fewer than the 3 that were asked for"):
        cut(source, tmp_path / "cut.conll", 3)
    with pytest.raises(CorpusError, match=r"ours\.jsonl: sentences can be cut from \.conll and \.conllu files alone"):
        cut(SAMPLES / "ours.jsonl", tmp_path / "cut.conll", 3)
    assert not (tmp_path / "cut.conll").exists()


def test_the_page_of_results_is_what_the_result_files_say() -> None:
    report = program("report")
    page = report.page(report.read_results())
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == page, "run python recipes/report.py"
    assert "None" not in page
    tables = [list(lines) for is_row, lines in groupby(page.split("\n"), lambda line: line.startswith("|")) if is_row]
    assert all(len({line.count("|") for line in rows}) == 1 for rows in tables)
    pictures = [line[line.index("(") + 1 : -1] for line in page.split("\n") if line.startswith("![")]
    assert pictures
    assert [name for name in pictures if not (ROOT / "docs" / name).exists()] == []


def test_what_was_not_measured_is_a_dash_in_every_table() -> None:
    report = program("report")
    page = report.page(report.Results({}, []))
    ours = [line for line in page.split("\n") if line.startswith("| bytespan")]
    assert ours
    assert all(cell.strip() == program("tables").DASH for line in ours for cell in line.split("|")[2:-1])


def test_a_mean_and_a_best_are_taken_of_what_is_there() -> None:
    tables = program("tables")
    assert tables.average([1.0, 2.0, 6.0]) == 3.0
    assert tables.average([1.0, None]) is None
    assert tables.average([]) is None
    assert tables.best([None, 1.5, 0.5]) == 1.5
    assert tables.best([None]) is None
    assert tables.difference(2.0, None) is None


def test_peers_are_told_apart_by_name_and_given_a_budget() -> None:
    peers = program("peers")
    assert len({job.name for job in peers.JOBS}) == len(peers.JOBS)
    assert set(peers.TAKEN_OVER) <= set(peers.JOBS)
    assert peers.Job("spacy", "ner/uner/en_ewt").budget == tuple(
        ["--task", "ner", "--lang", "en", "--minutes", "10", "--clock", "cpu"]
    )
    assert peers.Job("crf", "pos/en", 1000).name == "crf-pos-en-1000"
    assert peers.cpu_seconds('{"step": 1, "cpu": 3}\ntext\n{"step": 2, "cpu": 7}\n{"ended": "cap"}\n') == 7
    assert peers.cpu_seconds("") is None


@pytest.mark.skipif(not (SHARED / "score").is_dir(), reason=f"the scorer is not in {SHARED}")
@pytest.mark.slow
def test_an_experiment_is_trained_packaged_and_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And two trainings that tag together, with the threshold of the best F1."""
    experiments = program("experiments")
    folder = tmp_path / "data" / "ner" / "conll" / "en"
    folder.mkdir(parents=True)
    (tmp_path / "score").symlink_to(SHARED / "score")
    for part in ("train", "dev", "test"):
        (folder / f"{part}.conll").write_text(columns(8, marks=True), encoding="utf-8")
    settings = [f"model.{key}=16" for key in ("units", "unit_width", "table_rows")]
    settings += [f"train.{key}=0.0" for key in ("dropout", "byte_dropout", "unit_dropout", "hash_dropout")]
    settings += ["train.learning_rate=0.02", "train.warmup_steps=1", "train.precision=fp32"]
    experiment = experiments.Experiment(
        "tiny", "conll-parallel", ("en",), seed=3, sentences=5, steps=40, settings=tuple(settings)
    )
    places = experiments.Places(tmp_path / "data", tmp_path / "runs", tmp_path / "results", threads=1)
    experiments.run(experiment, places)
    result = json.loads((tmp_path / "results" / "tiny.json").read_text())
    assert [score["file"] for score in result["scores"]] == ["ner/conll/en/dev.conll", "ner/conll/en/test.conll"]
    assert [score["f1"] for score in result["scores"]] == [100.0, 100.0]
    assert (result["seed"], result["sentences"], result["training"]["steps"]) == (3, 5, 40)
    assert result["parameters"]["table"] == 16 * 32
    price = {"file": "ner/conll/en/dev.conll", "task": "entities", "exact": 100.0, "rounded": 100.0}
    assert result["price"] == [price]
    assert result["megabytes"] > 0
    card = (tmp_path / "runs" / "tiny" / "model" / "card.md").read_text(encoding="utf-8")
    assert "| ner/conll/en/test.conll F1 | 1.0000 |" in card
    assert "## Research only" in card
    monkeypatch.setattr(experiments, "EXPERIMENTS", (experiment,))
    both = replace(experiment, name="both", joins=("tiny", "tiny"), f_beta=1.0)
    experiments.run(both, places)
    joined = json.loads((tmp_path / "results" / "both.json").read_text())
    assert [score["f1"] for score in joined["scores"]] == [100.0, 100.0]
    assert (joined["training"]["steps"], joined["parameters"]["table"]) == (80, 2 * 16 * 32)
    assert "2 models together" in (tmp_path / "runs" / "both" / "model" / "card.md").read_text(encoding="utf-8")
    assert read_package(tmp_path / "runs" / "both" / "model").tuning is not None
    assert read_package(tmp_path / "runs" / "tiny" / "model").tuning is None


def test_the_result_file_of_the_packaged_model_says_what_it_finds_in_lines_of_ours() -> None:
    experiments, scoring = program("experiments"), program("scoring")
    result = json.loads((RECIPES / "results" / "base.json").read_text(encoding="utf-8"))
    tagger = bytespan.load(threads=1)
    assert [scoring.score_lines(file, tagger) for file in experiments.LINES] == result["lines"]


def test_a_training_without_the_names_that_it_needs_says_where_they_come_from(tmp_path: Path) -> None:
    experiments = program("experiments")
    experiment = experiments.Experiment("tiny", "base", with_silver=True)
    assert {name for corpus in experiments.silver_of(experiment) for name in corpus.train} > {"silver/el.jsonl"}
    assert experiments.silver_of(replace(experiment, with_silver=False)) == ()
    with pytest.raises(SystemExit, match=r"^experiments: tiny: no .*\.jsonl: write it with recipes/silver\.py$"):
        experiments.train(experiment, experiments.Places(runs=tmp_path))


def test_a_package_whose_precision_costs_too_much_is_not_published_unasked(
    tiny_parallel: "Parallel", tiny_documents: list[Document], tmp_path: Path
) -> None:
    from bytespan.config import TrainConfig
    from bytespan.neural.checkpoint import new_state, save_checkpoint

    experiments = program("experiments")
    folder = tmp_path / "data" / "ner" / "conll" / "en"
    folder.mkdir(parents=True)
    with (folder / "dev.conll").open("wb") as stream:
        write_documents(tiny_documents, stream, format="conll")
    model = unfit_for_int8(tiny_parallel)
    state = new_state(model.config, model.vocabulary, TrainConfig())
    state.model.load_state_dict(model.state_dict())
    save_checkpoint(tmp_path / "runs" / "tiny" / "best", state, TrainConfig(), resumable=False)
    experiment = experiments.Experiment("tiny", "conll-parallel", ("en",), precision="int8")
    places = experiments.Places(tmp_path / "data", tmp_path / "runs", tmp_path / "results", threads=1)
    with pytest.raises(SystemExit, match=r"tiny: int8 costs .* points of entities F1 on ner.* or give --force$"):
        experiments.score(experiment, places)
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "runs" / "tiny" / "model").exists()
    (price,) = experiments.price_of(experiment, replace(places, force=True))
    assert price["file"] == "ner/conll/en/dev.conll"
    assert price["exact"] - price["rounded"] > 0.3


def test_the_figures_of_the_readme_are_those_of_the_result_file() -> None:
    result = json.loads((RECIPES / "results" / "conll-parallel.json").read_text(encoding="utf-8"))
    f1 = {score["file"]: score["f1"] for score in result["scores"]}
    quoted = [f"{f1[f'ner/conll/{code}/test.conll']:.1f} in {name}"
              for code, name in (("en", "English"), ("de", "German"), ("es", "Spanish"), ("nl", "Dutch"))]  # fmt: skip
    readme = " ".join((RECIPES.parent / "README.md").read_text(encoding="utf-8").split())
    assert [figure for figure in quoted if figure not in readme] == []
    assert f"one model of {result['megabytes']:.1f} MB" in readme


def test_scorer_is_told_to_leave_out_labels_that_the_gold_file_annotates_nowhere(tmp_path: Path) -> None:
    """A model that knows MISC too is not wrong where UNER, which has none, is silent."""
    scorer = tmp_path / "score" / "score.py"
    scorer.parent.mkdir()
    scorer.write_text("import json, sys; print(json.dumps({'call': sys.argv[1:], 'gold': 'path'}))", encoding="utf-8")
    gold = tmp_path / "data" / "ner" / "one" / "test.conll"
    gold.parent.mkdir(parents=True)
    gold.write_text(columns(4, marks=True), encoding="utf-8")
    report = program("scoring").score_file("ner/one/test.conll", ["tagger"], data=tmp_path / "data")
    assert report["file"] == "ner/one/test.conll"
    assert report["call"] == ["ner", str(gold), "--keep", "LOC,PER", "--", "tagger"]
    assert "gold" not in report

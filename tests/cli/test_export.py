"""`bytespan export` says what rounded weights cost, and refuses what costs too much."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bytespan.spans import Document
from cli.conftest import Run
from networks import unfit_for_int8

if TYPE_CHECKING:
    from bytespan.neural.decoders import Model
    from bytespan.neural.generate import Generator
    from bytespan.neural.parallel import Parallel


@pytest.fixture
def runs(tiny_parallel: "Parallel", tiny_documents: list[Document], tmp_path: Path) -> Path:
    """The run directories `good` and `bad`, whose model 8 bits ruin, and a gold file."""
    from bytespan.corpora.writing import write_documents

    save_best(tiny_parallel, tmp_path / "good")
    save_best(unfit_for_int8(tiny_parallel), tmp_path / "bad")
    with (tmp_path / "gold.jsonl").open("wb") as stream:
        write_documents(tiny_documents, stream, format="jsonl")
    return tmp_path


def save_best(model: "Model", run: Path) -> None:
    """A run directory whose best checkpoint is the model."""
    from bytespan.config import TrainConfig
    from bytespan.neural.checkpoint import new_state, save_checkpoint

    state = new_state(model.config, model.vocabulary, TrainConfig())
    state.model.load_state_dict(model.state_dict())
    save_checkpoint(run / "best", state, TrainConfig(), resumable=False)


def test_what_rounding_costs_is_shown_for_each_file_and_task(run: Run, runs: Path) -> None:
    shown = run("export", "good", "out", "--precision", "int8", "--dev", "gold.jsonl", "--dev", "gold.jsonl")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines()]
    row = ["gold.jsonl", "tokens", "accuracy", "100.00", "100.00", "0.00"]
    assert lines[:2] == [["what", "int8", "costs"], ["file", "task", "figure", "fp32", "int8", "lost"]]
    assert lines.count(row) == 2
    assert (runs / "out" / "model.onnx").exists()


def test_an_export_that_costs_too_much_is_refused_and_forced(run: Run, runs: Path) -> None:
    before = sorted(path.name for path in runs.iterdir())
    call = ("export", "bad", "out", "--precision", "int8", "--dev", "gold.jsonl")
    refused = run(*call)
    assert refused.returncode == 1
    assert refused.stdout.startswith("what int8 costs\n")
    assert "on gold.jsonl, more" in refused.stderr
    assert refused.stderr.endswith("more than 0.3, so nothing was written: choose a finer precision, or give --force\n")
    assert refused.stderr.count("\n") == 1
    assert sorted(path.name for path in runs.iterdir()) == before
    forced = run(*call, "--force")
    assert (forced.returncode, forced.stdout, forced.stderr) == (0, refused.stdout, "")
    assert json.loads(run("info", "out", "--json").stdout)["precision"] == "int8"
    assert run("export", "bad", "half", "--dev", "gold.jsonl").returncode == 0


def test_a_run_knows_its_development_files(run: Run, runs: Path) -> None:
    (runs / "bad" / "dev.json").write_text(json.dumps([str(runs / "gold.jsonl")]), encoding="utf-8")
    for checkpoint in ("bad", "bad/best"):
        ended = run("export", checkpoint, "out", "--precision", "int8")
        assert ended.returncode == 1
        assert "int8 costs" in ended.stderr
    (runs / "gold.jsonl").unlink()
    ended = run("export", "bad", "out", "--precision", "int8")
    assert ended.returncode == 0
    absent, remedy = ended.stderr.splitlines()
    assert "gold.jsonl" in absent
    assert remedy == "bytespan: what int8 costs was not measured: give an annotated file with --dev FILE"


def test_exact_weights_cost_nothing_and_a_named_file_must_be_there(run: Run, runs: Path) -> None:
    ended = run("export", "bad", "out", "--precision", "fp32")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    ended = run("export", "bad", "other", "--precision", "int8", "--dev", "absent.conll")
    assert ended.returncode == 1
    assert "absent.conll" in ended.stderr
    assert not (runs / "other").exists()


def test_a_package_carries_text_of_the_files_that_are_named(run: Run, runs: Path) -> None:
    from bytespan.neural.rehearsal import read_sample
    from bytespan.package import SAMPLE_BYTES, read_package

    line = "Ana lebt in Bonn und mag es. "
    for name in ("one.txt", "two.txt"):
        (runs / name).write_text(f"{name}: {line * 5}\n" * 1000, encoding="utf-8")
    (runs / "columns.conll").write_text("Ana B-PER\nlebt O\nin O\nBonn B-LOC\n. O\n", encoding="utf-8")
    call = ("export", "good", "out", "--dev", "gold.jsonl", "--sample", "gold.jsonl")
    exported = run(*call, "--sample", "one.txt", "--sample", "two.txt", "--sample", "columns.conll")
    assert (exported.returncode, exported.stderr) == (0, "")
    texts = read_sample(read_package(runs / "out"))
    counts = [sum(text.count(name) for text in texts) for name in (b"one.txt", b"two.txt")]
    assert texts[-1] == b"Ana lebt in Bonn ."
    share = SAMPLE_BYTES // 4
    row = len(line) * 5 + len("one.txt: ")
    assert abs(counts[0] * row - share) <= row  # the last line may be cut
    assert abs(counts[0] - counts[1]) <= 1
    gold = [json.loads(row)["text"] for row in (runs / "gold.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [text.decode() for text in texts[: len(gold)]] == gold
    assert run("export", "good", "bare", "--dev", "gold.jsonl").returncode == 0
    assert read_sample(read_package(runs / "bare")) == []
    missing = run("export", "good", "other", "--dev", "gold.jsonl", "--sample", "missing.conll")
    assert missing.returncode == 1
    assert "missing.conll" in missing.stderr
    assert not (runs / "other").exists()


def test_a_generator_carries_no_text(run: Run, runs: Path, tiny_generator: "Generator") -> None:
    save_best(tiny_generator, runs / "generator")
    ended = run("export", "generator", "out", "--precision", "fp32", "--sample", "gold.jsonl")
    assert ended.returncode == 1
    assert "only a parallel decoder can be adapted: leave it out" in ended.stderr
    assert not (runs / "out").exists()


def test_models_that_tag_together_are_one_package(run: Run, runs: Path) -> None:
    options = ("--with", "good", "--with", "good/best", "--precision", "int8", "--dev", "gold.jsonl")
    assert run("export", "good", "all", *options).returncode == 0
    run("export", "good", "one", "--precision", "int8", "--dev", "gold.jsonl")
    shape = json.loads((runs / "all" / "config.json").read_text(encoding="utf-8"))["model"]
    assert shape["ensemble"] == 3
    sizes = [(runs / name / "model.onnx").stat().st_size for name in ("one", "all")]
    assert 2.8 < sizes[1] / sizes[0] < 3.2
    assert "3 models together" in (runs / "all" / "card.md").read_text(encoding="utf-8")
    tagged = [run("tag", "--model", name, "--format", "jsonl", "gold.jsonl").stdout for name in ("one", "all")]
    assert tagged[0] == tagged[1]
    adapted = run("adapt", "all", "--train", "gold.jsonl", "--output", "new")
    assert adapted.returncode == 1
    assert "an ensemble of 3 models is neither trained nor adapted" in adapted.stderr
    ended = run("export", "good", "other", "--with", "absent")
    assert ended.returncode == 1
    assert "absent" in ended.stderr

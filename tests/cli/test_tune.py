"""`bytespan tune`, and tagging with what it chose."""

import json
import re
import shutil
from pathlib import Path

import pytest

from bytespan.corpora.writing import write_documents
from bytespan.package import read_package
from bytespan.spans import Document
from cli.conftest import Run

UNSURE = "Angela México , viajó Merkel Paris ; Баха Ангела 東 京 x Мерк presidente El Paris ayer"


@pytest.fixture
def dev(tmp_path: Path, tiny_documents: list[Document]) -> Path:
    """What the tiny models know by heart, and a text that they are not sure of."""
    unsure = Document(UNSURE.encode(), {"entities": [], "tokens": []})
    with (tmp_path / "dev.jsonl").open("wb") as stream:
        write_documents([*tiny_documents, unsure], stream, format="jsonl")
    return tmp_path / "dev.jsonl"


@pytest.mark.parametrize("package", ["tiny_package", "tiny_parallel_package"])
def test_tuned_model_is_written_with_its_table_and_picture(
    run: Run, dev: Path, package: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model: Path = request.getfixturevalue(package)
    ended = run("tune", model, "--dev", dev, "--precision", "1", "--output", "tuned.zip")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0] == "tuned.zip: entities"
    assert lines[1].split() == ["spans", "threshold", "precision", "recall", "F1", "ECE"]
    assert re.fullmatch(r"before tuning +[\d.]+ +[\d.]+ +[\d.]+ +0\.\d{3}", lines[2])
    assert re.fullmatch(r"chosen +0\.\d\d +100\.00 +[\d.]+ +[\d.]+ +0\.\d{3}", lines[3])
    assert lines[-1] == "wrote tuned.zip and tuned-tuning.png"
    assert (tmp_path / "tuned-tuning.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(
        r"\ntuned +entities at threshold 0\.\d+: precision 100\.00, recall", run("info", "tuned.zip").stdout
    )
    again = run("evaluate", "-m", "tuned.zip", "--task", "entities", "--json", dev)
    assert json.loads(again.stdout)["precision"] == 100.0


def test_model_is_tuned_in_its_place_and_other_tasks_are_kept(
    run: Run, dev: Path, tiny_parallel_package: Path, tmp_path: Path
) -> None:
    assert run("tune", tiny_parallel_package, "--dev", dev, "-o", "model").returncode == 0
    before = read_package(tmp_path / "model")
    ended = run("tune", "model", "--dev", dev, "--task", "tokens", "--f-beta", "2", "--plot", "here.png")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "here.png").exists()
    after = read_package(tmp_path / "model")
    tasks = [json.loads(package.tuning or b"")["tasks"] for package in (before, after)]
    assert list(tasks[1]) == ["entities", "tokens"]
    assert tasks[1]["entities"] == tasks[0]["entities"]
    assert {name: data for name, data in after.files.items() if name != "tuning.json"} == {
        name: data for name, data in before.files.items() if name != "tuning.json"
    }


def test_tagging_looks_the_wanted_point_up(run: Run, dev: Path, tiny_parallel_package: Path) -> None:
    assert run("tune", tiny_parallel_package, "--dev", dev, "-o", "model").returncode == 0

    def spans(*options: object) -> list[dict[str, object]]:
        ended = run("tag", "-m", "model", "-f", "jsonl", "--task", "entities", *options, stdin=UNSURE)
        assert (ended.returncode, ended.stderr) == (0, "")
        found: list[dict[str, object]] = json.loads(ended.stdout)["entities"]
        return found

    precise, thorough = spans("--precision", "1"), spans("--threshold", "0.02")
    assert precise == []
    assert thorough
    assert len(spans("--threshold", "0.02", "--alternatives")) > len(thorough)
    assert len(spans("--recall", "0.9")) <= len(thorough)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--recall", "0.9"], "its entities were not tuned: run bytespan tune with a development file, or give a thr"),
        (["--precision", "0.9", "--threshold", "0.5"], "give one of --threshold, --precision and --recall"),
        (["--alternatives"], "--alternatives: --format text cannot hold spans that overlap: add --format jsonl"),
        (["--threshold", "2"], "threshold must be above 0 and below 1, got 2.0"),
        (["--threshold", "0.5", "--beam-size", "2"], "beam_size must be 1"),
    ],
    ids=str,
)
def test_wishes_that_cannot_be_met_are_one_sentence(
    run: Run, tiny_package: Path, options: list[str], sentence: str
) -> None:
    ended = run("tag", "-m", tiny_package, "--task", "entities", *options, stdin="text")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--recall", "0.9", "--precision", "0.9"], "give one of precision, recall and f_beta"),
        (["--task", "chunks"], "--task chunks: not one of this model's (tokens, entities)"),
        (["--output", "."], "not a model: it holds no config.json"),
        (["--plot", "nowhere/a.png"], "nowhere/a.png: cannot be written: No such file or directory"),
    ],
    ids=str,
)
def test_tuning_that_cannot_be_done_is_refused_and_leaves_the_model(
    run: Run, dev: Path, tiny_package: Path, options: list[str], sentence: str
) -> None:
    ended = run("tune", tiny_package, "--dev", dev, *(options if "--output" in options else [*options, "-o", "new"]))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (dev.parent / "new").exists()


def test_the_packaged_model_is_called_base_and_stays_as_it_is(run: Run, dev: Path, tmp_path: Path) -> None:
    ended = run("tune", "base", "--dev", dev)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the packaged model stays as it is: say with --output where the tuned one goes" in ended.stderr
    assert run("tune", "base", "--dev", dev, "--output", "tuned").returncode == 0
    assert read_package(tmp_path / "tuned").provenance.name == "base"


def test_a_model_of_ones_own_may_be_called_base(run: Run, tiny_parallel_package: Path, tmp_path: Path) -> None:
    assert run("info", "base").stdout == run("info").stdout
    shutil.copytree(tiny_parallel_package, tmp_path / "base")
    assert run("info", "base").stdout == run("info", tmp_path / "base").stdout.replace(str(tmp_path / "base"), "base")


def test_development_file_without_the_task_is_named(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text('{"text": "no names", "entities": []}\n', encoding="utf-8")
    ended = run("tune", tiny_package, "--dev", "empty.jsonl", "-o", "new")
    assert ended.returncode == 1
    assert "empty.jsonl: holds no entities but nothing: give another file or --task" in ended.stderr

"""Packages side by side on development files."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import bytespan
from bytespan.corpora.reading import read_documents
from programs import program_of

RECIPES = Path(__file__).parent.parent / "recipes"

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")

TREEBANK = "1\tShe\t_\tPRON" + "\t_" * 6 + "\n2\tsleeps\t_\tNOUN" + "\t_" * 6 + "\n\n"
COLUMNS = "Angela B-PER\nMerkel I-PER\nvisited O\nParis B-PER\n. O\n\n"


@pytest.fixture(scope="module")
def development() -> ModuleType:
    return program_of(RECIPES, "development")


@pytest.fixture
def data(tmp_path: Path, development: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two treebanks and two files of names; half of what they say is wrong."""
    for name, text in (
        ("pos/en/dev.conllu", TREEBANK),
        ("pos/xx/dev.conllu", TREEBANK.replace("NOUN", "VERB")),
        ("ner/yy/dev.conll", COLUMNS),
        ("ner/zz/dev.conll", COLUMNS.replace("Paris B-PER", "Paris B-LOC")),
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(development, "UNSEEN", ("zz",))
    row = {"text": "Angela Merkel sleeps.", "entities": [{"start": 0, "end": 13, "label": "PER"}]}
    (tmp_path / "ours.jsonl").write_text(f"{json.dumps(row)}\n")
    monkeypatch.setattr(development, "OURS", tmp_path / "ours.jsonl")
    return tmp_path


def test_words_and_names_have_a_figure_a_file_and_one_together(development: ModuleType, data: Path) -> None:
    asked: list[str] = []
    files = ["pos/en/dev.conllu", "pos/xx/dev.conllu", "ner/yy/dev.conll"]
    found = development.measure(bytespan.load(threads=1), files, data, asked.append)
    assert asked == [*files, "zz"]
    assert found["pos/en/dev.conllu"] == found["words, mean of the 13"] == 50
    assert found["pos/xx/dev.conllu"] == found["words, mean of the others"] == 100
    assert found["ner/yy/dev.conll"] == found["names, together"] == pytest.approx(200 / 3)  # a place counts for nothing
    assert found["ner/zz, closed up"] == found["ours.jsonl"] == found["names beside these, together"] == 100


def test_names_of_ours_to_choose_by_are_none_of_the_sample_and_none_that_is_told(development: ModuleType) -> None:
    ours, sample = (
        {
            document.data[span.start : span.end]
            for document in read_documents(path)
            for span in document.spans["entities"]
        }
        for path in (development.OURS, RECIPES.parent / "examples" / "languages-names.jsonl")
    )
    told = {name for path in (RECIPES / "institutions").glob("*.txt") for name in path.read_bytes().splitlines()}
    passages = map(program_of(RECIPES, "swaps").read_written, (RECIPES / "written").glob("*.txt"))
    told |= {
        document.data[span.start : span.end]
        for documents in passages
        for document in documents
        for span in document.spans["entities"]
    }
    assert len(ours) > 150
    assert [name.decode() for name in sorted(ours & (sample | told))] == []


def test_the_threshold_is_the_best_for_all_files_together(development: ModuleType) -> None:
    sure = development.Found(np.array([0.9, 0.6]), np.array([True, False]), 1)
    unsure = development.Found(np.array([0.5, 0.4, 0.3]), np.array([True, True, False]), 2)
    threshold, f1 = development.best_together([sure, unsure])
    assert 0.3 < threshold <= 0.4
    assert f1 == pytest.approx(600 / 7)
    assert sure.f1(0.7) == 100
    assert unsure.f1(0.95) == 0


def test_packages_stand_side_by_side_and_what_is_missing_is_named(
    development: ModuleType, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert development.page({"one": {"words": 1.0}, "two": {"words": 2.5}}).splitlines()[::2] == [
        "|  | one | two |",
        "| words | 1.00 | 2.50 |",
    ]
    monkeypatch.setattr(sys, "argv", ["development.py", "base", "--data", str(data / "none"), "--threads", "1"])
    with pytest.raises(SystemExit, match=r"^development: .*none.*: no such file"):
        development.main()
    assert "base pos/bg/dev.conllu" in capsys.readouterr().err

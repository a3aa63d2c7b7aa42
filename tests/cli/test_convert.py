"""`bytespan convert`; what each format can hold is tested in tests/corpora."""

import json
from pathlib import Path

import pytest

from cli.conftest import Run

COLUMNS = "-DOCSTART- O\n\nAda B-PER\nLovelace I-PER\nsings O\n\n"


@pytest.fixture(autouse=True)
def columns(tmp_path: Path) -> None:
    (tmp_path / "gold.conll").write_text(COLUMNS, encoding="utf-8")


def test_formats_are_told_by_name(run: Run, tmp_path: Path) -> None:
    assert run("convert", "gold.conll", "gold.jsonl").returncode == 0
    line = json.loads((tmp_path / "gold.jsonl").read_text(encoding="utf-8"))
    assert line["text"] == "Ada Lovelace sings"
    assert [(span["start"], span["end"], span["label"]) for span in line["entities"]] == [(0, 12, "PER")]
    assert run("convert", "gold.jsonl", "again.conll").returncode == 0
    assert (tmp_path / "again.conll").read_text(encoding="utf-8") == COLUMNS


@pytest.mark.parametrize("format", ["doccano", "prodigy", "spacy", "jsonl", "conllu", "conll"])
def test_dashes_are_standard_input_and_output(run: Run, format: str) -> None:
    there = run("convert", "-", "-", "--from", "conll", "--to", format, stdin=COLUMNS)
    assert there.returncode == 0
    if format != "conllu":  # which holds entities in MISC, for others to read
        back = run("convert", "-", "-", "--from", format, "--to", "conll", stdin=there.stdout)
        assert back.stdout == COLUMNS


def test_brat_is_a_directory(run: Run, tmp_path: Path) -> None:
    assert run("convert", "gold.conll", "brat", "--to", "brat").returncode == 0
    assert {path.suffix for path in (tmp_path / "brat").iterdir()} == {".txt", ".ann"}
    assert run("convert", "brat", "-", "--to", "conll").stdout == COLUMNS


def test_columns_may_stand_in_any_order(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.conll").write_text("B-PER NOUN Ada\n", encoding="utf-8")
    ended = run(
        "convert", "odd.conll", "-", "--to", "conll", "--token-column", "2", "--pos-column", "1", "--tag-column", "0"
    )
    assert ended.stdout == "-DOCSTART- _ O\n\nAda NOUN B-PER\n\n"


def test_a_format_of_one_task_asks_for_it(run: Run, tmp_path: Path) -> None:
    two = {"text": "Ada", "tokens": [{"start": 0, "end": 3, "label": "NOUN"}], "entities": [[0, 3, "PER"]]}
    ended = run("convert", "-", "-", "--from", "jsonl", "--to", "doccano", stdin=json.dumps(two))
    assert ended.returncode == 1
    assert "name it with --task" in ended.stderr
    ended = run("convert", "-", "-", "--from", "jsonl", "--to", "doccano", "--task", "tokens", stdin=json.dumps(two))
    assert json.loads(ended.stdout)["label"] == [[0, 3, "NOUN"]]


def test_skipped_sentences_are_counted(run: Run) -> None:
    ended = run(
        "convert", "-", "-", "--from", "conll", "--to", "conll", "--on-error", "skip", stdin=f"bad\n\n{COLUMNS}"
    )
    assert (ended.returncode, ended.stdout) == (0, COLUMNS)
    assert ended.stderr.endswith("bytespan: skipped 1 that could not be read\n")

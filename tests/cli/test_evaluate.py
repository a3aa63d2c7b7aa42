"""`bytespan evaluate`: the figures of the project's scorer, and what is wrong where."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bytespan.corpora.writing import write_documents
from bytespan.spans import Document, Span
from cli.conftest import COMMAND, Golden, Run, environment

SHARED = Path(__file__).parent.parent.parent.parent / "shared"
SCORER = SHARED / "score" / "score.py"


@pytest.fixture
def gold(tmp_path: Path, tiny_documents: list[Document]) -> Path:
    """What the tiny model knows by heart, changed so that it makes an error of each kind."""
    document = tiny_documents[0]
    tokens, entities = document.spans["tokens"], document.spans["entities"]
    changed = Document(
        document.data,
        {
            "tokens": [Span(0, 6, "NOUN"), *tokens[1:]],
            "entities": [Span(0, 6, "PER"), *(Span(s.start, s.end, "PER") for s in entities[1:])],
        },
    )
    missed = Document(tiny_documents[-1].data, {"tokens": [], "entities": [Span(3, 8, "LOC")]})
    spurious = Document(tiny_documents[2].data, {"entities": []})
    path = tmp_path / "gold.jsonl"
    with path.open("wb") as stream:
        write_documents([changed, *tiny_documents[1:2], missed, spurious], stream, format="jsonl")
    return path


def test_the_tables_look_as_agreed(run: Run, tiny_package: Path, gold: Path, golden: Golden) -> None:
    ended = run("evaluate", "-m", tiny_package, "--errors", "9", gold.name)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines(keepends=True)
    golden(
        "evaluated.txt", "".join(line.partition(" in ")[0] + "\n" if " bytes in " in line else line for line in lines)
    )


def test_json_holds_the_figures_and_the_errors(run: Run, tiny_package: Path, gold: Path) -> None:
    ended = run("evaluate", "-m", tiny_package, "--json", "--errors", "1", gold.name)
    tokens, entities = map(json.loads, ended.stdout.splitlines())
    assert (tokens["task"], tokens["documents"], tokens["spans"]) == ("tokens", 3, 12)
    assert (tokens["accuracy"], tokens["token_f1"], tokens["upos_f1"]) == (91.67, 88.89, 81.48)
    assert (entities["precision"], entities["recall"], entities["f1"]) == (25.0, 25.0, 25.0)
    assert entities["labels"]["LOC"] == {"precision": 33.33, "recall": 50.0, "f1": 40.0, "gold": 2}
    (error,) = entities["errors"]
    assert (error["kind"], error["document"]) == ("wrong bounds", 1)
    assert (error["gold"]["text"], error["predicted"]["text"]) == ("Angela", "Angela Merkel")


def test_only_the_labels_to_keep_count(run: Run, tiny_package: Path, gold: Path) -> None:
    ended = run("evaluate", "-m", tiny_package, "--json", "--task", "entities", "--keep", "LOC", gold.name)
    report = json.loads(ended.stdout)
    assert list(report["labels"]) == ["LOC"]
    assert report["spans"] == 2


@pytest.mark.skipif(not SCORER.exists(), reason="the scorer lies beside the project, not in it")
@pytest.mark.parametrize(
    ("kind", "task", "format", "keep"),
    [("ner", "entities", "conll", None), ("ner", "entities", "conll", "LOC"), ("pos", "tokens", "conllu", None)],
)
def test_the_scorer_gives_the_same_figures(
    run: Run,
    tiny_package: Path,
    tiny_documents: list[Document],
    tmp_path: Path,
    kind: str,
    task: str,
    format: str,
    keep: str,
) -> None:
    documents = [Document(d.data, {task: d.spans[task]}) for d in tiny_documents]
    wrong = [Span(s.start, s.end, "LOC" if task == "entities" else "X") for s in documents[0].spans[task]]
    documents[0] = Document(documents[0].data, {task: wrong[:-1]})
    gold = tmp_path / f"gold.{format}"
    with gold.open("wb") as stream:
        write_documents(documents, stream, format=format)
    keeping = ["--keep", keep] if keep else []
    scored = subprocess.run(
        [sys.executable, SCORER, kind, gold, *keeping, "--", *COMMAND, "tag", "-m", tiny_package, "-f", "jsonl"],
        stdout=subprocess.PIPE, check=True, env=environment(),
    )  # fmt: skip
    theirs = json.loads(scored.stdout)
    ours = json.loads(run("evaluate", "-m", tiny_package, "--json", "--task", task, *keeping, gold).stdout)
    same = theirs.keys() - {"task", "seconds", "bytes_per_second"}
    assert same >= ({"f1", "labels"} if task == "entities" else {"accuracy", "token_f1", "upos_f1"})
    assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
    assert 0 < theirs["f1" if task == "entities" else "accuracy"] < 100

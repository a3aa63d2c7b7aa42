"""The programs that answer the open questions, run in small."""

from functools import partial
from pathlib import Path

import pytest

import bytespan
from bytespan.corpora.writing import write_documents
from bytespan.spans import Document, Span
from programs import program_of

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes"

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")


program = partial(program_of, RECIPES)


@pytest.mark.parametrize("package", ["tiny_package", "tiny_parallel_package"])
def test_recall_is_raised_priced_told_and_drawn(
    package: str,
    request: pytest.FixtureRequest,
    tiny_documents: list[Document],
    tmp_path: Path,
) -> None:
    recall = program("recall")
    hidden = Document("Мерк viajó ; no names here 東 京".encode(), {"entities": [Span(16, 21, "LOC")]})
    gold = [*tiny_documents, hidden]
    for part in ("dev", "test"):
        with (tmp_path / f"{part}.jsonl").open("wb") as stream:
            write_documents(gold, stream, format="jsonl")
    files = {"xx": (tmp_path / "dev.jsonl", tmp_path / "test.jsonl")}
    tagger = bytespan.load(request.getfixturevalue(package))
    result = recall.measure_recall(tagger, files)
    row = result["languages"]["xx"]
    assert row["before"]["dev"] == row["before"]["test"]
    for step in row["raised"]:
        assert step["dev"] == step["test"]
        assert step["test"]["recall"] >= row["before"]["test"]["recall"]
    assert 0.8 < row["before"]["test"]["recall"] < 1
    assert row["highest_recall"]["alternatives"] >= row["highest_recall"]["flat"]
    assert 0 <= row["ece"]["calibrated"] <= 1
    assert recall.measure_recall(tagger, files, documents=2)["documents"] == 2
    results = {"conll-parallel": result}
    section = recall.section(results)
    assert "| xx | " in section
    assert "None" not in section
    recall.draw(tmp_path / "questions" / "recall.png", results)
    assert (tmp_path / "questions" / "recall.png").read_bytes().startswith(b"\x89PNG")


def test_the_section_on_recall_is_what_the_result_files_say() -> None:
    recall = program("recall")
    results = recall.read_results(RECIPES / "results" / "questions")
    assert results
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    assert recall.section(results) in page, "run python recipes/questions.py recall"
    assert (ROOT / "docs" / "questions" / "recall.png").exists()


def test_a_section_is_written_in_its_place_and_the_others_stay(tmp_path: Path) -> None:
    questions = program("questions")
    page = tmp_path / "questions.md"
    questions.write_section(page, "2. Later", "## 2. Later\n\nsecond\n")
    questions.write_section(page, "1. First", "## 1. First\n\nold\n")
    questions.write_section(page, "1. First", "## 1. First\n\nnew\n")
    assert page.read_text(encoding="utf-8") == questions.HEAD + "\n## 1. First\n\nnew\n\n## 2. Later\n\nsecond\n"

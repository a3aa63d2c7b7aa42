"""The program that says what cells represent, run in small, and the page that it writes."""

import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("sklearn", reason="needs the extra inspect")

from bytespan.corpora.writing import write_documents
from bytespan.spans import Document

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes"

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")


@pytest.fixture(scope="module")
def cells() -> ModuleType:
    """The module of recipes/, which is no package."""
    sys.path.insert(0, str(RECIPES))
    try:
        return __import__("cells")
    finally:
        sys.path.remove(str(RECIPES))


@pytest.mark.slow
def test_a_model_is_looked_into_told_of_and_drawn(
    cells: ModuleType, tiny_parallel_package: Path, tiny_documents: list[Document], tmp_path: Path
) -> None:
    for name, number in (("de", 0), ("ru", 3)):
        with (tmp_path / f"{name}.jsonl").open("wb") as stream:
            write_documents([tiny_documents[number]] * 60, stream, format="jsonl")
    models = {"tiny": ("the parallel decoder", tiny_parallel_package, "{}.jsonl", ("de", "ru"))}
    arguments = Namespace(model=None, data=tmp_path, threads=1)
    (tmp_path / "results").mkdir()
    places = {"results": tmp_path / "results", "pictures": tmp_path / "pictures"}
    section = cells.answer(arguments, **places, models=models)
    assert section.startswith(f"## {cells.TITLE}\n")
    assert "The parallel decoder (`tiny`), labels: part of speech:" in section
    assert "**The claim " in section
    assert "None" not in section
    assert (tmp_path / "pictures" / "cells.png").read_bytes().startswith(b"\x89PNG")
    assert cells.section(cells.read_results(tmp_path / "results", models), models) == section


def test_the_section_on_cells_is_what_the_result_files_say(cells: ModuleType) -> None:
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    section = cells.section(cells.read_results(RECIPES / "results" / "questions"))
    assert section.rstrip("\n") in page, "run python recipes/questions.py cells"
    names = [line.partition("(questions/")[2].rstrip(")") for line in section.split("\n") if line.startswith("![")]
    assert names
    assert [name for name in names if not (ROOT / "docs" / "questions" / name).exists()] == []

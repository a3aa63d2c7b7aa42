"""`bytespan adapt`: what it prints, writes and refuses."""

from pathlib import Path

import pytest

from bytespan.neural.rehearsal import read_sample
from bytespan.package import read_package
from bytespan.tagger import PACKAGED_MODEL
from cli.conftest import Run

MEALS = "".join(f"{who} O\nate O\n{dish} B-DISH\n. O\n\n" for who in ("Ana", "Bo", "Chi") for dish in ("pho", "ramen"))
KNOWN = "Angela B-PER\nMerkel I-PER\nbesuchte O\nParis B-LOC\n. O\n\n"


@pytest.fixture
def meals(tmp_path: Path) -> str:
    """An annotated file with a label that the tiny model does not know, of forty lines."""
    (tmp_path / "meals.conll").write_text(7 * MEALS, encoding="utf-8")
    return "meals.conll"


def test_adapting_shows_scores_before_and_after_and_writes_a_model_that_tags(
    run: Run, tiny_parallel_package: Path, meals: str, tmp_path: Path
) -> None:
    (tmp_path / "old.conll").write_text(KNOWN, encoding="utf-8")
    options = ("--keep", "old.conll", "--language", "en", "--sample", meals, "--threads", 1)
    ended = run("adapt", tiny_parallel_package, "--train", meals, *options, "--output", "new.zip")
    assert ended.returncode == 0, ended.stderr
    title, head, *rows = (line.split() for line in ended.stdout.splitlines())
    assert " ".join(title) == "accuracy of tokens, F1 of the others"
    assert head == ["text", "task", "before", "after", "change"]
    assert rows[0][:-4] == ["every", "20th", "line,", "held", "out"]
    assert rows[0][-4:-2] == ["entities", "0.00"]
    assert rows[1][:3] == ["old.conll", "entities", "100.00"]
    assert len(rows) == 2
    assert "new.zip is under the licence of" in ended.stderr
    assert "MIT; see to it that the new data allow that" in ended.stderr
    assert "Traceback" not in ended.stderr
    package = read_package(tmp_path / "new.zip")
    assert (package.provenance.name, package.provenance.languages) == ("new", ("en",))
    assert package.weights is not None  # as the old one
    known, texts = read_sample(read_package(PACKAGED_MODEL)), read_sample(package)  # the old one carries none
    assert texts[: len(known)] == known
    assert b"\n".join(texts[len(known) :]).startswith(b"Ana ate pho .\nAna ate ramen .")
    assert run("tag", "--model", "new.zip", stdin="Ana ate pho.").returncode == 0


def test_folder_that_is_no_model_is_refused_before_any_training(
    run: Run, tiny_parallel_package: Path, meals: str, tmp_path: Path
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work", encoding="utf-8")
    ended = run("adapt", tiny_parallel_package, "--train", meals, "--output", "thesis")
    assert ended.returncode == 1
    assert "thesis: holds no model" in ended.stderr
    assert "step" not in ended.stderr
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_what_cannot_be_adapted_is_refused_in_one_sentence(run: Run, tiny_package: Path, meals: str) -> None:
    for model, sentence in ((tiny_package, "only a parallel decoder can be adapted"), ("absent", "no such model")):
        ended = run("adapt", model, "--train", meals, "--output", "new")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert sentence in ended.stderr
        assert ended.stderr.count("\n") == 1

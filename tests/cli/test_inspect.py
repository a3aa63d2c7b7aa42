"""`bytespan inspect`: what it writes, and what it says when there is nothing to look at."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="needs the extra inspect")

from bytespan.corpora.writing import write_documents
from bytespan.spans import Document
from cli.conftest import Run

PICTURES = {"activations.png", "probes.png", "clusters.png", "map.png"}
PLAIN = {"activations.png", "probes.png", "figures.json", "report.html"}


@pytest.fixture
def files(tmp_path: Path, tiny_documents: list[Document]) -> list[str]:
    """Two annotated files, one of Latin letters, the other of Cyrillic ones."""
    for name, numbers in (("de", (0, 1, 5)), ("ru", (3,))):
        with (tmp_path / f"{name}.jsonl").open("wb") as stream:
            sentences = [tiny_documents[i] for i in numbers for _ in range(60 // len(numbers))]
            write_documents(sentences, stream, format="jsonl")
    return ["de.jsonl", "ru.jsonl"]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny_package", "tiny_parallel_package"])
def test_a_report_pictures_and_figures_are_written(
    run: Run,
    files: list[str],
    model: str,
    request: pytest.FixtureRequest,
    tiny_documents: list[Document],
    tmp_path: Path,
) -> None:
    shown = run("inspect", request.getfixturevalue(model), *files, "--output", "cells", "--threads", 1)
    assert (shown.returncode, shown.stdout) == (0, "")
    assert shown.stderr == "bytespan: open cells/report.html\n"
    written = {path.name: path.read_bytes() for path in (tmp_path / "cells").iterdir()}
    assert set(written) == PICTURES | {"figures.json", "report.html"}
    assert all(written[name].startswith(b"\x89PNG") for name in PICTURES)
    page = written["report.html"].decode()
    assert page.count("src=") == page.count('src="data:image/png;base64,') == 3
    shown_text = re.sub(r"<[^>]*>", "", page)
    assert any(tiny_documents[i].text in shown_text for i in (0, 1, 5))
    assert tiny_documents[3].text in shown_text
    assert "by chance" in shown_text
    figures = json.loads(written["figures.json"])
    assert list(figures["positions"]) == ["de", "ru"]
    assert figures["label"] == "part of speech"
    layers = figures["probes"]["script"]["layers"]
    assert layers["layer 1"]["accuracy"] > 0.9
    assert all(cell["auc"] > 0.9 for cell in figures["cells"]["script"])
    assert figures["clusters"].keys() == layers.keys()


def test_plain_text_is_asked_what_needs_no_annotation(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    text = 'Ada saw "Ulm and Rome" in 1999.\nNo 12 names here\n' * 60
    shown = run("inspect", tiny_package, "--format", "text", "-o", "cells", stdin=text)
    assert (shown.returncode, shown.stdout) == (0, "")
    assert {path.name for path in (tmp_path / "cells").iterdir()} == PLAIN
    figures = json.loads((tmp_path / "cells" / "figures.json").read_text(encoding="utf-8"))
    assert set(figures["probes"]) == {"word end", "capital", "digit", "in quotes"}
    assert (figures["label"], figures["clusters"]) == (None, {})
    assert "takes annotated files of two or more languages" in (tmp_path / "cells" / "report.html").read_text("utf-8")


def test_languages_are_named_by_the_argument_else_by_file_or_folder(tmp_path: Path) -> None:
    from bytespan.cli.inspect import name_files

    assert name_files(["en=a/dev.txt", "b/dev.txt", "c/sv.conllu.gz"]) == [
        ("en", "a/dev.txt"),
        ("b", "b/dev.txt"),
        ("sv", "c/sv.conllu.gz"),
    ]
    assert name_files(["-"]) == [("-", "-")]
    odd = tmp_path / "a=b.txt"
    odd.touch()
    assert name_files([str(odd)]) == [("a=b", str(odd))]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("tiny few.txt -o cells", "the files hold too little text to ask anything of the states"),
        ("tiny absent.txt -o cells", "absent.txt"),
        ("absent few.txt -o cells", "absent: no such model"),
        ("tiny few.txt -o few.txt", "few.txt: cannot be written: File exists"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_one_sentence(
    run: Run, tiny_package: Path, tmp_path: Path, arguments: str, sentence: str
) -> None:
    (tmp_path / "tiny").symlink_to(tiny_package)
    (tmp_path / "few.txt").write_text("few words\n", encoding="utf-8")
    ended = run("inspect", *arguments.split())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not list(tmp_path.glob("cells/*"))


def test_a_missing_extra_is_named_in_one_line(tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("some words\n", encoding="utf-8")
    blocked = "import sys; sys.modules['sklearn'] = None; from bytespan.cli.app import app; "
    code = blocked + f"app(['inspect', {str(tiny_package)!r}, 'some.txt', '--output', 'cells'])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 1
    assert "pip install 'bytespan[inspect]'" in ended.stderr
    assert ended.stderr.count("\n") == 1

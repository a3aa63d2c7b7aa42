"""Every file of the shared data, and any other, is read as the scorer reads it, and without a loss."""

import gzip
import importlib.util
import re
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bytespan.corpora.columns import read_columns
from bytespan.corpora.conllu import read_conllu
from bytespan.corpora.reading import read_documents
from bytespan.spans import ENTITIES, TOKENS, Document
from strategies import words

SHARED = Path(__file__).parents[3] / "shared"
DATA = SHARED / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the shared corpora are not in {DATA}")

COLUMN_FILES = sorted(DATA.glob("ner/**/*.conll"))
CONLLU_FILES = sorted(DATA.glob("pos/*/*.conllu*"))
NATURAL_FILES = sorted(DATA.glob("ner/**/*.natural.jsonl"))


def marked(files: list[Path]) -> list[object]:
    """The files as parameters; training files are slow."""
    return [
        pytest.param(path, id=str(path.relative_to(DATA)), marks=[pytest.mark.slow] if "train" in path.name else [])
        for path in files
    ]


@cache
def scorer() -> ModuleType:
    specification = importlib.util.spec_from_file_location("score", SHARED / "score" / "score.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@cache
def published_counts() -> dict[tuple[str, str], dict[str, str]]:
    """Folder and split -> the row of sizes in the data's README, by the header of its column."""
    counts: dict[tuple[str, str], dict[str, str]] = {}
    header: list[str] = []
    for line in (DATA / "README.md").read_text(encoding="utf-8").split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[:2] == ["folder", "split"]:
            header = cells
        elif header and len(cells) == len(header) and "/" in cells[0]:
            counts[cells[0], cells[1].removesuffix(" (gz)")] = dict(zip(header, cells, strict=True))
        elif not line.startswith("|"):
            header = []
    assert len(counts) > 100
    return counts


def counts_of(path: Path) -> dict[str, str]:
    return published_counts()[str(path.parent.relative_to(DATA)), path.name.split(".")[0]]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def triples(document: Document, task: str) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label) for span in document.spans[task]]


@pytest.mark.parametrize("path", marked(COLUMN_FILES))
def test_columns_are_read_as_the_scorer_reads_them_and_counted_as_published(path: Path) -> None:
    documents = list(read_documents(path, pos_column=0))
    assert [(d.data, triples(d, ENTITIES)) for d in documents] == list(scorer().read_conll(str(path)))
    published = counts_of(path)
    line_ends = sum(document.data.count(b"\n") for document in documents)
    assert len(documents) + line_ends == number(published["sentences"])
    # published with a line end after every sentence, where a document has them between two
    assert sum(len(document.data) + 1 for document in documents) == number(published["text bytes"])
    assert sum(len(document.spans[TOKENS]) for document in documents) == number(published["tokens"])
    assert sum(len(document.spans[ENTITIES]) for document in documents) == number(published["entities"])
    classes = Counter(span.label for document in documents for span in document.spans[ENTITIES])
    assert classes == {label: number(count) for label, count in re.findall(r"(\w+) ([\d,]*\d)", published["by class"])}


@pytest.mark.parametrize("path", marked(CONLLU_FILES))
def test_conllu_is_read_as_the_scorer_reads_it_and_counted_as_published(path: Path, tmp_path: Path) -> None:
    plain = path
    if path.suffix == ".gz":  # which the scorer does not read
        plain = tmp_path / path.stem
        plain.write_bytes(gzip.decompress(path.read_bytes()))
    documents = list(read_documents(path))
    assert [(d.data, triples(d, TOKENS)) for d in documents] == list(scorer().read_conllu(str(plain)))
    published = counts_of(path)
    labels = [span.label for document in documents for span in document.spans[TOKENS]]
    assert sum(label.count("+") + 1 for label in labels) == number(published["words"])
    assert sum("+" in label for label in labels) == number(published["multiword"])
    # between sentences stands a space, or two line ends, which no sentence holds
    separators = number(published["sentences"]) - len(documents) + sum(d.data.count(b"\n\n") for d in documents)
    assert sum(len(document.data) for document in documents) - separators == number(published["text bytes"])


COLUMN_LINES = st.builds(
    "{}{}{}".format,
    words,
    st.sampled_from([" ", "\t", " X\u00a0", "\u3000"]),
    st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "I-A-B"]),
) | st.sampled_from(["", "", "", " ", "\x0c", "-DOCSTART- O", "-DOCSTART-X O", "\u2028"])


@given(st.lists(COLUMN_LINES, min_size=1, max_size=60), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_columns_are_read_as_the_scorer_reads_them(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("columns") / "file.conll"
    path.write_bytes(end.join(lines if cut else [*lines, "", ""]).encode())
    assume(path.stat().st_size and not path.read_bytes().startswith(b"\xef\xbb\xbf"))
    documents = read_columns(path)
    assert [(d.data, triples(d, ENTITIES)) for d in documents] == list(scorer().read_conll(str(path)))


@st.composite
def conllu_blocks(draw: st.DrawFn) -> str:
    """A sentence of words and multiword tokens, with or without its text, and with comments among them."""
    comments = draw(st.lists(st.sampled_from(["# newdoc", "# newpar", "# newdoc id = 1", "# sent_id = 2"]), max_size=2))
    rows, text, word = [], "", 1
    for form in draw(st.lists(words | st.just("a b"), max_size=4)):
        size, misc = draw(st.integers(1, 3)), draw(st.sampled_from(["_", "SpaceAfter=No", "SpaceAfter=No|X=Y"]))
        if size > 1:
            rows.append(f"{word}-{word + size - 1}\t{form}\t_\t_\t_\t_\t_\t_\t_\t{misc}")
        surface = ["_"] * size if size > 1 else [form]
        rows += [f"{word + i}\t{part}\t_\tX{i}\t_\t_\t_\t_\t_\t{misc}" for i, part in enumerate(surface)]
        rows += [f"{word}.1\tempty\t_\tX\t_\t_\t_\t_\t_\t_"] * draw(st.integers(0, 1))
        text += form + draw(st.sampled_from(["", " ", "  ", "\u00a0"]))
        word += size
    comments += [f"# text = {text}"] * draw(st.integers(0, 1))
    return "\n".join([*comments, *rows])


@given(st.lists(conllu_blocks(), min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]), st.integers(0, 3))
def test_any_conllu_is_read_as_the_scorer_reads_it(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[str], end: str, last: int
) -> None:
    path = tmp_path_factory.mktemp("conllu") / "file.conllu"
    path.write_bytes(("\n\n".join(blocks) + "\n" * last).replace("\n", end).encode())
    assume(path.stat().st_size)
    documents = read_conllu(path)
    assert [(d.data, triples(d, TOKENS)) for d in documents] == list(scorer().read_conllu(str(path)))


@pytest.mark.parametrize("path", marked(NATURAL_FILES))
def test_natural_json_lines_are_read_as_the_scorer_reads_them(path: Path) -> None:
    documents = list(read_documents(path))
    assert [(d.data, triples(d, ENTITIES)) for d in documents] == list(scorer().read_jsonl(str(path), ENTITIES))
    assert documents[0].identifier == 0

"""brat standoff: pairs of files."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.corpora.brat import read_brat, write_brat
from bytespan.corpora.jsonlines import read_json_lines
from bytespan.corpora.lines import Skipped
from bytespan.errors import CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document, Span
from strategies import documents

SAMPLES = Path(__file__).parents[1] / "samples"


def pair(folder: Path, text: str, annotations: str, name: str = "a") -> Path:
    (folder / f"{name}.txt").write_text(text, encoding="utf-8", newline="")
    path = folder / f"{name}.ann"
    path.write_text(annotations, encoding="utf-8", newline="")
    return path


def test_sample_directory_gives_the_same_documents_as_json_lines() -> None:
    expected = sorted(read_json_lines(SAMPLES / "ours.jsonl"), key=lambda document: str(document.identifier))
    assert list(read_brat(SAMPLES / "brat")) == expected


def test_one_pair_is_read_by_either_name_and_a_directory_with_those_below(tmp_path: Path) -> None:
    pair(tmp_path, "Rome", "T1\tLOC 0 4\tRome\n")
    (tmp_path / "deep").mkdir()
    pair(tmp_path / "deep", "x", "", name="b")
    for name in ("a.ann", "a.txt"):
        (document,) = read_brat(tmp_path / name)
        assert document == Document(b"Rome", {ENTITIES: [Span(0, 4, "LOC")]}, identifier="a")
    assert [document.identifier for document in read_brat(tmp_path)] == ["a", "deep/b"]


def test_text_keeps_its_line_ends_and_offsets_count_characters(tmp_path: Path) -> None:
    (document,) = read_brat(pair(tmp_path, "é\r\n😀 Rome\n", "\ufeffT1\tLOC 5 9\tRome\r\n"))
    assert document.data == "é\r\n😀 Rome\n".encode()
    assert [span.text for span in document.entities] == ["Rome"]


def test_fragments_apart_by_white_space_are_one_span(tmp_path: Path) -> None:
    (document,) = read_brat(pair(tmp_path, "New\n York", "T1\tLOC 0 3;5 9\tNew York\n"))
    assert document.spans[ENTITIES] == (Span(0, 9, "LOC"),)


def test_relations_events_attributes_notes_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    others = ["R1\tIn Arg1:T1 Arg2:T1", "E1\tX:T1", "A1\tN E1", "M1\tN E1", "N1\tReference T1 Wiki:1", "#1\tNote T1\tx"]
    (document,) = read_brat(pair(tmp_path, "Rome", "\n".join([*others, "*\tEquiv T1 T1", "", "T1\tLOC 0 4"])))
    assert document.spans[ENTITIES] == (Span(0, 4, "LOC"),)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("T1\tLOC 0 4;8 9\tRome e", "has fragments with text between them: make them spans of their own"),
        ("T1\tLOC 5 6;0 4\tx", "has fragments with text between them"),
        ("T1\tLOC 0 99\tRome", "span 0..99 (LOC) is empty or outside of the text's 13 characters"),
        ("T1\tLOC 4 4\t", "span 4..4 (LOC) is empty or outside"),
        ("T1\tLOC 0 5\tParis", "does not fit the text, which has 'Rome ' there: has the .txt changed since?"),
        ("T1\tLOC zero 4\tRome", "is no text-bound annotation: write it as T1<TAB>LABEL START END<TAB>TEXT"),
        ("T1\tLOC 0 4.5\tRome", "is no text-bound annotation"),
        ("T1 LOC 0 4 Rome", "is no text-bound annotation"),
        ("T1", "is no text-bound annotation"),
        ("LOC 0 4", "is no brat annotation: begin it with T1"),
    ],
)
def test_a_bad_annotation_is_named_and_costs_its_document_where_it_may(
    tmp_path: Path, annotation: str, message: str
) -> None:
    pair(tmp_path, "Rome or Paris", f"T9\tLOC 8 13\tParis\n{annotation}\n")
    pair(tmp_path, "fine", "", name="b")
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        list(read_brat(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path / 'a.ann'}:2: ")
    skipped = Skipped()
    assert [document.text for document in read_brat(tmp_path, on_error=skipped)] == ["fine"]
    assert skipped.count == 1


def test_overlapping_spans_are_named(tmp_path: Path) -> None:
    path = pair(tmp_path, "Rome or", "T1\tLOC 0 4\tRome\nT2\tORG 0 7\tRome or\n")
    message = f"{path}: spans 'Rome' (LOC, characters 0..4) and 'Rome or' (ORG, characters 0..7) overlap"
    with pytest.raises(CorpusError, match=re.escape(message)):
        list(read_brat(path))


def test_a_missing_half_and_bytes_of_another_encoding_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.ann").write_bytes(b"")
    with pytest.raises(CorpusError, match=re.escape(f"{tmp_path / 'a.txt'}: no such file")):
        list(read_brat(tmp_path / "a.ann"))
    (tmp_path / "b.txt").write_bytes(b"x\ncaf\xe9")
    with pytest.raises(CorpusError, match=re.escape(f"{tmp_path / 'b.ann'}: no such file")):
        list(read_brat(tmp_path / "b.txt"))
    (tmp_path / "b.ann").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"b\.txt:2: byte 0xE9 at 5 of the file is not utf-8.*--encoding latin-1"):
        list(read_brat(tmp_path / "b.ann"))
    assert next(read_brat(tmp_path / "b.ann", encoding="latin-1")).text == "x\ncafé"


def refusal(given_: list[Document], folder: Path) -> str | None:
    """Why the documents cannot be written, None if they were."""
    try:
        assert write_brat(given_, folder) == len(given_)
    except CorpusError as error:
        return str(error)
    return None


@given(st.lists(documents(tasks=[ENTITIES], identifiers=False), min_size=1, max_size=3))
def test_text_and_spans_survive_writing_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, given_: list[Document]
) -> None:
    folder = tmp_path_factory.mktemp("brat")
    reason = refusal(given_, folder)
    if reason is not None:
        texts = [span.text for document in given_ for span in document.entities]
        assert any(text[0] == "\n" or text[-1] == "\n" for text in texts), reason
        return
    expected = [
        Document(document.data, {ENTITIES: document.spans.get(ENTITIES, ())}, identifier=f"{number:06}")
        for number, document in enumerate(given_, 1)
    ]
    assert list(read_brat(folder)) == expected


def test_names_come_from_identifiers_that_can_be_names(tmp_path: Path) -> None:
    identifiers = ["de/1", 7, "../up", "a\nb", None, "x.y"]
    write_brat([Document(b"a", identifier=identifier) for identifier in identifiers], tmp_path / "out")
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in tmp_path.rglob("*.txt"))
    assert found == ["000003.txt", "000004.txt", "000005.txt", "7.txt", "de/1.txt", "x.y.txt"]
    assert [document.identifier for document in read_brat(tmp_path / "out")][-1] == "x.y"


def test_a_span_over_line_ends_is_written_as_fragments(tmp_path: Path) -> None:
    write_brat([Document("Ä New\n\tYork".encode(), {ENTITIES: [Span(3, 12, "LOC")]}, identifier="a")], tmp_path)
    assert (tmp_path / "a.ann").read_bytes() == b"T1\tLOC 2 5;6 11\tNew  York\n"


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ({ENTITIES: [Span(0, 2, "X")]}, r"span 'a\n' (X) begins or ends with a line end"),
        ({ENTITIES: [Span(0, 1, "my label")]}, "label 'my label' has white space or is empty"),
        ({ENTITIES: [Span(0, 1, "X")], TOKENS: []}, "this format holds one task and there are entities, tokens"),
    ],
)
def test_what_brat_cannot_hold_is_named(tmp_path: Path, spans: dict[str, list[Span]], message: str) -> None:
    documents = [Document(b"a\nb", spans), Document(b"fine")]
    with pytest.raises(CorpusError, match=re.escape(f"document 1: {message}")):
        write_brat(documents, tmp_path / "stop")
    skipped = Skipped()
    assert write_brat(documents, tmp_path / "skip", on_error=skipped) == skipped.count == 1
    assert [path.name for path in (tmp_path / "skip").iterdir() if path.suffix == ".txt"] == ["000002.txt"]


def test_a_file_that_is_there_already_is_never_overwritten(tmp_path: Path) -> None:
    pair(tmp_path, "old", "")
    with pytest.raises(
        CorpusError, match=re.escape(f"{tmp_path / 'a.txt'}: is there already: name an empty directory")
    ):
        write_brat([Document(b"new", identifier="a")], tmp_path)
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match=r"file: is no directory to write to: File exists"):
        write_brat([Document(b"a", identifier="a")], tmp_path / "file")

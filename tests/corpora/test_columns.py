"""CoNLL columns: what is read, what is written, what is refused."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given

from bytespan.corpora.columns import Columns, columns_of, read_columns
from bytespan.corpora.lines import Skipped
from bytespan.errors import CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document, Span
from strategies import column_documents, documents

SAMPLES = Path(__file__).parents[1] / "samples"


def read(folder: Path, text: str, columns: Columns = Columns(), **settings: object) -> list[Document]:  # noqa: B008
    path = folder / "file.conll"
    path.write_text(text, encoding="utf-8", newline="")
    return list(read_columns(path, columns, **settings))  # type: ignore[arg-type]


def names(document: Document) -> list[tuple[str, str]]:
    return [(span.text, span.label) for span in document.entities]


@pytest.mark.parametrize("scheme", ["iob1", "iob2", "bioes"])
def test_samples_of_every_scheme_give_the_same_documents(scheme: str) -> None:
    first, second = read_columns(SAMPLES / f"names.{scheme}.conll")
    assert first.text == "Angela Merkel und Bach Weimar Paris\n東京 は 大きい 。"
    assert names(first) == [
        ("Angela Merkel", "PER"),
        ("Bach", "PER"),
        ("Weimar", "LOC"),
        ("Paris", "LOC"),
        ("東京", "LOC"),
    ]
    assert second.text == "مصر و قطر الدوحة 😀"
    assert names(second) == [("مصر", "LOC"), ("قطر الدوحة", "LOC")]
    assert TOKENS not in first.spans


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    text = "1\tB-PER\tAngela\tPROPN\n2\tI-PER\tMerkel\tPROPN\n3\tO\tlacht\tVERB\n"
    (document,) = read(tmp_path, text, Columns(token=2, tag=1, pos=-1))
    assert names(document) == [("Angela Merkel", "PER")]
    assert [span.label for span in document.tokens] == ["PROPN", "PROPN", "VERB"]
    (document,) = read(tmp_path, text, Columns(token=2, tag=None, pos=3))
    assert list(document.spans) == [TOKENS]


def test_a_file_without_docstart_is_cut_after_twenty_sentences(tmp_path: Path) -> None:
    assert [document.data.count(b"\n") + 1 for document in read(tmp_path, "a O\n\n" * 41)] == [20, 20, 1]


def test_docstart_anywhere_is_the_only_cut(tmp_path: Path) -> None:
    found = read(tmp_path, "a O\n\n" * 30 + "-DOCSTART- -X- O\n" + "b O\n\n" * 3)
    assert [document.data.count(b"\n") + 1 for document in found] == [30, 3]


def test_a_span_ends_with_its_sentence_and_an_inside_tag_may_begin_one(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "a B-PER\nb I-PER\n\nc I-PER\nd I-LOC\n")
    assert names(document) == [("a b", "PER"), ("c", "PER"), ("d", "LOC")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "\n", "\n\n", "\n \t\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_any_line_end_a_bom_and_a_missing_last_blank_line_are_accepted(
    tmp_path: Path, end: str, last: str, mark: str
) -> None:
    (document,) = read(tmp_path, (mark + "-DOCSTART- O\n\nä B-PER\nb O" + last).replace("\n", end))
    assert (document.text, names(document)) == ("ä b", [("ä", "PER")])


def test_nul_is_a_character_like_others(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "a\0b B-X\n\0 O\n")
    assert (document.text, names(document)) == ("a\0b \0", [("a\0b", "X")])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("Paris", "1 column(s) in 'Paris': a token and a tag are needed"),
        ("Paris PROPN", "tag 'PROPN' is neither O nor a label after one of B- I- E- S- L- U-"),
        ("Paris B-", "tag 'B-' is neither O nor"),
    ],
)
def test_a_bad_line_is_named_and_costs_its_sentence_where_it_may(tmp_path: Path, bad: str, message: str) -> None:
    text = f"-DOCSTART- O\n\nfirst O\n\na O\n{bad}\n\nlast B-X\n"
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'file.conll'}:6: ")
    skipped = Skipped()
    (document,) = read(tmp_path, text, on_error=skipped)
    assert (document.text, names(document), skipped.count) == ("first\nlast", [("last", "X")], 1)


def test_a_sentence_left_out_does_not_join_two_documents(tmp_path: Path) -> None:
    found = read(tmp_path, "-DOCSTART- O\n\na O\n-DOCSTART- O\n\nbad\n\nb O\n", on_error=Skipped())
    assert [document.text for document in found] == ["a", "b"]


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"file\.conll:1: no column 3 for the token in 'a O': it has 2, name another"):
        read(tmp_path, "a O\n", Columns(token=3))
    with pytest.raises(CorpusError, match=r"file\.conll:1: no column 5 for the part of speech in 'a O'"):
        read(tmp_path, "a O\n", Columns(pos=5))


def test_a_byte_of_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.conll").write_bytes(b"a O\ncaf\xe9 O\n")
    with pytest.raises(CorpusError, match=r"latin\.conll:2: byte 0xE9 at position 3 .* --encoding latin-1"):
        list(read_columns(tmp_path / "latin.conll"))
    (document,) = read_columns(tmp_path / "latin.conll", encoding="latin-1")
    assert document.text == "a café"


def write_then_read(folder: Path, documents: Sequence[Document], *, fit: bool = False) -> list[Document]:
    path = folder / "written.conll"
    path.write_bytes("".join(columns_of(document, fit=fit) for document in documents).encode())
    tasks = documents[0].spans
    columns = Columns(tag=-1 if ENTITIES in tasks else None, pos=1 if TOKENS in tasks else None)
    return list(read_columns(path, columns))


@given(column_documents())
def test_documents_of_the_form_that_is_read_survive_writing(
    tmp_path_factory: pytest.TempPathFactory, document: Document
) -> None:
    names_only = Document(document.data, {ENTITIES: document.spans[ENTITIES]})
    folder = tmp_path_factory.mktemp("columns")
    assert write_then_read(folder, [document, document]) == [document, document]
    assert write_then_read(folder, [names_only, names_only]) == [names_only, names_only]


def refusal(document: Document) -> str | None:
    """Why the document cannot be written, None if it can."""
    try:
        columns_of(document)
    except CorpusError as error:
        return str(error)
    return None


@given(documents(identifiers=False))
def test_tokens_of_any_text_survive_writing_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, document: Document
) -> None:
    reason = refusal(document)
    if reason is not None:
        assert re.search(r"white space|cuts the token", reason)
        return
    back = write_then_read(tmp_path_factory.mktemp("columns"), [document])
    assert len(back) == bool(document.text.strip())
    for read_again in back:
        assert read_again.text.split() == re.findall(r"\S+", read_again.text)
        assert "".join(read_again.text.split()) == "".join(document.text.split())
        kept = [(span.text, span.label) for span in read_again.tokens if span.label != "_"]
        assert kept == [(span.text, span.label) for span in document.tokens if span.label != "_"]
        wanted = [("".join(span.text.split()), span.label) for span in document.entities]
        assert [("".join(span.text.split()), span.label) for span in read_again.entities] == wanted


@given(documents(identifiers=False))
def test_any_text_can_be_written_if_tokens_may_be_fitted(
    tmp_path_factory: pytest.TempPathFactory, document: Document
) -> None:
    for read_again in write_then_read(tmp_path_factory.mktemp("columns"), [document], fit=True):
        assert "".join(read_again.text.split()) == "".join(document.text.split())
        wanted = ["".join(span.text.split()) for span in document.entities]
        assert ["".join(span.text.split()) for span in read_again.entities] == [text for text in wanted if text]


def test_text_outside_of_tokens_is_written_too_and_cut_where_entities_end() -> None:
    document = Document(b"(Paris)\nist", {ENTITIES: [Span(1, 6, "LOC")]})
    assert columns_of(document) == "-DOCSTART- O\n\n( O\nParis B-LOC\n) O\n\nist O\n\n"
    tokens = Document("Zoé ist da".encode(), {TOKENS: [Span(5, 8, "AUX")], ENTITIES: []})
    assert columns_of(tokens) == "-DOCSTART- _ O\n\nZoé _ O\nist AUX O\nda _ O\n\n"


def test_an_entity_over_a_line_end_keeps_its_sentence_whole() -> None:
    document = Document(b"New\nYork\nyes", {ENTITIES: [Span(0, 8, "LOC")]})
    assert columns_of(document) == "-DOCSTART- O\n\nNew B-LOC\nYork I-LOC\n\nyes O\n\n"


@pytest.mark.parametrize(
    ("text", "spans", "message"),
    [
        ("Parisian", {TOKENS: [Span(0, 8, "X")], ENTITIES: [Span(0, 5, "LOC")]},
         "span 'Paris' (LOC, characters 0..5) cuts the token 'Parisian' (characters 0..8): correct one of them"),
        ("10 000", {TOKENS: [Span(0, 6, "NUM")]}, "token '10 000' (characters 0..6) holds white space"),
        ("a b", {ENTITIES: [Span(0, 2, "LOC")]}, "span at characters 0..2 (LOC) begins or ends with white space"),
        ("a b", {ENTITIES: [Span(1, 2, "LOC")]}, "span at characters 1..2 (LOC) begins or ends with white space"),
        ("ab", {ENTITIES: [Span(0, 2, "my label")]}, "label 'B-my label' is empty or holds white space"),
        ("ab", {TOKENS: [Span(0, 2, "")]}, "label '' is empty or holds white space"),
        ("a -DOCSTART- b", {ENTITIES: []}, "the text holds -DOCSTART-, which in columns begins a document"),
        ("é", {ENTITIES: [Span(0, 1, "X")]}, "span 0..1 (X), in bytes, cuts a character in two"),
        ("abc", {ENTITIES: [Span(0, 2, "X"), Span(1, 3, "Y")]}, "'ab' (X, characters 0..2) and 'bc' (Y"),
    ],
)  # fmt: skip
def test_what_columns_cannot_hold_is_named(text: str, spans: dict[str, list[Span]], message: str) -> None:
    with pytest.raises(CorpusError, match=re.escape(message)):
        columns_of(Document(text.encode(), spans))


def test_fitting_cuts_tokens_and_narrows_spans() -> None:
    spans = {TOKENS: [Span(0, 8, "ADJ"), Span(9, 15, "NUM")], ENTITIES: [Span(0, 5, "LOC"), Span(8, 11, "MISC")]}
    written = columns_of(Document(b"Parisian 10 000", spans), fit=True)
    assert written == "-DOCSTART- _ O\n\nParis ADJ B-LOC\nian ADJ O\n10 NUM B-MISC\n000 NUM O\n\n"


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(CorpusError, match="byte 0xFF at 1 of the text is not UTF-8, so this format cannot hold it"):
        columns_of(Document(b"a\xff"))

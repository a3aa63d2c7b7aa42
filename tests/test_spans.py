"""Spans, documents and the three ways of counting."""

import json

import numpy as np
import pytest
from hypothesis import given

from bytespan.errors import CorpusError
from bytespan.spans import (
    Document,
    Span,
    byte_of_character,
    character_of_byte,
    encode_text,
    spans_from_columns,
    utf16_of_byte,
)
from strategies import documents, texts


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (4, 3)])
def test_span_rejects_a_range_that_cannot_exist(start: int, end: int) -> None:
    with pytest.raises(CorpusError, match=f"start {start} and end {end}"):
        Span(start, end, "PER")


def test_spans_that_differ_only_in_score_are_equal_and_sort_by_place() -> None:
    assert Span(0, 5, "PER", 0.3) == Span(0, 5, "PER", 0.9)
    assert sorted([Span(3, 4, "A"), Span(0, 9, "B"), Span(0, 2, "Z")])[0] == Span(0, 2, "Z")


def test_shifted_span_keeps_length_label_and_score() -> None:
    moved = Span(3, 8, "LOC", 0.5).shifted(by=30)
    assert (moved.start, moved.end, moved.label, moved.score) == (33, 38, "LOC", 0.5)


@given(texts)
def test_character_and_utf16_offsets_equal_those_counted_one_by_one(text: str) -> None:
    data = text.encode()
    characters, units = character_of_byte(data), utf16_of_byte(data)
    assert len(characters) == len(units) == len(data) + 1
    byte = 0
    for index, character in enumerate(text):
        for inside in range(len(character.encode())):
            assert characters[byte + inside] == index
            assert units[byte + inside] == len(text[:index].encode("utf-16-le")) // 2
        byte += len(character.encode())
    assert characters[byte] == len(text)
    assert units[byte] == len(text.encode("utf-16-le")) // 2


@given(texts)
def test_byte_of_character_inverts_character_of_byte(text: str) -> None:
    back = byte_of_character(text)
    assert back.tolist() == [len(text[:index].encode()) for index in range(len(text) + 1)]
    assert character_of_byte(text.encode())[back].tolist() == list(range(len(text) + 1))


@given(documents())
def test_every_offset_of_a_span_cuts_out_its_text(document: Document) -> None:
    text, units = document.text, document.text.encode("utf-16-le")
    for task, members in document.spans.items():
        for span, shown in zip(members, document.text_spans(task), strict=True):
            assert shown.text == document.data[span.start : span.end].decode()
            assert text[shown.start : shown.end] == shown.text
            assert shown.start_utf16 is not None
            assert shown.end_utf16 is not None
            assert units[2 * shown.start_utf16 : 2 * shown.end_utf16].decode("utf-16-le") == shown.text
            assert (shown.byte_start, shown.byte_end, shown.label) == (span.start, span.end, span.label)


def test_a_span_that_cuts_a_character_begins_with_the_whole_character_in_every_unit() -> None:
    """utf16_of_byte once gave the end of a four-byte character for the bytes inside it."""
    shown = Document("x😀y".encode(), {"entities": [Span(2, 6, "MISC")]}).entities[0]
    assert (shown.start, shown.end) == (1, 3)
    assert (shown.start_utf16, shown.end_utf16) == (1, 4)


def test_bytes_that_are_not_utf8_have_byte_offsets_only() -> None:
    shown = Document(b"caf\xe9 Paris", {"entities": [Span(5, 10, "LOC", 0.51239)]}).entities[0]
    assert (shown.text, shown.start, shown.end, shown.start_utf16, shown.end_utf16) == ("Paris", None, None, None, None)
    assert shown.to_json() == {"byte_start": 5, "byte_end": 10, "label": "LOC", "score": 0.5124}


def test_span_json_has_the_keys_of_the_contract() -> None:
    shown = Document("Ö Köln".encode(), {"entities": [Span(3, 8, "LOC")]}).entities[0]
    assert shown.to_json() == {"start": 2, "end": 6, "byte_start": 3, "byte_end": 8, "label": "LOC", "score": 1.0}


def test_document_sorts_spans_and_tells_not_annotated_from_no_spans() -> None:
    document = Document(b"a b", {"tokens": [Span(2, 3, "X"), Span(0, 1, "X")], "entities": []}, identifier=7)
    assert document.spans == {"tokens": (Span(0, 1, "X"), Span(2, 3, "X")), "entities": ()}
    assert document.entities == ()
    assert Document(b"a b", {"tokens": []}).spans == {"tokens": ()}
    assert "2 tokens, 0 entities" in repr(document)
    assert "not annotated" in repr(Document(b"a b"))


def test_document_refuses_a_span_beyond_its_text() -> None:
    with pytest.raises(CorpusError, match=r"entities span 2\.\.4 \(PER\) ends beyond .*3 bytes"):
        Document(b"abc", {"entities": [Span(2, 4, "PER")]})


def test_documents_are_equal_if_bytes_spans_and_identifier_are() -> None:
    assert Document(b"a", {"tokens": [Span(0, 1, "X")]}) == Document(b"a", {"tokens": [Span(0, 1, "X")]})
    assert Document(b"a") != Document(b"b")
    assert Document(b"a") != Document(b"a", {"tokens": []})
    assert Document(b"a", identifier=1) != Document(b"a", identifier=2)
    assert Document(b"a") != b"a"


@given(documents(), texts)
def test_spans_as_json_are_those_one_by_one(document: Document, before: str) -> None:
    size = {"start_char": len(before), "start_byte": len(before.encode())}
    for task in [*document.spans, "absent"]:
        expected = [span.to_json() for span in document.text_spans(task)]
        assert json.loads(document.json_spans(task)) == expected
        for span in expected:
            span.update({key: span[key] + size["start_char"] for key in ("start", "end")})
            span.update({key: span[key] + size["start_byte"] for key in ("byte_start", "byte_end")})
        assert json.loads(document.json_spans(task, **size)) == expected


def test_spans_as_json_have_byte_offsets_only_where_the_text_is_not_utf8() -> None:
    document = Document(b"\xff ab", {"tokens": [Span(0, 1, "X", 0.25), Span(2, 4, '"', 0.33333)]})
    assert json.loads(document.json_spans("tokens")) == [span.to_json() for span in document.tokens]


def test_spans_from_columns_are_the_same_and_checked() -> None:
    starts, ends = np.array([0, 5]), np.array([3, 6])
    found = spans_from_columns(starts, ends, ["A", "B"], np.array([0.5, 1.0]))
    assert [(s.start, s.end, s.label, s.score) for s in found] == [(0, 3, "A", 0.5), (5, 6, "B", 1.0)]
    assert found == [Span(0, 3, "A"), Span(5, 6, "B")]
    with pytest.raises(CorpusError, match="0 <= start < end"):
        spans_from_columns(starts, starts, ["A", "B"], np.ones(2))


def test_encode_text_names_a_lone_surrogate() -> None:
    with pytest.raises(CorpusError, match=r"lone surrogate '\\ud800' at character 2"):
        encode_text("ab\ud800")
    assert encode_text("é\0") == b"\xc3\xa9\0"

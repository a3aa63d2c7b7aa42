"""JSON lines in the shapes of four programs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.corpora.jsonlines import SHAPES, document_of_json, json_line, json_of_document, read_json_lines
from bytespan.corpora.lines import Skipped
from bytespan.errors import CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document, Span
from strategies import characters, documents, flat_spans

SAMPLES = Path(__file__).parents[1] / "samples"


def read(folder: Path, *values: Any, **settings: Any) -> list[Document]:
    path = folder / "file.jsonl"
    lines = [value if isinstance(value, str) else json.dumps(value) for value in values]
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    return list(read_json_lines(path, **settings))


def written(folder: Path, lines: list[str]) -> Path:
    path = folder / "written.jsonl"
    path.write_text("".join(lines), encoding="utf-8", newline="")
    return path


def names(document: Document) -> list[tuple[str, str]]:
    return [(span.text, span.label) for span in document.entities]


def test_our_sample_has_the_names_of_its_ten_languages() -> None:
    found = {document.identifier: names(document) for document in read_json_lines(SAMPLES / "ours.jsonl")}
    assert found["de"] == [("Angela Merkel", "PER"), ("Paris", "LOC")]
    assert found["he"] == [("מרים", "PER"), ("תל אביב", "LOC")]
    assert found["th"] == [("สมชาย", "PER"), ("กรุงเทพฯ", "LOC")]
    assert found["none"] == []
    assert len(found) == 10


@pytest.mark.parametrize("shape", ["doccano", "prodigy", "spacy"])
def test_samples_of_every_shape_give_the_same_documents(shape: str) -> None:
    assert list(read_json_lines(SAMPLES / f"{shape}.jsonl")) == list(read_json_lines(SAMPLES / "ours.jsonl"))


LOC = Document(b"In Rome", {ENTITIES: [Span(3, 7, "LOC")]})


@pytest.mark.parametrize(
    "value",
    [
        {"text": "In Rome", "entities": [{"start": 3, "end": 7, "label": "LOC"}]},
        {"text": "In Rome", "entities": [{"byte_start": 3, "byte_end": 7, "label": "LOC"}]},
        {"text": "In Rome", "entities": [{"start_offset": 3, "end_offset": 7, "label": "LOC", "id": 9}]},
        {"text": "In Rome", "label": [[3, 7, "LOC"]]},
        {"text": "In Rome", "labels": [[3, 7, "LOC"]]},
        {"data": "In Rome", "label": [[3, 7, "LOC"]]},
        {"text": "In Rome", "spans": [{"start": 3, "end": 7, "label": "LOC"}], "label": "X", "tokens": [{"id": 0}]},
        ["In Rome", {"entities": [[3, 7, "LOC"]]}],
        {"text": "In Rome", "entities": [[3, 7, "LOC"]]},
        {"text": "In Rome", "ents": [{"start": 3, "end": 7, "label": "LOC"}], "spans": {}, "tokens": [{"id": 0}]},
    ],
)  # fmt: skip
def test_every_known_shape_of_a_line_is_read(value: Any) -> None:
    assert document_of_json(value) == LOC


def test_tokens_are_read_where_they_have_labels() -> None:
    ours = {"text": "é b", "tokens": [{"start": 0, "end": 1, "byte_start": 0, "byte_end": 2, "label": "NOUN"}]}
    assert document_of_json(ours) == Document("é b".encode(), {TOKENS: [Span(0, 2, "NOUN")]})
    assert document_of_json({"text": "a", "tokens": []}) == Document(b"a", {TOKENS: []})
    tokens = [{"start": 0, "end": 1, "pos": "NOUN"}, {"start": 1, "end": 2, "pos": "SPACE"}]
    assert document_of_json({"text": "a ", "tokens": tokens}) == Document(b"a ", {TOKENS: [Span(0, 1, "NOUN")]})


def test_an_absent_task_was_not_annotated_and_an_empty_one_was() -> None:
    assert document_of_json({"text": "a"}) == Document(b"a")
    assert document_of_json({"text": "a", "entities": None}) == Document(b"a")
    assert document_of_json({"text": "a", "entities": []}) == Document(b"a", {ENTITIES: []})


@pytest.mark.parametrize("answer", ["reject", "ignore"])
def test_what_prodigy_rejected_is_text_without_annotation(answer: str) -> None:
    value = {"text": "In Rome", "spans": [{"start": 3, "end": 7, "label": "LOC"}], "answer": answer}
    assert document_of_json(value) == Document(b"In Rome")


def test_identifiers_scores_blank_lines_and_a_bom_are_read(tmp_path: Path) -> None:
    first = {"id": 4, "text": "a", "entities": [{"start": 0, "end": 1, "label": "X", "score": 0.25}]}
    found = read(tmp_path, "\ufeff" + json.dumps(first) + "\r", " ", {"id": "x/1", "text": "b"}, "")
    assert [document.identifier for document in found] == [4, "x/1"]
    assert found[0].spans[ENTITIES][0].score == 0.25


def span(**changes: Any) -> dict[str, Any]:
    return {"text": "é Rome", "entities": [{"start": 2, "end": 6, "label": "LOC"} | changes]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('{"text": "a"', "not JSON (Expecting ',' delimiter at column 13): write one whole JSON object a line"),
        ("Rome", "not JSON (Expecting value at column 1)"),
        ("[" * 100_000, "JSON that cannot be read"),
        ('{"text": "a", "id": ' + "1" * 5000 + "}", "JSON that cannot be read"),
        ("3", "a JSON object with a text is needed, got 3"),
        ({"texts": "a"}, '"text" must be a string, got null'),
        ({"text": 5}, '"text" must be a string, got 5'),
        ({"text": "a\ud800"}, "lone surrogate '\\ud800' at character 1"),
        ({"text": "a", "id": 1.5}, '"id" must be a string or an integer, got 1.5'),
        ({"text": "a", "id": True}, '"id" must be a string or an integer, got true'),
        (span(end=7), "span 2..7 (LOC) is empty or outside of the text's 6 characters"),
        (span(start=-1), "span -1..6 (LOC) is empty or outside"),
        (span(start=6), "span 6..6 (LOC) is empty or outside"),
        (span(start="2"), '"start" of the span {"start": "2", "end": 6, "label": "LOC"} is no integer'),
        (span(start=2.0), "is no integer: offsets count characters from 0"),
        (span(end=True), '"end" of the span'),
        (span(end=None), "is no integer"),
        (span(label=None), "the label of the span"),
        (span(label=""), "the label of the span"),
        (span(score="high"), "the score of the span"),
        (span(score=1.5), "is no number in 0..1"),
        (span(byte_start=3, byte_end=8), "span 3..8 (LOC) is empty or outside of the text's 7 bytes"),
        (span(byte_start=2, byte_end=7), '"start": 2 and "byte_start": 2 of a span (LOC) disagree, since byte 2 is'),
        (span(byte_start=3), '"byte_end" of the span'),
        ({"text": "a", "entities": [5]}, "a span must be [start, end, label] or an object with these keys, got 5"),
        ({"text": "a", "label": ["good"]}, 'a span must be [start, end, label] or an object with these keys, got'),
        ({"text": "a", "entities": [[0, 1]]}, "a span must be [start, end, label]"),
        ({"text": "a", "entities": "PER"}, '"entities" must be a list of spans, got "PER"'),
        ({"text": "a", "entities": [], "spans": []}, 'both "entities" and "spans" list spans'),
        ({"text": "a", "tokens": 5}, '"tokens" must be a list of objects, got 5'),
        ({"text": "a", "tokens": [{"start": 0, "end": 1, "label": "X"}, {"start": 2}]}, "the label of the span"),
        (["In Rome", [[3, 7, "LOC"]]], "a JSON object with a text is needed"),
        (
            {"text": "é Rome", "entities": [[0, 6, "A"], [2, 6, "B"]]},
            "spans 'é Rome' (A, characters 0..6) and 'Rome' (B, characters 2..6) overlap",
        ),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_and_costs_only_itself_where_it_may(tmp_path: Path, value: Any, message: str) -> None:
    lines = [{"text": "first"}, value, {"text": "last"}]
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        read(tmp_path, *lines)
    assert str(caught.value).startswith(f"{tmp_path / 'file.jsonl'}:2: ")
    assert len(str(caught.value)) < 400
    skipped = Skipped()
    found = read(tmp_path, *lines, on_error=skipped)
    assert ([document.text for document in found], skipped.count) == (["first", "last"], 1)


def test_a_line_of_another_encoding_is_named_and_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"text": "caf\xe9"}\n{"text": "b"}\n')
    with pytest.raises(CorpusError, match=r"latin\.jsonl:1: byte 0xE9 at position 13"):
        list(read_json_lines(path))
    skipped = Skipped()
    assert [document.text for document in read_json_lines(path, on_error=skipped)] == ["b"]
    assert [document.text for document in read_json_lines(path, encoding="latin-1")] == ["café", "b"]


def test_documents_before_a_bad_line_are_handed_out_first(tmp_path: Path) -> None:
    found = read_json_lines(written(tmp_path, ['{"text": "a"}\n', "{\n"]))
    assert next(found).text == "a"
    with pytest.raises(CorpusError, match=r"written\.jsonl:2: "):
        next(found)


@given(st.lists(documents(), min_size=1, max_size=3))
def test_our_shape_gives_every_document_back(tmp_path_factory: pytest.TempPathFactory, given_: list[Document]) -> None:
    lines = [json_line(json_of_document(document)) for document in given_]
    assert [len(line.splitlines()) for line in lines] == [1] * len(lines)  # the scorer splits answers so
    path = written(tmp_path_factory.mktemp("json"), lines)
    assert list(read_json_lines(path)) == given_


@given(st.data())
def test_our_shape_holds_spans_that_cut_characters(data: st.DataObject) -> None:
    text = data.draw(st.text(characters, max_size=8))
    spans = data.draw(flat_spans(range(len(text.encode()) + 1), st.just("X")))
    document = Document(text.encode(), {ENTITIES: spans})
    assert document_of_json(json.loads(json_line(json_of_document(document)))) == document


@pytest.mark.parametrize("shape", ["doccano", "prodigy", "spacy"])
@given(document=documents(tasks=[ENTITIES]))
def test_other_shapes_give_text_and_spans_back_and_all_but_spacy_the_identifier(shape: str, document: Document) -> None:
    back = document_of_json(json.loads(json_line(SHAPES[shape](document, None))))
    identifier = None if shape == "spacy" else document.identifier
    assert back == Document(document.data, document.spans, identifier=identifier)


def test_shapes_that_hold_one_task_ask_which() -> None:
    document = Document(b"Rome", {TOKENS: [Span(0, 4, "PROPN")], ENTITIES: [Span(0, 4, "LOC")]})
    with pytest.raises(
        CorpusError, match="this format holds one task and there are tokens, entities: name it with --task"
    ):
        SHAPES["doccano"](document, None)
    assert SHAPES["doccano"](document, TOKENS) == {"text": "Rome", "label": [[0, 4, "PROPN"]]}
    assert SHAPES["spacy"](document, ENTITIES) == ["Rome", {"entities": [[0, 4, "LOC"]]}]
    assert SHAPES["prodigy"](Document(b"Rome"), ENTITIES) == {"text": "Rome", "answer": "accept"}


def test_json_of_bytes_that_are_not_utf8_has_byte_offsets_and_no_text() -> None:
    document = Document(b"\xff Rome", {ENTITIES: [Span(2, 6, "LOC", 0.5)]}, identifier=1)
    expected = [{"byte_start": 2, "byte_end": 6, "label": "LOC", "score": 0.5}]
    assert json_of_document(document, with_text=False) == {"id": 1, "entities": expected}
    with pytest.raises(CorpusError, match="byte 0xFF at 0 of the text is not UTF-8"):
        json_of_document(document)

"""Any format into any other."""

import io
import re
from pathlib import Path

import pytest

from bytespan.corpora.lines import Skipped
from bytespan.corpora.reading import read_documents
from bytespan.corpora.writing import STREAM_FORMATS, renderer, write_documents
from bytespan.errors import ConfigError, CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document, Span

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.mark.parametrize("format", STREAM_FORMATS)
@pytest.mark.parametrize("sample", ["words.conllu", "names.iob2.conll", "ours.jsonl", "brat"])
def test_every_sample_can_be_written_in_every_format_and_keeps_its_spans(
    tmp_path: Path, sample: str, format: str
) -> None:
    given = list(read_documents(SAMPLES / sample))
    path = tmp_path / "written"
    with path.open("wb") as stream:
        assert write_documents(given, stream, format=format, fit=True) == len(given)
    pos_column = 1 if TOKENS in given[0].spans else None
    tag_column = -1 if ENTITIES in given[0].spans else None
    back = list(read_documents(path, format=format, pos_column=pos_column, tag_column=tag_column))
    assert len(back) == len(given)
    for before, after in zip(given, back, strict=True):
        (task,) = before.spans
        read_as = ENTITIES if format in ("doccano", "prodigy", "spacy") else task
        wanted = ["".join(span.text.split()) for span in before.text_spans(task)]
        found = ["".join(span.text.split()) for span in after.text_spans(read_as)]
        assert "".join(found) == "".join(wanted)
        if format != "conll":  # which cuts tokens that hold spaces
            assert after.text.split() == before.text.split()
            assert found == wanted


def test_writing_is_lazy_and_counts_what_was_written() -> None:
    stream = io.BytesIO()

    def documents():  # type: ignore[no-untyped-def]
        yield Document(b"a", identifier=1)
        assert stream.getvalue() == b'{"id": 1, "text": "a"}\n'
        yield Document("é".encode())

    assert write_documents(documents(), stream, format="jsonl") == 2
    assert stream.getvalue().decode() == '{"id": 1, "text": "a"}\n{"text": "é"}\n'


def test_a_document_that_cannot_be_written_is_named_and_costs_only_itself() -> None:
    bad = Document(b"abc", {TOKENS: [Span(0, 3, "X")], ENTITIES: [Span(0, 1, "Y")]}, identifier="b")
    documents = [Document(b"a", {ENTITIES: []}), bad, Document(b"c", {ENTITIES: []})]
    with pytest.raises(
        CorpusError, match=re.escape("document 'b': span 'a' (Y, characters 0..1) cuts the token 'abc'")
    ):
        write_documents(documents, io.BytesIO(), format="conll")
    stream, skipped = io.BytesIO(), Skipped()
    assert write_documents(documents, stream, format="conll", on_error=skipped) == 2
    assert skipped.count == 1
    assert stream.getvalue() == b"-DOCSTART- O\n\na O\n\n-DOCSTART- O\n\nc O\n\n"
    with pytest.raises(CorpusError, match=r"^document 1: byte 0xFF"):
        write_documents([Document(b"\xff")], io.BytesIO(), format="jsonl")


def test_an_unknown_format_and_brat_are_named() -> None:
    with pytest.raises(ConfigError, match="unknown format 'xml': known are jsonl, conllu, conll"):
        renderer("xml")
    with pytest.raises(ConfigError, match="brat is a directory of files: name the directory"):
        renderer("brat")


def test_line_separators_stay_escaped_so_that_an_answer_is_one_line() -> None:
    line = renderer("jsonl")(Document("a\u2028b\x85c\u2029d\x1ee".encode()))
    assert len(line.splitlines()) == 1
    assert line.endswith('"a\\u2028b\\u0085c\\u2029d\\u001ee"}\n')

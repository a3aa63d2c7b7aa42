"""Texts to tag, as their lines arrive."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.corpora import texts as module
from bytespan.corpora.lines import Skipped
from bytespan.corpora.texts import TextLine, read_texts
from bytespan.errors import ConfigError, CorpusError
from strategies import texts

lines_of_text = st.lists(texts, max_size=6).map("\n".join) | st.lists(texts, max_size=6).map("\r\n".join)


def read(path: Path, data: bytes, **options: object) -> list[TextLine]:
    path.write_bytes(data)
    return [text for group in read_texts(path, **options) for text in group]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts") / "input.txt"


@given(text=lines_of_text, read_bytes=st.integers(1, 9), longest=st.integers(5, 30))
def test_lines_and_their_ends_give_back_the_text(path: Path, text: str, read_bytes: int, longest: int) -> None:
    data = text.removeprefix("\ufeff").encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "READ_BYTES", read_bytes)
        patch.setattr(module, "LONGEST_LINE", longest)
        found = read(path, text.encode(), form="text")
    assert b"".join(line.data + line.ending for line in found) == data
    place = 0
    for line in found:
        begin = data.rfind(b"\n", 0, place) + 1
        assert line.identifier == 1 + data.count(b"\n", 0, place)
        assert line.start_byte == place - begin
        assert line.start_char == len(data[begin:place].decode())
        assert len(line.data) <= longest
        place += len(line.data) + len(line.ending)


@given(text=lines_of_text)
def test_the_encoding_does_not_change_the_texts(path: Path, text: str) -> None:
    text = text.removeprefix("\ufeff")
    assert read(path, text.encode("utf-16"), form="text", encoding="utf-16") == read(path, text.encode(), form="text")


@given(texts=st.lists(texts, max_size=5), ascii_only=st.booleans(), form=st.sampled_from(["jsonl", None]))
def test_json_lines_give_back_their_texts(path: Path, texts: list[str], ascii_only: bool, form: str | None) -> None:
    lines = [json.dumps({"id": [number], "text": text}, ensure_ascii=ascii_only) for number, text in enumerate(texts)]
    found = read(path, "\n".join(lines).encode(), form=form)
    assert [(text.data.decode(), text.identifier) for text in found] == [(t, [n]) for n, t in enumerate(texts)]


def test_a_json_line_without_id_has_the_number_of_its_line(path: Path) -> None:
    found = read(path, b'{"text": "a"}\n\n{"text": "b", "id": null}\n{"text": "c", "id": 0}\n', form="jsonl")
    assert [text.identifier for text in found] == [1, 3, 0]


def test_lines_that_open_like_json_are_json_and_others_are_text(path: Path) -> None:
    found = read(path, b'plain\n{"text": "a"}\n{ braces }\n\n')
    assert [text.data for text in found] == [b"plain", b"a", b"{ braces }", b""]


def test_a_jsonl_file_holds_nothing_but_json(path: Path) -> None:
    with pytest.raises(CorpusError, match=r"\.jsonl:1: not JSON"):
        read(path.with_suffix(".jsonl"), b"plain\n")


def test_a_long_json_line_is_never_cut(path: Path) -> None:
    text = "word " * 100_000
    (found,) = read(path, json.dumps({"text": text}).encode())
    assert found.data.decode() == text


def test_a_long_line_is_cut_after_a_space(path: Path) -> None:
    found = read(path, b"word " * 200_000)
    assert len(found) > 3
    assert all(line.data.endswith(b" ") for line in found)
    assert {line.identifier for line in found} == {1}


def test_a_long_line_without_spaces_is_cut_between_characters(path: Path) -> None:
    found = read(path, "東".encode() * 200_000)
    assert sum(len(line.data.decode()) for line in found) == 200_000


def test_a_gzip_file_is_unpacked(path: Path) -> None:
    assert [line.data for line in read(path, gzip.compress(b"a\nb"))] == [b"a", b"b"]


def test_annotated_documents_give_their_texts(path: Path) -> None:
    (conllu,) = read(path, b"# newdoc id = x\n1\tHi\t_\tINTJ\t_\t_\t_\t_\t_\t_\n\n", form="conllu")
    assert (conllu.data, conllu.identifier) == (b"Hi", "x")
    (columns,) = read(path, b"To\nRome\n", form="conll")
    assert (columns.data, columns.identifier) == (b"To Rome", 1)


def test_an_empty_file_and_a_mere_byte_order_mark_hold_no_text(path: Path) -> None:
    assert read(path, b"") == read(path, b"\xef\xbb\xbf") == []


def test_nul_bytes_are_text(path: Path) -> None:
    assert [line.data for line in read(path, b"a\0b\n\0")] == [b"a\0b", b"\0"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"good\nba\xffd\n", r"input.txt:2: byte 0xFF at 2 of the line is not UTF-8: give the file's own encoding"),
        (b'good\n{"text": 1}\n', r'input.txt:2: no object with a string "text": write lines such as'),
        (b'good\n{"text": "a"\n', r"input.txt:2: not JSON \(Expecting ',' delimiter at column 13\)"),
        (b'good\n{"text": "\\ud800"}\n', r"input.txt:2: the text holds a lone surrogate"),
    ],
)
def test_a_bad_line_is_named_after_the_lines_before_it_were_given(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data + b"after\n")
    groups = read_texts(path)
    assert [line.data for line in next(groups)] == [b"good"]
    with pytest.raises(CorpusError, match=message):
        next(groups)
    skipped = Skipped()
    assert [line.data for line in read(path, data + b"after\n", on_error=skipped)] == [b"good", b"after"]
    assert skipped.count == 1


def test_bytes_that_are_not_of_the_encoding_are_named(path: Path) -> None:
    with pytest.raises(CorpusError, match=r"input.txt:2: not ascii \(ordinal not in range\(128\)\)"):
        read(path, "a\né".encode(), encoding="ascii")
    with pytest.raises(ConfigError, match="unknown encoding 'klingon'"):
        read(path, b"a", encoding="klingon")


def test_damaged_gzip_data_is_named(path: Path) -> None:
    with pytest.raises(CorpusError, match=r"input.txt:\d+: the gzip data is damaged or cut short"):
        read(path, gzip.compress(b"a\n" * 1000)[:-12])

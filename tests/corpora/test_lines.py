"""Lines of files: line ends, gzip, encodings, standard input, and files that cannot be read."""

import gzip
import io
import logging
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.corpora.lines import Skipped, source_of
from bytespan.errors import ConfigError, CorpusError
from strategies import texts


def lines_of(path: Path, *, encoding: str = "utf-8", universal: bool = False) -> list[str]:
    numbered = list(source_of(path, encoding).lines(universal=universal))
    assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))
    return [text for _, text in numbered]


def write(folder: Path, data: bytes) -> Path:
    path = folder / "file.txt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\n\r\nb\r\n", ["a", "", "b"]),
        (b"\n\n", ["", ""]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        ("a\u2028b\x0bc\x0cd\x1ce\x85f\u2029g\n".encode(), ["a\u2028b\x0bc\x0cd\x1ce\x85f\u2029g"]),
        (b"a\0b\n\0\n", ["a\0b", "\0"]),
        (b"a\rb\n", ["a\rb"]),
    ],
)
def test_lines_end_at_lf_and_crlf_only(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    assert lines_of(write(tmp_path, data)) == lines


def test_universal_line_ends_add_a_lone_cr_as_the_scorer_does(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\rb\r\r\nc\r\nd\r")
    with path.open(encoding="utf-8") as scorer:
        assert (
            lines_of(path, universal=True) == [line.removesuffix("\n") for line in scorer] == ["a", "b", "", "c", "d"]
        )


@given(st.lists(texts.filter(lambda text: "\n" not in text and not text.endswith("\r")), min_size=1))
def test_lines_of_any_text_are_those_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = write(tmp_path_factory.mktemp("lines"), "".join(f"{line}\n" for line in lines).encode())
    assert lines_of(path) == [lines[0].removeprefix("\ufeff"), *lines[1:]]


def test_gzip_is_told_by_content_whatever_the_name_says(tmp_path: Path) -> None:
    assert lines_of(write(tmp_path, gzip.compress("ä\nb\n".encode()))) == ["ä", "b"]


def test_another_encoding_is_read_when_it_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, b"caf\xe9\nna\xefve\n")
    assert lines_of(path, encoding="latin-1") == ["café", "naïve"]
    assert lines_of(write(tmp_path, "東京\nParis\n".encode("utf-16")), encoding="utf-16") == ["東京", "Paris"]


def test_a_byte_that_is_not_utf8_is_named_with_line_position_and_remedy(tmp_path: Path) -> None:
    path = write(tmp_path, "gut\nZürich caf".encode() + b"\xe9\n")
    source = source_of(path)
    lines = list(source.lines())
    source.check_encoding(lines[0])
    with pytest.raises(CorpusError) as caught:
        source.check_encoding(lines[1])
    assert str(caught.value) == (
        f"{path}:2: byte 0xE9 at position 11 of the line is not utf-8: "
        "give the file's own encoding, e.g. --encoding latin-1"
    )


def test_utf16_read_as_utf8_is_told_so(tmp_path: Path) -> None:
    source = source_of(write(tmp_path, "Paris\n".encode("utf-16")))
    with pytest.raises(CorpusError, match=r":1: byte 0xF[EF] at position 0 .* e\.g\. --encoding utf-16$"):
        source.check_encoding(next(source.lines()))


@pytest.mark.parametrize("encoding", ["utf-9", "rot13", "hex"])
def test_an_encoding_that_is_none_is_named(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown encoding '{encoding}'"):
        source_of(write(tmp_path, b"a\n"), encoding)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b""), "the file is empty"),
        (
            gzip.compress(b"some words\n" * 1000)[:-20],
            r":\d+: the gzip data is damaged or cut short .*: fetch it again",
        ),
        (gzip.compress(b"x\n")[:-8] + bytes(8), r":\d+: the gzip data is damaged or cut short .*: fetch it again"),
        (b"\x1f\x8bno gzip at all", r":1: the gzip data is damaged or cut short .*: fetch it again"),
    ],
)
def test_a_file_without_lines_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(CorpusError, match=re.escape(str(path)) + ":? ?" + message):
        lines_of(path)


def test_cut_utf16_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"not utf-16 \(truncated data\): give its --encoding"):
        lines_of(write(tmp_path, "ab\n".encode("utf-16")[:-1]), encoding="utf-16")


def test_a_directory_and_an_absent_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=re.escape(f"{tmp_path}: is a directory: name a file in it")):
        lines_of(tmp_path)
    with pytest.raises(CorpusError, match=re.escape(f"{tmp_path / 'none.txt'}: no such file")):
        lines_of(tmp_path / "none.txt")


def test_standard_input_is_read_and_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(b"a\nb\n")))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert lines_of(Path("-")) == ["a", "b"]
    assert not stdin.buffer.closed


def test_standard_input_can_be_read_twice_from_its_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    with source_of("-").rereadable() as source:
        assert list(source.lines()) == list(source.lines()) == [(1, "a"), (2, "b")]
        assert str(source.at(2, "wrong")) == "standard input:2: wrong"
    assert not Path(source.path).exists()


def test_skipped_counts_and_logs_what_was_left_out(caplog: pytest.LogCaptureFixture) -> None:
    skipped = Skipped()
    with caplog.at_level(logging.WARNING):
        skipped(CorpusError("a.conll:3: wrong"))
        skipped(CorpusError("a.conll:9: wrong too"))
    assert skipped.count == 2
    assert [record.getMessage() for record in caplog.records] == [
        "skipped: a.conll:3: wrong",
        "skipped: a.conll:9: wrong too",
    ]

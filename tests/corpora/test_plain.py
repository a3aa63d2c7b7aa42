"""Plain text as documents."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.corpora.lines import Skipped
from bytespan.corpora.plain import read_plain
from bytespan.errors import CorpusError
from strategies import texts


@given(st.lists(texts.filter(lambda text: "\n" not in text and not text.endswith("\r")), min_size=1))
def test_every_line_is_a_document_as_it_stands(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("plain") / "file.txt"
    path.write_bytes("\n".join([*lines, ""]).encode())
    found = list(read_plain(path))
    assert [document.text for document in found] == [lines[0].removeprefix("\ufeff"), *lines[1:]]
    assert [document.identifier for document in found] == list(range(1, len(lines) + 1))
    assert all(document.spans == {} for document in found)


def test_a_line_that_is_not_utf8_is_named_and_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"a\ncaf\xe9\nb\n")
    with pytest.raises(CorpusError, match=r"file\.txt:2: byte 0xE9 at position 3"):
        list(read_plain(path))
    skipped = Skipped()
    assert [document.text for document in read_plain(path, on_error=skipped)] == ["a", "b"]
    assert skipped.count == 1

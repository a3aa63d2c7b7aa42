"""Where spans of whole words can begin and end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.words import broken_edges


def edges_of(text: str | bytes) -> tuple[list[int], list[int]]:
    """(offsets where a span can begin, offsets where one can end)."""
    begin, end = ~broken_edges(text if isinstance(text, bytes) else text.encode())
    return np.flatnonzero(begin).tolist(), np.flatnonzero(end).tolist()


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("Ana, Bo", [0, 3, 5, 7], [0, 3, 4, 7]),
        ("don't", [0, 3, 4, 5], [0, 3, 4, 5]),
        ("Ünal", [0, 5], [0, 5]),
        ("né\u0301e", [0, 6], [0, 6]),
        ("東京", [0, 3, 6], [0, 3, 6]),
        ("a\n\tb", [0, 3, 4], [0, 1, 4]),
        ("", [0], [0]),
        (b"\xffab c", [0, 4, 5], [0, 3, 5]),
    ],
)
def test_edges_are_those_of_words_and_punctuation(text: str | bytes, begins: list[int], ends: list[int]) -> None:
    assert edges_of(text) == (begins, ends)


@given(st.text(alphabet="ab é東\u0301 ,.\n🎉", max_size=20))
def test_every_piece_between_spaces_can_be_a_span(text: str) -> None:
    begins, ends = edges_of(text)
    offset = 0
    for piece in text.encode().split(b" "):
        if piece.strip():
            first = offset + len(piece) - len(piece.lstrip())
            last = offset + len(piece.rstrip())
            assert first in begins
            assert last in ends
        offset += len(piece) + 1

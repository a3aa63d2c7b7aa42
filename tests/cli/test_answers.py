"""The JSON line that answers a text: the same, written at once or piece by piece."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bytespan.cli.answers
from bytespan.cli.answers import json_line, json_pieces
from bytespan.corpora.texts import TextLine
from bytespan.spans import Document, Span
from strategies import documents


def cut(document: Document, places: list[int]) -> list[tuple[int, Document]]:
    """Its parts between the places that lie in no span and in no character, as `Tagger.parts` gives them."""
    spans = [span for members in document.spans.values() for span in members]
    edges = {len(document.data[:place].decode(errors="ignore").encode()) for place in places}
    inside = {edge for edge in edges if any(span.start < edge < span.end for span in spans)}
    bounds = sorted({0, len(document.data)} | (edges - inside)) if document.data else [0, 0]
    return [
        (
            first,
            Document(
                document.data[first:last],
                {
                    task: [span.shifted(by=-first) for span in members if first <= span.start < last]
                    for task, members in document.spans.items()
                },
            ),
        )
        for first, last in pairwise(bounds)
    ]


@given(documents(), st.lists(st.integers(0, 100), max_size=5), st.integers(0, 9), st.integers(0, 9))
def test_pieces_are_the_answer_whatever_the_parts(
    document: Document, places: list[int], start_byte: int, start_char: int
) -> None:
    line = TextLine(document.data, document.identifier, start_byte=start_byte, start_char=start_char)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bytespan.cli.answers, "HELD_BYTES", 20)
        pieces = list(json_pieces(line, cut(document, places), tasks=list(document.spans)))
    assert "".join(pieces) == json_line(line, document)


def test_spans_of_the_first_task_are_given_before_the_next_part_is_asked_for() -> None:
    asked = []

    def parts() -> Iterator[tuple[int, Document]]:
        for begin in (0, 4):
            asked.append(begin)
            yield begin, Document(b"word", {"tokens": [Span(0, 4, "X")]})

    pieces = json_pieces(TextLine(b"wordword", 1), parts(), tasks=["tokens"])
    assert (next(pieces), asked) == ('{"id": 1, "tokens": [', [])
    assert '"byte_start": 0' in next(pieces)
    assert asked == [0]
    assert '"byte_start": 4' in next(pieces)
    assert list(pieces) == ['], "entities": [', "]}\n"]

"""Spans of a segment <-> output symbols."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.codec import decode, decode_batch, encode
from bytespan.errors import ConfigError, LabelError
from bytespan.spans import Span
from bytespan.vocabulary import STOP
from strategies import VOCABULARY, flat_spans

K = VOCABULARY.segment_length
ENTITY_LABELS = st.sampled_from(VOCABULARY.labels["entities"])
SYMBOLS = st.integers(0, VOCABULARY.output_size - 1)


@given(flat_spans(range(K + 1), ENTITY_LABELS), st.sampled_from(["last-first", "first-first"]))
def test_decode_inverts_encode(spans: list[Span], span_order: str) -> None:
    symbols = encode(spans, VOCABULARY, task="entities", span_order=span_order)
    assert decode(symbols, VOCABULARY, task="entities") == spans


def test_encode_writes_the_last_span_first_and_then_stop() -> None:
    first_start, first_length = VOCABULARY.first_start, VOCABULARY.first_length
    per, loc = (VOCABULARY.label_symbol("entities", label) for label in ("PER", "LOC"))
    spans = [Span(0, 6, "PER"), Span(10, 14, "LOC")]
    earlier, later = [first_start + 0, first_length + 6, per], [first_start + 10, first_length + 4, loc]
    assert encode(spans, VOCABULARY, task="entities") == [*later, *earlier, STOP]
    assert encode(spans, VOCABULARY, task="entities", span_order="first-first") == [*earlier, *later, STOP]
    assert encode([], VOCABULARY, task="entities") == [STOP]


@given(st.lists(SYMBOLS | st.integers()))
def test_decode_is_total_and_stays_inside_the_segment(symbols: list[int]) -> None:
    """Integers beyond 64 bits once raised OverflowError."""
    spans = decode(symbols, VOCABULARY, task="entities", segment_length=40)
    assert all(0 <= span.start < span.end <= 40 and span.label in VOCABULARY.labels["entities"] for span in spans)
    assert spans == sorted(set(spans))


@given(st.lists(SYMBOLS, max_size=12), flat_spans(range(K + 1), ENTITY_LABELS), st.lists(SYMBOLS, max_size=6))
def test_decode_ends_at_the_first_stop(before: list[int], spans: list[Span], after: list[int]) -> None:
    symbols = [symbol for symbol in before if symbol != STOP] + encode(spans, VOCABULARY, task="entities")
    found = decode(symbols, VOCABULARY, task="entities")
    assert decode(symbols + after, VOCABULARY, task="entities") == found
    assert set(spans) <= set(found)


@given(st.lists(SYMBOLS, max_size=15))
def test_decode_equals_reading_one_symbol_after_the_other(symbols: list[int]) -> None:
    found: set[Span] = set()
    position = 0
    while position < len(symbols) and symbols[position] != STOP:
        span = _span_at(symbols, position)
        if span is not None:
            found.add(span)
        position += 1 if span is None else 3
    assert decode(symbols, VOCABULARY, task="entities") == sorted(found)


def _span_at(symbols: list[int], position: int) -> Span | None:
    if position + 3 > len(symbols):
        return None
    start = symbols[position] - VOCABULARY.first_start
    length = symbols[position + 1] - VOCABULARY.first_length
    label = next(
        (
            name
            for name in VOCABULARY.labels["entities"]
            if VOCABULARY.label_symbol("entities", name) == symbols[position + 2]
        ),
        None,
    )
    if label is None or not 0 <= start <= K or not 1 <= length <= K or start + length > K:
        return None
    return Span(start, start + length, label)


def test_decode_skips_broken_triples_and_labels_of_other_tasks() -> None:
    start, length = VOCABULARY.first_start, VOCABULARY.first_length
    noun, per = VOCABULARY.label_symbol("tokens", "NOUN"), VOCABULARY.label_symbol("entities", "PER")
    symbols = [per, start + 1, start + 2, length + 3, per, length + 1, start + 5, length + 5, noun, start, length, per]
    assert decode(symbols, VOCABULARY, task="entities") == [Span(2, 5, "PER")]


@given(st.lists(st.tuples(st.lists(SYMBOLS, min_size=9, max_size=9), st.integers(1, K)), min_size=1, max_size=4))
def test_decode_batch_equals_decode_row_by_row(rows: list[tuple[list[int], int]]) -> None:
    symbols, lengths = np.array([row for row, _ in rows]), np.array([length for _, length in rows])
    found = decode_batch(symbols, VOCABULARY, task="entities", lengths=lengths)
    for index, (row, length) in enumerate(rows):
        mine = found.segment == index
        spans = {
            Span(int(start), int(end), VOCABULARY.label_names[label])
            for start, end, label in zip(found.start[mine], found.end[mine], found.label[mine], strict=True)
        }
        assert sorted(spans) == decode(row, VOCABULARY, task="entities", segment_length=length)


def test_decode_batch_of_fewer_than_three_steps_has_no_spans() -> None:
    assert len(decode_batch(np.zeros((4, 2), np.int64), VOCABULARY, task="entities", lengths=np.full(4, K))) == 0


def test_encode_names_a_span_beyond_the_segment_and_an_unknown_label() -> None:
    with pytest.raises(ConfigError, match="beyond the segment length 60"):
        encode([Span(55, 61, "PER")], VOCABULARY, task="entities")
    with pytest.raises(LabelError, match=r"label 'DATE' is not in the entities label set .*PER, LOC, ORG"):
        encode([Span(0, 1, "DATE")], VOCABULARY, task="entities")


def test_decode_names_a_task_that_the_model_does_not_have() -> None:
    with pytest.raises(LabelError, match="task 'dates' is not one of this model's"):
        decode([STOP] * 3, VOCABULARY, task="dates")

"""Windows as arrays, against slices of the documents."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bytespan.segments import segment_starts
from bytespan.windows import Windows
from bytespan.words import broken_edges

STOP = 999


@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(1, 20), st.integers(0, 30))
def test_a_window_is_read_behind_what_is_carried_and_stop(documents: list[bytes], length: int, carried: int) -> None:
    windows = Windows(documents, length, carried=carried)
    expected = []
    for data in documents:
        for start in segment_starts(len(data), length=length).tolist():
            before, inside = data[max(start - carried, 0) : start], data[start : start + length]
            expected.append([*before, STOP, *inside] if before else list(inside))
    assert windows.read_lengths.tolist() == list(map(len, expected))
    if expected:
        found = windows.inputs(np.arange(len(expected)), stop=STOP)
        widest = max(map(len, expected))
        assert found.tolist() == [[*symbols, *[0] * (widest - len(symbols))] for symbols in expected]


@given(st.lists(st.text("ab é東.\n", max_size=40).map(str.encode), min_size=1, max_size=3), st.integers(1, 20))
def test_a_span_may_begin_where_a_word_does_that_ends_within_the_window(documents: list[bytes], length: int) -> None:
    windows = Windows(documents, length)
    starts = [(data, start) for data in documents for start in segment_starts(len(data), length=length).tolist()]
    broken = windows.broken_edges(np.arange(len(starts))) if starts else np.zeros((2, 0, length + 1))
    for row, (data, start) in enumerate(starts):
        begin, end = (~broken_edges(data))[:, start : start + length + 1]
        ends = np.flatnonzero(end[: length + 1])
        begins = [place for place in np.flatnonzero(begin).tolist() if len(ends) and place < ends[-1]]
        assert np.flatnonzero(~broken[1, row]).tolist() == ends.tolist()
        assert np.flatnonzero(~broken[0, row]).tolist() == begins

"""Windows as arrays, against slices of the documents."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bytespan.segments import segment_starts
from bytespan.windows import Windows

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

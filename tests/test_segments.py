"""Windows over a document, and how their spans come back together."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bytespan.segments import kept_ends, reverse_segments, segment_starts, stitch
from bytespan.spans import Span
from strategies import flat_spans

SIZES = st.integers(0, 400)
LENGTHS = st.integers(1, 70)


@given(SIZES, LENGTHS)
def test_segments_are_whole_ascend_and_cover_every_byte(size: int, length: int) -> None:
    starts = segment_starts(size, length=length).tolist()
    covered = {byte for start in starts for byte in range(start, min(start + length, size))}
    assert covered == set(range(size))
    assert starts == sorted(set(starts))
    if size > length:
        assert all(start + length <= size for start in starts)
        assert starts[-1] + length == size


@given(SIZES, LENGTHS)
def test_segments_overlap_by_half_and_only_the_last_by_more(size: int, length: int) -> None:
    steps = np.diff(segment_starts(size, length=length)).tolist()
    stride = max(length // 2, 1)
    assert all(step == stride for step in steps[:-1])
    assert all(1 <= step <= stride for step in steps[-1:])


@given(SIZES, LENGTHS)
def test_kept_ends_partition_the_document(size: int, length: int) -> None:
    starts = segment_starts(size, length=length)
    lows, highs = kept_ends(starts, size=size, length=length)
    ends = [end for low, high in zip(lows, highs, strict=True) for end in range(low, high)]
    assert ends == list(range(1, size + 1))


@given(SIZES, st.integers(2, 70))
def test_kept_ends_lie_in_their_window_and_at_its_edge_only_where_the_document_ends(size: int, length: int) -> None:
    starts = segment_starts(size, length=length)
    for start, low, high in zip(starts, *kept_ends(starts, size=size, length=length), strict=True):
        assert start < low < high
        assert high - 1 < start + length or high - 1 == size


@given(st.data())
def test_spans_of_up_to_half_a_segment_survive_splitting_and_stitching(data: st.DataObject) -> None:
    size, length = data.draw(st.integers(1, 300)), data.draw(st.integers(2, 70))
    spans = data.draw(flat_spans(range(size + 1), st.sampled_from(["A", "B"])))
    spans = [Span(span.start, min(span.end, span.start + length // 2), span.label) for span in spans]
    starts = segment_starts(size, length=length)
    kept: list[Span] = []
    for start, low, high in zip(starts.tolist(), *kept_ends(starts, size=size, length=length), strict=True):
        inside = [span for span in spans if start <= span.start and span.end <= start + length]
        kept += [span for span in inside if low <= span.end < high]
    assert stitch(kept) == spans


@given(
    st.lists(
        st.builds(
            lambda start, size, label, score: Span(start, start + size, label, score),
            st.integers(0, 30),
            st.integers(1, 9),
            st.sampled_from("AB"),
            st.sampled_from([0.2, 0.5, 0.9]),
        )
    )
)
def test_stitch_gives_flat_spans_of_its_input(spans: list[Span]) -> None:
    flat = stitch(spans)
    assert all(before.end <= after.start for before, after in pairwise(flat))
    assert set(flat) <= set(spans)
    for dropped in set(spans) - set(flat):
        rivals = [span for span in flat if span.start < dropped.end and dropped.start < span.end]
        assert max(span.score for span in rivals) >= min(span.score for span in spans if span == dropped)
    assert stitch(flat) == flat


def test_stitch_drops_no_span_for_one_that_is_dropped_itself() -> None:
    first, middle, last = Span(0, 5, "PER", 0.5), Span(4, 10, "PER", 0.6), Span(9, 12, "PER", 0.7)
    assert stitch([first, middle, last]) == [first, last]


def test_stitch_keeps_the_more_confident_then_the_longer_then_the_first() -> None:
    weak, strong = Span(0, 6, "PER", 0.4), Span(4, 9, "LOC", 0.8)
    assert stitch([weak, strong]) == [strong]
    assert stitch([Span(0, 6, "PER"), Span(4, 7, "LOC")]) == [Span(0, 6, "PER")]
    assert stitch([Span(0, 3, "PER"), Span(1, 6, "LOC")]) == [Span(1, 6, "LOC")]
    assert stitch([Span(0, 3, "PER"), Span(2, 5, "LOC")]) == [Span(0, 3, "PER")]
    assert stitch([Span(0, 3, "PER"), Span(3, 5, "LOC")]) == [Span(0, 3, "PER"), Span(3, 5, "LOC")]


def test_reverse_segments_turns_each_row_and_leaves_the_padding_behind() -> None:
    rows = np.array([[1, 2, 3, 0], [4, 0, 0, 0], [5, 6, 7, 8]])
    turned = reverse_segments(rows, np.array([3, 1, 4]))
    assert turned.tolist() == [[3, 2, 1, 0], [4, 0, 0, 0], [8, 7, 6, 5]]

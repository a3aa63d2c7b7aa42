"""Spans of one segment <-> the output symbols of the generator (paper, section 3).

A span is three symbols, start, length and label; STOP follows the last. The paper writes the last span first.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import ConfigError
from bytespan.spans import Span
from bytespan.vocabulary import STOP, Vocabulary

SPAN_ORDERS = ("last-first", "first-first")


def encode(spans: Sequence[Span], vocabulary: Vocabulary, *, task: str, span_order: str = "last-first") -> list[int]:
    """The output symbols of one segment's spans, sorted by end position, STOP at the end.

    Raises LabelError for an unknown label, ConfigError for a span that does not fit the segment length.
    """
    symbols: list[int] = []
    ordered = sorted(spans, key=lambda span: (span.end, span.start), reverse=span_order == "last-first")
    for span in ordered:
        if span.end > vocabulary.segment_length:
            raise ConfigError(f"span {span} ends beyond the segment length {vocabulary.segment_length}")
        symbols += [
            vocabulary.first_start + span.start,
            vocabulary.first_length + span.end - span.start,
            vocabulary.label_symbol(task, span.label),
        ]
    return [*symbols, STOP]


def decode(
    symbols: Sequence[int], vocabulary: Vocabulary, *, task: str, segment_length: int | None = None
) -> list[Span]:
    """The spans that `symbols` spell for `task`, sorted; total: any sequence of integers gives a list of valid spans.

    Reading ends at the first STOP. Whatever is not start, length, label in a row is skipped, and so is a span of
    length 0, one that ends beyond the segment, and one that was written before. Overlaps stay: see `segments.stitch`.
    """
    last = vocabulary.output_size  # stands for nothing, like all beyond; int64 could not hold those
    row = np.array([[min(max(symbol, -1), last) for symbol in symbols]], np.int64)
    length = vocabulary.segment_length if segment_length is None else segment_length
    found = decode_batch(row, vocabulary, task=task, lengths=np.array([length]))
    spans = {
        Span(int(start), int(end), vocabulary.label_names[label])
        for start, end, label in zip(found.start, found.end, found.label, strict=True)
    }
    return sorted(spans)


class DecodedSpans:
    """Well-formed spans of a batch of segments, one row a span, in the order of writing.

    segment, position, start, end, label: (N,) int64. `position` is the index of the span's first symbol; start and end
    count bytes within the segment; label counts from the vocabulary's first label.
    """

    def __init__(self, columns: NDArray[np.int64]) -> None:
        self.segment, self.position, self.start, self.end, self.label = columns

    def __len__(self) -> int:
        return len(self.segment)


def decode_batch(
    symbols: NDArray[np.int64], vocabulary: Vocabulary, *, task: str, lengths: NDArray[np.int64]
) -> DecodedSpans:
    """The well-formed spans in `symbols` (B, T), for segments of `lengths` (B,) bytes; total on any integers.

    The three kinds of symbol are disjoint ranges, so two matches of the pattern can never share a symbol and one
    vectorised test a position is the same as reading from left to right.
    """
    if symbols.shape[1] < 3:
        return DecodedSpans(np.zeros((5, 0), np.int64))
    before_stop = np.cumsum(symbols == STOP, axis=1) == 0
    start = symbols[:, :-2] - vocabulary.first_start
    length = symbols[:, 1:-1] - vocabulary.first_length
    label = symbols[:, 2:]
    labels = vocabulary.label_range(task)
    k = vocabulary.segment_length
    is_span = before_stop[:, 2:] & (start >= 0) & (start <= k) & (length >= 1) & (length <= k)
    is_span &= (label >= labels.start) & (label < labels.stop) & (start + length <= lengths[:, None])
    segment, position = np.nonzero(is_span)
    begin = start[segment, position]
    end = begin + length[segment, position]
    kind = label[segment, position] - vocabulary.first_label
    return DecodedSpans(np.stack([segment, position, begin, end, kind]).astype(np.int64))

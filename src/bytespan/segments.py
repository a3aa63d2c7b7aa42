"""Segments: the windows of at most k bytes in which a model sees a document, and how their spans come back together.

Training (paper, section 4): the window slides one byte at a time, so any window of k bytes may be drawn; it may begin
and end inside a word or a character, and a span that is not wholly inside is left out of its target.

Inference (paper, section 5): windows overlap by half. Of each, only spans that end in its last half are kept; of the
first, all are.
"""

import numpy as np
from numpy.typing import NDArray

from bytespan.spans import Span


def segment_starts(size: int, *, length: int) -> NDArray[np.int64]:
    """First bytes of the windows over a document of `size` bytes: every length // 2, the last one ending at the end.

    The last window is moved back instead of cut short, because training shows the model whole windows.
    """
    if size <= length:
        return np.zeros(min(size, 1), np.int64)
    stride = max(length // 2, 1)
    return np.append(np.arange(0, size - length, stride), size - length)


def kept_ends(starts: NDArray[np.int64], *, size: int, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each window, the range [low, high) of document offsets at which a span that it keeps may end.

    The ranges partition 1..size, so every span is kept by exactly one window. A window keeps no span that ends at its
    very edge unless the document ends there too: it cannot know whether the word goes on, and the next window can.
    """
    if not len(starts):
        return starts, starts
    edges = starts[:-1] + length
    return np.append(1, edges), np.append(edges, size + 1)


def reverse_segments(inputs: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """(B, K) with each row's first `lengths` symbols in reverse and the padding left behind them."""
    columns = lengths[:, None] - 1 - np.arange(inputs.shape[1])
    reversed_rows = np.take_along_axis(inputs, np.maximum(columns, 0), axis=1)
    return np.where(columns >= 0, reversed_rows, 0)


def stitch(spans: list[Span]) -> list[Span]:
    """Flat spans of a document, sorted: of two that overlap the more confident stays, then the longer, then the first.

    Windows keep disjoint ranges of ends, but a span of one may still reach back over a span of another.
    """
    kept: list[Span] = []
    tangle: list[Span] = []
    end = 0
    for span in sorted(spans):
        if span.start >= end:
            kept += _best(tangle)
            tangle = []
        tangle.append(span)
        end = max(end, span.end)
    return kept + _best(tangle)


def _best(tangle: list[Span]) -> list[Span]:
    """Of sorted spans that overlap one another in a chain, those that `stitch` keeps."""
    chosen: list[Span] = []
    for span in sorted(tangle, key=lambda span: (-span.score, span.start - span.end)):
        if all(span.end <= other.start or other.end <= span.start for other in chosen):
            chosen.append(span)
    return sorted(chosen)

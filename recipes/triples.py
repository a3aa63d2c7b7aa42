"""What a generator writes, triple by triple: how much of it is malformed, double, overlapping or out of order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.codec import decode_batch
from bytespan.decoding import DecoderState, Floats, Ints, SegmentModel, Written, decode_greedily, most_symbols
from bytespan.segments import reverse_segments, stitch
from bytespan.spans import Document, Span
from bytespan.vocabulary import STOP
from bytespan.windows import Windows

DECODINGS = ("free", "whole words", "whole words and triples")
"""How symbols are chosen; see `write`."""

SLIPS = ("malformed", "beyond", "duplicate", "overlapping", "out of order")
"""What nobody would write who knew what was written before, and how long the segment is."""

BATCH_SIZE = 64

Counted = dict[str, dict[str, Counter[str]]]
"""Decoding -> least gold spans in a segment -> what was counted."""


class WholeTriples:
    """A generator that can write nothing but triples that lie within the segment, and STOP between them."""

    def __init__(self, model: SegmentModel, task: str) -> None:
        self.config, self.vocabulary, self.encode = model.config, model.vocabulary, model.encode
        self._model, self._labels = model, model.vocabulary.label_range(task)

    def step(self, symbols: Ints, state: DecoderState) -> tuple[Floats, DecoderState]:
        """As that of the generator, with logits of minus infinity for what is ruled out."""
        logits, state = self._model.step(symbols, state)
        vocabulary, places = self.vocabulary, np.arange(self.vocabulary.segment_length + 1)
        previous, room = symbols - vocabulary.first_fed_output, state.lengths[:, None]
        due = np.searchsorted(
            [vocabulary.first_start, vocabulary.first_length, vocabulary.first_label], previous, "right"
        )
        allowed = np.zeros(logits.shape, np.bool_)
        begins = np.isin(due, (0, 3))[:, None]  # behind GO and behind a label
        starts = (previous - vocabulary.first_start)[:, None]
        allowed[:, STOP] = begins[:, 0]
        allowed[:, vocabulary.first_start : vocabulary.first_length] = begins & (places < room)
        fits = (due == 1)[:, None] & (places >= 1) & (starts + places <= room)
        allowed[:, vocabulary.first_length : vocabulary.first_label] = fits
        allowed[:, self._labels.start : self._labels.stop] = (due == 2)[:, None]
        return np.where(allowed, logits, np.float32(-np.inf)), state


def write(model: SegmentModel, state: DecoderState, broken: NDArray[np.bool_], *, task: str, decoding: str) -> Written:
    """What a decoding writes in some segments, each to its end; `broken` as of `Windows.broken_edges`."""
    if decoding == "free":
        return decode_greedily(model, state, task=task)
    if decoding == "whole words":
        return decode_greedily(model, state, task=task, forbidden=broken)
    ends = ~broken[1]
    some_end_follows = np.zeros_like(ends)
    some_end_follows[:, :-1] = np.logical_or.accumulate(ends[:, :0:-1], axis=1)[:, ::-1]
    forbidden = np.stack([broken[0] | ~some_end_follows, broken[1]])
    return decode_greedily(WholeTriples(model, task), state, task=task, forbidden=forbidden)


def measure(
    model: SegmentModel, documents: Sequence[Document], *, task: str, least: Sequence[int], decodings: Sequence[str]
) -> Counted:
    """What is right and wrong in each segment, in rows by its number of gold spans, which begin at `least`."""
    windows = Windows([document.data for document in documents], model.config.segment_length)
    gold = list(gold_of_windows(windows, documents, task))
    counted: Counted = {name: {str(low): Counter() for low in least} for name in decodings}
    for rows in windows.batches(BATCH_SIZE):
        inputs, lengths = windows.inputs(rows), windows.lengths[rows]
        if model.config.input_order == "reversed":
            inputs = reverse_segments(inputs, lengths)
        state, broken = model.encode(inputs, lengths), windows.broken_edges(rows)
        for name in decodings:
            written = write(model, state, broken, task=task, decoding=name)
            for row, segment in zip(rows, judge_batch(model, written, lengths, broken, task), strict=True):
                counted[name][str(max(low for low in least if low <= len(gold[row])))] += segment.counts(gold[row])
    return counted


def gold_of_windows(windows: Windows, documents: Sequence[Document], task: str) -> Iterator[set[Span]]:
    """The spans of each window that are wholly in it, in bytes of the window."""
    for number, start, length in zip(
        windows.document.tolist(), windows.start.tolist(), windows.lengths.tolist(), strict=True
    ):
        spans = documents[number].spans[task]
        yield {span.shifted(by=-start) for span in spans if start <= span.start and span.end <= start + length}


@dataclass(frozen=True, slots=True)
class Segment:
    """What was written in one segment."""

    spans: Sequence[Span]
    """Well-formed ones, in the order of writing."""
    cut: int
    """How many of these begin or end inside a word."""
    malformed: int
    """Other symbols, three of them counting as one triple, the last ones too if they are fewer."""
    beyond: int
    """Triples that would end beyond the segment."""
    endless: bool
    """Whether STOP was not written."""

    def counts(self, gold: set[Span]) -> Counter[str]:
        """What is right and wrong, as numbers that add up."""
        kept = stitch(list(self.spans))
        return Counter(
            segments=1,
            gold=len(gold),
            written=len(self.spans) + self.malformed + self.beyond,
            cut=self.cut,
            malformed=self.malformed,
            beyond=self.beyond,
            endless=int(self.endless),
            kept=len(kept),
            right=len(gold & set(self.spans)),
            kept_right=len(gold & set(kept)),
        ) + Counter(slip for number in range(len(self.spans)) if (slip := self._slip(number)))

    def _slip(self, number: int) -> str | None:
        """What is wrong with a span, seen from those before it."""
        span, before = self.spans[number], self.spans[:number]
        if span in before:
            return "duplicate"
        if any(span.start < other.end and other.start < span.end for other in before):
            return "overlapping"
        return "out of order" if before and span.end > before[-1].end else None


def judge_batch(
    model: SegmentModel, written: Written, lengths: Ints, broken: NDArray[np.bool_], task: str
) -> Iterator[Segment]:
    """What was written in each segment; `broken` as of `words.broken_edges`."""
    vocabulary, symbols = model.vocabulary, written.symbols
    well_formed = decode_batch(symbols, vocabulary, task=task, lengths=lengths)
    anywhere = decode_batch(
        symbols, vocabulary, task=task, lengths=np.full_like(lengths, 2 * vocabulary.segment_length)
    )
    triples = np.bincount(anywhere.segment, minlength=len(lengths))
    before_stop = (np.cumsum(symbols == STOP, axis=1) == 0).sum(axis=1)
    logs = sum(written.log_probabilities[well_formed.segment, well_formed.position + i] for i in range(3))
    cut = broken[0, well_formed.segment, well_formed.start] | broken[1, well_formed.segment, well_formed.end]
    columns = (well_formed.start, well_formed.end, well_formed.label, np.exp(logs))
    spans = [
        Span(start, end, vocabulary.label_names[label], score)
        for start, end, label, score in zip(*(column.tolist() for column in columns), strict=True)
    ]
    for row, length in enumerate(lengths):
        chosen = slice(*np.searchsorted(well_formed.segment, [row, row + 1]))
        yield Segment(
            spans[chosen],
            cut=int(cut[chosen].sum()),
            malformed=-(-int(before_stop[row] - 3 * triples[row]) // 3),
            beyond=int(triples[row]) - len(spans[chosen]),
            endless=bool(before_stop[row] == most_symbols(length)),
        )

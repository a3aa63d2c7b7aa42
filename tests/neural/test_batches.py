"""Training batches: what is drawn, what its target is, and that a step's batch depends on nothing but the step."""

from dataclasses import replace

import numpy as np
import pytest

from bytespan.codec import decode
from bytespan.config import ModelConfig, TrainConfig
from bytespan.neural.batches import (
    BATCHES_PER_POOL,
    IGNORED,
    OUTSIDE,
    WORDS,
    Batch,
    SegmentSampler,
    growth_at,
    words_of,
)
from bytespan.spans import Document, Span
from bytespan.vocabulary import DROP, FIRST_GO, STOP, Vocabulary
from neural import corpus

MODEL = ModelConfig(segment_length=8, layers=1, units=8, embedding=8)
TRAIN = TrainConfig(batch_size=16, byte_dropout=0, words_fraction=0, growth_steps=0, short_fraction=0)
VOCABULARY = Vocabulary(8, corpus.LABELS)


def make_sampler(train: TrainConfig = TRAIN, model: ModelConfig = MODEL) -> SegmentSampler:
    return SegmentSampler(corpus.documents(), VOCABULARY, model, train)


def segments_of(batch: Batch) -> list[tuple[bytes, str, list[Span]]]:
    """(bytes, task, target spans) of each segment of a batch without dropout."""
    result = []
    for inputs, length, fed, target in zip(batch.inputs, batch.lengths, batch.fed, batch.targets, strict=True):
        task = VOCABULARY.tasks[fed[0] - FIRST_GO]
        symbols = [int(symbol) for symbol in target if symbol != IGNORED]
        result.append((bytes(inputs[:length].tolist()), task, decode(symbols, VOCABULARY, task=task)))
    return result


def test_targets_are_exactly_the_spans_wholly_inside_the_window() -> None:
    sampler = make_sampler()
    found = [segment for step in range(8) for segment in segments_of(sampler.batch(step))]
    for data, task, spans in found:
        possible = set()
        for document in corpus.documents():
            at = document.data.find(data)
            while at >= 0:
                inside = [s for s in document.spans[task] if at <= s.start and s.end <= at + len(data)]
                possible.add(tuple(s.shifted(by=-at) for s in inside))
                at = document.data.find(data, at + 1)
        assert tuple(spans) in possible
    assert {len(data) for data, _, _ in found} == {8}
    assert any(spans for _, _, spans in found)


def test_windows_come_from_every_place_of_every_document() -> None:
    sampler = make_sampler()
    drawn = {(data, task) for step in range(200) for data, task, _ in segments_of(sampler.batch(step))}
    wanted = {
        (document.data[at : at + 8], task)
        for document in corpus.documents()
        for task in document.spans
        for at in range(len(document.data) - 7)
    }
    assert drawn == wanted


def test_batch_depends_on_the_step_alone() -> None:
    straight, resumed = make_sampler(), make_sampler()
    before = [straight.batch(step) for step in range(BATCHES_PER_POOL + 3)]
    for step in (BATCHES_PER_POOL + 2, 5):
        for name in ("inputs", "lengths", "fed", "targets", "ended"):
            np.testing.assert_array_equal(getattr(resumed.batch(step), name), getattr(before[step], name))


def test_byte_dropout_replaces_bytes_and_leaves_targets_alone() -> None:
    noisy, clean = make_sampler(replace(TRAIN, byte_dropout=0.5)), make_sampler()
    pairs = [(noisy.batch(step), clean.batch(step)) for step in range(BATCHES_PER_POOL)]
    dropped = np.concatenate([noise.inputs for noise, _ in pairs]) == DROP
    assert 0.4 < dropped.mean() < 0.6
    targets = [sorted(map(tuple, batch.targets.tolist())) for batch, _ in pairs]
    assert targets == [sorted(map(tuple, batch.targets.tolist())) for _, batch in pairs]


def test_fed_symbols_are_go_and_then_the_target_one_step_later() -> None:
    batch = make_sampler().batch(3)
    for fed, target in zip(batch.fed, batch.targets, strict=True):
        written = target[target != IGNORED]
        assert fed[0] in (VOCABULARY.go("tokens"), VOCABULARY.go("entities"))
        np.testing.assert_array_equal(fed[1 : len(written)], written[:-1] + VOCABULARY.first_fed_output)
        assert written[-1] == STOP


def test_ended_labels_stand_at_the_byte_behind_each_span_of_the_target() -> None:
    batch = make_sampler().batch(2)
    for (_, task, spans), ended in zip(segments_of(batch), batch.ended.tolist(), strict=True):
        labels = {span.end: VOCABULARY.label_symbol(task, span.label) - VOCABULARY.first_label for span in spans}
        assert ended == [labels.get(at, IGNORED) for at in range(8)]


def test_reversed_input_keeps_the_targets_in_reading_order() -> None:
    forward, backward = make_sampler(), make_sampler(model=replace(MODEL, input_order="reversed"))
    np.testing.assert_array_equal(forward.batch(0).inputs[:, ::-1], backward.batch(0).inputs)
    np.testing.assert_array_equal(forward.batch(0).targets, backward.batch(0).targets)
    for (_, task, spans), ended in zip(segments_of(forward.batch(0)), backward.batch(0).ended.tolist(), strict=True):
        labels = {8 - s.start: VOCABULARY.label_symbol(task, s.label) - VOCABULARY.first_label for s in spans}
        assert ended == [labels.get(at, IGNORED) for at in range(8)]


@pytest.mark.parametrize("carried", [3, 30])
def test_bytes_before_a_segment_are_read_before_it_with_stop_between(carried: int) -> None:
    """Spans count from the segment's first byte all the same; STOP is never dropped."""
    plain = make_sampler().batch(0)
    batch = make_sampler(replace(TRAIN, byte_dropout=0.5), replace(MODEL, carried_bytes=carried)).batch(0)
    np.testing.assert_array_equal(batch.targets, plain.targets)
    texts = {document.data for document in corpus.documents()}
    sizes = set()
    for row, (data, _, _) in enumerate(segments_of(plain)):
        read = batch.inputs[row, : batch.lengths[row]].tolist()
        *before, stop = read[:-8] or [VOCABULARY.fed_stop]
        assert stop == VOCABULARY.fed_stop
        assert batch.ended[row, len(read) - 8 : len(read)].tolist() == plain.ended[row].tolist()
        assert set(batch.ended[row, : len(read) - 8].tolist()) <= {IGNORED}
        starts = {text.find(data, i) for text in texts if data in text for i in range(len(text))} - {-1}
        assert len(before) in {min(start, carried) for start in starts}
        assert any(
            fits(read[-8:], data) and fits(before, text[max(start - carried, 0) : start])
            for text in texts for start in starts if text[start : start + 8] == data
        )  # fmt: skip
        sizes.add(len(before))
    assert max(sizes) > 2
    assert (batch.inputs == DROP).any()


def fits(symbols: list[int], data: bytes) -> bool:
    """Whether they are these bytes, but for those that are dropped."""
    return len(symbols) == len(data) and all(s in (b, DROP) for s, b in zip(symbols, data, strict=True))


def test_span_fraction_draws_more_windows_that_hold_a_span() -> None:
    padding = Document(b"nothing at all to see here, really, " * 40, {"entities": []})
    sampler_args = ([padding, *corpus.documents()], VOCABULARY, MODEL)
    plain = SegmentSampler(*sampler_args, TRAIN)
    around = SegmentSampler(*sampler_args, replace(TRAIN, span_fraction=0.9))

    def share(sampler: SegmentSampler) -> float:
        batches = [segments_of(sampler.batch(step)) for step in range(BATCHES_PER_POOL)]
        return float(np.mean([bool(spans) for batch in batches for _, _, spans in batch]))

    assert share(plain) < 0.6
    assert share(around) > 0.85


def test_span_fraction_draws_around_sparse_spans_alone() -> None:
    """Words outnumber names so much that an even draw over all spans would hardly ever be around a name."""
    sampler = make_sampler(replace(TRAIN, span_fraction=0.9))
    asked = np.concatenate([sampler.batch(step).fed[:, 0] for step in range(BATCHES_PER_POOL)])
    assert (asked == VOCABULARY.go("entities")).mean() > 0.85


def test_span_longer_than_a_segment_is_drawn_without_a_target() -> None:
    document = Document(b"x" * 40, {"entities": [Span(5, 35, "LOC")]})
    sampler = SegmentSampler([document], VOCABULARY, MODEL, replace(TRAIN, span_fraction=0.9))
    assert all(not spans for _, _, spans in segments_of(sampler.batch(0)))


def test_segments_grow_to_full_length_and_dropouts_with_them() -> None:
    train = replace(TRAIN, first_length=2, growth_steps=100)
    sampler = make_sampler(train)
    assert [sampler.segment_length_at(step) for step in (0, 50, 99, 100, 1000)] == [2, 5, 7, 8, 8]
    assert [growth_at(step, train) for step in (0, 50, 100, 500)] == [0.0, 0.5, 1.0, 1.0]
    assert growth_at(0, TRAIN) == 1.0


def test_short_documents_are_single_segments() -> None:
    document = Document("Ü".encode(), {"entities": [Span(0, 2, "LOC")]})
    batch = SegmentSampler([document], VOCABULARY, MODEL, TRAIN).batch(0)
    assert set(batch.lengths.tolist()) == {2}


@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_short_fraction_draws_some_pools_with_shorter_segments(fraction: float) -> None:
    sampler = make_sampler(replace(TRAIN, short_fraction=fraction))
    lengths = {int(sampler.batch(pool * BATCHES_PER_POOL).lengths.max()) for pool in range(20)}
    assert (len(lengths) > 1) == (fraction > 0)


def test_words_are_the_white_space_separated_pieces_with_the_labels_that_they_overlap() -> None:
    data = "Bo Derek,\tin São-Paulo.".encode()
    words = words_of(data, [Span(0, 8, "PER"), Span(13, 23, "LOC")])
    assert [(data[word.start : word.end].decode(), word.label) for word in words] == [
        ("Bo", "PER"), ("Derek,", "PER"), ("in", OUTSIDE), ("São-Paulo.", "LOC"),
    ]  # fmt: skip


def test_words_fraction_asks_for_words_of_sparse_tasks_only() -> None:
    vocabulary = Vocabulary(8, corpus.LABELS | {WORDS: ("O", "LOC", "PER")})
    sampler = SegmentSampler(corpus.documents(), vocabulary, MODEL, replace(TRAIN, words_fraction=0.5))
    asked = np.concatenate([sampler.batch(step).fed[:, 0] for step in range(BATCHES_PER_POOL)])
    assert 0.4 < (asked == vocabulary.go(WORDS)).mean() < 0.6
    tokens_only = [Document(d.data, {"tokens": d.spans["tokens"]}) for d in corpus.documents()]
    sampler = SegmentSampler(tokens_only, vocabulary, MODEL, replace(TRAIN, words_fraction=0.5))
    assert not (sampler.batch(0).fed[:, 0] == vocabulary.go(WORDS)).any()

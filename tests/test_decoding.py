"""Greedy and beam search, windows and whole characters, each against something slow and obvious."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bytespan.codec import encode
from bytespan.config import ModelConfig
from bytespan.decoding import DecoderState, decode_by_beam, decode_greedily, predict_spans
from bytespan.spans import Span
from bytespan.vocabulary import STOP, Vocabulary
from bytespan.words import broken_edges

Array = NDArray[np.float64]
LABELS = {"tokens": ("WORD", "NUMBER"), "entities": ("NAME",)}
VOCABULARY = Vocabulary(12, LABELS)


class RandomModel:
    """A recurrent net with random weights in plain numpy that likes to write start, length, label in a row."""

    def __init__(self, seed: int, *, stop_bias: float, span_order: str = "last-first") -> None:
        self.config = ModelConfig(segment_length=12, layers=1, units=10, embedding=10, span_order=span_order)
        self.vocabulary = VOCABULARY
        rng = np.random.default_rng(seed)
        self.embedding = rng.normal(size=(VOCABULARY.input_size, 10)) * 2
        self.recurrent = rng.normal(size=(10, 10))
        self.output = rng.normal(size=(10, VOCABULARY.output_size)) * 2
        self.bias = np.where(np.arange(VOCABULARY.output_size) == STOP, stop_bias, 0)

    def encode(self, inputs: NDArray[np.int64], lengths: NDArray[np.int64]) -> DecoderState:
        """Row by row, so that no row can change another's result."""
        rows = [np.zeros(10) for _ in lengths]
        for row, length in enumerate(lengths):
            for symbol in inputs[row, :length]:
                rows[row] = self.advance(rows[row], symbol)
        hidden = np.stack(rows)[None].astype(np.float32)
        return DecoderState(hidden, hidden, lengths)

    def step(self, symbols: NDArray[np.int64], state: DecoderState) -> tuple[NDArray[np.float32], DecoderState]:
        """The same for one symbol a row."""
        assert state.hidden.shape == (1, len(symbols), 10)
        hidden = np.stack([self.advance(row, symbol) for row, symbol in zip(state.hidden[0], symbols, strict=True)])
        due = np.array([self.due(int(symbol)) for symbol in symbols])
        logits = np.stack([row @ self.output + self.bias for row in hidden]) + due
        return logits.astype(np.float32), replace(state, hidden=hidden[None].astype(np.float32))

    def due(self, fed: int) -> Array:
        """What the grammar adds to each symbol's logit after `fed`."""
        starts, lengths, labels = VOCABULARY.first_start, VOCABULARY.first_length, VOCABULARY.first_label
        kinds = [range(starts, lengths), range(lengths, labels), range(labels, VOCABULARY.output_size)]
        written = fed - VOCABULARY.first_fed_output
        before = next((i for i, kind in enumerate(kinds) if written in kind), 2)
        added: Array = np.where(np.isin(np.arange(VOCABULARY.output_size), kinds[(before + 1) % 3]), 8.0, 0.0)
        return added

    def advance(self, row: Array, symbol: int) -> Array:
        """One segment's next state."""
        moved: Array = np.tanh(row @ self.recurrent + self.embedding[symbol])
        return moved


class RuleModel:
    """Writes what a rule finds in each segment: a model that has learnt the rule to perfection."""

    def __init__(
        self, rule: Callable[[bytes], list[Span]], *, length: int = 12, span_order: str = "last-first"
    ) -> None:
        self.config = ModelConfig(segment_length=length, layers=1, units=1, embedding=1, span_order=span_order)
        self.vocabulary = Vocabulary(length, LABELS)
        self.rule = rule
        self.scripts: list[list[int]] = []

    def encode(self, inputs: NDArray[np.int64], lengths: NDArray[np.int64]) -> DecoderState:
        """The hidden state is the number of the segment's script, the cell state how much of it was written."""
        first = len(self.scripts)
        for row, length in enumerate(lengths):
            spans = self.rule(bytes(inputs[row, :length].tolist()))
            self.scripts.append(encode(spans, self.vocabulary, task="tokens", span_order=self.config.span_order))
        numbers = np.arange(first, len(self.scripts), dtype=np.float32)[None, :, None]
        return DecoderState(numbers, np.zeros_like(numbers), lengths)

    def step(self, symbols: NDArray[np.int64], state: DecoderState) -> tuple[NDArray[np.float32], DecoderState]:
        """Certain of the script's next symbol; checks that it is fed what it wrote."""
        logits = np.zeros((len(symbols), self.vocabulary.output_size), np.float32)
        for row, fed in enumerate(symbols.tolist()):
            script = self.scripts[int(state.hidden[0, row, 0])]
            written = int(state.cell[0, row, 0])
            before = self.vocabulary.first_fed_output + script[written - 1] if written else self.vocabulary.go("tokens")
            assert fed == before
            logits[row, script[written]] = 50
        return logits, replace(state, cell=state.cell + 1)


def words(data: bytes) -> list[Span]:
    """Runs of letters or of digits (bytes beyond ASCII are letters)."""
    return [
        Span(match.start(), match.end(), "NUMBER" if match[0][:1].isdigit() else "WORD")
        for match in re.finditer(rb"[0-9]+|[^\x00-\x40]+", data)
    ]


def greedy_reference(model: RandomModel, data: bytes, task: str) -> list[int]:
    """One segment, one symbol after the other."""
    state = model.encode(np.array([list(data)]), np.array([len(data)]))
    fed, symbols = model.vocabulary.go(task), []
    while len(symbols) < 3 * len(data) + 1:
        logits, state = model.step(np.array([fed]), state)
        symbols.append(int(logits[0].argmax()))
        if symbols[-1] == STOP:
            break
        fed = model.vocabulary.first_fed_output + symbols[-1]
    return symbols


def best_reference(model: RandomModel, data: bytes, task: str, size: int) -> tuple[list[int], float]:
    """Beam search over one segment with lists: the best sequence and its log-probability."""
    start = model.encode(np.array([list(data)]), np.array([len(data)]))
    beam: list[tuple[float, list[int], DecoderState]] = [(0.0, [], start)]
    for _ in range(3 * len(data) + 1):
        candidates = []
        for total, symbols, state in beam:
            if symbols[-1:] == [STOP]:
                candidates.append((total, symbols, state))
                continue
            fed = model.vocabulary.first_fed_output + symbols[-1] if symbols else model.vocabulary.go(task)
            logits, after = model.step(np.array([fed]), state)
            exact = logits[0].astype(np.float64)
            gains = exact - np.log(np.exp(exact - exact.max()).sum()) - exact.max()
            candidates += [(total + gains[symbol], [*symbols, symbol], after) for symbol in range(len(gains))]
        beam = sorted(candidates, key=lambda candidate: -candidate[0])[:size]
        if beam[0][1][-1] == STOP:
            break
    return beam[0][1], beam[0][0]


def batch_of(segments: list[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    inputs = np.zeros((len(segments), max(map(len, segments))), np.int64)
    for row, data in enumerate(segments):
        inputs[row, : len(data)] = list(data)
    return inputs, np.array([len(data) for data in segments])


segments = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(segments, st.integers(0, 99), st.sampled_from([0.0, 4.0, 8.0]), st.sampled_from(sorted(LABELS)))
def test_greedy_decoding_of_a_batch_writes_what_each_segment_gets_alone(
    batch: list[bytes], seed: int, stop_bias: float, task: str
) -> None:
    model = RandomModel(seed, stop_bias=stop_bias)
    written = decode_greedily(model, model.encode(*batch_of(batch)), task=task)
    for row, data in enumerate(batch):
        expected = greedy_reference(model, data, task)
        assert written.symbols[row, : len(expected)].tolist() == expected
        assert (written.symbols[row, len(expected) :] == STOP).all()
        assert (written.log_probabilities[row, len(expected) :] == 0).all()
        assert (written.log_probabilities[row, : len(expected)] <= 0).all()


@settings(max_examples=40, deadline=None)
@given(segments, st.integers(0, 99), st.sampled_from([0.0, 4.0, 8.0]))
def test_a_beam_of_one_is_greedy_decoding(batch: list[bytes], seed: int, stop_bias: float) -> None:
    model = RandomModel(seed, stop_bias=stop_bias)
    state = model.encode(*batch_of(batch))
    greedy = decode_greedily(model, state, task="tokens")
    beam = decode_by_beam(model, state, task="tokens", beam_size=1)
    assert np.array_equal(beam.symbols, greedy.symbols)
    assert np.allclose(beam.log_probabilities, greedy.log_probabilities, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(segments, st.integers(0, 99), st.sampled_from([2.0, 6.0]), st.integers(2, 5))
def test_beam_search_of_a_batch_finds_what_each_segment_gets_alone(
    batch: list[bytes], seed: int, stop_bias: float, size: int
) -> None:
    model = RandomModel(seed, stop_bias=stop_bias)
    written = decode_by_beam(model, model.encode(*batch_of(batch)), task="entities", beam_size=size)
    for row, data in enumerate(batch):
        expected, total = best_reference(model, data, "entities", size)
        assert written.symbols[row, : len(expected)].tolist() == expected
        assert (written.symbols[row, len(expected) :] == STOP).all()
        assert np.isclose(written.log_probabilities[row].sum(), total, atol=1e-3)


def test_a_wider_beam_finds_a_likelier_sequence_somewhere() -> None:
    totals = []
    for size in (1, 4):
        model = RandomModel(3, stop_bias=6.0)
        state = model.encode(*batch_of([bytes([i, i + 1, i + 2]) for i in range(40)]))
        totals.append(decode_by_beam(model, state, task="tokens", beam_size=size).log_probabilities.sum(axis=1))
    assert (totals[1] > totals[0] + 1e-4).any()


texts = st.lists(st.text("ab1 é日😀\0", max_size=60).map(str.encode), max_size=5)


@settings(max_examples=60, deadline=None)
@given(texts, st.sampled_from(["last-first", "first-first"]), st.integers(1, 7))
def test_windows_give_the_spans_of_the_whole_document(documents: list[bytes], order: str, batch_size: int) -> None:
    """As long as no span is longer than half a segment, a perfect model loses nothing at the windows' edges."""
    documents = [b" ".join(word[:10] for word in data.split(b" ")) for data in documents]
    model = RuleModel(words, length=24, span_order=order)
    found = predict_spans(model, documents, tasks=["tokens"], batch_size=batch_size)
    for data, spans in zip(documents, found, strict=True):
        assert spans == {"tokens": words(data)}


@settings(max_examples=60, deadline=None)
@given(texts)
def test_stopping_early_keeps_every_span_that_the_window_is_asked_for(documents: list[bytes]) -> None:
    data = [item[:12] for item in documents if item]
    if not data:
        return
    model = RuleModel(words)
    inputs, lengths = batch_of(data)
    needed_from = lengths // 2
    whole = decode_greedily(model, model.encode(inputs, lengths), task="tokens")
    short = decode_greedily(model, model.encode(inputs, lengths), task="tokens", needed_from=needed_from)
    assert short.symbols.shape[1] <= whole.symbols.shape[1]
    for row, item in enumerate(data):
        needed = [span for span in words(item) if span.end >= needed_from[row]]
        expected = encode(needed, model.vocabulary, task="tokens")[:-1]
        assert short.symbols[row, : len(expected)].tolist() == expected


def test_stopping_early_writes_less() -> None:
    model = RuleModel(words)
    inputs, lengths = batch_of([b"a b c d e f "])
    whole = decode_greedily(model, model.encode(inputs, lengths), task="tokens")
    short = decode_greedily(model, model.encode(inputs, lengths), task="tokens", needed_from=np.array([9]))
    assert whole.symbols.shape[1] == 19
    assert (
        short.symbols.shape[1] == 9
    )  # f ends at 11, e at 9, and d before: the first that shows that no more is needed


def test_a_span_of_length_zero_does_not_stop_a_segment_early() -> None:
    """It is no span, so it says nothing of what follows."""
    model = RuleModel(words)
    inputs, lengths = batch_of([b"a b c"])
    state = model.encode(inputs, lengths)
    vocabulary = model.vocabulary
    script = [vocabulary.first_start, vocabulary.first_length, vocabulary.label_symbol("tokens", "WORD")]
    model.scripts[0] = script + model.scripts[0]
    written = decode_greedily(model, state, task="tokens", needed_from=np.array([1]))
    assert written.symbols[0].tolist() == model.scripts[0]


@pytest.mark.parametrize("prefix", ["", "x" * 30, "é" * 20])
@pytest.mark.parametrize(
    ("text", "cut", "whole"), [("日本", (1, 4), (0, 6)), ("a😀b", (3, 4), (1, 5)), ("aé", (0, 2), (0, 3))]
)
def test_a_span_that_cuts_a_character_is_widened_to_it(
    prefix: str, text: str, cut: tuple[int, int], whole: tuple[int, int]
) -> None:
    encoded = text.encode()

    def rule(data: bytes) -> list[Span]:
        at = data.find(encoded)
        return [Span(at + cut[0], at + cut[1], "WORD")] if at >= 0 else []

    data = prefix.encode() + encoded
    at = len(prefix.encode())
    assert predict_spans(RuleModel(rule, length=24), [data], tasks=["tokens"]) == [
        {"tokens": [Span(at + whole[0], at + whole[1], "WORD")]}
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 50))
def test_any_bytes_give_flat_spans_inside_the_document(documents: list[bytes], seed: int) -> None:
    model = RandomModel(seed, stop_bias=4.0)
    found = predict_spans(model, documents, tasks=["tokens", "entities"])
    assert len(found) == len(documents)
    for data, spans in zip(documents, found, strict=True):
        assert list(spans) == ["tokens", "entities"]
        for members in spans.values():
            edges = [edge for span in members for edge in (span.start, span.end)]
            assert edges == sorted(edges)
            assert all(0 <= span.start < span.end <= len(data) and 0 <= span.score <= 1 for span in members)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=5),
    st.integers(0, 50),
    st.integers(1, 5),
    st.integers(1, 2),
    st.sampled_from([-20.0, 5.0]),
)
def test_a_document_gets_the_same_spans_in_any_company(
    documents: list[bytes], seed: int, batch_size: int, beam_size: int, stop_bias: float
) -> None:
    """Also where the model never writes STOP, so that each segment runs into its own limit."""
    model = RandomModel(seed, stop_bias=stop_bias)

    def predict(data: list[bytes]) -> list[dict[str, list[Span]]]:
        return predict_spans(model, data, tasks=["tokens"], batch_size=batch_size, beam_size=beam_size)

    together = predict(documents)
    assert together == [predict([data])[0] for data in documents]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(alphabet="abcdé 東,.\n", max_size=40).map(str.encode), min_size=1, max_size=4),
    st.integers(0, 50),
    st.integers(1, 2),
)
def test_spans_of_whole_words_begin_and_end_where_words_do(documents: list[bytes], seed: int, beam_size: int) -> None:
    model = RandomModel(seed, stop_bias=0.0)
    model.config = replace(model.config, whole_words=True)
    found = predict_spans(model, documents, tasks=["tokens"], beam_size=beam_size)
    for data, spans in zip(documents, found, strict=True):
        begin, end = broken_edges(data)
        assert not any(begin[span.start] or end[span.end] for span in spans["tokens"])


def test_whole_words_change_nothing_where_spans_are_whole_words_already() -> None:
    data = b"one two, three"
    model = RuleModel(words, length=24)
    model.config = replace(model.config, whole_words=True)
    assert predict_spans(model, [data], tasks=["tokens"]) == [{"tokens": words(data)}]


def test_the_random_model_of_these_tests_does_find_spans() -> None:
    """Else they would compare nothing."""
    for stop_bias in (-20.0, 4.0, 5.0):
        model = RandomModel(0, stop_bias=stop_bias)
        found = predict_spans(model, [bytes(range(i, i + 40)) for i in range(20)], tasks=["tokens", "entities"])
        assert sum(len(spans) for item in found for spans in item.values()) > 20


def test_empty_documents_have_no_spans() -> None:
    model = RuleModel(words)
    assert predict_spans(model, [], tasks=["tokens"]) == []
    assert predict_spans(model, [b"", b""], tasks=["tokens"]) == [{"tokens": []}] * 2
    assert predict_spans(model, [b"", b"a", b""], tasks=["tokens"])[1] == {"tokens": [Span(0, 1, "WORD")]}


def test_scores_are_the_probability_of_the_three_symbols() -> None:
    class Unsure(RuleModel):
        """Gives its choice one in four."""

        def step(self, symbols: NDArray[np.int64], state: DecoderState) -> tuple[NDArray[np.float32], DecoderState]:
            logits, state = super().step(symbols, state)
            others = self.vocabulary.output_size - 1
            return np.where(logits > 0, np.log(others / 3), 0).astype(np.float32), state

    ((span,),) = (found["tokens"] for found in predict_spans(Unsure(words), [b"word"], tasks=["tokens"]))
    assert span == Span(0, 4, "WORD")
    assert span.score == pytest.approx(0.25**3, rel=1e-4)


def test_a_model_that_reads_backwards_is_fed_each_segment_reversed() -> None:
    model = RuleModel(lambda data: words(data[::-1]))
    model.config = replace(model.config, input_order="reversed")
    data = b"one 22 three four 5555 six"
    assert predict_spans(model, [data, b"7 up"], tasks=["tokens"])[0] == {"tokens": words(data)}


def likely_reference(model: RandomModel, data: bytes, task: str) -> dict[Span, float]:
    """Every span of one segment that could stand where one or STOP is written, and its probability there."""
    vocabulary = model.vocabulary
    k, fed_first = vocabulary.segment_length, vocabulary.first_fed_output
    state = model.encode(np.array([list(data)]), np.array([len(data)]))
    best: dict[Span, float] = {}
    fed = vocabulary.go(task)
    for symbol in greedy_reference(model, data, task):
        logits, state = model.step(np.array([fed]), state)
        if not fed_first <= fed < fed_first + vocabulary.first_label:
            for start in range(k + 1):
                p = probabilities(logits)[vocabulary.first_start + start]
                after, then = model.step(np.array([fed_first + vocabulary.first_start + start]), state)
                for length in range(1, len(data) - start + 1):
                    q = probabilities(after)[vocabulary.first_length + length]
                    last, _ = model.step(np.array([fed_first + vocabulary.first_length + length]), then)
                    for label in vocabulary.label_range(task):
                        name = vocabulary.label_names[label - vocabulary.first_label]
                        span = Span(start, start + length, name)
                        best[span] = max(best.get(span, 0), p * q * probabilities(last)[label])
        fed = fed_first + symbol
    return best


def probabilities(logits: NDArray[np.float32]) -> Array:
    exact = logits[0].astype(np.float64)
    shares: Array = np.exp(exact - np.logaddexp.reduce(exact))
    return shares


@settings(max_examples=20, deadline=None)
@given(
    st.text("ab 1.", min_size=1, max_size=7).map(str.encode), st.integers(0, 10_000), st.floats(0.05, 0.9), st.data()
)
def test_likely_spans_are_all_that_are_likely_enough(data: bytes, seed: int, floor: float, draw: st.DataObject) -> None:
    model = RandomModel(seed, stop_bias=draw.draw(st.sampled_from([0.0, 6.0])), span_order="first-first")
    (found,) = predict_spans(model, [data], tasks=["tokens", "entities"], floors={"tokens": floor})
    assert found["entities"] == predict_spans(model, [data], tasks=["entities"])[0]["entities"]
    expected = likely_reference(model, data, "tokens")
    assert len(set(found["tokens"])) == len(found["tokens"])
    for span in found["tokens"]:
        assert span.score == pytest.approx(expected[span], abs=1e-4)
        assert span.score > floor - 1e-4
    assert {span for span, p in expected.items() if p > floor + 1e-4} <= set(found["tokens"])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 10_000), st.floats(0.01, 0.9), st.integers(1, 5))
def test_likely_spans_do_not_depend_on_company(
    documents: list[bytes], seed: int, floor: float, batch_size: int
) -> None:
    model = RandomModel(seed, stop_bias=4.0)
    floors = {"tokens": floor}
    alone = [predict_spans(model, [item], tasks=["tokens"], floors=floors)[0] for item in documents]
    together = predict_spans(model, documents, tasks=["tokens"], batch_size=batch_size, floors=floors)
    assert [sorted(item["tokens"]) for item in together] == [sorted(item["tokens"]) for item in alone]
    for ours, theirs in zip(together, alone, strict=True):
        scores = ([span.score for span in sorted(item["tokens"])] for item in (ours, theirs))
        assert next(scores) == pytest.approx(next(scores))


def test_spans_of_whole_words_are_the_only_likely_ones_where_words_are_kept_whole() -> None:
    model = RandomModel(3, stop_bias=0.0)
    model.config = replace(model.config, whole_words=True)
    data = b"some more words"
    (found,) = predict_spans(model, [data], tasks=["tokens"], floors={"tokens": 0.001})
    broken = broken_edges(data)
    assert len(found["tokens"]) > 3
    assert not any(broken[0, span.start] or broken[1, span.end] for span in found["tokens"])

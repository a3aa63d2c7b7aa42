"""Spans as tags of units, and the best possible tags against all that there are."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bytespan.decoding import log_softmax
from bytespan.errors import LabelError
from bytespan.lattice import (
    OUTSIDE,
    TagSets,
    _viterbi,
    best_tags,
    ends_likely_spans,
    likely_spans,
    tagged_spans,
    unit_windows,
)
from bytespan.spans import Span
from bytespan.units import cut_units
from strategies import texts

TAGS = TagSets({"tokens": ("NOUN", "VERB", "X"), "entities": ("PER", "größe")})
inputs = texts.map(str.encode) | st.binary(max_size=30)


def is_possible(tags: tuple[int, ...]) -> bool:
    """Whether every I follows a B or I of its label."""
    pairs = itertools.pairwise((OUTSIDE, *tags))
    return all(tag == OUTSIDE or tag % 2 == 1 or before in (tag, tag - 1) for before, tag in pairs)


@st.composite
def tagged_texts(draw: st.DrawFn) -> tuple[bytes, list[Span], str]:
    """Any bytes with flat spans of whole units, for one of the tasks."""
    data = draw(inputs)
    units = cut_units(data)
    task = draw(st.sampled_from(sorted(TAGS.labels)))
    spans, first = [], 0
    while first < len(units):
        size = draw(st.integers(1, 3))
        last = min(first + size, len(units))
        if draw(st.booleans()):
            label = draw(st.sampled_from(TAGS.labels[task]))
            spans.append(Span(int(units.starts[first]), int(units.ends[last - 1]), label))
        first = last
    return data, spans, task


@given(tagged_texts())
def test_decode_inverts_encode(example: tuple[bytes, list[Span], str]) -> None:
    data, spans, task = example
    units = cut_units(data)
    tags, untold = TAGS.encode(spans, units, task)
    assert not untold.any()
    assert is_possible(tuple(tags.tolist()))
    assert TAGS.spans(tagged_spans(tags, np.zeros(len(units), np.float32)), units, task) == spans


@given(inputs, st.data())
def test_encode_gives_possible_tags_and_owns_up_to_what_it_cannot_tell(data: bytes, draw: st.DataObject) -> None:
    """Of any spans, aligned or not: where no unit is untold, decoding gives the spans back."""
    places = st.integers(0, len(data))
    pairs = draw.draw(
        st.lists(st.tuples(places, places).map(sorted).filter(lambda pair: pair[0] < pair[1]), max_size=4)
    )
    spans = [Span(start, end, draw.draw(st.sampled_from(TAGS.labels["entities"]))) for start, end in pairs]
    units = cut_units(data)
    tags, untold = TAGS.encode(spans, units, "entities")
    assert is_possible(tuple(np.where(untold, OUTSIDE, tags).tolist())) or untold.any()
    found = TAGS.spans(tagged_spans(tags, np.zeros(len(units), np.float32)), units, "entities")
    for span in spans:
        covered = (units.starts < span.end) & (units.ends > span.start)
        if covered.any() and not untold[covered].any():
            assert span in found


@pytest.mark.parametrize(
    ("spans", "tags", "untold"),
    [
        ([(0, 7, "PER")], [1, 2, 0, 0], [0, 0, 0, 0]),
        ([(0, 3, "PER"), (4, 7, "PER")], [1, 1, 0, 0], [0, 0, 0, 0]),
        ([(1, 7, "PER")], [0, 0, 0, 0], [1, 1, 0, 0]),
        ([(4, 9, "größe")], [0, 0, 0, 0], [0, 1, 1, 0]),
        ([(3, 4, "PER")], [0, 0, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_tags_of_spans(spans: list[tuple[int, int, str]], tags: list[int], untold: list[int]) -> None:
    units = cut_units(b"Ana Bea Chloe .")
    found, lied = TAGS.encode([Span(*span) for span in spans], units, "entities")
    assert found.tolist() == tags
    assert lied.tolist() == [bool(value) for value in untold]


def test_units_of_a_span_that_overlaps_one_before_it_are_untold() -> None:
    units = cut_units(b"Ana Bea Chloe Dora")
    _, untold = TAGS.encode([Span(0, 7, "PER"), Span(4, 13, "PER")], units, "entities")
    assert untold.tolist() == [False, True, True, False]


def test_unknown_label_is_named() -> None:
    with pytest.raises(LabelError, match=r"label 'DATE' is not in the entities label set \(PER, größe\)"):
        TAGS.encode([Span(0, 1, "DATE")], cut_units(b"a"), "entities")


def scores_of(steps: int, labels: int) -> st.SearchStrategy[np.ndarray]:
    """Any scores, ties included."""
    return arrays(np.float32, (steps, 2 * labels + 1), elements=st.integers(-3, 3).map(float))


@given(st.tuples(st.integers(1, 5), st.integers(1, 2)).flatmap(lambda shape: scores_of(*shape)))
def test_best_tags_score_as_much_as_any_possible_tags(scores: np.ndarray) -> None:
    steps, count = scores.shape
    found = best_tags(scores)
    assert is_possible(tuple(found.tolist()))
    possible = [tags for tags in itertools.product(range(count), repeat=steps) if is_possible(tags)]
    best = max(sum(scores[t, tag] for t, tag in enumerate(tags)) for tags in possible)
    assert scores[np.arange(steps), found].sum() == best


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 3), st.floats(0, 4))
def test_best_tags_of_a_long_text_are_those_of_one_search_over_it(
    seed: int, steps: int, labels: int, lift: float
) -> None:
    """With B and O lifted above I by more or less, so that few or many units stand apart."""
    scores = np.random.default_rng(seed).normal(size=(steps, 2 * labels + 1)).astype(np.float32)
    scores[:, 1::2] += np.float32(lift / 2)
    scores[:, 0] += np.float32(lift)
    found = best_tags(scores)
    assert is_possible(tuple(found.tolist()))
    whole = [
        scores[np.arange(steps), tags].sum(dtype=np.float64)
        for tags in (found, _viterbi(scores, np.array([0]), np.array([steps])))
    ]
    assert whole[0] == pytest.approx(whole[1])


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 2))
def test_best_tags_are_the_only_best_ones(seed: int, steps: int, labels: int) -> None:
    """With scores that no two sequences share."""
    scores = np.random.default_rng(seed).normal(size=(steps, 2 * labels + 1)).astype(np.float32)
    possible = [tags for tags in itertools.product(range(2 * labels + 1), repeat=steps) if is_possible(tags)]
    best = max(possible, key=lambda tags: float(scores[np.arange(steps), list(tags)].astype(np.float64).sum()))
    assert tuple(best_tags(scores).tolist()) == best


def random_logs(seed: int, steps: int, labels: int) -> np.ndarray:
    """Log-probabilities of tags, few of them likely."""
    return log_softmax((3 * np.random.default_rng(seed).normal(size=(steps, 2 * labels + 1))).astype(np.float32))


def probability(logs: np.ndarray, first: int, last: int, label: int) -> float:
    """That tags drawn unit by unit have a span of the label there."""
    behind = 1 - np.exp(logs[last, 2 * label + 2]) if last < len(logs) else 1.0
    return float(np.exp(logs[first, 2 * label + 1] + logs[first + 1 : last, 2 * label + 2].sum()) * behind)


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(1, 3), st.floats(0.001, 1), st.data())
def test_likely_spans_are_all_that_are_likely_enough(
    seed: int, steps: int, labels: int, floor: float, draw: st.DataObject
) -> None:
    logs = random_logs(seed, steps, labels)
    count = draw.draw(st.integers(0, steps))
    found = likely_spans(logs, floor, count=count)
    rows = zip(found.first.tolist(), found.last.tolist(), found.label.tolist(), strict=True)
    likely = dict(zip(rows, found.probability.tolist(), strict=True))
    assert len(likely) == len(found.first)
    for first, last, label in itertools.product(range(steps), range(1, steps + 1), range(labels)):
        if first < last:
            expected = probability(logs, first, last, label)
            is_likely = first < count and expected >= floor
            if abs(expected - floor) > 1e-4:
                assert ((first, last, label) in likely) == is_likely
            if (first, last, label) in likely:
                assert likely[first, last, label] == pytest.approx(expected, abs=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(0.01, 1))
def test_no_likely_span_reaches_over_where_they_end(seed: int, steps: int, floor: float) -> None:
    logs = random_logs(seed, steps, 2)
    found = likely_spans(logs, floor, count=steps)
    inside = [unit for first, last in zip(found.first, found.last, strict=True) for unit in range(first + 1, last)]
    assert not ends_likely_spans(logs, floor)[inside].any()


@given(inputs, st.data())
def test_decode_takes_any_tags_and_gives_flat_spans_of_whole_units(data: bytes, draw: st.DataObject) -> None:
    units = cut_units(data)
    tags = np.array(draw.draw(st.lists(st.integers(0, 6), min_size=len(units), max_size=len(units))), np.int64)
    spans = TAGS.spans(tagged_spans(tags, np.full(len(units), -0.5, np.float32)), units, "tokens")
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert {span.start for span in spans} <= set(units.starts.tolist())
    assert {span.end for span in spans} <= set(units.ends.tolist())
    assert {span.label for span in spans} <= set(TAGS.labels["tokens"])
    assert all(0 < span.score <= 1 for span in spans)


def test_span_scores_what_its_tags_score() -> None:
    units = cut_units(b"Ana Bea , Chloe")
    logs = np.log(np.array([0.9, 0.8, 0.7, 0.5], np.float32))
    first, last = TAGS.spans(tagged_spans(np.array([1, 2, 0, 3]), logs), units, "entities")
    assert (first, last) == (Span(0, 7, "PER"), Span(10, 15, "größe"))
    assert (first.score, last.score) == (pytest.approx(0.72), pytest.approx(0.5))


def test_columns_of_the_tasks_partition_the_scores() -> None:
    assert TAGS.columns == {"tokens": slice(0, 7), "entities": slice(7, 12)}
    assert TAGS.size == len(TAGS.meanings()) == 12
    names = ["O", "B-PER", "I-PER", "B-größe", "I-größe"]
    assert TAGS.meanings()[7:] == [("entities", name) for name in names]


@given(st.text("ab é日. \n", max_size=200).map(str.encode) | st.binary(max_size=100), st.integers(1, 40))
def test_windows_keep_every_unit_once_and_stay_within_their_length(data: bytes, length: int) -> None:
    units = cut_units(data)
    windows = unit_windows(units, length=length)
    assert [unit for _, _, kept, end in windows for unit in range(kept, end)] == list(range(len(units)))
    for first, last, kept, end in windows:
        assert 0 <= first <= kept < end <= last <= len(units)
        size = int(units.ends[last - 1] - units.starts[first])
        assert size <= length or end - kept == 1


@pytest.mark.parametrize("length", [64, 100, 1024])
def test_no_kept_unit_but_at_the_texts_ends_lacks_context(length: int) -> None:
    units = cut_units(b"ab cd " * 500)
    for first, last, kept, end in unit_windows(units, length=length):
        margin = length // 8 - 6  # less the unit and spaces that the margin cuts through
        assert first == 0 or units.starts[kept] - units.starts[first] >= margin
        assert last == len(units) or units.ends[last - 1] - units.ends[end - 1] >= margin


def test_unit_longer_than_a_window_does_not_swallow_the_text_behind_it() -> None:
    """Its window reached to the text's end, however far that was."""
    units = cut_units(b"a b " + b"x" * 50 + b" c d" * 20)
    windows = unit_windows(units, length=16)
    assert [end - kept for first, last, kept, end in windows if first <= 2 < last and kept <= 2 < end] == [1]
    assert max(last - first for first, last, _, _ in windows) <= 8


@pytest.mark.parametrize("length", [64, 100, 4096])
def test_window_over_nothing_but_marks_holds_no_more_units_than_over_words(length: int) -> None:
    units = cut_units(b"." * 3 * length)
    windows = unit_windows(units, length=length)
    assert max(last - first for first, last, _, _ in windows) == length // 3 + 1
    assert min(end - kept for _, _, kept, end in windows[:-1]) >= length // 12
    chinese = cut_units("字".encode() * length)
    assert max(last - first for first, last, _, _ in unit_windows(chinese, length=length)) == length // 3


def test_text_that_fits_is_one_window() -> None:
    units = cut_units(b"a b c")
    assert unit_windows(units, length=5) == [(0, 3, 0, 3)]
    assert unit_windows(cut_units(b" "), length=5) == []


@given(st.text("ab \n日", max_size=200), st.integers(8, 40), st.integers(0, 200))
def test_windows_of_a_part_are_the_first_ones_of_the_whole(text: str, length: int, size: int) -> None:
    """Those that are left out are found from the unit on that is next to be kept."""
    units = cut_units(text.encode())
    whole = unit_windows(units, length=length)
    part = unit_windows(units.slice(0, size), length=length, is_whole=size >= len(units))
    assert part == whole[: len(part)]
    kept = part[-1][3] if part else 0
    assert part + unit_windows(units, length=length, kept=kept) == whole

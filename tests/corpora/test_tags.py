"""Tags of tokens and the ranges that they stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.corpora.tags import ranges_of_tags, split_tag, tags_of_ranges
from bytespan.errors import CorpusError
from bytespan.spans import Span
from strategies import LABELS, flat_spans


def ranges(tags: str) -> list[tuple[int, int, str]]:
    return ranges_of_tags(split_tag(tag) for tag in tags.split())


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("IOB2", "B-PER I-PER O B-LOC B-LOC I-LOC O"),
        ("IOB1", "I-PER I-PER O I-LOC B-LOC I-LOC O"),
        ("BIOES", "B-PER E-PER O S-LOC B-LOC E-LOC O"),
        ("BILOU", "B-PER L-PER O U-LOC B-LOC L-LOC O"),
    ],
)
def test_each_scheme_gives_the_same_ranges(scheme: str, tags: str) -> None:
    assert ranges(tags) == [(0, 2, "PER"), (3, 4, "LOC"), (4, 6, "LOC")]


def test_an_inside_tag_without_beginning_or_of_another_label_begins_a_span() -> None:
    assert ranges("O I-PER I-LOC I-LOC") == [(1, 2, "PER"), (2, 4, "LOC")]
    assert ranges("S-PER I-PER") == [(0, 1, "PER"), (1, 2, "PER")]
    assert ranges("E-PER E-PER") == [(0, 1, "PER"), (1, 2, "PER")]


@given(
    st.integers(1, 12).flatmap(
        lambda size: st.tuples(st.just(size), flat_spans(range(size + 1), st.sampled_from(LABELS)))
    )
)
def test_iob2_tags_give_their_ranges_back(case: tuple[int, list[Span]]) -> None:
    size, spans = case
    given_ranges = [(span.start, span.end, span.label) for span in spans]
    tags = tags_of_ranges(given_ranges, size=size)
    assert len(tags) == size
    assert ranges_of_tags(split_tag(tag) for tag in tags) == given_ranges


@pytest.mark.parametrize("tag", ["PER", "B", "B-", "b-PER", "X-PER", "B_PER", "o", "-PER", ""])
def test_a_tag_without_known_prefix_or_label_is_named(tag: str) -> None:
    with pytest.raises(CorpusError) as caught:
        split_tag(tag)
    assert f"tag {tag!r} is neither O nor a label after one of B- I-" in str(caught.value)


def test_a_label_may_hold_hyphens() -> None:
    assert split_tag("I-B-PER") == ("I", "B-PER")

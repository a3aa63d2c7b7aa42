"""The numbers of input and output symbols."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.errors import LabelError
from bytespan.vocabulary import DROP, STOP, Vocabulary, feed_bytes
from strategies import VOCABULARY

LABEL_SETS = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4, unique=True).map(tuple),
    min_size=1,
    max_size=3,
)


@given(st.integers(1, 500), LABEL_SETS)
def test_every_output_symbol_has_one_meaning(segment_length: int, labels: dict[str, tuple[str, ...]]) -> None:
    vocabulary = Vocabulary(segment_length, labels)
    symbols = [STOP]
    symbols += [vocabulary.first_start + number for number in range(segment_length + 1)]
    symbols += [vocabulary.first_length + number for number in range(segment_length + 1)]
    symbols += [vocabulary.label_symbol(task, label) for task, names in labels.items() for label in names]
    assert symbols == list(range(vocabulary.output_size))
    assert len(vocabulary.output_meanings()) == vocabulary.output_size == len(set(vocabulary.output_meanings()))


@given(st.integers(1, 500), LABEL_SETS)
def test_every_input_symbol_has_one_meaning(segment_length: int, labels: dict[str, tuple[str, ...]]) -> None:
    vocabulary = Vocabulary(segment_length, labels)
    symbols = [*range(256), DROP, *(vocabulary.go(task) for task in labels)]
    symbols += [vocabulary.first_fed_output + symbol for symbol in range(vocabulary.output_size)]
    assert symbols == list(range(vocabulary.input_size))
    assert len(vocabulary.meanings()) == vocabulary.input_size == len(set(vocabulary.meanings()))


@given(LABEL_SETS)
def test_label_range_holds_just_the_labels_of_its_task(labels: dict[str, tuple[str, ...]]) -> None:
    vocabulary = Vocabulary(10, labels)
    for task, names in labels.items():
        assert list(vocabulary.label_range(task)) == [vocabulary.label_symbol(task, name) for name in names]
    first = vocabulary.first_label
    assert vocabulary.label_names == tuple(name for names in labels.values() for name in names)
    assert all(
        vocabulary.label_names[vocabulary.label_symbol(task, name) - first] == name
        for task, names in labels.items()
        for name in names
    )


def test_feed_bytes_gives_each_byte_its_own_value() -> None:
    assert feed_bytes(bytes(range(256))).tolist() == list(range(256))
    assert feed_bytes(b"").tolist() == []


@pytest.mark.parametrize("labels", [{"entities": ()}, {"entities": ("PER", "PER")}])
def test_vocabulary_refuses_an_empty_label_set_and_a_doubled_label(
    labels: dict[str, tuple[str, ...]],
) -> None:
    with pytest.raises(LabelError, match="task 'entities' needs at least one label and no label twice"):
        Vocabulary(60, labels)


def test_vocabulary_refuses_segments_without_bytes() -> None:
    with pytest.raises(LabelError, match="segment_length must be at least 1, got 0"):
        Vocabulary(0, {"entities": ("PER",)})


def test_unknown_tasks_and_labels_are_named_with_the_known_ones() -> None:
    with pytest.raises(LabelError, match=r"task 'ner' is not one of this model's \(tokens, entities\)"):
        VOCABULARY.go("ner")
    with pytest.raises(LabelError, match=r"task 'ner' is not one of this model's"):
        VOCABULARY.label_range("ner")
    with pytest.raises(LabelError, match=r"label 'PERSON' is not in the entities label set .*\(PER, LOC, ORG\)"):
        VOCABULARY.label_symbol("entities", "PERSON")
    with pytest.raises(LabelError, match=r"the ner label set of this model \(none\)"):
        VOCABULARY.label_symbol("ner", "PER")

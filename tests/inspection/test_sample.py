"""Which passages of the texts are looked at, and how they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.inspection.sample import ALL_BYTES, PASSAGE_BYTES, choose_passages, cut_passages
from bytespan.spans import Document, Span
from strategies import documents


@given(documents(), st.integers(1, 40))
def test_passages_are_the_document_in_order_with_all_its_spans(document: Document, size: int) -> None:
    passages = list(cut_passages(document, size=size))
    assert b"".join(passage.data for passage in passages) == document.data
    offset, found = 0, {task: [] for task in document.spans}
    for passage in passages:
        for task, spans in passage.spans.items():
            found[task] += [span.shifted(by=offset) for span in spans]
        offset += len(passage.data)
    assert found == {task: list(spans) for task, spans in document.spans.items()}


def test_a_cut_that_one_task_moves_does_not_go_through_a_span_of_another() -> None:
    spans = {"tokens": [Span(1, 3, "NOUN")], "entities": [Span(0, 2, "PER")]}
    assert [passage.data for passage in cut_passages(Document(b"000111", spans), size=1)] == [b"000", b"1", b"1", b"1"]


def test_passages_are_cut_behind_spaces_and_within_no_character() -> None:
    words = Document(b"aaaa bbbb cccc dddd")
    assert [passage.data for passage in cut_passages(words, size=12)] == [b"aaaa bbbb ", b"cccc dddd"]
    kanji = Document("東京は大きい".encode())
    assert [passage.text for passage in cut_passages(kanji, size=7)] == ["東京", "は大", "きい"]
    assert [passage.text for passage in cut_passages(kanji, size=1)] == list("東京は大きい")


@pytest.mark.parametrize("languages", [1, 4])
def test_as_much_is_taken_of_each_language_from_all_over_its_text(languages: int) -> None:
    texts = {str(number): [Document(b"%07d " % i * 128) for i in range(400)] for number in range(languages)}
    passages = choose_passages(texts)
    for language, whole in texts.items():
        own = [passage for passage in passages if passage.language == language]
        size = sum(len(passage.document.data) for passage in own)
        assert abs(size - ALL_BYTES / languages) <= 2 * PASSAGE_BYTES
        assert own[0].document.data == whole[0].data
        assert own[-1].document.data == whole[-1].data
        assert sum(passage.is_held_out for passage in own) == pytest.approx(len(own) / 3, abs=1)


def test_a_short_text_has_held_out_passages_too() -> None:
    passages = choose_passages({"de": [Document(b"Sie isst in Kiel. " * 40)]})
    assert len(passages) >= 9
    assert any(passage.is_held_out for passage in passages)
    assert choose_passages({"de": []}) == []

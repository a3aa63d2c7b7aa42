"""Other mentions in the same text."""

from hypothesis import given
from hypothesis import strategies as st

from bytespan.corpora.mentions import mentions_of, replace_mentions, swap_mentions
from bytespan.spans import Document, Span
from strategies import documents

ROME = Document("Ada saw Łódź.".encode(), {
    "entities": [Span(0, 3, "PER"), Span(8, 15, "LOC")], "tokens": [Span(0, 3, "PROPN"), Span(4, 7, "VERB")]
})  # fmt: skip
BO = Document(b"Bo went to Rome", {"entities": [Span(0, 2, "PER"), Span(11, 15, "LOC")]})


def test_mentions_are_listed_once_by_label() -> None:
    assert mentions_of([BO, ROME, BO], task="entities") == {"PER": [b"Ada", b"Bo"], "LOC": [b"Rome", "Łódź".encode()]}


def test_spans_lie_where_the_new_text_stands() -> None:
    replaced = replace_mentions(ROME, lambda label, text: {"PER": b"Zacharias", "LOC": text}[label], task="entities")
    assert replaced.text == "Zacharias saw Łódź."
    assert [(span.text, span.label) for span in replaced.entities] == [("Zacharias", "PER"), ("Łódź", "LOC")]
    assert replaced.spans.keys() == {"entities"}


def test_copies_hold_other_mentions_of_the_same_labels_in_the_same_text() -> None:
    nothing = Document(b"no name here", {"entities": []})
    copies = swap_mentions([ROME, BO, nothing], copies=20, fraction=0.5, seed=1)
    assert len(copies) == 40
    assert {copy.text for copy in copies} == {
        text.format(a, b) for text in ("{} saw {}.", "{} went to {}") for a in ("Ada", "Bo") for b in ("Łódź", "Rome")
    }
    assert copies == swap_mentions([ROME, BO, nothing], copies=20, fraction=0.5, seed=1)
    assert [copy.data for copy in swap_mentions([ROME, BO], copies=1, fraction=0.0, seed=1)] == [ROME.data, BO.data]


@given(st.lists(documents(), max_size=4))
def test_any_document_keeps_its_labels_in_order(found: list[Document]) -> None:
    members = [document for document in found if document.spans.get("entities")]
    for old, new in zip(members, swap_mentions(members, copies=1, fraction=1.0, seed=3), strict=True):
        assert [span.label for span in new.spans["entities"]] == [span.label for span in old.spans["entities"]]

"""What is said of the places of a text."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bytespan.inspection.properties import NOT_ASKED, describe, types_of
from bytespan.inspection.sample import positions
from bytespan.spans import Document, Span


def told(document: Document, name: str, *, reads_bytes: bool) -> str:
    """One letter a position: y, n, the first of the value, or - where it is not asked."""
    starts, ends = positions(document.data, reads_bytes=reads_bytes)
    return "".join(value[:1] or "-" for value in describe(document, starts, ends, language="de")[name])


def test_characters_have_script_case_and_digits() -> None:
    document = Document("aБ Γ1,".encode())
    assert told(document, "script", reads_bytes=True) == "LC-G--"
    assert told(document, "capital", reads_bytes=True) == "ny-y--"
    assert told(document, "digit", reads_bytes=True) == "nn-nyn"


def test_units_have_them_by_their_characters() -> None:
    document = Document("Ab 12b, 東京".encode())
    assert told(document, "capital", reads_bytes=False) == "y----"
    assert told(document, "digit", reads_bytes=False) == "nynnn"
    assert told(document, "script", reads_bytes=False) == "LL-CC"


def test_words_end_where_annotated_tokens_do_else_where_units_do() -> None:
    text = "can't go"
    assert told(Document(text.encode()), "word end", reads_bytes=True) == "nnyyy-ny"
    tokens = [Span(0, 2, "AUX"), Span(2, 5, "PART"), Span(6, 8, "VERB")]
    assert told(Document(text.encode(), {"tokens": tokens}), "word end", reads_bytes=True) == "nynny-ny"


def test_labels_are_asked_at_ends_of_units_and_nothing_is_a_label_too() -> None:
    document = Document(b"In Bad Ems!", {"entities": [Span(3, 10, "LOC")]})
    assert told(document, "entity", reads_bytes=True) == "-O---L---LO"
    assert told(document, "entity", reads_bytes=False) == "OLLO"
    assert told(document, "language", reads_bytes=True) == "-d---d---dd"
    assert "part of speech" not in describe(document, *positions(document.data, reads_bytes=False), language="de")


def test_quotations_of_many_kinds_are_inside_and_their_marks_are_not_asked() -> None:
    for quoted in ('a "b c" d', "a „b c“ d", "a «b c» d", "a »b c« d", "a “b c” d", "a ”b c” d"):
        assert told(Document(quoted.encode()), "in quotes", reads_bytes=True) == "nn-yyy-nn", quoted


def test_a_mark_that_is_not_closed_in_its_line_opens_nothing() -> None:
    assert "y" not in told(Document(b'5" wide\nand "tall'), "in quotes", reads_bytes=True)
    assert "y" not in told(Document(f'"{"a" * 500}"'.encode()), "in quotes", reads_bytes=True)
    assert "y" not in told(Document(b"don't, won't"), "in quotes", reads_bytes=True)


def test_the_type_of_a_character_is_its_unit_so_far() -> None:
    data = "on Öl!".encode()
    ends = positions(data, reads_bytes=True)[1]
    assert [kind.decode() for kind in types_of(data, ends)] == ["o", "on", "", "Ö", "Öl", "!"]
    assert [kind.decode() for kind in types_of(data, positions(data, reads_bytes=False)[1])] == ["on", "Öl", "!"]


@given(st.text(max_size=60), st.booleans())
def test_every_position_of_any_text_is_told_of(text: str, reads_bytes: bool) -> None:
    document = Document(text.encode("utf-8", errors="replace"), {"tokens": []})
    starts, ends = positions(document.data, reads_bytes=reads_bytes)
    assert len(types_of(document.data, ends)) == len(ends)
    found = describe(document, starts, ends, language="de")
    assert {values.shape for values in found.values()} == {starts.shape}
    if not reads_bytes:
        assert NOT_ASKED not in found["language"]
    assert np.all(starts < ends)

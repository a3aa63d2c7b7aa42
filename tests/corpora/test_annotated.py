"""What a corpus annotates, and training text without the sentences that models are tested on."""

from hypothesis import given
from hypothesis import strategies as st

from bytespan.corpora.annotated import SHORTEST_OVERLAP, annotate, hold_out, without_sentences
from bytespan.spans import Document, Span
from strategies import documents

FIRST = "Angela Merkel reiste gestern nach Paris ."
SECOND = "Dort traf sie den Präsidenten der Republik ."
THIRD = "Danach flog sie wieder nach Berlin zurück ."


def test_corpus_annotates_the_labels_that_it_uses_anywhere() -> None:
    one = Document(b"Ana", {"entities": [Span(0, 3, "PER")], "tokens": []})
    other = Document(b"Rom", {"entities": [Span(0, 3, "LOC")]})
    members = annotate([one, other])
    assert [member.document for member in members] == [one, other]
    assert all(member.labels == {"entities": {"PER", "LOC"}, "tokens": set()} for member in members)
    assert all(member.corpus_bytes == 6 for member in members)
    assert annotate([]) == []


def test_forbidden_lines_are_cut_out_with_their_spans() -> None:
    text = f"{FIRST}\n{SECOND}\n{THIRD}".encode()
    begin, end = len(FIRST) + 1, len(FIRST) + 1 + len(SECOND.encode())
    spans = [Span(0, 13, "PER"), Span(begin + 14, begin + 31, "ROLE"), Span(end + 1, end + 7, "WHEN")]
    pieces = list(without_sentences([Document(text, {"entities": spans}, identifier=7)], [Document(SECOND.encode())]))
    assert [piece.data.decode().strip() for piece in pieces] == [FIRST, THIRD]
    assert [span.label for piece in pieces for span in piece.spans["entities"]] == ["PER", "WHEN"]
    found = [piece.data[s.start : s.end] for piece in pieces for s in piece.spans["entities"]]
    assert found == [b"Angela Merkel", b"Danach"]
    assert [piece.identifier for piece in pieces] == [7, 7]


def test_spacing_hides_no_sentence() -> None:
    """A corpus of columns sets a space before the full stop, a treebank does not, a third breaks the line."""
    for spelling in (SECOND.replace(" .", "."), SECOND.replace(" den ", "\n den  "), f"  {SECOND}\r"):
        (kept,) = without_sentences([Document(f"{spelling}\n{FIRST}".encode())], [Document(SECOND.encode())])
        assert kept.data.decode().strip() == FIRST


def test_sentence_is_cut_wherever_it_stands() -> None:
    text = f"{SECOND} {FIRST} {SECOND} {SECOND}"
    (kept,) = without_sentences([Document(text.encode())], [Document(f"{THIRD}\n{SECOND}".encode())])
    assert kept.data.decode().strip() == FIRST


def test_short_lines_are_nobodys() -> None:
    short = "Foto : Reuters"
    assert len(short.replace(" ", "")) < SHORTEST_OVERLAP
    document = Document(f"{short}\n{FIRST}".encode())
    assert list(without_sentences([document], [Document(short.encode())])) == [document]


def test_document_without_forbidden_lines_is_the_same_one() -> None:
    document = Document(FIRST.encode())
    (kept,) = without_sentences([document], [Document(SECOND.encode())])
    assert kept is document


def test_document_of_forbidden_lines_alone_is_gone() -> None:
    assert list(without_sentences([Document(f"{FIRST}\n\n{FIRST}\n".encode())], [Document(FIRST.encode())])) == []


@given(documents(), st.lists(documents(), max_size=3))
def test_pieces_are_cut_from_the_document_and_hold_no_forbidden_line(
    document: Document, others: list[Document]
) -> None:
    """With lines of the document itself among the forbidden ones."""
    own = document.data * 3
    text = Document(own + b" | " + FIRST.encode() + b" | " + own, {"entities": [Span(0, 1, "X")]})
    pieces = list(without_sentences([text], [*others, Document(FIRST.encode())]))
    for piece in pieces:
        assert piece.data in text.data
        assert FIRST.encode() not in piece.data
        assert all(0 <= span.start < span.end <= len(piece.data) for span in piece.spans["entities"])
    assert sum(len(piece.data) for piece in pieces) <= len(text.data) - len(FIRST)


@given(st.lists(documents()), st.integers(2, 5))
def test_every_so_manieth_line_is_held_out_and_the_others_are_not(members: list[Document], every: int) -> None:
    """Blank lines count but are in neither part."""
    lines = [line for document in members for line in document.data.split(b"\n")]
    rest, held_out = hold_out(members, every=every)
    for part, wanted in ((held_out, lines[every - 1 :: every]), (rest, lines)):
        found = [line for document in part for line in document.data.split(b"\n") if line.strip()]
        chosen = wanted if part is held_out else [line for i, line in enumerate(wanted) if i % every != every - 1]
        assert found == [line for line in chosen if line.strip()]


def test_held_out_lines_keep_their_spans_and_tasks() -> None:
    text = "Ana sang\nin Rome\nBo slept"
    spans = {"entities": [Span(0, 3, "PER"), Span(12, 16, "LOC"), Span(17, 19, "PER")], "tokens": []}
    rest, (held_out,) = hold_out([Document(text.encode(), spans)], every=2)
    assert (held_out.data, list(held_out.spans["entities"])) == (b"in Rome\n", [Span(3, 7, "LOC")])
    assert [document.data for document in rest] == [b"Ana sang\n", b"Bo slept"]
    assert all(set(document.spans) == {"entities", "tokens"} for document in [*rest, held_out])

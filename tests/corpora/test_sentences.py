"""How sentences become documents."""

from bytespan.corpora.sentences import Sentence, join_sentences
from bytespan.spans import Document, Span


def sentence(text: str, **settings: object) -> Sentence:
    return Sentence(text.encode(), {"tokens": [(0, len(text.encode()), "X")]}, b"\n", **settings)  # type: ignore[arg-type]


def test_twenty_sentences_are_a_document_where_none_is_marked() -> None:
    joined = list(join_sentences([sentence(str(number)) for number in range(45)], marked=False))
    assert [document.data.count(b"\n") + 1 for document in joined] == [20, 20, 5]
    assert joined[1].data.split(b"\n") == [str(number).encode() for number in range(20, 40)]
    assert joined[1].spans["tokens"][3] == Span(9, 11, "X")


def test_marks_alone_begin_documents_where_there_are_any() -> None:
    sentences = [sentence("a", begins_document=True, identifier="1"), *[sentence("b")] * 30]
    sentences += [sentence("ç", begins_document=True), sentence("d", begins_document=True, identifier="3")]
    joined = list(join_sentences(sentences, marked=True))
    assert [(document.data[:1], document.identifier) for document in joined] == [
        (b"a", "1"),
        ("ç".encode()[:1], None),
        (b"d", "3"),
    ]
    assert joined[1] == Document("ç".encode(), {"tokens": [Span(0, 2, "X")]})


def test_no_sentences_are_no_documents() -> None:
    assert list(join_sentences([], marked=False)) == []

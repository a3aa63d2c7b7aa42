"""CoNLL-U: what is read, what is written, what is refused."""

import re
from collections.abc import Sequence
from pathlib import Path

import conllu
import pytest
from hypothesis import given

from bytespan.corpora.conllu import conllu_of, read_conllu
from bytespan.corpora.lines import Skipped
from bytespan.errors import CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document, Span
from strategies import conllu_documents, documents

SAMPLE = Path(__file__).parents[1] / "samples" / "words.conllu"


def row(number: str, form: str, upos: str = "X", misc: str = "_") -> str:
    return "\t".join([number, form, "_", upos, "_", "_", "_", "_", "_", misc])


def read(folder: Path, *lines: str, **settings: object) -> list[Document]:
    path = folder / "file.conllu"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    return list(read_conllu(path, **settings))  # type: ignore[arg-type]


def forms(document: Document) -> list[tuple[str, str]]:
    return [(span.text, span.label) for span in document.tokens]


def test_sample_is_read_with_multiword_tokens_empty_nodes_spacing_and_documents() -> None:
    french, japanese = read_conllu(SAMPLE)
    assert french.text == "Zoé vit au  Mans : « 10 000 » habitants.\n\nΗ Αθήνα!"
    assert french.identifier == "fr-1"
    assert forms(french)[:5] == [
        ("Zoé", "PROPN"),
        ("vit", "VERB"),
        ("au", "ADP+DET"),
        ("Mans", "PROPN"),
        (":", "PUNCT"),
    ]
    assert ("10 000", "NUM") in forms(french)
    assert forms(french)[-3:] == [("Η", "DET"), ("Αθήνα", "PROPN"), ("!", "PUNCT")]
    assert japanese.text == "東京は大きい。 مصر"
    assert japanese.identifier is None
    assert japanese.tokens[-1].start == 8
    assert ENTITIES not in french.spans


def test_sample_holds_the_words_that_the_conllu_package_reads() -> None:
    with SAMPLE.open(encoding="utf-8") as lines:
        words = [word for sentence in conllu.parse_incr(lines) for word in sentence if isinstance(word["id"], int)]
    tags = [tag for document in read_conllu(SAMPLE) for _, label in forms(document) for tag in label.split("+")]
    assert tags == [word["upos"] for word in words]


def test_twenty_sentences_are_a_document_where_there_is_no_newdoc(tmp_path: Path) -> None:
    found = read(tmp_path, *[row("1", f"w{number}") + "\n" for number in range(41)], "")
    assert [document.data.count(b" ") + 1 for document in found] == [20, 20, 1]


def test_text_that_disagrees_with_the_rows_is_rebuilt_from_the_rows(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "# text = a  b", row("1", "a"), row("2", "b", misc="SpaceAfter=No"), row("3", "c"), "")
    assert document.text == "a bc"
    assert forms(document) == [("a", "X"), ("b", "X"), ("c", "X")]


def test_text_may_hold_what_no_row_does(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "# text = <b> a </b> = b", row("1", "a"), row("2", "= b"), "")
    assert document.text == "<b> a </b> = b"
    assert forms(document) == [("a", "X"), ("= b", "X")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "\n", "\n\n", "\n\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_any_line_end_a_bom_and_a_missing_last_blank_line_are_accepted(
    tmp_path: Path, end: str, last: str, mark: str
) -> None:
    lines = mark + "\n".join(["# newdoc id = x", "# text = ä b", row("1", "ä"), row("2", "b")]) + last
    (document,) = read(tmp_path, lines.replace("\n", end))
    assert (document.text, document.identifier, len(document.tokens)) == ("ä b", "x", 2)


def test_nul_and_line_separators_are_characters_like_others(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "# text = a\0\u2028b c", row("1", "a\0\u2028b"), row("2", "c"), "")
    assert forms(document) == [("a\0\u2028b", "X"), ("c", "X")]


def test_entities_of_misc_are_a_task_of_their_own(tmp_path: Path) -> None:
    rows = [row("1", "Angela", misc="ner=B-PER"), row("2", "Merkel", misc="SpaceAfter=No|ner=E-PER"), row("3", ".")]
    (document,) = read(tmp_path, *rows, "")
    assert [(span.text, span.label) for span in document.entities] == [("Angela Merkel", "PER")]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            row("2", "b").replace("\t", "  "),
            "1 columns instead of 10 in '2  b  _  X  _  _  _  _  _  _': separate them by tabs",
        ),
        ("2\tb\t_\tX\t_\t_\t_\t_\t_", "9 columns instead of 10 in"),
        (row("two", "b"), "'two' is not a word's number, a range 1-2 or an empty node 1.1"),
        (row("2-", "b"), "'2-' is not a word's number"),
        (row("9" * 5000, "b"), "is not a word's number"),
        (row("2", ""), "word 2 has an empty form"),
        (row("2", "b", ""), "token 'b' has no part of speech"),
        (row("2-3", "b"), "token 'b' has no part of speech"),
        (row("1", "b"), "word 1 follows word 1: end each sentence by a blank line"),
        (row("2", "b", misc="ner=PER"), "tag 'PER' is neither O nor"),
    ],
)
def test_a_bad_line_is_named_and_costs_its_sentence_where_it_may(tmp_path: Path, bad: str, message: str) -> None:
    lines = ["# newdoc", row("1", "first"), "", row("1", "a"), bad, "", row("1", "last"), ""]
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        read(tmp_path, *lines)
    assert str(caught.value).startswith(f"{tmp_path / 'file.conllu'}:5: ")
    skipped = Skipped()
    (document,) = read(tmp_path, *lines, on_error=skipped)
    assert (document.text, skipped.count) == ("first last", 1)


def test_a_form_that_ends_in_white_space_which_the_text_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"file\.conllu:1: a form begins or ends in white space"):
        read(tmp_path, row("1", " a"), "")


def test_bytes_of_another_encoding_are_named_even_in_comments(tmp_path: Path) -> None:
    path = tmp_path / "latin.conllu"
    path.write_bytes(("# author = Jos\xe9\n" + row("1", "a") + "\n\n").encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.conllu:1: byte 0xE9 at position 14"):
        list(read_conllu(path))
    (document,) = read_conllu(path, encoding="latin-1")
    assert document.text == "a"


def write_then_read(folder: Path, documents: Sequence[Document], *, fit: bool = False) -> list[Document]:
    path = folder / "written.conllu"
    path.write_bytes("".join(conllu_of(document, fit=fit) for document in documents).encode())
    return list(read_conllu(path))


def refusal(document: Document) -> str | None:
    """Why the document cannot be written, None if it can."""
    try:
        conllu_of(document)
    except CorpusError as error:
        return str(error)
    return None


@given(conllu_documents())
def test_a_document_of_the_form_that_is_read_survives_writing(
    tmp_path_factory: pytest.TempPathFactory, document: Document
) -> None:
    assert write_then_read(tmp_path_factory.mktemp("conllu"), [document, document]) == [document, document]


@given(documents())
def test_tokens_of_any_text_survive_writing_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, document: Document
) -> None:
    reason = refusal(document)
    if reason is not None:
        assert re.search(r"white space|cuts the token|holds a character", reason)
        return
    back = write_then_read(tmp_path_factory.mktemp("conllu"), [document])
    assert len(back) == bool(document.text.strip())
    for read_again in back:
        kept = [(span.text, span.label) for span in read_again.tokens if span.label != "_"]
        assert kept == [(span.text, span.label) for span in document.tokens if span.label != "_"]
        unlabelled = "".join(span.text for span in read_again.tokens)
        assert "".join(unlabelled.split()) == "".join(document.text.split())
        shapes = [["".join(span.text.split()), span.label] for span in document.entities]
        assert [["".join(span.text.split()), span.label] for span in read_again.entities] == shapes


@given(documents(identifiers=False))
def test_any_text_can_be_written_if_tokens_may_be_fitted(
    tmp_path_factory: pytest.TempPathFactory, document: Document
) -> None:
    for read_again in write_then_read(tmp_path_factory.mktemp("conllu"), [document], fit=True):
        letters = "".join("".join(span.text for span in read_again.tokens).split())
        assert letters == "".join(document.text.split())
        wanted = ["".join(span.text.split()) for span in document.entities]
        assert ["".join(span.text.split()) for span in read_again.entities] == [text for text in wanted if text]


def test_written_form_is_conllu_that_others_read() -> None:
    text = "Il va au « Mans ». Oui !\n\nFin."
    labels = ["PRON", "VERB", "ADP+DET", "PUNCT", "PROPN", "PUNCT", "PUNCT", "INTJ", "PUNCT", "NOUN", "PUNCT"]
    cuts = [match.span() for match in re.finditer(r"\w+|[«».!]", text)]
    document = Document(
        text.encode(),
        {
            TOKENS: [
                Span(len(text[:start].encode()), len(text[:end].encode()), label)
                for (start, end), label in zip(cuts, labels, strict=True)
            ],
            ENTITIES: [Span(12, 16, "LOC")],
        },
        identifier="doc=1",
    )
    written = conllu_of(document)
    assert written.split("\n")[:9] == [
        "# newdoc id = doc=1",
        "# text = Il va au « Mans ».",
        row("1", "Il", "PRON", "ner=O"),
        row("2", "va", "VERB", "ner=O"),
        row("3-4", "au", "_", "ner=O"),
        row("3", "_", "ADP"),
        row("4", "_", "DET"),
        row("5", "«", "PUNCT", "ner=O"),
        row("6", "Mans", "PROPN", "ner=B-LOC"),
    ]
    assert row("7", "»", "PUNCT", "SpaceAfter=No|ner=O") in written
    sentences = conllu.parse(written)
    assert [sentence.metadata["text"] for sentence in sentences] == ["Il va au « Mans ».", "Oui !", "Fin."]
    assert ["newpar" in sentence.metadata for sentence in sentences] == [False, False, True]


def test_a_document_without_words_is_written_as_a_comment() -> None:
    assert conllu_of(Document(b" \n", identifier=3)) == "# newdoc id = 3\n\n"


@pytest.mark.parametrize(
    ("spans", "identifier", "message"),
    [
        (
            {TOKENS: [Span(0, 5, "X")], ENTITIES: [Span(3, 5, "LOC")]},
            None,
            "span 'de' (LOC, characters 3..5) cuts the token",
        ),
        ({TOKENS: [Span(0, 8, "X")]}, None, "token 'abcde\\tfg' (characters 0..8) holds white space"),
        ({ENTITIES: [Span(5, 8, "LOC")]}, None, "span at characters 5..8 (LOC) begins or ends with white space"),
        ({ENTITIES: [Span(0, 5, "A|B")]}, None, "entity label 'B-A|B' holds a character that CoNLL-U cannot"),
        ({TOKENS: [Span(0, 5, "A\tB")]}, None, "tag 'A\\tB' holds a character that CoNLL-U cannot"),
        ({}, "a\nb", "id 'a\\nb' holds a character that CoNLL-U cannot"),
        (
            {TOKENS: [Span(0, 3, "X"), Span(2, 5, "X")]},
            None,
            "'abc' (X, characters 0..3) and 'cde' (X, characters 2..5) overlap",
        ),
    ],
)
def test_what_conllu_cannot_hold_is_named(spans: dict[str, list[Span]], identifier: str | None, message: str) -> None:
    with pytest.raises(CorpusError, match=re.escape(message)):
        conllu_of(Document(b"abcde\tfg", spans, identifier=identifier))

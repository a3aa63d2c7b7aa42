"""CoNLL-U: words with their part of speech, as Universal Dependencies has them.

The reader is our own: the PyPI package `conllu` takes 6.6 times as long even with only the needed columns (0.60 s
against 0.09 s on 8 MB), splits a FORM at two spaces in a row, and does not say in which line an error is. The tests
read the same sentences with both.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bytespan.corpora.lines import Line, OnError, Source, source_of, stop
from bytespan.corpora.sentences import LabelledRange, Sentence, join_sentences
from bytespan.corpora.standoff import text_of
from bytespan.corpora.tags import ranges_of_tags, split_tag
from bytespan.corpora.tokenised import Token, sentences_of, tokenise
from bytespan.errors import CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document

COLUMNS = 10
NO_SPACE = "SpaceAfter=No"

_WORD_ID = re.compile(r"[0-9]{1,9}")
_RANGE_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
_EMPTY_NODE_ID = re.compile(r"[0-9]+\.[0-9]+")
_STOPS = frozenset(".!?…。！？؟۔।॥።")
_ENTITY = re.compile(r"(?:.*\|)?ner=([^|]*)")
_UNWRITABLE = re.compile(r"\s*[\t\r\n]\s*|^\s+|\s+\Z")


class _SurfaceToken:
    """One token of the text: a word, or a multiword token with the tags of its words."""

    __slots__ = ("form", "line", "misc", "space_after", "tags")

    def __init__(self, line: int, form: str, tags: list[str], misc: str) -> None:
        self.line, self.form, self.tags, self.misc = line, form, tags, misc
        self.space_after = NO_SPACE not in misc


def read_conllu(
    path: str | Path, *, encoding: str = "utf-8", sentences: int | None = None, on_error: OnError = stop
) -> Iterator[Document]:
    """Documents with the task "tokens", lazily; a sentence that cannot be read goes to `on_error` and is left out.

    The text is that of the scorer: a sentence's `# text`, else its forms with SpaceAfter honoured; sentences follow
    after a space, or after a blank line at `# newpar`; a document begins at `# newdoc`, or after 20 sentences in a file
    without any. A multiword token is one span, labelled with its words' tags joined by `+`; empty nodes are left out.
    Of more than so many `sentences` only the first are read.
    Where MISC has named entities as `ner=B-PER`, as Stanza and our writer put them, there is the task "entities" too.
    """
    with source_of(path, encoding).rereadable() as source:
        marked = any("# newdoc" in text for _, text in source.lines(universal=True))
        yield from join_sentences(islice(_sentences(source, on_error), sentences), marked=marked)


def _sentences(source: Source, on_error: OnError) -> Iterator[Sentence]:
    for block in _blocks(source):
        try:
            for line in block:
                source.check_encoding(line)
            sentence = _parse(block, source)
        except CorpusError as error:
            on_error(error)
            continue
        if sentence is not None:
            yield sentence


def _blocks(source: Source) -> Iterator[list[Line]]:
    block: list[Line] = []
    for line in source.lines(universal=True):
        if line[1].strip(" "):
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _parse(block: list[Line], source: Source) -> Sentence | None:
    comments = [text for _, text in block if text.startswith("#")]
    tokens = _tokens(block, source)
    if not tokens:
        return None
    rebuilt = "".join(token.form + " " * token.space_after for token in tokens).strip()
    given = next((text.split("=", 1)[1].strip() for text in comments if text.startswith("# text =")), rebuilt)
    ranges = _place(tokens, given)
    if ranges is None:  # the comment and the rows disagree: the rows are trusted
        given, ranges = rebuilt, _place(tokens, rebuilt)
    if ranges is None:
        raise source.at(tokens[0].line, "a form begins or ends in white space, so the text cannot be rebuilt: strip it")
    document = next((text for text in comments if text.startswith("# newdoc")), None)
    spans = {TOKENS: ranges}
    if any("ner=" in token.misc for token in tokens):
        spans[ENTITIES] = _entities(tokens, ranges, source)
    return Sentence(
        data=given.encode("utf-8"),
        spans=spans,
        separator=b"\n\n" if any(text.startswith("# newpar") for text in comments) else b" ",
        begins_document=document is not None,
        identifier=document.partition("=")[2].strip() or None if document else None,
    )


def _place(tokens: list[_SurfaceToken], sentence: str) -> list[LabelledRange] | None:
    """Where the tokens lie in the sentence, in bytes; None unless each is found after the one before."""
    ranges: list[LabelledRange] = []
    cursor = size = 0
    for token in tokens:
        found = sentence.find(token.form, cursor)
        if found < 0:
            return None
        start = size + len(sentence[cursor:found].encode("utf-8"))
        size = start + len(token.form.encode("utf-8"))
        cursor = found + len(token.form)
        ranges.append((start, size, "+".join(token.tags)))
    return ranges


def _entities(tokens: list[_SurfaceToken], ranges: list[LabelledRange], source: Source) -> list[LabelledRange]:
    tags = []
    for token in tokens:
        tag = _ENTITY.match(token.misc)
        try:
            tags.append(split_tag(tag[1] if tag else "O"))
        except CorpusError as error:
            raise source.at(token.line, str(error)) from None
    return [(ranges[first][0], ranges[last - 1][1], label) for first, last, label in ranges_of_tags(tags)]


def _tokens(block: list[Line], source: Source) -> list[_SurfaceToken]:
    tokens: list[_SurfaceToken] = []
    covered = last = 0  # the last word of the multiword token at hand; the last word seen
    for number, text in block:
        if text.startswith("#"):
            continue
        row = text.split("\t")
        if len(row) < COLUMNS:
            raise source.at(number, f"{len(row)} columns instead of {COLUMNS} in {text!r}: separate them by tabs")
        if not row[1]:
            raise source.at(number, f"word {row[0]} has an empty form: write _ for an unknown one")
        if _WORD_ID.fullmatch(row[0]):
            word = int(row[0])
            if word <= last:
                raise source.at(number, f"word {word} follows word {last}: end each sentence by a blank line")
            last = word
            if word <= covered:
                tokens[-1].tags.append(row[3])
            else:
                tokens.append(_SurfaceToken(number, row[1], [row[3]], row[9]))
        elif span := _RANGE_ID.fullmatch(row[0]):
            covered = int(span[2])
            tokens.append(_SurfaceToken(number, row[1], [], row[9]))
        elif not _EMPTY_NODE_ID.fullmatch(row[0]):
            raise source.at(number, f"{row[0]!r} is not a word's number, a range 1-2 or an empty node 1.1: correct it")
    for token in tokens:
        if not "".join(token.tags):
            raise source.at(token.line, f"token {token.form!r} has no part of speech: write _ for an unknown one")
    return tokens


def conllu_of(document: Document, *, fit: bool = False) -> str:
    """The document as CoNLL-U, from `# newdoc` to the blank line after its last sentence.

    A sentence ends with its line, or after a full stop or the like and a space; `# newpar` stands where blank lines
    were. A label with `+` between tags is written as a multiword token; text outside of the tokens has the tag `_`.
    Entities go to MISC as `ner=B-PER`. A document without any token is a comment that readers pass over.

    Reading it again gives the same text if line ends stand in pairs and only between tokens, with no other white space
    around them or at the text's ends; else the tokens' forms, order and labels.

    Raises CorpusError for a token that an entity cuts or that holds a tab or a line end, and for spans with white space
    at their ends; with `fit` tokens are cut and spans narrowed instead.
    """
    text = text_of(document)
    lines = ["# newdoc" if document.identifier is None else f"# newdoc id = {_field(str(document.identifier), 'id')}"]
    tokens = tokenise(document, unwritable=_UNWRITABLE, fit=fit)
    for index, sentence in enumerate(sentences_of(tokens, stops=_STOPS)):
        if index and sentence[0].line_ends > 1:
            lines.append("# newpar")
        shown = text[sentence[0].start : sentence[-1].end]
        if "\n" not in shown and "\r" not in shown:  # else the forms alone give the text, with a space instead
            lines.append(f"# text = {shown}")
        lines += [*_rows(sentence), ""]
    return "\n".join([*lines, ""] if len(lines) > 1 else [*lines, "", ""])


def _rows(sentence: list[Token]) -> Iterator[str]:
    word = 1
    for token, following in zip(sentence, [*sentence[1:], None], strict=True):
        misc = [NO_SPACE] if following is not None and not following.before else []
        misc += [] if token.tag is None else [f"ner={_field(token.tag, 'entity label', '|')}"]
        tags = [_field(tag, "tag") for tag in ("_" if token.pos is None else token.pos).split("+")]
        if not all(tags):
            tags = [_field(token.pos or "", "tag")]
        if len(tags) == 1:
            yield _row(str(word), token.form, tags[0], misc)
        else:
            yield _row(f"{word}-{word + len(tags) - 1}", token.form, "_", misc)
            yield from (_row(str(word + index), "_", tag, []) for index, tag in enumerate(tags))
        word += len(tags)


def _row(number: str, form: str, tag: str, misc: list[str]) -> str:
    return "\t".join([number, form, "_", tag, *"_____", "|".join(misc) or "_"])


def _field(value: str, what: str, also: str = "") -> str:
    """The value, if CoNLL-U can hold it as `what`."""
    if any(character in value for character in "\t\r\n" + also):
        raise CorpusError(f"{what} {value!r} holds a character that CoNLL-U cannot: rename it")
    return value

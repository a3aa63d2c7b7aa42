"""A document as sentences of tokens, for the formats that are made of tokens instead of text and spans."""

import re
from bisect import bisect_left
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from bytespan.corpora.standoff import CharacterRange, character_ranges, text_of
from bytespan.corpora.tags import tags_of_ranges
from bytespan.errors import CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Token:
    """A token to write."""

    start: int
    end: int
    """Code points of the document's text, half-open."""
    form: str
    pos: str | None
    """Its label in the task "tokens"; None where there is none."""
    tag: str | None = None
    """Its IOB2 tag in the task "entities"; None where that was not annotated."""
    before: str = ""
    """The white space between the token before, or the text's beginning, and this one."""

    @property
    def line_ends(self) -> int:
        """How many lines end between the token before and this one."""
        return len(_LINE_END.findall(self.before))


def tokenise(document: Document, *, unwritable: re.Pattern[str], fit: bool) -> list[Token]:
    """The tokens of the whole text: the spans of the task "tokens", and whatever else stands between white space.

    Text outside of the given tokens is cut at the ends of entities. A given token that an entity cuts or that holds
    `unwritable` characters raises CorpusError, and so does a span with white space at its ends; with `fit` such a token
    is cut in two, and the span narrowed.
    """
    text = text_of(document)
    entities = character_ranges(document, ENTITIES, fit=fit)
    bounds = sorted({bound for start, end, _ in entities for bound in (start, end)})
    tokens: list[Token] = []
    for word in _words(text, character_ranges(document, TOKENS, fit=fit)):
        pieces = _cut(word, text, bounds, unwritable)
        if not fit and word.pos is not None and pieces != [word]:
            raise CorpusError(_why_cut(word, text, entities))
        tokens += pieces
    ends = [0, *(token.end for token in tokens)]
    tokens = [replace(token, before=text[end : token.start]) for end, token in zip(ends, tokens, strict=False)]
    return _tagged(tokens, entities, fit=fit) if ENTITIES in document.spans else tokens


def sentences_of(tokens: list[Token], *, stops: Container[str] = ()) -> Iterator[list[Token]]:
    """The tokens of each line, or with `stops` of each part of a line that ends in one of them and a space.

    No sentence ends inside an entity.
    """
    first = 0
    for index, (before, token) in enumerate(pairwise(tokens), 1):
        ends = token.line_ends or (before.form in stops and token.before == " ")
        if ends and not (token.tag or "").startswith("I-"):
            yield tokens[first:index]
            first = index
    if tokens[first:]:
        yield tokens[first:]


def _words(text: str, given: list[CharacterRange]) -> Iterator[Token]:
    """The given tokens and, without label, the pieces between white space of the text outside of them."""
    end = 0
    for start, next_end, pos in [*given, (len(text), len(text), "")]:
        for piece in re.finditer(r"\S+", text[end:start]):
            yield Token(end + piece.start(), end + piece.end(), piece[0], None)
        if start < next_end:
            yield Token(start, next_end, text[start:next_end], pos)
        end = next_end


def _cut(word: Token, text: str, bounds: list[int], unwritable: re.Pattern[str]) -> list[Token]:
    """The word in pieces between the bounds inside it and the characters that cannot be written."""
    inside = bounds[bisect_left(bounds, word.start + 1) : bisect_left(bounds, word.end)]
    pieces: list[Token] = []
    for start, end in zip([word.start, *inside], [*inside, word.end], strict=True):
        cursor = start
        gaps = [(start + gap.start(), start + gap.end()) for gap in unwritable.finditer(text[start:end])]
        for gap_start, gap_end in [*gaps, (end, end)]:
            if cursor < gap_start:
                pieces.append(replace(word, start=cursor, end=gap_start, form=text[cursor:gap_start]))
            cursor = gap_end
    return pieces


def _why_cut(word: Token, text: str, entities: list[CharacterRange]) -> str:
    for start, end, label in entities:
        if word.start < start < word.end or word.start < end < word.end:
            return (
                f"span {text[start:end]!r} ({label}, characters {start}..{end}) cuts the token {word.form!r} "
                f"(characters {word.start}..{word.end}): correct one of them, or cut the token with --fit"
            )
    return (
        f"token {word.form!r} (characters {word.start}..{word.end}) holds white space that this format cannot: "
        "correct it, or cut it with --fit"
    )


def _tagged(tokens: list[Token], entities: list[CharacterRange], *, fit: bool) -> list[Token]:
    starts, ends = [token.start for token in tokens], [token.end for token in tokens]
    ranges: list[tuple[int, int, str]] = []
    for start, end, label in entities:
        first, last = bisect_left(starts, start), bisect_left(ends, end + 1)
        if not fit and (first >= last or (starts[first], ends[last - 1]) != (start, end)):
            raise CorpusError(
                f"span at characters {start}..{end} ({label}) begins or ends with white space, which no token can: "
                "narrow it, also with --fit"
            )
        if first < last:
            ranges.append((first, last, label))
    tags = tags_of_ranges(ranges, size=len(tokens))
    return [replace(token, tag=tag) for token, tag in zip(tokens, tags, strict=True)]

"""Hypothesis strategies that several test modules share: texts in many scripts, spans, annotated documents."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from hypothesis import settings
from hypothesis import strategies as st

from bytespan.spans import ENTITIES, TOKENS, Document, Span
from bytespan.vocabulary import Vocabulary

settings.register_profile("bytespan", deadline=None)  # a busy machine is no failure
settings.load_profile("bytespan")

LABELS = ("PER", "LOC", "ORG", "MISC", "B-PER", "größe", "人名")
"""Labels of a user's own may hold hyphens and letters of any script."""

UPOS = ("NOUN", "VERB", "ADP+DET", "PUNCT", "X", "_")

VOCABULARY = Vocabulary(60, {"tokens": ("NOUN", "VERB"), "entities": ("PER", "LOC", "ORG")})

_LETTERS = (
    "abz AZ09.,-_#\"'"
    "éßñøŁİı"
    "e\u0301o\u0308\u0323"  # combining marks on their own
    "Жщ αω ქარ Աա"
    "אבג العربية فارسی"
    "\u200f\u200e\u202e"  # direction marks
    "日本語中文한국어 ไทย हिन्दी தமிழ்"
    "😀👩‍👩‍👧‍👦🇩🇪👍🏽𝔘𐍈"
    "\ufeff\u200b\u00ad"
)
_WHITE_SPACE = " \t\n\r\x0b\x0c\x1c\x85\u00a0\u2028\u2029\u3000"

characters = (
    st.sampled_from(sorted(set(_LETTERS)))
    | st.sampled_from(_WHITE_SPACE)
    | st.sampled_from("\0\x01\x7f")
    | st.characters(exclude_categories=["Cs"])
)
"""Any code point but surrogates; emoji, combining marks, CJK, right-to-left letters, NUL and line separators often."""

texts = st.text(characters, max_size=40)


def flat_spans(offsets: Sequence[int], labels: st.SearchStrategy[str]) -> st.SearchStrategy[list[Span]]:
    """Sorted spans without overlaps between some of `offsets`, which ascend; neighbours may touch."""

    @st.composite
    def draw_spans(draw: st.DrawFn) -> list[Span]:
        bounds = sorted(draw(st.sets(st.sampled_from(offsets), max_size=9)))
        return [Span(start, end, draw(labels)) for start, end in pairwise(bounds) if draw(st.booleans())]

    return draw_spans()


def character_offsets(text: str) -> list[int]:
    """The byte offset of each character of `text`, and of its end."""
    return [0, *accumulate(len(character.encode()) for character in text)]


@st.composite
def documents(draw: st.DrawFn, *, tasks: Sequence[str] = (TOKENS, ENTITIES), identifiers: bool = True) -> Document:
    """Any text with flat spans of whole characters for some of `tasks`."""
    text = draw(texts)
    offsets = character_offsets(text)
    labels = {TOKENS: st.sampled_from(UPOS), ENTITIES: st.sampled_from(LABELS)}
    chosen = [task for task in tasks if draw(st.booleans())]
    identifier = draw(st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
    return Document(
        text.encode(),
        {task: draw(flat_spans(offsets, labels[task])) for task in chosen},
        identifier=identifier if identifiers else None,
    )


visible = st.sampled_from(
    [c for c in sorted(set(_LETTERS)) if not c.isspace()] + ["\0", "\x01", "\x7f"]
) | st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"])
"""Any character that is no white space."""

words = st.text(visible, min_size=1, max_size=5)
"""Words as column files hold them."""


@st.composite
def column_documents(draw: st.DrawFn) -> Document:
    """A document as the reader of columns builds it: tokens joined by a space, sentences by a line end."""
    data, tokens, entities = bytearray(), list[Span](), list[Span]()
    for sentence in draw(st.lists(st.lists(words, min_size=1, max_size=5), min_size=1, max_size=3)):
        data += b"\n" if data else b""
        first = len(tokens)
        for word in sentence:
            data += b" " if len(tokens) > first else b""
            tokens.append(Span(len(data), len(data) + len(word.encode()), draw(st.sampled_from(UPOS))))
            data += word.encode()
        for chosen in draw(flat_spans(range(len(sentence) + 1), st.sampled_from(LABELS))):
            begin, end = tokens[first + chosen.start].start, tokens[first + chosen.end - 1].end
            entities.append(Span(begin, end, chosen.label))
    return Document(bytes(data), {TOKENS: tokens, ENTITIES: entities})


@st.composite
def conllu_documents(draw: st.DrawFn) -> Document:
    """A document as the reader of CoNLL-U builds it: paragraphs apart by a blank line, any spacing else on one line."""
    form = words | st.sampled_from(["10 000", "a  b", "x\u2028y", "न ही", "'", "-DOCSTART-", "#", "."])
    space = st.sampled_from(["", " ", " ", "  ", "\u00a0", "\u3000", "\u2028"])
    data, tokens = bytearray(), list[Span]()
    for paragraph in draw(st.lists(st.lists(st.tuples(form, space), min_size=1, max_size=5), min_size=1, max_size=2)):
        data += b"\n\n" if data else b""
        for index, (word, gap) in enumerate(paragraph):
            tokens.append(Span(len(data), len(data) + len(word.encode()), draw(st.sampled_from(UPOS))))
            data += word.encode() + (gap.encode() if index + 1 < len(paragraph) else b"")
    spans = {TOKENS: tokens}
    if draw(st.booleans()):
        spans[ENTITIES] = [
            Span(tokens[chosen.start].start, tokens[chosen.end - 1].end, chosen.label)
            for chosen in draw(flat_spans(range(len(tokens) + 1), st.sampled_from(LABELS)))
            if b"\n" not in data[tokens[chosen.start].start : tokens[chosen.end - 1].end]
        ]
    identifier = draw(st.none() | st.text("abc-=1 é", min_size=1).map(str.strip).filter(bool))
    return Document(bytes(data), spans, identifier=identifier)

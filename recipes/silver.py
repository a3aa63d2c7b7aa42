"""Names in treebanks whose names nobody has annotated, as training text for the packaged model.

    python recipes/silver.py --data ../shared/data --output runs/silver --threads 1

Words of twenty languages are annotated, names of nine. Treebanks say which words are proper nouns, but not of which
kind, nor where a name of several words ends. The files of `names/`, one a treebank, tell the kinds of some, by hand.
For the rest, where they say so, a model is asked, which is told where the proper nouns stand; a name is of the kind
that it has most often in its treebank. Sentences with a proper noun of which that is left open are left out. Words that
are told to begin or to end the names of institutions make one of them with the capitals and proper nouns beside them.

Two more languages have names in MasakhaNER 2.0, which are taken over but for the dates, as no other corpus has these;
its letters with marks, mostly decomposed, are written composed besides, as they are elsewhere. Arabic text is
written as people write it besides: its treebank sets particles and pronouns off that they join to a word.

The files are the corpora of `silver.toml`, one a treebank, from its training text alone.
"""

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise, zip_longest
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from bytespan.config import tomllib
from bytespan.corpora.reading import read_documents
from bytespan.corpora.spacing import without_characters
from bytespan.corpora.writing import renderer
from bytespan.decoding import log_softmax
from bytespan.errors import BytespanError
from bytespan.lattice import best_tags, tagged_spans
from bytespan.parallel import UnitModel, score_units
from bytespan.runtime.parallel import open_parallel
from bytespan.spans import ENTITIES, TOKENS, Document, Span, byte_of_character
from bytespan.units import Units, cut_units

RECIPES = Path(__file__).parent
GOLD = RECIPES / "weights" / "base-gold.zip"
TAKEN_OVER = ("wol", "yor")

ARABIC = "ar"
_LETTER = "[\u0620-\u064a]"
_BEHIND = rf"(?<!\S)(?:[وفبكس]|(?P<to>ل)) (?={_LETTER})"
_BEFORE = rf"(?<={_LETTER})(?P<before> )(?=(?:ها?|هما?|هن|نا|كم)(?!\S))"
JOINED = re.compile(f"{_BEHIND}|{_BEFORE}")
"""Spaces in an Arabic treebank behind particles, and before pronouns, that people join to a word."""
BEFORE_PRONOUN = {"ى": "ي", "ة": "ت"}
"""Last letters of Arabic words that are others before a pronoun, of as many bytes."""

KINDS = ("LOC", "ORG", "PER")
NONE, FOUND, OPEN = "O", "found", "open"
"""A proper noun that is none of these kinds; of the one that a model finds; that may be anything."""

MOST_SMALL = 2
"""Prepositions and articles in a row within the name of an institution."""

STOPS = frozenset(".!?…؟;。")
MORE = 1.0
"""Nats by which a proper noun speaks for a name, and any other word against one, when a model is asked."""
LEAST_SHARE = 0.75
"""Of the probability of a name's kinds, over all places where it stands: what the likeliest one must have."""
NO_NAME = 0.97
"""From this probability on a proper noun is none of the names that the model knows: a month, a work, a people."""


@dataclass(frozen=True)
class Told:
    """What a file of `names/` says of a treebank."""

    kinds: Mapping[str, str]
    """Name -> one of KINDS, NONE or OPEN."""
    rest: str
    """What all others are: one of KINDS, FOUND or OPEN."""
    tags: frozenset[str]
    """Those of proper nouns."""
    places_as: str | None
    """Another tag that places have, too."""
    given: frozenset[str]
    """First names: a name of two or three words that begins with one is a person's."""
    silent_on: frozenset[str]
    """Kinds of which its text says nothing, as they are rarely made of proper nouns there."""
    heads: frozenset[str] = frozenset()
    """Words that begin the name of an institution, as in Universidad de Granada."""
    joins: frozenset[str] = frozenset()
    """Small words that may stand within one, in lower case."""
    tails: tuple[str, ...] = ()
    """Beginnings of words that end one, behind a single other, as in Turun yliopisto."""

    def is_proper(self, token: Span) -> bool:
        """Whether a token, or one of the words that it is made of, is a proper noun."""
        return not self.tags.isdisjoint(token.label.split("+"))


class Names(NamedTuple):
    """The names of a document."""

    document: Document
    spans: Sequence[Span]
    """In order, without overlap."""
    left_open: Sequence[tuple[int, int]]
    """Bytes of proper nouns that may be anything."""


def read_told(path: Path) -> Told:
    """What a file of `names/` says of a treebank: names of a kind in one text, set apart by semicolons."""
    table: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8"))

    def names(key: str) -> list[str]:
        return [name.strip() for name in table.get(key, "").replace("\n", " ").split(";") if name.strip()]

    return Told(
        {name: kind for kind in (OPEN, NONE, *KINDS) for name in names(kind)},
        table["rest"],
        frozenset(table.get("tags", "PROPN").split()),
        table.get("places_as"),
        frozenset(names("given")),
        frozenset(table.get("silent_on", "").split()),
        frozenset(names("heads")),
        frozenset(table.get("joins", "").split()),
        tuple(names("tails")),
    )


def told_names(document: Document, told: Told) -> Names:
    """The names of a document as they are told: proper nouns in a row, and a capital adjective before a place."""
    spans, left_open = list[Span](), list[tuple[int, int]]()
    begins = {start for start, _ in sentences_of(document)}
    before: Span | None = None
    for is_proper, group in groupby(document.spans[TOKENS], key=lambda token: token.label in told.tags):
        run = list(group)
        if not is_proper:
            words = (token for token in run if token.label == told.places_as)
            spans += (replace(word, label="LOC") for word in words if told.kinds.get(_text(document, word)) == "LOC")
            before = run[-1]
            continue
        start, end = run[0].start, run[-1].end
        is_person = 1 < len(run) < 4 and _text(document, run[0]) in told.given
        kind = told.kinds.get(document.data[start:end].decode(), "PER" if is_person else told.rest)
        if kind in ("LOC", "ORG") and start not in begins and before is not None:
            is_part = before.label == "ADJ" and _text(document, before)[0].isupper()  # as New in New York
            start = before.start if is_part else start
        if kind in KINDS:
            spans.append(Span(start, end, kind))
        elif kind == OPEN:
            left_open.append((start, end))
    return Names(document, sorted(spans), left_open)


def found_names(documents: Sequence[Document], told: Told, model: UnitModel) -> Iterator[Names]:
    """The names of all documents that the model finds, of the kind that is told, or that they mostly have."""
    candidates = list(_candidates(documents, told, model))
    kinds = model.tags.labels[ENTITIES]
    sums: defaultdict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(len(kinds)))
    for document, found, _ in candidates:
        for span, shares in found:
            sums[_text(document, span)] += shares
    for document, found, unsure in candidates:
        spans, left_open, reached = list[Span](), list(unsure), 0
        for span, shares in found:
            name = _text(document, span)
            mean = (sums[name] + shares) / (sums[name].sum() + 1)
            kind = told.kinds.get(name, kinds[int(mean.argmax())] if mean.max() >= LEAST_SHARE else OPEN)
            if kind in KINDS and span.start >= reached:
                spans.append(replace(span, label=kind))
                reached = span.end
            elif kind != NONE:
                left_open.append((span.start, span.end))
        yield Names(document, spans, left_open)


class _Candidates(NamedTuple):
    document: Document
    found: Sequence[tuple[Span, NDArray[np.float64]]]
    """Names, and how likely each of the model's kinds is for them."""
    unsure: Sequence[tuple[int, int]]
    """Bytes of other proper nouns that may be names all the same."""


def _candidates(documents: Sequence[Document], told: Told, model: UnitModel) -> Iterator[_Candidates]:
    """What the model takes for names that hold a proper noun, document by document."""
    scores = np.concatenate(list(score_units(model, [document.data for document in documents])))
    logs = log_softmax(scores[:, model.tags.columns[ENTITIES]])
    for document in documents:
        units = cut_units(document.data)
        own, logs = logs[: len(units)], logs[len(units) :]
        is_proper = np.zeros(len(units), np.bool_)
        for token in document.spans[TOKENS]:
            is_proper[_units_of(token, units)] |= told.is_proper(token)
        is_unsure = is_proper & (own[:, 0] < np.log(NO_NAME))
        biased = own.copy()
        biased[:, 0] += np.where(is_proper, -MORE, MORE)
        tags = best_tags(biased)
        rows = tagged_spans(tags, np.zeros(len(tags)))
        found = []
        for first, last in zip(rows.first.tolist(), rows.last.tolist(), strict=True):
            if not is_proper[first:last].any():
                continue
            is_unsure[first:last] = False
            span = _narrowed(document, int(units.starts[first]), int(units.ends[last - 1]), told)
            by_kind = own[first, 1::2] + own[first + 1 : last, 2::2].sum(axis=0, dtype=np.float64)
            shares = np.exp(by_kind - by_kind.max())
            found.append((span, shares / shares.sum()))
        edges = [(int(units.starts[i]), int(units.ends[i])) for i in np.flatnonzero(is_unsure)]
        unsure = [(start, end) for start, end in edges if told.kinds.get(document.data[start:end].decode()) != NONE]
        yield _Candidates(document, found, unsure)


def _units_of(token: Span, units: Units) -> slice:
    """The units that a token has a part in."""
    first = np.searchsorted(units.ends, token.start, side="right")
    return slice(int(first), int(np.searchsorted(units.starts, token.end, side="left")))


def _narrowed(document: Document, start: int, end: int, told: Told) -> Span:
    """What the model takes for a name, from its first proper noun or capital to its last, or a number behind it."""
    inside = [token for token in document.spans[TOKENS] if token.end > start and token.start < end]

    def is_core(token: Span) -> bool:
        is_capital = _text(document, token)[0].isupper()
        return told.is_proper(token) or (is_capital and token.label in ("NOUN", "ADJ", "X"))

    def may_end(token: Span) -> bool:
        text = _text(document, token)
        return is_core(token) or (token.label != "PUNCT" and (text[0].isupper() or text.isdigit()))

    cores = [place for place, token in enumerate(inside) if is_core(token)]
    ends = [place for place, token in enumerate(inside) if may_end(token)]
    return Span(inside[cores[0]].start, inside[ends[-1]].end, OPEN)


def with_institutions(names: Names, told: Told) -> Names:
    """The names, and those of institutions that are told by their first or last word, in place of what is in these."""
    tokens = names.document.spans[TOKENS]
    texts = [_text(names.document, token) for token in tokens]
    is_named = [told.is_proper(token) or text[0].isupper() for token, text in zip(tokens, texts, strict=True)]
    found = list[Span]()
    for place, text in enumerate(texts):
        first = last = place
        if text in told.heads:
            for further in range(place + 1, len(texts)):
                if b"\n" in names.document.data[tokens[further - 1].end : tokens[further].start]:
                    break
                if is_named[further] and tokens[further].label != "PUNCT":
                    last = further
                elif texts[further].casefold() not in told.joins or further - last > MOST_SMALL:
                    break
        elif told.tails and place and text.casefold().startswith(told.tails):
            first -= is_named[place - 1] and tokens[place - 1].label != "PUNCT"
        if first < last and not (found and found[-1].end > tokens[first].start):
            found.append(Span(tokens[first].start, tokens[last].end, "ORG"))

    def is_outside(edges: tuple[int, int]) -> bool:
        return not any(span.start < edges[1] and edges[0] < span.end for span in found)

    spans = [span for span in names.spans if is_outside((span.start, span.end))]
    return Names(names.document, sorted([*spans, *found]), list(filter(is_outside, names.left_open)))


def kept_text(names: Names) -> Iterator[Document]:
    """The document without the sentences in which something is left open, cut in pieces there."""
    document = names.document

    def is_open(edges: tuple[int, int]) -> bool:
        return any(start < edges[1] and end > edges[0] for start, end in names.left_open)

    for is_left_out, group in groupby(sentences_of(document), key=is_open):
        sentences = list(group)
        start, end = sentences[0][0], sentences[-1][1]
        if not is_left_out:
            spans = [span.shifted(by=-start) for span in names.spans if start <= span.start and span.end <= end]
            yield Document(document.data[start:end], {ENTITIES: spans})


def sentences_of(document: Document) -> Iterator[tuple[int, int]]:
    """First and last byte of each sentence: up to a full stop and a space, or to a line's end."""
    tokens = document.spans[TOKENS]
    start: int | None = None
    for token, following in zip_longest(tokens, tokens[1:]):
        start = token.start if start is None else start
        gap = document.data[token.end : following.start] if following else b"\n"
        if b"\n" in gap or (gap and token.label == "PUNCT" and _text(document, token) in STOPS):
            yield start, token.end
            start = None


def _text(document: Document, span: Span) -> str:
    return document.data[span.start : span.end].decode()


def treebank_of(name: str, data: Path) -> Path:
    """The training text of a treebank, which may be compressed."""
    return next((data / "pos" / name).glob("train.conllu*"), data / "pos" / name / "train.conllu")


def names_of(treebank: str, told: Told, data: Path, model: UnitModel) -> Iterator[Names]:
    """The names in the training text of a treebank, without documents (of 20 sentences, where nothing says more) that
    have no proper noun: parts of treebanks tag none."""
    path = treebank_of(treebank, data)
    documents = [document for document in read_documents(path) if any(map(told.is_proper, document.spans[TOKENS]))]
    if told.rest == FOUND:
        return found_names(documents, told, model)
    return (told_names(document, told) for document in documents)


def without_labels(documents: Iterable[Document], labels: Container[str]) -> Iterator[Document]:
    """The documents as if no name of these labels were in them."""
    for document in documents:
        spans = [span for span in document.spans[ENTITIES] if span.label not in labels]
        yield Document(document.data, {ENTITIES: spans})


def composed(document: Document) -> Document:
    """The same text with letters and their marks in one character where Unicode has it (NFC)."""
    spans = document.spans[ENTITIES]
    edges = sorted({0, len(document.data), *(edge for span in spans for edge in (span.start, span.end))})
    pieces = [normalize("NFC", document.data[start:end].decode()).encode() for start, end in pairwise(edges)]
    places = dict(zip(edges, accumulate(map(len, pieces), initial=0), strict=True))
    moved = [replace(span, start=places[span.start], end=places[span.end]) for span in spans]
    return Document(b"".join(pieces), {ENTITIES: moved})


def joined(document: Document) -> Document:
    """The same Arabic text with particles joined to the word behind them and pronouns to the one before.

    The article loses its alef behind the particle li-, but where a name begins with it: there, they stay apart.
    """
    text = document.data.decode()
    offsets = byte_of_character(text)
    begins = {span.start for span in document.spans[ENTITIES]}
    letters, places = list(text), list[int]()
    for match in JOINED.finditer(text):
        if match["before"]:
            last = match.start() - 1
            letters[last] = BEFORE_PRONOUN.get(letters[last], letters[last])
        elif match["to"] and text.startswith("ال", match.end()):
            if offsets[match.end()] in begins:
                continue
            places.append(match.end())
        places.append(match.end() - 1)
    return without_characters(Document("".join(letters).encode(), document.spans), places)


def write(path: Path, documents: Iterable[Document]) -> None:
    """Write JSON lines in one step, and to standard error what is in them."""
    members = list(documents)
    kinds = Counter(span.label for document in members for span in document.spans[ENTITIES])
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text("".join(map(renderer("jsonl"), members)), encoding="utf-8", newline="\n")
    temporary.replace(path)
    size = sum(len(document.data) for document in members)
    print(f"{path}: {size:,} bytes, " + ", ".join(f"{kind} {kinds[kind]:,}" for kind in KINDS), file=sys.stderr)


def write_all(data: Path, output: Path, model: UnitModel) -> None:
    """Write a file for each of the treebanks, two for Arabic, and one for each of the languages that are taken over."""
    output.mkdir(parents=True, exist_ok=True)
    for path in sorted((RECIPES / "names").glob("*.toml")):
        treebank, told = path.stem, read_told(path)
        names = names_of(treebank, told, data, model)
        kept = (piece for found in names for piece in kept_text(with_institutions(found, told)))
        members = list(without_labels(kept, told.silent_on))
        write(output / f"{treebank}.jsonl", members)
        if treebank == ARABIC:
            write(output / f"{treebank}_joined.jsonl", map(joined, members))
    for language in TAKEN_OVER:
        documents = read_documents(data / "ner" / "masakhaner2" / language / "train.conll")
        members = list(without_labels(documents, {"DATE"}))
        changed = (pair for pair in zip(members, map(composed, members), strict=True) if pair[0].data != pair[1].data)
        write(output / f"{language}.jsonl", [*members, *(after for _, after in changed)])


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where pos/ and ner/ are")
    parser.add_argument("--output", type=Path, default=Path("runs/silver"), help="where to write")
    parser.add_argument("--model", type=Path, default=GOLD, help="package of a model that finds LOC, ORG and PER")
    parser.add_argument("--threads", type=int, help="all cores if not given")
    options = parser.parse_args()
    try:
        write_all(options.data, options.output, open_parallel(options.model, threads=options.threads))
    except (BytespanError, OSError) as error:  # no model, no data, a full disk
        sys.exit(f"silver: {error}")


if __name__ == "__main__":
    main()

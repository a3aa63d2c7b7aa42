"""Copies of running text in which names are those of other languages, as training text for the packaged model.

    python recipes/swaps.py --data ../shared/data --silver runs/silver --output runs/swaps

A model that reads twenty languages takes "Ada" for the Indonesian "there is" wherever it stands. In these copies half
of the names are others of their kind, from many languages with Latin letters, and some persons have a word for a first
name that begins sentences of another language, or one that nobody has, as have some organizations: what stands around a
name has to tell that it is one. Some organizations, and some persons, become institutions told by hand
(`institutions/`), which treebanks rarely name, with a place or a person of the text in them where they leave one open.
The texts are six of `ner/uner`, most that `silver.py` has written, and passages written for this in languages in which
nobody annotated names (`written/`); the files are corpora of `silver.toml`.
"""

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from silver import RECIPES, sentences_of, treebank_of, write

from bytespan.corpora.mentions import mentions_of, replace_mentions
from bytespan.corpora.reading import read_documents
from bytespan.errors import BytespanError, CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document, Span

GOLD = {
    "en": "ner/uner/en_ewt/train.natural.jsonl",
    "sv": "ner/uner/sv_talbanken/train.natural.jsonl",
    "da": "ner/uner/da_ddt/train.conll",
    "pt": "ner/uner/pt_bosque/train.conll",
    "hr": "ner/uner/hr_set/train.conll",
    "sr": "ner/uner/sr_set/train.conll",
    "de": "ner/germeval/train.conll",
    "zh": "ner/uner/zh_gsd/train.conll",
}
"""Corpora whose annotated names are put in."""
SILVER = ("af", "ar", "bg", "cs", "el", "es", "fa", "fi", "fr", "fr_gsd", "id", "it", "no", "ro", "sv_lines", "yor")
"""Texts by `silver.py` whose names are put in, too."""
APART = ("ar", "bg", "el", "fa", "yor", "zh")
"""Texts in other letters, or with other marks: names are put in from their own text alone."""
COPIED = ("en", "sv", "da", "pt", "hr", "zh", *SILVER)
"""Texts of which copies are written."""
WRITTEN = ("af", "ar", "bg", "cs", "el", "es", "fa", "fi", "fr", "id", "it", "no", "ro", "yor")
"""Languages of the passages of `written/`, each named as its first text by `silver.py`."""
WORDS = ("af", "cs", "da", "de", "en", "es", "fi", "fr", "id", "it", "no", "ro", "sv")
"""Treebanks whose first words of sentences become first names."""

FRACTION = 0.5
"""Of the names, how many are replaced."""
OWN = 0.4
"""Of these, how many by one of the same corpus."""
FIRST_NAMES = 0.6
"""Of the persons of several words that are put in, how many have another first name: a first word of another language,
or one that nobody has, which begins like a word and ends like a name."""
LENGTHENED = 0.4
"""Of these first names, how many stand before a whole name instead of in place of its first word."""
BEGINNING = 0.5
"""Where nobody annotated names and letters are Latin, of the persons of several words that begin a sentence, how many
have such a first name before a whole one, so that an unknown word there is not always a title."""
COMPANIES = 0.4
"""Where nobody annotated names, of the organizations that are put in, and no institutions, how many have one word for
a name that nobody has."""
FIRST_COUNT = 3
"""How often a word begins a sentence of its treebank's training text to be such a first word."""
WORDS_DEALT = 2000
"""From how many words of each language they are drawn."""
MADE_UP = 16_000
"""How many first names, and how many companies, are made up for each text."""
INSTITUTIONS = 0.3
"""Of the organizations that are put in, how many are institutions told by hand."""
RAISED = 0.25
"""Of the persons in what `silver.py` has written, how many become an institution told by hand."""
RAISED_PLACES = 0.1
"""Of the places, where that text stands APART: most of it names few persons and no organizations."""
COPIES = 4
"""Of each text."""
WRITTEN_COPIES = 12
"""Of each passage of `written/`."""
MOST_WORDS = 5
"""Of a name that is put in."""
MOST_WORDS_INSIDE = 2
"""Of a place or a person in the name of an institution."""
SEED = 1

INSTITUTION = "institution"
"""The kind of those that are told by hand, until they are organizations."""
COMPANY = "company"
"""The kind of organizations that are made up, of one word."""
BEGINNER = "beginner"
"""The kind of persons that begin a sentence, until they are persons."""
LABELS = {INSTITUTION: "ORG", BEGINNER: "PER"}
"""Kind -> the label of its names in a copy, where it is no label itself."""

Pools = Mapping[str, Mapping[str, Sequence[bytes]]]
"""Corpus -> kind, INSTITUTION or COMPANY -> the different names."""


def names_in(documents: Sequence[Document]) -> dict[str, list[bytes]]:
    """Kind -> the different names of few words that can stand in running text: no column set anything in them apart."""
    found = mentions_of(documents, task=ENTITIES)
    return {kind: [text for text in texts if _is_plain(text)] for kind, texts in found.items()}


def _is_plain(name: bytes) -> bool:
    words = name.decode().split(" ")
    return len(words) <= MOST_WORDS and all(word and word[0].isalnum() for word in words) and b"\n" not in name


def first_words(documents: Sequence[Document]) -> Counter[str]:
    """The words that begin sentences of a treebank often enough, and how often they do, but proper nouns."""
    counts = Counter[str]()
    for document in documents:
        begins = {start for start, _ in sentences_of(document)}
        words = (token for token in document.spans[TOKENS] if token.start in begins and "PROPN" not in token.label)
        counts.update(document.data[word.start : word.end].decode() for word in words)
    wanted = (word for word in sorted(counts) if word.isalpha() and word.istitle() and 2 < len(word) < 9)
    return Counter({word: counts[word] for word in wanted if counts[word] >= FIRST_COUNT})


def foreign_words(words: Mapping[str, Counter[str]], own: str) -> list[str]:
    """First words of other languages than that of a corpus, oftener where they are, by the square root."""
    language = own[:2]
    known = words.get(language, Counter[str]())
    others = [{word: count**0.5 for word, count in counts.items()} for name, counts in sorted(words.items())]
    shares = [(word, root / sum(roots.values())) for roots in others for word, root in roots.items()]
    return [word for word, share in shares if word not in known for _ in range(round(WORDS_DEALT * share))]


def made_up(documents: Sequence[Document], names: Iterable[str], rng: random.Random) -> list[str]:
    """Names that nobody has: they begin like a word of the text and end like one of these, Pramoto say."""
    text = {word for document in documents for word in document.data.decode().split()}
    words = [word for word in sorted(text) if word.isalpha() and word.islower() and len(word) > 4]
    endings = sorted({name for name in names if name.isalpha() and len(name) > 3})
    if not (words and endings):
        return []
    beginnings = (rng.choice(words)[: rng.randint(2, 4)].capitalize() for _ in range(MADE_UP))
    return [beginning + rng.choice(endings)[-rng.randint(2, 4) :].lower() for beginning in beginnings]


def begins_sentence(data: bytes, start: int) -> bool:
    """Whether what starts at a byte begins a line, or stands behind the end of a sentence and a space."""
    return start == 0 or data[start - 1 : start] == b"\n" or data[max(start - 2, 0) : start] in (b". ", b"! ", b"? ")


def first_names(persons: Iterable[bytes]) -> list[str]:
    """The first words of persons of several."""
    return [first for first, space, _ in (name.decode().partition(" ") for name in persons) if space]


def read_written(path: Path) -> list[Document]:
    """A document for each line, in which a name is written [name](KIND); CorpusError for other brackets."""
    documents = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        data, spans = bytearray(), list[Span]()
        for text, name, kind in re.findall(r"([^\[]*)(?:\[([^\[\]]+)\]\((LOC|ORG|PER)\)|$)", line):
            data += text.encode()
            if name:
                spans.append(Span(len(data), len(data) + len(name.encode()), kind))
                data += name.encode()
        if len(data) + sum(len("[](PER)") for _ in spans) != len(line.encode()) or b"]" in data:
            raise CorpusError(
                f"{path}:{number}: names are written [name](KIND), KIND is one of LOC, ORG, PER: {line!r}"
            )
        documents.append(Document(bytes(data), {ENTITIES: spans}))
    return documents


def institutions_of(corpus: str) -> list[bytes]:
    """The institutions that are told by hand for the language of a corpus."""
    path = RECIPES / "institutions" / f"{corpus.partition('_')[0]}.txt"
    return path.read_bytes().splitlines() if path.exists() else []


def other_name(pools: Pools, own: str, firsts: Sequence[str], rng: random.Random, kind: str, text: bytes) -> bytes:
    """Another name of its kind in place of `text`, or `text` itself; always another where an institution is wanted.

    A person that begins a sentence may have one more first name before it.
    """
    if kind == BEGINNER:
        name = other_name(pools, own, firsts, rng, "PER", text)
        is_lengthened = 1 <= name.count(b" ") < MOST_WORDS - 1 and rng.random() < BEGINNING
        return f"{rng.choice(firsts)} {name.decode()}".encode() if is_lengthened else name
    if kind != INSTITUTION and rng.random() >= FRACTION:
        return text
    if kind == "ORG" and pools[own].get(INSTITUTION) and rng.random() < INSTITUTIONS:
        kind = INSTITUTION
    elif kind == "ORG" and pools[own].get(COMPANY) and rng.random() < COMPANIES:
        kind = COMPANY
    is_own = kind in (INSTITUTION, COMPANY) or own in APART or rng.random() < OWN
    corpus = own if is_own else rng.choice([name for name in sorted(pools) if name not in APART])
    name = _filled(rng.choice(pools[corpus].get(kind) or [text]), pools[corpus], rng)
    first, space, rest = name.decode().partition(" ")
    if kind == "PER" and space and own not in APART and rng.random() < FIRST_NAMES:
        rest = name.decode() if rng.random() < LENGTHENED else rest
        first = rng.choice(firsts)
    return f"{first}{space}{rest}".encode()


def _filled(name: bytes, names: Mapping[str, Sequence[bytes]], rng: random.Random) -> bytes:
    """An institution with a place or a person put in where it leaves one open, as in University of {LOC}."""

    def drawn(kind: re.Match[bytes]) -> bytes:
        return rng.choice([name for name in names[kind[1].decode()] if name.count(b" ") < MOST_WORDS_INSIDE])

    return re.sub(rb"\{(LOC|PER)\}", drawn, name)


def raised_in(own: str, pools: Pools) -> dict[str, float]:
    """How many of the names of a kind become institutions in what `silver.py` has written."""
    is_told = own not in GOLD and pools[own].get(INSTITUTION)
    return {"PER": RAISED, "LOC": RAISED_PLACES if own in APART else 0.0} if is_told else {}


def with_others(
    document: Document,
    pools: Pools,
    own: str,
    firsts: Sequence[str],
    rng: random.Random,
    raised: Mapping[str, float],
) -> Document:
    """A copy with other names in it, of which as many as `raised` says of their kind are institutions."""

    def kind_of(span: Span) -> str:
        if rng.random() < raised.get(span.label, 0.0):
            return INSTITUTION
        is_beginner = span.label == "PER" and own not in (*GOLD, *APART) and begins_sentence(document.data, span.start)
        return BEGINNER if is_beginner else span.label

    wanted = [replace(span, label=kind_of(span)) for span in document.spans[ENTITIES]]
    draw = partial(other_name, pools, own, firsts, rng)
    copy = replace_mentions(Document(document.data, {ENTITIES: wanted}), draw, task=ENTITIES)
    spans = [replace(span, label=LABELS.get(span.label, span.label)) for span in copy.spans[ENTITIES]]
    return Document(copy.data, {ENTITIES: spans})


def write_all(data: Path, silver: Path, output: Path) -> None:
    """Write a copy of each text."""
    output.mkdir(parents=True, exist_ok=True)
    files = {name: data / path for name, path in GOLD.items()}
    files |= {name: silver / f"{name}.jsonl" for name in SILVER}
    texts = {name: list(read_documents(path)) for name, path in files.items()}
    written = {name: read_written(RECIPES / "written" / f"{name}.txt") for name in WRITTEN}
    pools = {
        name: {**names_in([*documents, *written.get(name, [])]), INSTITUTION: institutions_of(name)}
        for name, documents in texts.items()
    }
    for name in SILVER:
        companies = (text for text in map(bytes.decode, pools[name].get("ORG", [])) if not text.isupper())
        made = made_up(texts[name], companies, random.Random(f"{SEED} {name}"))
        pools[name][COMPANY] = [company.encode() for company in made]
    words = {name: first_words(list(read_documents(treebank_of(name, data)))) for name in WORDS}

    def copied(name: str, copies: Sequence[Document], raised: Mapping[str, float]) -> list[Document]:
        rng = random.Random(f"{SEED} {name} {len(copies)}")
        firsts = foreign_words(words, name) + made_up(texts[name], first_names(pools[name].get("PER", [])), rng)
        return [with_others(document, pools, name, firsts, rng, raised) for document in copies]

    for name in COPIED:
        write(output / f"{name}.jsonl", copied(name, COPIES * texts[name], raised_in(name, pools)))
    for name in WRITTEN:
        write(output / f"{name}_written.jsonl", copied(name, WRITTEN_COPIES * written[name], {}))


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where pos/ and ner/ are")
    parser.add_argument("--silver", type=Path, default=Path("runs/silver"), help="what silver.py wrote")
    parser.add_argument("--output", type=Path, default=Path("runs/swaps"), help="where to write")
    options = parser.parse_args()
    try:
        write_all(options.data, options.silver, options.output)
    except (BytespanError, OSError) as error:  # no data, a full disk
        sys.exit(f"swaps: {error}")


if __name__ == "__main__":
    main()

"""Copies of running text in which names are those of other languages, as training text for the packaged model.

    python recipes/swaps.py --data ../shared/data --silver runs/silver --output runs/swaps

A model that reads twenty languages takes "Ada" for the Indonesian "there is" wherever it stands. In these copies half
of the names are others of their kind, from many languages with Latin letters, and some persons have a common word of
one of these for a first name: what stands around a name has to tell that it is one. Some organizations, and some
persons, become institutions told by hand (`institutions/`), which treebanks rarely name, with a place or a person of
the text in them where they leave one open. The texts are six of `ner/uner` and most that `silver.py` has written; the
files are corpora of `silver.toml`.
"""

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from silver import RECIPES, write

from bytespan.corpora.mentions import mentions_of, replace_mentions
from bytespan.corpora.reading import read_documents
from bytespan.errors import BytespanError
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
SILVER = ("ar", "bg", "cs", "el", "es", "fa", "fi", "fr", "fr_gsd", "id", "it", "no", "ro", "sv_lines", "yor")
"""Texts by `silver.py` whose names are put in, too."""
APART = ("ar", "bg", "el", "fa", "yor", "zh")
"""Texts in other letters, or with other marks: names are put in from their own text alone."""
COPIED = ("en", "sv", "da", "pt", "hr", "zh", *SILVER)
"""Texts of which copies are written."""
WORDS = ("da", "de", "en", "es", "fi", "fr", "id", "it", "sv")
"""Treebanks whose common words become first names."""

FRACTION = 0.5
"""Of the names, how many are replaced."""
OWN = 0.4
"""Of these, how many by one of the same corpus."""
COMMON = 0.4
"""Of the persons of several words that are put in, how many have a common word of another language for a first name."""
COMMON_COUNT = 20
"""How often a word stands in its treebank's training text to be common."""
WORDS_DEALT = 2000
"""From how many words of each language common ones are drawn."""
INSTITUTIONS = 0.3
"""Of the organizations that are put in, how many are institutions told by hand."""
RAISED = 0.25
"""Of the persons in what `silver.py` has written, how many become an institution told by hand."""
RAISED_PLACES = 0.1
"""Of the places, where that text stands APART: most of it names few persons and no organizations."""
COPIES = 3
"""Of each text."""
MOST_WORDS = 5
"""Of a name that is put in."""
MOST_WORDS_INSIDE = 2
"""Of a place or a person in the name of an institution."""
SEED = 1

INSTITUTION = "institution"
"""The kind of those that are told by hand, until they are organizations."""

Pools = Mapping[str, Mapping[str, Sequence[bytes]]]
"""Corpus -> kind, or INSTITUTION -> the different names."""


def names_in(documents: Sequence[Document]) -> dict[str, list[bytes]]:
    """Kind -> the different names of few words that can stand in running text: no column set anything in them apart."""
    found = mentions_of(documents, task=ENTITIES)
    return {kind: [text for text in texts if _is_plain(text)] for kind, texts in found.items()}


def _is_plain(name: bytes) -> bool:
    words = name.decode().split(" ")
    return len(words) <= MOST_WORDS and all(word and word[0].isalnum() for word in words) and b"\n" not in name


def common_words(documents: Sequence[Document]) -> Counter[str]:
    """The words in small letters that stand often enough in a treebank, with a capital, and how often they do."""
    texts = (document.data[span.start : span.end].decode() for document in documents for span in document.spans[TOKENS])
    counts = Counter(text for text in texts if text.isalpha() and text.islower() and 2 < len(text) < 9)
    return Counter({word.capitalize(): count for word, count in sorted(counts.items()) if count >= COMMON_COUNT})


def foreign_words(words: Mapping[str, Counter[str]], own: str) -> list[str]:
    """Common words of other languages than that of a corpus, each as often as it stands in as much of their text."""
    language = own[:2]
    known = words.get(language, Counter[str]())
    others = (counts for name, counts in sorted(words.items()) if name != language)
    shares = [(word, count / counts.total()) for counts in others for word, count in counts.items()]
    return [word for word, share in shares if word not in known for _ in range(round(WORDS_DEALT * share))]


def institutions_of(corpus: str) -> list[bytes]:
    """The institutions that are told by hand for the language of a corpus."""
    path = RECIPES / "institutions" / f"{corpus.partition('_')[0]}.txt"
    return path.read_bytes().splitlines() if path.exists() else []


def other_name(pools: Pools, own: str, words: Sequence[str], rng: random.Random, kind: str, text: bytes) -> bytes:
    """Another name of its kind in place of `text`, or `text` itself; always another where an institution is wanted."""
    if kind != INSTITUTION and rng.random() >= FRACTION:
        return text
    if kind == "ORG" and pools[own].get(INSTITUTION) and rng.random() < INSTITUTIONS:
        kind = INSTITUTION
    is_own = kind == INSTITUTION or own in APART or rng.random() < OWN
    corpus = own if is_own else rng.choice([name for name in sorted(pools) if name not in APART])
    name = _filled(rng.choice(pools[corpus].get(kind) or [text]), pools[corpus], rng)
    first, space, rest = name.decode().partition(" ")
    if kind == "PER" and space and own not in APART and rng.random() < COMMON:
        first = rng.choice(words)
    return f"{first}{space}{rest}".encode()


def _filled(name: bytes, names: Mapping[str, Sequence[bytes]], rng: random.Random) -> bytes:
    """An institution with a place or a person put in where it leaves one open, as in University of {LOC}."""

    def drawn(kind: re.Match[bytes]) -> bytes:
        return rng.choice([name for name in names[kind[1].decode()] if name.count(b" ") < MOST_WORDS_INSIDE])

    return re.sub(rb"\{(LOC|PER)\}", drawn, name)


def with_others(document: Document, pools: Pools, own: str, words: Sequence[str], rng: random.Random) -> Document:
    """A copy with other names in it."""

    def kind_of(span: Span) -> str:
        shares = {"PER": RAISED, "LOC": RAISED_PLACES if own in APART else 0.0}
        may_rise = own not in GOLD and pools[own].get(INSTITUTION)
        return INSTITUTION if may_rise and rng.random() < shares.get(span.label, 0.0) else span.label

    wanted = [replace(span, label=kind_of(span)) for span in document.spans[ENTITIES]]
    draw = partial(other_name, pools, own, words, rng)
    copy = replace_mentions(Document(document.data, {ENTITIES: wanted}), draw, task=ENTITIES)
    spans = [replace(span, label="ORG" if span.label == INSTITUTION else span.label) for span in copy.spans[ENTITIES]]
    return Document(copy.data, {ENTITIES: spans})


def write_all(data: Path, silver: Path, output: Path) -> None:
    """Write a copy of each text."""
    output.mkdir(parents=True, exist_ok=True)
    files = {name: data / path for name, path in GOLD.items()}
    files |= {name: silver / f"{name}.jsonl" for name in SILVER}
    texts = {name: list(read_documents(path)) for name, path in files.items()}
    pools = {name: {**names_in(documents), INSTITUTION: institutions_of(name)} for name, documents in texts.items()}
    words = {name: common_words(list(read_documents(data / "pos" / name / "train.conllu"))) for name in WORDS}
    for name in COPIED:
        rng = random.Random(f"{SEED} {name}")
        copies = COPIES * texts[name]
        foreign = foreign_words(words, name)
        write(output / f"{name}.jsonl", [with_others(document, pools, name, foreign, rng) for document in copies])


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

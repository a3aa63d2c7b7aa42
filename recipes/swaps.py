"""Copies of running text in which names are those of other languages, as training text for the packaged model.

    python recipes/swaps.py --data ../shared/data --silver runs/silver --output runs/swaps

A model that reads twenty languages takes "Ada" for the Indonesian "there is" wherever it stands. In these copies half
of the names are others of their kind, from many languages with Latin letters, and some persons have a common word of
one of these for a first name: what stands around a name has to tell that it is one. The texts are the English and
Swedish ones of `ner/uner` and some that `silver.py` has written; the files are corpora of `silver.toml`.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from silver import write

from bytespan.corpora.mentions import mentions_of, replace_mentions
from bytespan.corpora.reading import read_documents
from bytespan.errors import BytespanError
from bytespan.spans import ENTITIES, TOKENS, Document

GOLD = {
    "en": "ner/uner/en_ewt/train.natural.jsonl",
    "sv": "ner/uner/sv_talbanken/train.natural.jsonl",
    "da": "ner/uner/da_ddt/train.conll",
    "pt": "ner/uner/pt_bosque/train.conll",
    "hr": "ner/uner/hr_set/train.conll",
    "sr": "ner/uner/sr_set/train.conll",
    "de": "ner/germeval/train.conll",
}
"""Corpora whose annotated names are put in."""
SILVER = ("es", "fi", "fr", "fr_gsd", "id", "it", "no", "ro")
"""Treebanks whose names by `silver.py` are put in, too."""
COPIED = ("en", "sv", *SILVER)
"""Running text, of which copies are written."""
WORDS = ("da", "de", "en", "es", "fi", "fr", "id", "it", "sv")
"""Treebanks whose common words become first names."""

FRACTION = 0.5
"""Of the names, how many are replaced."""
OWN = 0.4
"""Of these, how many by one of the same corpus."""
COMMON = 0.2
"""Of the persons of several words that are put in, how many have a common word for a first name."""
COMMON_COUNT = 20
"""How often a word stands in its treebank's training text to be common."""
MOST_WORDS = 5
"""Of a name that is put in."""
SEED = 1

Pools = Mapping[str, Mapping[str, Sequence[bytes]]]
"""Corpus -> kind -> the different names."""


def names_in(documents: Sequence[Document]) -> dict[str, list[bytes]]:
    """Kind -> the different names of few words that can stand in running text: no column set anything in them apart."""
    found = mentions_of(documents, task=ENTITIES)
    return {kind: [text for text in texts if _is_plain(text)] for kind, texts in found.items()}


def _is_plain(name: bytes) -> bool:
    words = name.decode().split(" ")
    return len(words) <= MOST_WORDS and all(word and word[0].isalnum() for word in words) and b"\n" not in name


def common_words(documents: Sequence[Document]) -> list[str]:
    """The words in small letters that stand often enough in a treebank, with a capital."""
    texts = (document.data[span.start : span.end].decode() for document in documents for span in document.spans[TOKENS])
    counts = Counter(text for text in texts if text.isalpha() and text.islower() and 2 < len(text) < 9)
    return sorted(word.capitalize() for word, count in counts.items() if count >= COMMON_COUNT)


def other_name(pools: Pools, own: str, words: Sequence[str], rng: random.Random, kind: str, text: bytes) -> bytes:
    """Another name of its kind in place of `text`, or `text` itself."""
    if rng.random() >= FRACTION:
        return text
    corpus = own if rng.random() < OWN else rng.choice(sorted(pools))
    name = rng.choice(pools[corpus].get(kind) or [text])
    first, space, rest = name.decode().partition(" ")
    if kind == "PER" and space and rng.random() < COMMON:
        first = rng.choice(words)
    return f"{first}{space}{rest}".encode()


def write_all(data: Path, silver: Path, output: Path) -> None:
    """Write a copy of each text."""
    output.mkdir(parents=True, exist_ok=True)
    files = {name: data / path for name, path in GOLD.items()} | {name: silver / f"{name}.jsonl" for name in SILVER}
    texts = {name: list(read_documents(path)) for name, path in files.items()}
    pools = {name: names_in(documents) for name, documents in texts.items()}
    treebanks = (list(read_documents(data / "pos" / name / "train.conllu")) for name in WORDS)
    words = sorted({word for documents in treebanks for word in common_words(documents)})
    for name in COPIED:
        draw = partial(other_name, pools, name, words, random.Random(f"{SEED} {name}"))
        write(output / f"{name}.jsonl", [replace_mentions(document, draw, task=ENTITIES) for document in texts[name]])


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

"""Texts to measure on, cut to a size, and the one count of tokens by which all rates are compared."""

import json
import re
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

from bytespan.corpora.reading import read_documents

ENGLISH = ("pos/en/test.conllu", "ner/conll/en/test.conll")
"""Files of the data that no peer and no model of ours was trained on: web text as people write it, and news."""

TOKEN = re.compile(r"\w+|[^\w\s]")


def count_tokens(texts: Sequence[str]) -> int:
    """Runs of letters and digits, and other marks one by one: whatever a system takes for a token, all count alike."""
    return sum(len(TOKEN.findall(text)) for text in texts)


def count_bytes(texts: Sequence[str]) -> int:
    """In UTF-8."""
    return sum(len(text.encode()) for text in texts)


def read_texts(files: Sequence[Path], *, size: int) -> list[str]:
    """Documents of the files in turn, until they hold `size` bytes; a plain text has one a line."""
    columns = [[document.data.decode() for document in read_documents(file)] for file in files]
    chosen: list[str] = []
    for text in chain.from_iterable(zip_longest(*columns)):
        if text and size > 0:
            chosen.append(text)
            size -= len(text.encode())
    return chosen


def write_texts(texts: Sequence[str], path: Path) -> None:
    """JSON lines, as all programs read them."""
    lines = (json.dumps({"id": number, "text": text}) for number, text in enumerate(texts))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

"""A corpus small enough to be learnt by heart in seconds."""

from bytespan.spans import Document, Span

NAMES = {"Ana": "PER", "Bo": "PER", "Rom": "LOC", "Ulm": "LOC"}


def sentence(first: str, second: str) -> Document:
    """ "Ana saw Rom." with its words and its names."""
    text = f"{first} saw {second}."
    places = [(0, len(first)), (len(first) + 1, len(first) + 4), (len(first) + 5, len(text) - 1)]
    words = [Span(*place, pos) for place, pos in zip(places, ("PROPN", "VERB", "PROPN"), strict=True)]
    full_stop = Span(len(text) - 1, len(text), "PUNCT")
    names = [Span(*places[0], NAMES[first]), Span(*places[2], NAMES[second])]
    return Document(text.encode(), {"tokens": [*words, full_stop], "entities": names})


def documents() -> list[Document]:
    """All ordered pairs of names."""
    return [sentence(first, second) for first in NAMES for second in NAMES]


LABELS = {"entities": ("LOC", "PER"), "tokens": ("PROPN", "PUNCT", "VERB")}

"""One task's spans in a text, shown to a person: in brackets, in colour, or as HTML."""

import os
import sys
from collections.abc import Callable, Sequence
from html import escape

from bytespan.spans import Document

COLOURS = ((117, "#87d7ff"), (156, "#afff87"), (222, "#ffd787"), (183, "#d7afff"), (217, "#ffafaf"), (152, "#afd7d7"))
"""Backgrounds under black letters, as number of the terminal's 256 colours and for HTML."""

FAMILIAR = ("PER", "LOC", "ORG", "MISC")
"""Labels that have the same colour in every model; others take theirs in the order of the label set."""

HTML_HEAD = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>bytespan</title>
<style>
body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem; font: 1.1rem/1.8 system-ui, sans-serif; color: #111;
  background: #fff; }
p { margin: 0; min-height: 1.8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
mark { padding: .1rem .25rem; border-radius: .25rem; color: #000; }
mark small { margin-inline-start: .3rem; font-size: .65rem; font-weight: bold; }
</style>
</head>
<body>
"""

HTML_FOOT = "</body>\n</html>\n"


def wants_colour() -> bool:
    """Whether standard output is a terminal and NO_COLOR is not set; FORCE_COLOR colours a pipe too."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def colours_of(labels: Sequence[str]) -> dict[str, int]:
    """Label -> place in COLOURS."""
    others = [label for label in labels if label not in FAMILIAR]
    numbered = {label: place for place, label in enumerate([*FAMILIAR, *others])}
    return {label: numbered[label] % len(COLOURS) for label in labels}


def in_brackets(document: Document, *, task: str) -> str:
    """The text with `[span]LABEL` for each span."""
    return _woven(document, task, lambda text, label: f"[{text}]{label}")


def in_colour(document: Document, *, task: str, colours: dict[str, int]) -> str:
    """The text with each span and its label on the label's colour, for a terminal."""

    def marked(text: str, label: str) -> str:
        return f"\x1b[30;48;5;{COLOURS[colours[label]][0]}m{text} \x1b[1m{label}\x1b[0m"

    return _woven(document, task, marked)


def in_html(document: Document, *, task: str, colours: dict[str, int]) -> str:
    """The text as a paragraph for between HTML_HEAD and HTML_FOOT."""

    def marked(text: str, label: str) -> str:
        colour = COLOURS[colours[label]][1]
        return f'<mark style="background:{colour}">{_legible(text)}<small>{escape(label)}</small></mark>'

    return f'<p dir="auto">{_woven(document, task, marked, plain=_legible)}</p>\n'


def _woven(document: Document, task: str, marked: Callable[[str, str], str], plain: Callable[[str], str] = str) -> str:
    pieces, end = [], 0
    for span in document.text_spans(task):
        assert span.start is not None  # the command line reads UTF-8 only
        assert span.end is not None
        pieces += [plain(document.text[end : span.start]), marked(span.text, span.label)]
        end = span.end
    return "".join([*pieces, plain(document.text[end:])])


def _legible(text: str) -> str:
    """Escaped for HTML, with pictures for the control characters that HTML cannot hold."""
    return escape(text).translate({code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"})

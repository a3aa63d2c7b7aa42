"""The JSON lines that `bytespan tag` answers with; a long one is written while its text is still being tagged."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile

from bytespan.corpora.jsonlines import one_line
from bytespan.corpora.texts import TextLine
from bytespan.spans import ENTITIES, TOKENS, Document
from bytespan.units import PART_BYTES

LONG_BYTES = PART_BYTES
"""A text of more bytes is answered part by part."""

HELD_BYTES = 1 << 20
"""The most bytes of an answer that are held in memory until it is their turn; more go to a temporary file."""


def json_line(line: TextLine, document: Document) -> str:
    """The line's answer; spans of a part of a line have offsets that count from the beginning of the line."""
    spans = dict.fromkeys(_names(document.spans), "[]") | {
        task: document.json_spans(task, start_char=line.start_char, start_byte=line.start_byte)
        for task in document.spans
    }
    members = [f"{_quoted(name)}: {array}" for name, array in spans.items()]
    return one_line(f'{{"id": {_quoted(line.identifier)}, {", ".join(members)}}}') + "\n"


def json_pieces(line: TextLine, parts: Iterable[tuple[int, Document]], *, tasks: Sequence[str]) -> Iterator[str]:
    """The same answer piece by piece, from the parts of the line's text, which is UTF-8, as `Tagger.parts` gives them.

    The first task's spans are handed on as they come; those of the others wait, since in JSON they stand behind.
    """
    first, *others = _names(tasks)
    with ExitStack() as stack:
        waiting = {
            name: stack.enter_context(SpooledTemporaryFile(HELD_BYTES, "w+", encoding="utf-8", newline=""))
            for name in others
        }
        yield one_line(f'{{"id": {_quoted(line.identifier)}, {_quoted(first)}: [')
        start_char, comma = line.start_char, dict.fromkeys((first, *others), "")
        for begin, part in parts:
            for task, spans in part.spans.items():
                if spans:
                    array = part.json_spans(task, start_char=start_char, start_byte=line.start_byte + begin)
                    piece, comma[task] = comma[task] + one_line(array[1:-1]), ", "
                    if task == first:
                        yield piece
                    else:
                        waiting[task].write(piece)
            start_char += len(part.text)
        for name, file in waiting.items():
            yield one_line(f"], {_quoted(name)}: [")
            file.seek(0)
            while piece := file.read(HELD_BYTES):
                yield piece
    yield "]}\n"


def _names(tasks: Iterable[str]) -> list[str]:
    """What an answer has, in order: tokens and entities, whether they were asked for or not, then the other tasks."""
    return list(dict.fromkeys((TOKENS, ENTITIES, *tasks)))


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

"""JSON lines: our own output shape, and the shapes of doccano, Prodigy and spaCy.

    ours     {"id": 1, "text": "In Rome", "entities": [{"start": 3, "end": 7, "byte_start": 3, "byte_end": 7,
              "label": "LOC"}], "tokens": [...]}
    doccano  {"id": 1, "text": "In Rome", "label": [[3, 7, "LOC"]]}             or "entities" with start_offset
    Prodigy  {"text": "In Rome", "spans": [{"start": 3, "end": 7, "label": "LOC"}], "answer": "accept"}
    spaCy    ["In Rome", {"entities": [[3, 7, "LOC"]]}]                         or {"text", "ents", "tokens"} of to_json

Each line may have another shape. A task whose key is absent was not annotated; an empty list says that it has no spans.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bytespan.corpora.lines import OnError, Source, source_of, stop
from bytespan.corpora.standoff import Offsets, character_ranges, check_flat, only_task, text_of
from bytespan.errors import CorpusError
from bytespan.spans import ENTITIES, TOKENS, Document, Span

ENTITY_KEYS = ("entities", "label", "labels", "spans", "ents")
"""Where the shapes keep their entities."""

_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def read_json_lines(path: str | Path, *, encoding: str = "utf-8", on_error: OnError = stop) -> Iterator[Document]:
    """Documents, lazily, one a line; a line that cannot be read goes to `on_error` and is left out."""
    source = source_of(path, encoding)
    for number, line in source.lines():
        if line.strip():
            try:
                document = _document_of_line(line, number, source)
            except CorpusError as error:
                on_error(error)
                continue
            yield document


def _document_of_line(line: str, number: int, source: Source) -> Document:
    source.check_encoding((number, line))
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        message = f"not JSON ({error.msg} at column {error.colno}): write one whole JSON object a line"
        raise source.at(number, message) from error
    except (ValueError, RecursionError) as error:
        raise source.at(number, f"JSON that cannot be read ({error}): correct it") from error
    try:
        return document_of_json(value)
    except CorpusError as error:
        raise source.at(number, str(error)) from error


def document_of_json(value: Any) -> Document:
    """The document that one line's JSON value stands for, in any of the shapes; CorpusError says what is wrong."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], dict):
        value = value[1] | {"text": value[0]}
    if not isinstance(value, dict):
        raise CorpusError(f'a JSON object with a text is needed, got {_shown(value)}: write {{"text": "...", ...}}')
    text = value.get("text", value.get("data"))
    if not isinstance(text, str):
        raise CorpusError(f'"text" must be a string, got {_shown(text)}: name the text so')
    offsets = Offsets(text)
    spans: dict[str, list[Span]] = {}
    for task, items in ((TOKENS, _token_items(value)), (ENTITIES, _entity_items(value))):
        if items is not None:
            spans[task] = [_span(item, offsets) for item in items]
            check_flat(offsets.data, spans[task])
    return Document(offsets.data, spans, identifier=_identifier(value))


def _identifier(value: dict[str, Any]) -> str | int | None:
    identifier = value.get("id")
    if identifier is None or (isinstance(identifier, (str, int)) and not isinstance(identifier, bool)):
        return identifier
    raise CorpusError(f'"id" must be a string or an integer, got {_shown(identifier)}: correct it or leave it out')


def _entity_items(value: dict[str, Any]) -> list[Any] | None:
    if value.get("answer", "accept") != "accept":  # Prodigy: rejected or ignored, so there is no gold annotation
        return None
    keys = [key for key in ENTITY_KEYS if isinstance(value.get(key), list)]
    if len(keys) > 1:
        raise CorpusError(f'both "{keys[0]}" and "{keys[1]}" list spans: keep one of them')
    strict = (key for key in ("entities", "labels", "ents") if key not in keys)
    if (wrong := next((key for key in strict if value.get(key) is not None), None)) is not None:
        raise CorpusError(f'"{wrong}" must be a list of spans, got {_shown(value[wrong])}: correct it')
    return list(value[keys[0]]) if keys else None


def _token_items(value: dict[str, Any]) -> list[Any] | None:
    """The labelled tokens; None where there are no tokens or, as in Prodigy's shape, none has a label.

    spaCy keeps the part of speech in "pos", and tokens of mere white space among the others: these are left out.
    """
    tokens = value.get("tokens")
    if tokens is None:
        return None
    if not isinstance(tokens, list) or not all(isinstance(token, dict) for token in tokens):
        raise CorpusError(f'"tokens" must be a list of objects, got {_shown(tokens)}: correct it')
    if not tokens or any("label" in token for token in tokens):
        return tokens
    return [token | {"label": token["pos"]} for token in tokens if token.get("pos", "") not in ("", "SPACE")] or None


def _span(item: Any, offsets: Offsets) -> Span:
    if isinstance(item, list) and len(item) == 3:
        item = dict(zip(("start", "end", "label"), item, strict=True))
    if not isinstance(item, dict):
        raise CorpusError(f"a span must be [start, end, label] or an object with these keys, got {_shown(item)}")
    label, score = item.get("label"), item.get("score", 1.0)
    if not isinstance(label, str) or not label:
        raise CorpusError(f"the label of the span {_shown(item)} is no string: give it one")
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
        raise CorpusError(f"the score of the span {_shown(item)} is no number in 0..1: correct it or leave it out")
    if "byte_start" in item or "byte_end" in item:
        return _span_in_bytes(item, offsets, label, float(score))
    keys = ("start_offset", "end_offset") if "start_offset" in item else ("start", "end")
    return offsets.span(_integer(item, keys[0]), _integer(item, keys[1]), label, float(score))


def _span_in_bytes(item: dict[str, Any], offsets: Offsets, label: str, score: float) -> Span:
    start, end = _integer(item, "byte_start"), _integer(item, "byte_end")
    if not 0 <= start < end <= len(offsets.data):
        raise CorpusError(
            f"span {start}..{end} ({label}) is empty or outside of the text's {len(offsets.data)} bytes: correct it"
        )
    for key, byte in (("start", start), ("end", end)):
        if key in item and _integer(item, key) != offsets.character(byte):
            raise CorpusError(
                f'"{key}": {item[key]} and "byte_{key}": {byte} of a span ({label}) disagree, since byte {byte} is '
                f"character {offsets.character(byte)}: leave one pair out"
            )
    return Span(start, end, label, score)


def _integer(item: dict[str, Any], key: str) -> int:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise CorpusError(f'"{key}" of the span {_shown(item)} is no integer: offsets count characters from 0')
    return value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def json_of_document(document: Document, *, with_text: bool = True) -> dict[str, Any]:
    """The contract's JSON shape, with a key a task that was annotated; `with_text` adds the text.

    Text that is not UTF-8 has byte offsets only; it cannot be written itself, so `with_text` raises CorpusError.
    """
    value: dict[str, Any] = {} if document.identifier is None else {"id": document.identifier}
    if with_text:
        value["text"] = text_of(document)
    return value | {task: [span.to_json() for span in document.text_spans(task)] for task in document.spans}


def _doccano(document: Document, task: str | None) -> Any:
    return _with_spans(document, task, "label", list)


def _prodigy(document: Document, task: str | None) -> Any:
    def span_of(item: tuple[int, int, str]) -> dict[str, Any]:
        return dict(zip(("start", "end", "label"), item, strict=True))

    return _with_spans(document, task, "spans", span_of) | {"answer": "accept"}


def _spacy(document: Document, task: str | None) -> Any:
    value = _with_spans(document, task, "entities", list)
    return [value.pop("text"), {key: member for key, member in value.items() if key != "id"}]


def _with_spans(
    document: Document, task: str | None, key: str, span_of: Callable[[tuple[int, int, str]], Any]
) -> dict[str, Any]:
    task = only_task(document, task)
    value = {} if document.identifier is None else {"id": document.identifier}
    value |= {"text": text_of(document)}
    return value if task is None else value | {key: [span_of(item) for item in character_ranges(document, task)]}


SHAPES: dict[str, Callable[[Document, str | None], Any]] = {
    "jsonl": lambda document, task: json_of_document(document),
    "doccano": _doccano,
    "prodigy": _prodigy,
    "spacy": _spacy,
}
"""The shapes that can be written. Ours holds all tasks; the others one, and spaCy's no identifier."""


def json_line(value: Any) -> str:
    """`value` as one line of JSON with its LF; one line also for readers that split at U+2028 or U+0085."""
    return one_line(json.dumps(value, ensure_ascii=False)) + "\n"


def one_line(text: str) -> str:
    """JSON without line ends, as one line also for readers that split at others."""
    return text if text.isascii() else text.translate(_LINE_ENDS)

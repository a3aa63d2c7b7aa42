"""brat standoff: a text in NAME.txt and its spans, in code points, in NAME.ann.

Only text-bound annotations (`T1<TAB>PER 0 5<TAB>Maria`) are read; relations, events, attributes and notes are passed
over. A span of several fragments is read as one if only white space lies between them, since brat cuts at line ends;
any other is an error, because spans here have no holes.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from bytespan.corpora.lines import OnError, Source, check_is_file, open_bytes, source_of, stop
from bytespan.corpora.standoff import Offsets, character_ranges, check_flat, in_document, only_task, text_of
from bytespan.errors import CorpusError
from bytespan.spans import ENTITIES, Document, Span

_TEXT_BOUND = re.compile(r"T[^\t]*\t(?P<label>\S+) (?P<fragments>[^\t]*)(?:\t(?P<text>.*))?", re.DOTALL)
_OTHER = re.compile(r"[REAMN*#]")
_FRAGMENT = re.compile(r"([0-9]{1,18}) ([0-9]{1,18})")
_FILE_NAME = re.compile(r"\w[\w .-]*(/\w[\w .-]*)*")


def read_brat(path: str | Path, *, encoding: str = "utf-8", on_error: OnError = stop) -> Iterator[Document]:
    """Documents with the task "entities": that of an .ann or .txt file, or all of a directory, sorted by name.

    A document that cannot be read goes to `on_error` and is left out. Its identifier is its path below the directory,
    without the suffix.
    """
    path = Path(path)
    for file in annotation_files(path):
        try:
            name = file.relative_to(path if path.is_dir() else path.parent).with_suffix("").as_posix()
            document = _read_pair(file, encoding, name)
        except CorpusError as error:
            on_error(error)
            continue
        yield document


def annotation_files(path: Path) -> list[Path]:
    """The .ann files of a directory, or that of an .ann or .txt file; CorpusError if there is none."""
    if not path.is_dir():
        check_is_file(str(path.with_suffix(".ann")))
        return [path.with_suffix(".ann")]
    files = sorted(path.rglob("*.ann"))
    if not files:
        raise CorpusError(f"{path}: is a directory without brat .ann files: name a file in it")
    return files


def _read_pair(file: Path, encoding: str, identifier: str) -> Document:
    offsets = Offsets(_read_text(file.with_suffix(".txt"), encoding))
    source, spans = source_of(file, encoding), list[Span]()
    for number, line in _annotation_lines(source):
        source.check_encoding((number, line))
        try:
            if line.startswith("T"):
                spans.append(_span(line, offsets))
            elif line.strip() and not _OTHER.match(line):
                raise CorpusError(f"{line!r} is no brat annotation: begin it with T1, R1, E1, A1, #1 or the like")
        except CorpusError as error:
            raise source.at(number, str(error)) from error
    try:
        check_flat(offsets.data, spans)
    except CorpusError as error:
        raise CorpusError(f"{file}: {error}") from error
    return Document(offsets.data, {ENTITIES: spans}, identifier=identifier)


def _annotation_lines(source: Source) -> Iterator[tuple[int, str]]:
    """The lines of the .ann file, which brat leaves empty where there is nothing to annotate."""
    with open_bytes(source.path) as stream:
        is_empty = not stream.read(1)
    return iter(()) if is_empty else source.lines()


def _read_text(file: Path, encoding: str) -> str:
    with open_bytes(str(file)) as stream:
        data = stream.read()
    try:
        return data.decode(encoding)  # a BOM stays, since brat counts it as a character
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{file}:{number}: byte 0x{data[error.start]:02X} at {error.start} of the file is not {encoding}: give the "
            "file's own encoding, e.g. --encoding latin-1"
        ) from error


def _span(line: str, offsets: Offsets) -> Span:
    match = _TEXT_BOUND.fullmatch(line)
    fragments = [_FRAGMENT.fullmatch(item) for item in match["fragments"].split(";")] if match else []
    if match is None or not all(fragments):
        raise CorpusError(f"{line!r} is no text-bound annotation: write it as T1<TAB>LABEL START END<TAB>TEXT")
    bounds = [(int(fragment[1]), int(fragment[2])) for fragment in fragments if fragment]
    for (_, end), (start, _) in pairwise(bounds):
        if end > start or offsets.text[end:start].strip():
            raise CorpusError(f"{line!r} has fragments with text between them: make them spans of their own")
    span = offsets.span(bounds[0][0], bounds[-1][1], match["label"])
    found = " ".join(offsets.text[start:end] for start, end in bounds)
    if match["text"] is not None and match["text"].split() != found.split():
        raise CorpusError(f"{line!r} does not fit the text, which has {found!r} there: has the .txt changed since?")
    return span


def write_brat(
    documents: Iterable[Document], directory: str | Path, *, task: str | None = None, on_error: OnError = stop
) -> int:
    """Write NAME.txt and NAME.ann for each document into the directory, made if need be, and return how many.

    NAME is the document's identifier where it can be a file's name, else its number. What brat cannot hold, a label
    with white space or a span that begins or ends with a line end, goes to `on_error`, and its document is left out.
    Raises CorpusError for a file that is there already or cannot be written; the documents before it stay written.
    """
    count = 0
    for number, document in enumerate(documents, 1):
        try:
            annotations = _annotations(document, task)
        except CorpusError as error:
            on_error(in_document(document, number, error))
            continue
        name = str(document.identifier)
        if document.identifier is None or not _FILE_NAME.fullmatch(name):
            name = f"{number:06}"
        for suffix, content in ((".txt", document.data), (".ann", annotations.encode("utf-8"))):
            _write_new(Path(directory) / f"{name}{suffix}", content)
        count += 1
    return count


def _annotations(document: Document, task: str | None) -> str:
    text, chosen = text_of(document), only_task(document, task)
    ranges = [] if chosen is None else character_ranges(document, chosen)
    return "".join(_annotation(number, text, *item) for number, item in enumerate(ranges, 1))


def _annotation(number: int, text: str, start: int, end: int, label: str) -> str:
    fragments = [(start + part.start(), start + part.end()) for part in re.finditer(r"[^\n]+", text[start:end])]
    if re.search(r"\s", label) or not label:
        raise CorpusError(f"label {label!r} has white space or is empty, which brat cannot hold: rename it")
    if not fragments or (fragments[0][0], fragments[-1][1]) != (start, end):
        raise CorpusError(
            f"span {text[start:end]!r} ({label}) begins or ends with a line end, which brat cannot hold: narrow it"
        )
    bounds = ";".join(f"{first} {last}" for first, last in fragments)
    shown = re.sub(r"\s", " ", " ".join(text[first:last] for first, last in fragments))
    return f"T{number}\t{label} {bounds}\t{shown}\n"


def _write_new(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CorpusError(f"{path.parent}: is no directory to write to: {error.strerror}") from error
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError as error:
        raise CorpusError(f"{path}: is there already: name an empty directory") from error
    except OSError as error:
        raise CorpusError(f"{path}: cannot be written: {error.strerror}") from error

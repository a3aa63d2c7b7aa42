"""Lines of a file with their numbers: gzip, standard input, encodings, and errors that name where they happened."""

import gzip
import io
import logging
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, cast

from bytespan.errors import ConfigError, CorpusError

logger = logging.getLogger(__name__)

STANDARD_INPUT = "-"

OnError = Callable[[CorpusError], None]
"""Called with each error that costs one line, sentence or document. Raise to stop; return to go on after it."""

Line = tuple[int, str]
"""A line's 1-based number and its text without the line end. Bytes that are not of the encoding are lone surrogates."""


def stop(error: CorpusError) -> None:
    """The `on_error` that ends the reading at the first error."""
    raise error


class Skipped:
    """An `on_error` that goes on: it logs every error as a warning and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: CorpusError) -> None:
        self.count += 1
        logger.warning("skipped: %s", error)


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read lines from, gzipped or not."""

    path: str
    encoding: str
    name: str
    """How errors call the file."""

    def at(self, number: int, message: str) -> CorpusError:
        """The error to raise for line `number`."""
        return CorpusError(f"{self.name}:{number}: {message}")

    def lines(self, *, universal: bool = False) -> Iterator[Line]:
        """The lines, lazily, without line ends (LF or CRLF; `universal` adds a lone CR) and without a BOM.

        U+2028 and the other separators of `str.splitlines` do not end a line. Raises CorpusError for a file that cannot
        be opened, unpacked or decoded as a whole, and for an empty one.
        """
        number = 0
        with open_bytes(self.path) as stream:
            text = io.TextIOWrapper(
                stream, self.encoding, errors="surrogateescape", newline=None if universal else "\n"
            )
            try:
                for line in text:
                    number += 1
                    line = line[:-1] if line.endswith("\n") else line
                    line = line[:-1] if line.endswith("\r") and not universal else line
                    yield number, line.removeprefix("\ufeff") if number == 1 else line
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise self.at(number + 1, f"the gzip data is damaged or cut short ({error}): fetch it again") from error
            except UnicodeDecodeError as error:
                raise self.at(number + 1, f"not {self.encoding} ({error.reason}): give its --encoding") from error
            except OSError as error:
                raise self.at(number + 1, f"cannot be read: {error.strerror or error}") from error
            finally:
                text.detach()
        if not number:
            raise CorpusError(f"{self.name}: the file is empty")

    def check_encoding(self, line: Line) -> None:
        """Raise CorpusError naming the first byte of the line that is not of the encoding."""
        number, text = line
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            position = len(text[: error.start].encode(self.encoding, "surrogateescape"))
            value = ord(text[error.start]) & 0xFF
            likely = "utf-16" if number == 1 and position == 0 and value in (0xFE, 0xFF) else "latin-1"
            raise self.at(
                number,
                f"byte 0x{value:02X} at position {position} of the line is not {self.encoding}: give the file's own "
                f"encoding, e.g. --encoding {likely}",
            ) from None

    @contextmanager
    def rereadable(self) -> Iterator["Source"]:
        """The same source, standard input or a pipe as a temporary copy, so that it can be read twice."""
        if not is_stream(self.path):
            yield self
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "input"
            with open_bytes(self.path) as stream, copy.open("wb") as target:
                copyfileobj(stream, target)
            yield replace(self, path=str(copy))


def source_of(path: str | Path, encoding: str = "utf-8") -> Source:
    """The source at `path`, `-` being standard input; ConfigError for an encoding that Python does not know."""
    try:
        "a".encode(encoding)
    except LookupError as error:
        raise ConfigError(f"unknown encoding {encoding!r}: give a name that Python knows, e.g. utf-8") from error
    return Source(str(path), encoding, "standard input" if str(path) == STANDARD_INPUT else str(path))


@contextmanager
def open_bytes(path: str) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked if they are gzip by content, whatever the name says."""
    with ExitStack() as stack:
        if path == STANDARD_INPUT:
            raw = sys.stdin.buffer
        else:
            check_is_file(path)
            try:
                raw = stack.enter_context(Path(path).open("rb"))
            except OSError as error:
                raise CorpusError(f"{path}: cannot be opened: {error.strerror}") from error
        buffer = cast(io.BufferedReader, raw)
        if not hasattr(raw, "peek"):  # standard input may have been replaced
            buffer = io.BufferedReader(cast(io.RawIOBase, raw))
            stack.callback(buffer.detach)
        if buffer.peek(2)[:2] == b"\x1f\x8b":
            yield cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=buffer)))
        else:
            yield buffer


def is_stream(path: str) -> bool:
    """Whether the bytes at `path` can be read only once: standard input, or a pipe as in `<(zcat FILE)`."""
    return path == STANDARD_INPUT or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))


def check_is_file(path: str) -> None:
    """Raise CorpusError for a path that is absent or a directory."""
    if os.path.isdir(path):
        raise CorpusError(f"{path}: is a directory: name a file in it")
    if not os.path.exists(path):
        raise CorpusError(f"{path}: no such file")

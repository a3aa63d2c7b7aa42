"""Where results go: standard output or a file. Every failure to write is an OutputError that names it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bytespan.errors import BytespanError, OutputError

STANDARD_OUTPUT = "-"


class Results:
    """Standard output, in UTF-8; flushed at the end, however it ends."""

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def write(self, text: str) -> None:
        """Write `text`; BrokenPipeError if the reader has gone."""
        with writing("standard output"):
            sys.stdout.buffer.write(text.encode("utf-8"))

    def write_now(self, text: str) -> None:
        """Write `text` and hand it to the reader."""
        self.write(text)
        self.flush()

    def flush(self) -> None:
        """Hand everything that was written to the reader."""
        with writing("standard output"):
            sys.stdout.buffer.flush()


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn an OSError of the body into an OutputError that names where it wrote."""
    try:
        yield
    except BytespanError:
        raise
    except OSError as error:
        if name == "standard output":
            # What is still buffered can go nowhere, and Python would complain about it when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"{name}: cannot be written: {error.strerror or error}") from error


@contextmanager
def result_file(path: str) -> Iterator[BinaryIO]:
    """The file `path` for writing, replaced only when the body has ended well; `-` is standard output.

    What is no regular file, such as a device or a pipe, is written to as it is.
    """
    if path == STANDARD_OUTPUT:
        with writing("standard output"):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    target = Path(path)
    is_replaced = not target.exists() or target.is_file()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.new") if is_replaced else target
    try:
        with writing(path):
            with temporary.open("wb") as stream:
                yield stream
            if is_replaced:
                temporary.replace(target)
    finally:
        if is_replaced:
            temporary.unlink(missing_ok=True)

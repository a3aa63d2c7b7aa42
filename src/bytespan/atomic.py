"""Models written in one step: a writer that is killed, or meets a full disk, leaves the old one or the new one.

The section Writing of docs/format.md says under which names.
"""

import io
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bytespan.errors import ModelError

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the same model gives the same zip file


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Make `path` a directory of exactly `files`: written beside it, flushed, then renamed into place.

    One process at a time may write a path. Killed between the two renames, it leaves the old directory beside `path`,
    where `read_package` and the next writer find it. Raises ModelError, and leaves what was there before, if anything
    goes wrong (a full disk, no permission), or if that is no model.
    """
    temporary, old = (path.with_name(f".{path.name}.{os.getpid()}.{kind}") for kind in ("new", "old"))
    try:
        recover(path)
        refuse_foreign(path)
        temporary.mkdir(parents=True)
        for name, data in files.items():
            _write_flushed(temporary / name, data)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        _flush_directory(path.parent)
    except OSError as error:
        if old.exists() and not path.exists():
            old.rename(path)
        raise ModelError(f"{path}: cannot write the model: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip file of `files`; ModelError, leaving what was there before, if anything goes wrong."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recover(path)
        _write_flushed(temporary, _zip(files))
        temporary.replace(path)
        _flush_directory(path.parent)
    except OSError as error:
        raise ModelError(f"{path}: cannot write the model: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def refuse_foreign(path: Path) -> None:
    """ModelError if there is something at `path` that is neither a model nor an empty directory."""
    is_taken = path.is_file() or (path.is_dir() and any(path.iterdir()))
    if is_taken and not (path / "config.json").exists():
        raise ModelError(f"{path}: holds no model that could be replaced: choose another place, or empty it")


def recover(path: Path) -> None:
    """Bring back an old directory that a killed writer left aside, and remove what else it left."""
    if find_written(path) != path:
        find_written(path).rename(path)
    for item in _siblings(path, "old") + _siblings(path, "new"):
        if item.is_dir():
            shutil.rmtree(item, ignore_errors=True)
        else:
            item.unlink(missing_ok=True)


def find_written(path: Path) -> Path:
    """`path`, or the old directory that a writer killed between its two renames left beside it."""
    return path if path.exists() else next(iter(_siblings(path, "old")), path)


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _siblings(path: Path, kind: str) -> list[Path]:
    """What a killed writer of `path` left beside it."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.\d+\.{kind}")
    return [item for item in path.parent.iterdir() if pattern.fullmatch(item.name)] if path.parent.is_dir() else []


def _write_flushed(path: Path, data: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _flush_directory(path: Path) -> None:
    """Make a rename survive a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

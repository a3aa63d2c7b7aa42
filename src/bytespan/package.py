"""A model on disk: its files, its version and checks, written so that a killed run leaves the old one or the new one."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bytespan.errors import ModelError


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Make `path` a directory of exactly `files`, atomically: written beside it, flushed, then renamed into place.

    Raises ModelError, and leaves what was there before, if anything goes wrong (a full disk, no permission).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        temporary.mkdir(parents=True)
        for name, data in files.items():
            with open(temporary / name, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    except OSError as error:
        if old.exists() and not path.exists():
            old.rename(path)
        raise ModelError(f"{path}: cannot write the model: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)

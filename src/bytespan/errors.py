"""Every exception that bytespan raises on purpose.

    BytespanError
    |-- ConfigError   (ValueError)   a setting that cannot be used: unknown key, wrong type, bad combination
    |-- CorpusError   (ValueError)   an annotated or plain file, or a text, that cannot be read
    |-- LabelError    (ValueError)   a label or task that the model at hand does not have
    |-- ModelError    (OSError)      a model package or checkpoint that is absent, damaged, foreign or cannot be written
    |-- OutputError   (OSError)      results that cannot be written: a full disk, no permission
    |-- WorkerError   (RuntimeError) a process that worked for this one and died
    `-- MissingExtra  (ImportError)  a command that needs `pip install bytespan[extra]`

Each message is one sentence that says what, where, which value and what to do; the command line prints it as it is.
"""

from importlib import import_module
from types import ModuleType


class BytespanError(Exception):
    """Any error of ours: catch this one to catch them all."""


class ConfigError(BytespanError, ValueError):
    """A setting that cannot be used."""


class CorpusError(BytespanError, ValueError):
    """A file or text that cannot be read as what it was said to be."""


class LabelError(BytespanError, ValueError):
    """A label or task that the model at hand does not have."""


class ModelError(BytespanError, OSError):
    """A model package or checkpoint that is absent, damaged, foreign or cannot be written."""


class OutputError(BytespanError, OSError):
    """Results that cannot be written."""


class WorkerError(BytespanError, RuntimeError):
    """A process that worked for this one has died."""


class MissingExtra(BytespanError, ImportError):
    """A command was called whose optional packages are not installed."""


def import_extra(module: str, *, extra: str, purpose: str) -> ModuleType:
    """The imported module, or MissingExtra naming the extra that brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{purpose} needs the package {error.name!r}: run `pip install 'bytespan[{extra}]'`"
        ) from error

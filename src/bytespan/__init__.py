"""bytespan: labelled spans from raw UTF-8 bytes.

    tagger = bytespan.load()
    document = tagger("Angela Merkel besuchte Paris.")
    for span in document.entities:
        print(span.text, span.label, span.start, span.end)

Everything public is named here. Importing this module loads nothing heavy: names are fetched when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bytespan.errors import (
        BytespanError,
        ConfigError,
        CorpusError,
        LabelError,
        MissingExtra,
        ModelError,
        OutputError,
        WorkerError,
    )
    from bytespan.spans import Document, Span, TextSpan
    from bytespan.tagger import Tagger, load

__version__ = "0.1.0"

__all__ = [
    "BytespanError",
    "ConfigError",
    "CorpusError",
    "Document",
    "LabelError",
    "MissingExtra",
    "ModelError",
    "OutputError",
    "Span",
    "Tagger",
    "TextSpan",
    "WorkerError",
    "__version__",
    "load",
]

_MODULE_OF = {
    "BytespanError": "errors",
    "ConfigError": "errors",
    "CorpusError": "errors",
    "Document": "spans",
    "LabelError": "errors",
    "MissingExtra": "errors",
    "ModelError": "errors",
    "OutputError": "errors",
    "Span": "spans",
    "Tagger": "tagger",
    "TextSpan": "spans",
    "WorkerError": "errors",
    "load": "tagger",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

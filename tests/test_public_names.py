"""What users may rely on, name by name. Adding a name here is a promise; removing one is a breaking change."""

import subprocess
import sys

import pytest

import bytespan

PUBLIC = [
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


def test_public_names_are_these() -> None:
    assert bytespan.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(bytespan, name) is not None
    assert name in dir(bytespan)


def test_names_can_be_imported_all_at_once() -> None:
    names: dict[str, object] = {}
    exec("from bytespan import *", names)
    assert set(PUBLIC) <= set(names)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'bytespan' has no attribute 'lode'"):
        bytespan.lode  # noqa: B018


def test_importing_loads_nothing_heavy() -> None:
    """Neither numpy nor onnxruntime nor torch, so that `import bytespan` takes milliseconds."""
    code = "import sys, bytespan; print(sorted({'numpy', 'onnxruntime', 'torch', 'typer'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"

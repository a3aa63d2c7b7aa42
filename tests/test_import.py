"""What `import bytespan` loads, in a fresh interpreter."""

import json
import subprocess
import sys

HEAVY = ("torch", "onnxruntime", "numpy", "typer", "rich")


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter holds after the statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(json.loads(run.stdout))


def test_import_loads_nothing_heavy_and_little_at_all() -> None:
    before, after = modules_after("pass"), modules_after("import bytespan")
    assert "bytespan" in after
    assert after.isdisjoint(HEAVY)
    # Far fewer modules than a tenth of a second holds, on any machine; a time would measure its load.
    assert len(after - before) < 60, sorted(after - before)


def test_reading_and_writing_corpora_needs_neither_torch_nor_onnxruntime() -> None:
    after = modules_after("import bytespan.corpora.reading, bytespan.corpora.writing, bytespan.corpora.brat")
    assert "bytespan.corpora.conllu" in after
    assert after.isdisjoint({"torch", "onnxruntime", "typer", "rich"})


def test_public_names_are_fetched_when_they_are_used() -> None:
    after = modules_after("import bytespan\nassert bytespan.Span(0, 1, 'X').label == 'X'")
    assert "bytespan.spans" in after
    assert after.isdisjoint({"torch", "onnxruntime"})

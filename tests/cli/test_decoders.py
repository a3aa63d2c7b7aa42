"""Every command that runs a model runs a parallel decoder as it runs a generator."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bytespan.cli.answers import LONG_BYTES
from bytespan.spans import Document
from bytespan.tagger import load
from cli.conftest import Run

if TYPE_CHECKING:
    from bytespan.neural.parallel import Parallel

TEXT = "Angela Merkel besuchte Paris ."


def test_tag_shows_the_spans_of_a_parallel_decoder(run: Run, tiny_parallel_package: Path) -> None:
    shown = run("tag", "--model", tiny_parallel_package, stdin=TEXT + "\n")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == "[Angela Merkel]PER besuchte [Paris]LOC .\n"
    (line,) = run("tag", "-m", tiny_parallel_package, "-f", "jsonl", stdin=TEXT).stdout.splitlines()
    assert [span["label"] for span in json.loads(line)["tokens"]] == ["PROPN", "PROPN", "VERB", "PROPN", "PUNCT"]


def test_a_long_json_text_is_answered_like_a_short_one(run: Run, tiny_parallel_package: Path) -> None:
    text = (TEXT + " é\n") * (2 + LONG_BYTES // len(TEXT))
    arguments = ("tag", "-m", tiny_parallel_package, "-f", "jsonl")
    (line,) = run(*arguments, stdin=json.dumps({"id": "x", "text": text})).stdout.splitlines()
    document = load(tiny_parallel_package)(text)
    answer = json.loads(line)
    assert answer["id"] == "x"
    for task, spans in (("tokens", document.tokens), ("entities", document.entities)):
        assert answer[task] == [span.to_json() for span in spans]
    assert len(answer["tokens"]) > 1000


def test_evaluate_scores_a_parallel_decoder(
    run: Run, tiny_parallel_package: Path, tiny_documents: list[Document], tmp_path: Path
) -> None:
    from bytespan.corpora.writing import write_documents

    with (tmp_path / "gold.jsonl").open("wb") as stream:
        write_documents(tiny_documents, stream, format="jsonl")
    shown = run("evaluate", "gold.jsonl", "--model", tiny_parallel_package, "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    reports = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [report["task"] for report in reports] == ["tokens", "entities"]
    assert {figures["f1"] for report in reports for figures in report["labels"].values()} == {100.0}


def test_info_names_the_decoder(run: Run, tiny_parallel_package: Path, tiny_package: Path) -> None:
    shown = run("info", tiny_parallel_package).stdout
    assert "decoder" in shown
    assert "parallel\n" in shown
    assert "2 x 24 units a direction, 512 x 8 table of n-grams, segments of 100 bytes" in shown
    assert "1 x 64 units, segments of 48 bytes" in run("info", tiny_package).stdout


@pytest.mark.parametrize(
    ("option", "sentence"),
    [("--beam-size=4", "beam_size must be 1, got 4"), ("--no-whole-words", "finds whole words only")],
)
def test_what_only_a_generator_can_do_is_refused_in_one_sentence(
    option: str, sentence: str, run: Run, tiny_parallel_package: Path
) -> None:
    shown = run("tag", "--model", tiny_parallel_package, option, stdin=TEXT)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert sentence in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_export_packs_the_checkpoint_of_a_parallel_decoder(run: Run, tiny_parallel: "Parallel", tmp_path: Path) -> None:
    from bytespan.config import TrainConfig
    from bytespan.neural.checkpoint import new_state, save_checkpoint

    state = new_state(tiny_parallel.config, tiny_parallel.vocabulary, TrainConfig())
    state.model.load_state_dict(tiny_parallel.state_dict())
    save_checkpoint(tmp_path / "run" / "best", state, TrainConfig(), resumable=False)
    for precision in ("fp32", "int8"):
        shown = run("export", "run", "model.zip", "--precision", precision, "--no-weights")
        assert (shown.returncode, shown.stdout) == (0, "")
        assert ("not measured" in shown.stderr) == (precision == "int8")
        tagged = run("tag", "-m", "model.zip", stdin=TEXT).stdout
        assert tagged.strip() == "[Angela Merkel]PER besuchte [Paris]LOC ."

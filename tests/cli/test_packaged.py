"""The model that comes with bytespan."""

import json
from pathlib import Path

from cli.conftest import Run

EXAMPLES = Path(__file__).parents[2] / "examples"
LANGUAGES = EXAMPLES / "languages.txt"
NAMES = EXAMPLES / "languages-names.jsonl"


def test_the_packaged_model_finds_words_and_names_in_the_languages_of_the_sample(run: Run) -> None:
    """It was shown no words of Chinese, Arabic and a few others of the eighteen, so not in quite all."""
    ended = run("tag", "--format", "jsonl", LANGUAGES)
    assert (ended.returncode, ended.stderr) == (0, "")
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    texts = LANGUAGES.read_text(encoding="utf-8").split("\n")
    assert len(answers) == len(texts) - 1
    assert sum(bool(answer["tokens"]) for answer in answers) >= 15
    assert sum(bool(answer["entities"]) for answer in answers) >= 10


def test_the_packaged_model_finds_most_names_of_the_sample_and_few_others(run: Run) -> None:
    texts = [json.loads(line)["text"] for line in NAMES.read_text(encoding="utf-8").splitlines()]
    assert texts == [line for line in LANGUAGES.read_text(encoding="utf-8").splitlines() if line]
    ended = run("evaluate", "--json", NAMES)
    scores = json.loads(ended.stdout)
    assert scores["recall"] >= 94
    assert scores["precision"] >= 96


def test_the_packaged_model_says_what_it_is(run: Run) -> None:
    ended = run("info", "--json")
    info = json.loads(ended.stdout)
    assert info["labels"].keys() == {"tokens", "entities"}
    assert info["languages"]
    assert info["licence"] != "unknown"
    assert info["training_data"]
    assert info["scores"]

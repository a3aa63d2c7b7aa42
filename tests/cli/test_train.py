"""`bytespan train`, `export` and `info`: from annotated files to a model that tags."""

import json
from pathlib import Path

import pytest

from cli.conftest import Run

ANNOTATED = "Ada B-PER\nsings O\n\nin O\nRome B-LOC\n\n"
SETTINGS = ("--set", "train.steps=4", "--set", "train.batch_size=4", "--set", "train.dev_every=2")


@pytest.fixture
def trained(run: Run, tmp_path: Path) -> Path:
    """A run directory of a training that learnt next to nothing."""
    (tmp_path / "gold.conll").write_text(ANNOTATED, encoding="utf-8")
    ended = run(
        "train", "--train", "gold.conll", "--dev", "gold.conll", "--output", "run", "--preset", "tiny", *SETTINGS
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("what fp16 costs\n")
    assert "gold.conll  entities" in ended.stdout
    assert "step 2" in ended.stderr
    assert "step 4" in ended.stderr
    assert "Traceback" not in ended.stderr
    return tmp_path / "run"


def test_a_trained_model_tags_and_can_be_exported(run: Run, trained: Path, tmp_path: Path) -> None:
    assert run("tag", "--model", trained / "model", "--format", "jsonl", stdin="Ada").returncode == 0
    ended = run(
        "export", trained, "small.zip", "--precision", "int8", "--name", "small", "--language", "en",
        "--licence", "MIT", "--training-data", "two sentences (MIT)", "--score", "two sentences F1=0.5", "--no-weights",
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"{tmp_path / 'gold.conll'}" in ended.stdout  # on which the run was chosen, and what int8 costs is measured
    info = json.loads(run("info", "small.zip", "--json").stdout)
    assert info["labels"] == {"entities": ["LOC", "PER"]}
    assert {key: info[key] for key in ("name", "languages", "licence", "precision", "training_data", "scores")} == {
        "name": "small", "languages": ["en"], "licence": "MIT", "precision": "int8",
        "training_data": ["two sentences (MIT)"], "scores": {"two sentences F1": 0.5},
    }  # fmt: skip
    assert "weights.safetensors" not in info["bytes"]
    shown = run("info", "small.zip").stdout
    assert "entities    LOC, PER" in shown
    assert "small 1" in shown
    assert run("info", "small.zip", "--card").stdout.startswith("# small 1\n")
    answer = json.loads(run("tag", "-m", "small.zip", "-f", "jsonl", stdin="Ada sings").stdout)
    assert (answer["id"], answer["tokens"]) == (1, [])


def test_a_card_may_be_written_by_hand(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# By hand\n", encoding="utf-8")
    assert run("export", trained / "last", "out", "--card", "card.md").returncode == 0
    assert run("info", "out", "--card").stdout == "# By hand\n"
    ended = run("export", trained, "out", "--card", "absent.md")
    assert (ended.returncode, ended.stderr) == (
        1, "bytespan: absent.md: cannot be read as the card: No such file or directory\n"
    )  # fmt: skip
    ended = run("export", trained, "out", "--score", "high")
    assert (ended.returncode, ended.stderr[:24]) == (1, "bytespan: --score high: ")


def test_unknown_settings_are_named_before_anything_is_read(run: Run) -> None:
    ended = run("train", "--train", "absent.conll", "--output", "run", "--set", "train.stepps=1")
    assert ended.returncode == 1
    assert "train.stepps; did you mean 'steps'?" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


RECIPE = """
[model]
preset = "tiny"

[[corpus]]
name = "one"
train = ["one.conll"]

[[corpus]]
name = "two"
train = ["absent.conll"]
"""


@pytest.mark.parametrize("device", ["cude", "meta"])
def test_a_device_that_is_not_here_is_named(run: Run, tmp_path: Path, device: str) -> None:
    ended = run("train", "--train", "gold.conll", "--output", "run", "--device", device)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith(f"bytespan: --device {device}: torch cannot use it here: ")
    assert not (tmp_path / "run").exists()


def test_a_choice_of_corpora_leaves_the_others_of_the_recipe_unread(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.conll").write_text(ANNOTATED, encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    ended = run("train", "--recipe", "recipe.toml", "--corpus", "one", "--output", "run", *SETTINGS)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(run("info", "run/model", "--json").stdout)["languages"] == ["one"]
    ended = run("train", "--recipe", "recipe.toml", "--corpus", "three", "--output", "run", *SETTINGS)
    assert (ended.returncode, ended.stderr) == (
        1, "bytespan: --corpus three: no corpus of that name; known are one, two\n"
    )  # fmt: skip


def test_a_model_is_taught_by_others(run: Run, tmp_path: Path, tiny_parallel_package: Path, tiny_package: Path) -> None:
    (tmp_path / "gold.conll").write_text(ANNOTATED, encoding="utf-8")
    command = ("train", "--train", "gold.conll", "--output", "run", *SETTINGS, "--teacher", tiny_parallel_package)
    ended = run(*command)
    assert ended.returncode == 0, ended.stderr
    assert "the teachers read 0.0 MB of training text first" in ended.stderr
    assert f"what the model {tiny_parallel_package} says of them" in run("info", "run/model", "--card").stdout
    ended = run(*command, "--set", "train.steps=5", "--teacher", tiny_package)
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (
        1,
        "bytespan: run: its run has other teachers: give each corpus the same or choose another --output",
    )
    ended = run("train", "--train", "gold.conll", "--output", "other", "--teacher", tiny_package)
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (
        1,
        f"bytespan: {tiny_package}: a generator, where only a parallel decoder will do: give another model",
    )

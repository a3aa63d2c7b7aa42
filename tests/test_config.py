"""Settings of models, trainings and recipes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.config import (
    PRESETS,
    CorpusConfig,
    ModelConfig,
    Recipe,
    TrainConfig,
    choose_corpora,
    config_from_json,
    config_to_json,
    override,
    read_recipe,
)
from bytespan.errors import ConfigError

MODEL_CONFIGS = st.builds(
    ModelConfig,
    segment_length=st.integers(1, 2000),
    layers=st.integers(1, 8),
    units=st.integers(1, 1000),
    input_order=st.sampled_from(["forward", "reversed"]),
    span_order=st.sampled_from(["last-first", "first-first"]),
    separate=st.booleans(),
    attention=st.booleans(),
)
TRAIN_CONFIGS = st.builds(
    TrainConfig,
    steps=st.integers(1, 10**9),
    batch_size=st.integers(1, 10**4),
    optimizer=st.sampled_from(["adamw", "sgd"]),
    learning_rate=st.floats(1e-8, 10),
    halve_every=st.none() | st.integers(1, 1000),
    dropout=st.floats(0, 1, exclude_max=True),
    precision=st.sampled_from(["fp32", "bf16"]),
    seed=st.integers(0, 2**31),
    patience=st.none() | st.integers(1, 100),
)
CORPUS_CONFIGS = st.builds(
    CorpusConfig, train=st.lists(st.text(), max_size=3).map(tuple), dev=st.lists(st.text(), max_size=3).map(tuple)
)


@given(MODEL_CONFIGS | TRAIN_CONFIGS | CORPUS_CONFIGS)
def test_config_survives_json(config: ModelConfig | TrainConfig | CorpusConfig) -> None:
    values = json.loads(json.dumps(config_to_json(config)))
    assert config_from_json(type(config), values, source="config.json", table="x") == config


def write_recipe(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_recipe_is_read_from_toml(tmp_path: Path) -> None:
    path = write_recipe(
        tmp_path,
        """
        [model]
        preset = "tiny"
        units = 32
        [train]
        steps = 50
        learning_rate = 1
        [[corpus]]
        name = "de"
        train = ["ner/de/train.conll"]
        dev = ["ner/de/dev.conll"]
        teachers = ["runs/de/model"]
        """,
    )
    recipe = read_recipe(path)
    assert recipe.model == replace(PRESETS["tiny"], units=32)
    assert recipe.train == TrainConfig(steps=50, learning_rate=1.0)
    files = ("ner/de/train.conll",), ("ner/de/dev.conll",)
    assert recipe.corpora == (CorpusConfig(*files, "de", teachers=("runs/de/model",)),)


def test_an_empty_recipe_is_the_defaults(tmp_path: Path) -> None:
    assert read_recipe(write_recipe(tmp_path, "")) == Recipe()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nbatchsize = 3", "unknown setting train.batchsize; did you mean 'batch_size'?"),
        ("[model]\nqqqq = 3", "unknown setting model.qqqq; known are decoder, segment_length"),
        ("[modell]\nunits = 3", "unknown table [modell]; did you mean 'model'?"),
        ("[model]\nunits = '320'", "model.units must be int, got '320'"),
        ("[model]\nunits = true", "model.units must be int, got True"),
        ("[model]\nunits = 0", "model.units must be at least 1, got 0"),
        ("[model]\nseparate = 1", "model.separate must be bool, got 1"),
        ("[model]\npreset = 'papr'", "unknown model.preset 'papr'; did you mean 'paper'?"),
        ("[model]\npreset = ['paper']", "unknown model.preset ['paper']"),
        ("[model]\ncarried_bytes = -1", "model.carried_bytes must be at least 0, got -1"),
        (
            "[model]\ncarried_bytes = 9\ninput_order = 'reversed'",
            'model.carried_bytes needs model.input_order = "forward"',
        ),
        ("[model]\nbidirectional = true", "model.bidirectional needs model.separate = true in a generator"),
        ("[model]\ninput_order = 'backward'", "model.input_order must be one of forward, reversed, got 'backward'"),
        ("[train]\npatience = 1.5", "train.patience must be int or nothing, got 1.5"),
        ("[train]\ndropout = 1.0", "train.dropout must be in 0..1, below 1, got 1.0"),
        ("[train]\nlearning_rate = nan", "train.learning_rate must be above 0, got nan"),
        ("[train]\noptimizer = 'adam'", "train.optimizer must be one of adamw, sgd, got 'adam'"),
        ("[train]\nword_dropout = -0.1", "train.word_dropout must be in 0..1, got -0.1"),
        ("[train]\ngold_weight = 1.1", "train.gold_weight must be in 0..1, got 1.1"),
        ("[[corpus]]\nteachers = 'model'", "corpus.teachers must be tuple"),
        ("[train]\nfirst_length = 0", "train.first_length must be at least 1, got 0"),
        ("[train]\nhalve_every = 0", "train.halve_every must be at least 1, got 0"),
        ("[train]\nwarmup_steps = -1", "train.warmup_steps must be at least 0, got -1"),
        ("[[corpus]]\ntrain = 'a.conll'", "corpus.train must be tuple"),
        ("[[corpus]]\ntrain = ['a.conll', 3]", "corpus.train[1] must be str, got 3"),
        ("[[corpus]]\nsentences = 0", "corpus.sentences must be at least 1, got 0"),
        ("[[corpus]]\nagreement = -0.5", "corpus.agreement must be at least 0, got -0.5"),
        ("[corpus]\ntrain = ['a.conll']", "corpus must be [[corpus]] tables"),
        ("corpus = [3]", "corpus must be [[corpus]] tables"),
        ("model = 3", "model must be a table, [model]"),
        ("train = 'x'", "train must be a table, [train]"),
        ("[model", "not a TOML file"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_named_with_file_key_and_remedy(
    tmp_path: Path, text: str, message: str
) -> None:
    path = write_recipe(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_recipe_that_is_absent_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot read the recipe: No such file"):
        read_recipe(tmp_path / "nothing.toml")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(ConfigError, match=r"latin\.toml: not a TOML file"):
        read_recipe(tmp_path / "latin.toml")


def test_override_changes_single_settings_and_nothing_else() -> None:
    recipe = Recipe(model=ModelConfig(layers=2), train=TrainConfig(seed=5), corpora=(CorpusConfig(name="de"),))
    changed = override(recipe, ["train.batch_size=64", "model.units=16", "train.optimizer=sgd", "train.dropout=0.5"])
    assert changed.train == replace(recipe.train, batch_size=64, optimizer="sgd", dropout=0.5)
    assert changed.model == replace(recipe.model, units=16)
    assert changed.corpora == recipe.corpora
    assert override(recipe, []) == recipe


def test_override_of_the_preset_starts_from_that_preset() -> None:
    changed = override(Recipe(model=ModelConfig(layers=7)), ["model.preset=tiny", "model.units=8"])
    assert changed.model == replace(PRESETS["tiny"], units=8)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("batch_size=3", "write it as model.KEY=VALUE or train.KEY=VALUE"),
        ("train.batch_size", "write it as model.KEY=VALUE or train.KEY=VALUE"),
        ("corpus.name=x", "write it as model.KEY=VALUE or train.KEY=VALUE"),
        ("train.batch_sise=3", "--set: unknown setting train.batch_sise; did you mean 'batch_size'?"),
        ("train.batch_size=many", "--set: train.batch_size must be int, got 'many'"),
    ],
)
def test_an_override_that_cannot_be_used_is_named(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        override(Recipe(), [assignment])


CORPORA = (
    CorpusConfig(train=("pos/en/train.conllu",), name="en"),
    CorpusConfig(train=("pos/el/train.conllu",), name="el"),
    CorpusConfig(train=("ner/ewt/train.jsonl",), name="en"),
    CorpusConfig(train=("ner/ewt/train.conll",), name="en_spaced"),
)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["en"], [0, 2]),
        (["pos/en"], [0]),
        (["ner/ewt"], [2, 3]),
        (["en_spaced", "el"], [1, 3]),
        (["el", "pos/el"], [1]),
    ],
)
def test_corpora_are_chosen_by_name_or_folder_in_the_order_of_the_recipe(names: list[str], chosen: list[int]) -> None:
    assert choose_corpora(Recipe(corpora=CORPORA), names).corpora == tuple(CORPORA[i] for i in chosen)


def test_a_corpus_that_is_not_in_the_recipe_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"--corpus fr: no corpus of that name; known are en, el, en_spaced$"):
        choose_corpora(Recipe(corpora=CORPORA), ["en", "fr"])
    with pytest.raises(ConfigError, match=r"--corpus en: no corpus of that name: give a --recipe that has corpora$"):
        choose_corpora(Recipe(), ["en"])


@pytest.mark.parametrize("bidirectional", [None, False, True])
def test_directions_are_the_decoders_own_unless_they_are_said(bidirectional: bool | None) -> None:
    models = [ModelConfig(name, separate=True, bidirectional=bidirectional) for name in ("generator", "parallel")]
    assert [model.directions for model in models] == ([1, 2] if bidirectional is None else [1 + bidirectional] * 2)
    for model in models:
        values = json.loads(json.dumps(config_to_json(model)))
        assert config_from_json(ModelConfig, values, source="config.json", table="model") == model


def test_presets_are_the_shapes_of_the_paper() -> None:
    paper: dict[str, Any] = config_to_json(PRESETS["paper"])
    assert (paper["segment_length"], paper["layers"], paper["units"], paper["embedding"]) == (60, 4, 320, 320)
    assert (paper["input_order"], paper["span_order"]) == ("forward", "last-first")

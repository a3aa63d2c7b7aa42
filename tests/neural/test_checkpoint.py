"""Checkpoints: what is saved comes back, and what is damaged is refused in one sentence."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bytespan.config import ModelConfig, TrainConfig
from bytespan.errors import BytespanError, ModelError
from bytespan.neural.batches import SegmentSampler
from bytespan.neural.checkpoint import (
    Progress,
    TrainingState,
    initialize_from,
    load_checkpoint,
    load_model,
    new_state,
    save_checkpoint,
)
from bytespan.neural.export import export_package
from bytespan.neural.parallel import Parallel
from bytespan.neural.training import train
from bytespan.package import Provenance
from bytespan.vocabulary import Vocabulary
from neural import corpus

MODEL = ModelConfig(segment_length=8, layers=1, units=8, embedding=8)
TRAIN = TrainConfig(steps=6, batch_size=8, growth_steps=0)
VOCABULARY = Vocabulary(8, corpus.LABELS)


def trained(config: TrainConfig = TRAIN, *, steps: int = 3) -> TrainingState:
    state = new_state(MODEL, VOCABULARY, config)
    take_steps(state, config, steps)
    return state


def take_steps(state: TrainingState, config: TrainConfig, steps: int) -> list[float]:
    sampler = SegmentSampler(corpus.documents(), VOCABULARY, MODEL, config)
    records = train(state, sampler, [], config)
    return [next(records).loss for _ in range(steps)]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_loaded_checkpoint_takes_the_same_steps_as_the_training_that_was_saved(tmp_path: Path, optimizer: str) -> None:
    config = replace(TRAIN, optimizer=optimizer)
    state = trained(config)
    save_checkpoint(tmp_path / "last", state, config, resumable=True)
    loaded, settings = load_checkpoint(tmp_path / "last")
    assert settings == config
    assert loaded.progress == state.progress
    assert take_steps(loaded, config, 3) == take_steps(state, config, 3)
    for (name, saved), (same, parameter) in zip(loaded.named_parameters(), state.named_parameters(), strict=True):
        assert name == same
        torch.testing.assert_close(saved, parameter, rtol=0, atol=0)


def test_checkpoint_for_export_alone_is_not_resumable(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best", trained(), TRAIN, resumable=False)
    model, _ = load_model(tmp_path / "best")
    assert model.config == MODEL
    with pytest.raises(ModelError, match=r"training\.safetensors: cannot read"):
        load_checkpoint(tmp_path / "best")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def corrupt_header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:8] = b"\xff" * 8
    path.write_bytes(data)


def other_version(path: Path) -> None:
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"checkpoint_version": 99}))


def other_shape(path: Path) -> None:
    config = json.loads(path.read_text())
    config["model"]["units"] = 9
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("config.json", truncate),
        ("config.json", other_version),
        ("config.json", other_shape),
        ("config.json", Path.unlink),
        ("labels.json", truncate),
        ("weights.safetensors", truncate),
        ("weights.safetensors", corrupt_header),
        ("weights.safetensors", Path.unlink),
        ("training.safetensors", truncate),
        ("training.safetensors", Path.unlink),
    ],
)
def test_damaged_checkpoint_is_refused_by_name(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    save_checkpoint(tmp_path / "last", trained(), TRAIN, resumable=True)
    damage(tmp_path / "last" / name)
    with pytest.raises(BytespanError, match="last") as caught:
        load_checkpoint(tmp_path / "last")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["checkpoint", "package", "package.zip"])
def test_initial_weights_come_from_another_label_set_by_meaning(tmp_path: Path, kind: str) -> None:
    source = trained()
    if kind == "checkpoint":
        save_checkpoint(tmp_path / kind, source, TRAIN, resumable=False)
    else:
        export_package(source.model, tmp_path / kind, provenance=Provenance("old"))
    vocabulary = Vocabulary(8, {"entities": ("DATE", "LOC", "PER")})
    state = new_state(MODEL, vocabulary, replace(TRAIN, seed=9))
    initialize_from(state, tmp_path / kind)
    new_row = vocabulary.label_symbol("entities", "PER")
    old_row = VOCABULARY.label_symbol("entities", "PER")
    found, wanted = state.model.output.weight[new_row], source.model.output.weight[old_row]
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)  # packages hold 16 bits


def test_initial_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "old", trained(), TRAIN, resumable=False)
    state = new_state(replace(MODEL, units=12), VOCABULARY, TRAIN)
    with pytest.raises(ModelError, match="units=8"):
        initialize_from(state, tmp_path / "old")


def test_a_generator_packaged_for_tagging_only_has_the_initial_weights_that_it_would_hold(tmp_path: Path) -> None:
    found = []
    for with_weights in (True, False):
        path = tmp_path / f"{with_weights}.zip"
        export_package(trained().model, path, provenance=Provenance("old"), with_weights=with_weights)
        found.append(new_state(MODEL, VOCABULARY, TRAIN))
        initialize_from(found[-1], path)
    first, second = (dict(state.model.state_dict()) for state in found)
    torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_a_parallel_decoder_packaged_for_tagging_only_has_initial_weights(
    tmp_path: Path, tiny_parallel: Parallel
) -> None:
    export_package(
        tiny_parallel, tmp_path / "model", provenance=Provenance("old"), precision="int8", with_weights=False
    )
    state = new_state(tiny_parallel.config, tiny_parallel.vocabulary, TRAIN)
    initialize_from(state, tmp_path / "model")
    wanted = tiny_parallel.table.weight.detach()
    assert isinstance(state.model, Parallel)
    torch.testing.assert_close(state.model.table.weight.detach(), wanted, atol=float(wanted.abs().max()) / 254, rtol=0)


def test_only_a_strictly_higher_score_is_a_new_best() -> None:
    progress = Progress(step=5).after(score=50.0)
    again = replace(progress, step=10).after(score=50.0)
    assert (progress.best_step, again.best_step, again.misses) == (5, 5, 1)
    assert replace(again, step=15).after(score=50.1).best_step == 15

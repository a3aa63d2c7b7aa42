"""The mean of trainings' weights."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from bytespan.config import ModelConfig, TrainConfig
from bytespan.errors import ModelError
from bytespan.neural.checkpoint import initialize_from, load_model, new_state, save_checkpoint
from bytespan.neural.export import export_package
from bytespan.package import Provenance
from bytespan.vocabulary import Vocabulary
from programs import program_of

RECIPES = Path(__file__).parent.parent / "recipes"
LABELS = {"entities": ("LOC", "PER")}
MODEL = ModelConfig("parallel", segment_length=20, layers=1, units=4, embedding=4, table_rows=16, table_width=2)

pytestmark = pytest.mark.skipif(not RECIPES.is_dir(), reason="recipes are in the repository only")


@pytest.fixture(scope="module")
def mean() -> ModuleType:
    return program_of(RECIPES, "mean")


def save(path: Path, *, seed: int, model: ModelConfig = MODEL) -> Path:
    train = TrainConfig(seed=seed)
    save_checkpoint(path, new_state(model, Vocabulary(20, LABELS), train), train, resumable=True)
    return path


def test_every_weight_is_the_mean_and_a_training_can_begin_with_it(mean: ModuleType, tmp_path: Path) -> None:
    paths = [save(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "two", "three"), start=1)]
    mean.write_mean(paths, tmp_path / "mean")
    models = [dict(load_model(path)[0].named_parameters()) for path in paths]
    state = new_state(MODEL, Vocabulary(20, LABELS), TrainConfig(seed=9))
    initialize_from(state, tmp_path / "mean")
    for name, found in state.named_parameters():
        expected = sum(model[name] for model in models) / 3
        assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.equal(models[0]["table.weight"], models[1]["table.weight"])


def test_a_package_counts_like_the_checkpoint_that_it_was_written_from(mean: ModuleType, tmp_path: Path) -> None:
    one, other = (save(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "other"), start=1))
    export_package(load_model(one)[0], tmp_path / "one.zip", provenance=Provenance("one"), precision="fp32")
    mean.write_mean([one, other], tmp_path / "mean")
    mean.write_mean([tmp_path / "one.zip", other], tmp_path / "same")
    found, expected = (dict(load_model(tmp_path / name)[0].named_parameters()) for name in ("same", "mean"))
    assert all(torch.allclose(found[name], weight, atol=2e-3) for name, weight in expected.items())  # it is in fp16
    with pytest.raises(ModelError, match=r"one\.zip: a package; name a checkpoint last"):
        mean.write_mean([other, tmp_path / "one.zip"], tmp_path / "none")


def test_trainings_of_another_shape_have_no_mean(
    mean: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = save(tmp_path / "one", seed=1)
    other = save(tmp_path / "other", seed=1, model=replace(MODEL, units=5))
    with pytest.raises(ModelError, match=r"one: not of the shape and labels of .*other"):
        mean.write_mean([one, other], tmp_path / "mean")
    monkeypatch.setattr(sys, "argv", ["mean.py", str(one), str(tmp_path / "none"), "--output", str(tmp_path / "mean")])
    with pytest.raises(SystemExit, match=r"^mean: .*none"):
        mean.main()
    assert not (tmp_path / "mean").exists()

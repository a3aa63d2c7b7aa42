"""Weights read back out of model.onnx against those that were exported."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bytespan.config import ModelConfig
from bytespan.errors import ModelError
from bytespan.neural.decoders import Model, new_model
from bytespan.neural.export import export_model
from bytespan.neural.graph import LSTM_CODE, LSTM_KINDS, PRECISIONS, quantize
from bytespan.neural.import_weights import import_weights
from bytespan.neural.parallel import Parallel
from bytespan.neural.scoring import TorchUnitModel
from bytespan.package import read_package
from bytespan.runtime.parallel import OnnxParallel
from bytespan.tagger import PACKAGED_MODEL
from bytespan.units import collate_units, cut_units
from bytespan.vocabulary import Vocabulary
from networks import CONFIG, GENERATORS, LABELS, SHAPES, random_generator, random_parallel

TEXT = "Angela Merkel besuchte Paris. In paris, PARIS! 東京は大きい"
SMALL_GENERATOR = ModelConfig("generator", 8, layers=2, units=8, embedding=8, attention=True)


def random_model(config: ModelConfig, *, seed: int) -> Model:
    return (random_parallel if config.decoder == "parallel" else random_generator)(config, LABELS, seed=seed)


def read_back(model: Model, precision: str) -> dict[str, torch.Tensor]:
    return import_weights(export_model(model, precision=precision), model.config, model.vocabulary, source="model")


@pytest.mark.parametrize("config", [*SHAPES, *GENERATORS])
def test_weights_come_back_as_exactly_as_they_were_exported(config: ModelConfig) -> None:
    """int8 has a scale a column, so that no weight is off by more than half a code."""
    model = random_model(config, seed=0)
    weights = {name: value.detach() for name, value in model.named_parameters()}
    fp32, fp16, int8 = (read_back(model, precision) for precision in PRECISIONS)
    assert weights.keys() == fp32.keys() == fp16.keys() == int8.keys()
    for name, wanted in weights.items():
        torch.testing.assert_close(fp32[name], wanted, atol=0, rtol=0)
        torch.testing.assert_close(fp16[name], wanted.half().float(), atol=0, rtol=0)
        codes = LSTM_CODE if any(kind in name for kind in LSTM_KINDS) else 127
        torch.testing.assert_close(int8[name], wanted, atol=float(wanted.abs().max()) / (2 * codes), rtol=1e-3)


def test_int8_weights_are_codes_times_their_scales() -> None:
    model = random_parallel(CONFIG, LABELS, seed=1)
    codes, scales = quantize(model.table.weight.detach().numpy(), axis=0)
    np.testing.assert_allclose(read_back(model, "int8")["table.weight"], codes * scales, rtol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("config", [CONFIG, SMALL_GENERATOR])
def test_a_model_made_of_what_was_read_back_exports_to_the_same_weights(config: ModelConfig, precision: str) -> None:
    model = random_model(config, seed=2)
    again = new_model(model.config, model.vocabulary)
    again.load_state_dict(read_back(model, precision), strict=False)
    torch.testing.assert_close(read_back(again, precision), read_back(model, precision), atol=0, rtol=1e-6)


def test_the_packaged_model_is_the_same_in_torch() -> None:
    package = read_package(PACKAGED_MODEL)
    model = Parallel(package.config, package.vocabulary).eval()
    weights = import_weights(package.onnx, package.config, package.vocabulary, source="base")
    assert set(model.state_dict()) - set(weights) <= {"languages", "ngrams_met"}
    model.load_state_dict(weights, strict=False)
    batch = collate_units([cut_units(TEXT.encode())], rows=package.config.table_rows)
    scores = TorchUnitModel(model).score(batch)
    found = OnnxParallel(package, threads=1).score(batch)  # whose LSTMs round what they read to 8 bits
    np.testing.assert_allclose(scores, found, atol=0.1 * scores.std(), rtol=0.01)


def damaged(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("change", "config", "labels"),
    [
        pytest.param(damaged, CONFIG, LABELS, id="half a file"),
        pytest.param(lambda data: b"", CONFIG, LABELS, id="nothing"),
        pytest.param(bytes, SMALL_GENERATOR, LABELS, id="no generator"),
        pytest.param(bytes, replace(CONFIG, units=6), LABELS, id="other units"),
        pytest.param(bytes, replace(CONFIG, layers=3), LABELS, id="other layers"),
        pytest.param(bytes, CONFIG, {"tokens": ("NOUN",)}, id="other labels"),
    ],
)
def test_what_is_no_graph_of_that_shape_is_refused_in_one_sentence(change, config: ModelConfig, labels) -> None:
    data = change(export_model(random_parallel(CONFIG, LABELS, seed=0), precision="int8"))
    with pytest.raises(ModelError, match=r"^old\.zip: packaged without weights .* start from its checkpoint$"):
        import_weights(data, config, Vocabulary(config.segment_length, labels), source=str(Path("old.zip")))


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(CONFIG, id="no parallel decoder"),
        pytest.param(replace(SMALL_GENERATOR, separate=True), id="no separate decoder"),
        pytest.param(replace(SMALL_GENERATOR, attention=False), id="attention"),
        pytest.param(replace(SMALL_GENERATOR, units=6), id="other units"),
        pytest.param(replace(SMALL_GENERATOR, layers=1), id="other layers"),
    ],
)
def test_a_generator_of_another_shape_is_refused(config: ModelConfig) -> None:
    data = export_model(random_generator(SMALL_GENERATOR, LABELS, seed=0))
    with pytest.raises(ModelError, match=r"^old\.zip: packaged without weights"):
        import_weights(data, config, Vocabulary(config.segment_length, LABELS), source="old.zip")

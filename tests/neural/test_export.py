"""The ONNX graph of every variant against torch, step by step."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import load_from_string, numpy_helper
from safetensors.torch import load

from bytespan.config import ModelConfig
from bytespan.decoding import predict_spans
from bytespan.errors import ConfigError, ModelError
from bytespan.neural.export import PRECISIONS, export_model, export_package
from bytespan.neural.generate import Generator
from bytespan.neural.scoring import TorchSegmentModel
from bytespan.package import Provenance, read_package, write_package
from bytespan.runtime.generate import OnnxGenerator
from bytespan.spans import Document
from bytespan.vocabulary import Vocabulary
from networks import GENERATORS, LABELS, random_generator

WITHIN = {"fp32": 1e-5, "fp16": 5e-3, "int8": 5e-2}


def uniform_generator(config: ModelConfig) -> Generator:
    """Weights far larger than at the start of a training, so that every input makes itself felt."""
    model = Generator(config, Vocabulary(config.segment_length, LABELS)).eval()
    rng = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5, generator=rng)
    return model


def exported(model: Generator, path: Path, precision: str) -> OnnxGenerator:
    export_package(model, path, provenance=Provenance("random"), precision=precision)
    return OnnxGenerator(read_package(path), threads=1)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("config", GENERATORS)
def test_exported_model_computes_what_torch_does(config: ModelConfig, precision: str, tmp_path: Path) -> None:
    model = uniform_generator(config)
    onnx = exported(model, tmp_path / "model", precision)
    lengths = np.array([15, 3, 1, 9, 15])
    rng = np.random.default_rng(0)
    inputs = np.where(np.arange(15) < lengths[:, None], rng.integers(0, 256, (5, 15)), 0)
    with torch.no_grad():
        memory, state = model.encode(torch.from_numpy(inputs), torch.from_numpy(lengths))
        found = onnx.encode(inputs, lengths)
        for part, expected in zip((found.hidden, found.cell), state, strict=True):
            assert np.abs(part - expected.numpy()).max() < WITHIN[precision]
        for _ in range(4):
            symbols = rng.integers(256, model.vocabulary.input_size, 5)
            logits, found = onnx.step(symbols, found)
            wanted, state = model.step(torch.from_numpy(symbols), state, memory, torch.from_numpy(lengths))
            assert np.abs(logits - wanted.numpy()).max() < WITHIN[precision]
    assert (found.memory is None) == (not config.attention)


def test_quantized_lstms_fit_in_16_bits_two_by_two() -> None:
    """As x86 processors without VNNI add them: code times an activation of up to 255, twice."""
    model = uniform_generator(ModelConfig("generator", 15, layers=3, units=20, embedding=12))
    graph = load_from_string(export_model(model, precision="int8")).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    matrices = [stored[node.input[i]] for node in graph.node if node.op_type == "DynamicQuantizeLSTM" for i in (1, 2)]
    assert matrices
    for codes in matrices:
        assert codes.dtype == np.int8
        assert 2 * 255 * int(np.abs(codes.astype(int)).max()) <= np.iinfo(np.int16).max


@pytest.mark.parametrize("config", GENERATORS)
def test_padding_does_not_change_a_segment(config: ModelConfig, tmp_path: Path) -> None:
    onnx = exported(uniform_generator(config), tmp_path / "model", "fp32")
    alone = onnx.encode(np.array([[1, 2, 3]]), np.array([3]))
    padded = onnx.encode(np.array([[1, 2, 3, 0, 0], [9, 8, 7, 6, 5]]), np.array([3, 5]))
    first = onnx.step(np.array([257]), alone)[0][0]
    assert np.abs(onnx.step(np.array([257, 258]), padded)[0][0] - first).max() < 1e-6
    garbage = onnx.encode(np.array([[1, 2, 3, 77, 88], [9, 8, 7, 6, 5]]), np.array([3, 5]))
    assert np.array_equal(garbage.hidden, padded.hidden)


@pytest.mark.parametrize("config", GENERATORS)
def test_exported_model_writes_the_same_spans_as_torch(config: ModelConfig, tmp_path: Path) -> None:
    """With beam search, which repeats and reorders the rows of every part of the state."""
    data = [bytes(range(i, i + 11 + 3 * i)) for i in range(6)]
    count = 0
    for seed, beam_size in itertools.product(range(3), (1, 3)):
        model = random_generator(config, LABELS, seed=seed)
        onnx = exported(model, tmp_path / "model.zip", "fp32")
        found = predict_spans(onnx, data, tasks=("tokens", "entities"), beam_size=beam_size)
        assert found == predict_spans(TorchSegmentModel(model), data, tasks=("tokens", "entities"), beam_size=beam_size)
        count += sum(len(spans) for item in found for spans in item.values())
    assert count > 5


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_trained_model_tags_the_same_in_every_precision(
    precision: str, tiny_generator: Generator, tiny_documents: list[Document], tmp_path: Path
) -> None:
    onnx = exported(tiny_generator, tmp_path / "model", precision)
    found = predict_spans(onnx, [document.data for document in tiny_documents], tasks=("tokens", "entities"))
    assert [{task: tuple(spans) for task, spans in item.items()} for item in found] == [
        document.spans for document in tiny_documents
    ]


def test_smaller_precisions_make_smaller_files() -> None:
    model = uniform_generator(ModelConfig("generator", 30, 2, 128, 128))
    fp32, fp16, int8 = (len(export_model(model, precision=precision)) for precision in PRECISIONS)
    assert fp16 < 0.52 * fp32
    assert int8 < 0.65 * fp16


def test_the_same_weights_give_the_same_file() -> None:
    models = [uniform_generator(ModelConfig("generator", 15, 2, 8, 8)) for _ in range(2)]
    assert export_model(models[0]) == export_model(models[1])


def test_export_refuses_an_unknown_precision() -> None:
    with pytest.raises(ConfigError, match="precision must be one of fp32, fp16, int8, got 'fp8'"):
        export_model(uniform_generator(ModelConfig("generator", 15, 1, 8, 8)), precision="fp8")


def test_package_holds_the_weights_to_train_on_from(tmp_path: Path) -> None:
    model = uniform_generator(ModelConfig("generator", 15, 2, 8, 8, separate=True))
    export_package(model, tmp_path / "model", provenance=Provenance("random"))
    package = read_package(tmp_path / "model")
    assert package.weights is not None
    weights = load(package.weights)
    assert {name: value.half() for name, value in model.state_dict().items()}.keys() == weights.keys()
    assert all(torch.equal(weights[name], value.half()) for name, value in model.state_dict().items())
    assert package.provenance.precision == "fp16"


def test_package_without_weights_can_still_tag(tmp_path: Path) -> None:
    model = uniform_generator(ModelConfig("generator", 15, 1, 8, 8))
    export_package(model, tmp_path / "model", provenance=Provenance("random"), with_weights=False)
    package = read_package(tmp_path / "model")
    assert package.weights is None
    assert len(predict_spans(OnnxGenerator(package), [b"some text"], tasks=["tokens"])) == 1


def test_graph_of_another_shape_is_refused(tmp_path: Path) -> None:
    small, large = (
        uniform_generator(ModelConfig("generator", 15, 1, 8, 8)),
        uniform_generator(ModelConfig("generator", 15, 2, 8, 8)),
    )
    write_package(
        tmp_path / "model",
        config=small.config,
        labels=LABELS,
        provenance=Provenance("mixed"),
        onnx=export_model(large),
    )
    with pytest.raises(ModelError, match=r"model\.onnx does not fit config\.json"):
        OnnxGenerator(read_package(tmp_path / "model"))

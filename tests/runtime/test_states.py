"""The states that a package tells, against torch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bytespan.config import ModelConfig
from bytespan.errors import ModelError
from bytespan.neural.export import export_model, export_package
from bytespan.neural.generate import Generator
from bytespan.neural.graph import PRECISIONS
from bytespan.neural.parallel import Parallel
from bytespan.package import Provenance, read_package, write_package
from bytespan.runtime.states import StateReader
from bytespan.units import collate_units, cut_units
from networks import random_generator, random_parallel

LABELS = {"tokens": ("NOUN", "VERB"), "entities": ("PER",)}
GENERATOR = ModelConfig("generator", 12, 3, 10, 8)
PARALLEL = ModelConfig(
    "parallel", segment_length=100, layers=2, units=12, embedding=6, table_rows=64, table_width=8, kernels=10,
    unit_width=14,
)  # fmt: skip
GENERATORS = [
    pytest.param(GENERATOR, id="shared"),
    pytest.param(replace(GENERATOR, separate=True), id="separate"),
    pytest.param(replace(GENERATOR, attention=True), id="attention"),
    pytest.param(replace(GENERATOR, separate=True, attention=True, layers=1), id="both"),
    pytest.param(replace(GENERATOR, carried_bytes=8), id="carried"),
]
TEXT = "Zoé sang in Kiel und 東京, zwei Mal.".encode()
WITHIN = {"fp32": 1e-5, "fp16": 0.01, "int8": 0.2}


def reader(model: Generator | Parallel, path: Path, precision: str = "fp32") -> StateReader:
    export_package(model, path, provenance=Provenance("random"), precision=precision)
    return StateReader(read_package(path), threads=1)


def hidden_behind(model: Generator, data: bytes, before: bytes = b"") -> np.ndarray:
    """All layers' states in a row, after reading some bytes from nothing, or behind others and STOP."""
    read = [*before, model.vocabulary.fed_stop, *data] if before else list(data)
    with torch.no_grad():
        _, (hidden, _) = model.encode(torch.tensor([read]), torch.tensor([len(read)]))
        return np.concatenate([model.embedding(torch.tensor(data[-1])).numpy(), hidden[:, 0].flatten().numpy()])


@pytest.mark.parametrize("config", GENERATORS)
def test_a_generator_has_the_state_behind_each_byte_of_the_segments_that_tagging_reads(
    config: ModelConfig, tmp_path: Path
) -> None:
    """Segments of 12 bytes begin every 6, and the last ends the text; a byte at the edge of one is left to the next."""
    model = random_generator(config, LABELS, seed=1)
    found = reader(model, tmp_path / "model").read(TEXT)
    assert found.ends.tolist() == list(range(1, len(TEXT) + 1))
    assert (found.ends - found.starts).tolist() == [1] * len(TEXT)
    for end in found.ends.tolist():
        start = min(max(end // 6 * 6 - 6, 0), len(TEXT) - 12)
        before = TEXT[max(start - config.carried_bytes, 0) : start]
        assert found.values[end - 1] == pytest.approx(hidden_behind(model, TEXT[start:end], before), abs=1e-4), end


def test_a_generator_that_reads_from_the_end_has_the_states_of_the_text_read_so(tmp_path: Path) -> None:
    forward = random_generator(GENERATOR, LABELS, seed=1)
    backward = Generator(replace(GENERATOR, input_order="reversed"), forward.vocabulary).eval()
    backward.load_state_dict(forward.state_dict())
    found = reader(backward, tmp_path / "backward").read(TEXT)
    expected = reader(forward, tmp_path / "forward").read(TEXT[::-1])
    assert np.array_equal(found.values, expected.values[::-1])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_parallel_decoder_has_a_state_at_each_unit_in_each_layer_and_direction(
    precision: str, tmp_path: Path
) -> None:
    model = random_parallel(PARALLEL, LABELS, seed=1)
    seen: dict[str, np.ndarray] = {}
    for way in ("forwards", "backwards"):
        for layer, lstm in enumerate(getattr(model, way)):
            lstm.register_forward_hook(
                lambda _, given, output, key=(way, layer): seen.update({key: output[0], ("given", *key): given[0]})
            )
    units = cut_units(TEXT)
    batch = collate_units([units], rows=PARALLEL.table_rows)
    with torch.no_grad():
        model(*(torch.from_numpy(getattr(batch, name)) for name in ("rows", "symbols", "gaps", "words", "lengths")))
    parts = [seen["given", "forwards", 0][:, 0]]
    for layer in range(PARALLEL.layers):
        parts += [seen["forwards", layer][:, 0], seen["backwards", layer][:, 0].flip(0)]
    states = reader(model, tmp_path / "model", precision)
    found = states.read(TEXT)
    assert (found.starts.tolist(), found.ends.tolist()) == (units.starts.tolist(), units.ends.tolist())
    expected = torch.cat(parts, dim=1).numpy()
    assert found.values.shape == expected.shape == (len(units), states.cells)
    assert np.abs(found.values - expected).max() < WITHIN[precision] * max(1, expected.std())


def test_cells_have_names_and_layers_have_cells(tmp_path: Path) -> None:
    parallel = reader(random_parallel(PARALLEL, LABELS, seed=1), tmp_path / "parallel")
    assert parallel.layers == {"input": slice(0, 14), "layer 1": slice(14, 38), "layer 2": slice(38, 62)}
    assert [parallel.name(cell) for cell in (3, 14, 26, 61)] == [
        "input, cell 3", "layer 1→, cell 0", "layer 1←, cell 0", "layer 2←, cell 11",
    ]  # fmt: skip
    assert not parallel.reads_bytes
    generator = reader(random_generator(GENERATOR, LABELS, seed=1), tmp_path / "generator")
    assert [generator.name(cell) for cell in (0, 8, 37)] == ["input, cell 0", "layer 1, cell 0", "layer 3, cell 9"]
    assert (generator.reads_bytes, generator.cells) == (True, 38)


def test_cells_of_an_encoder_of_both_ways_are_those_of_each(tmp_path: Path) -> None:
    model = random_generator(replace(GENERATOR, separate=True, bidirectional=True), LABELS, seed=1)
    states = reader(model, tmp_path / "model")
    assert [states.name(cell) for cell in (8, 18, 67)] == ["layer 1→, cell 0", "layer 1←, cell 0", "layer 3←, cell 9"]
    found = states.read(TEXT[:12]).values
    with torch.no_grad():
        expected, _ = model.encoder(model.embedding(torch.tensor(list(TEXT[:12]))[:, None]))
    assert found[:, 48:] == pytest.approx(expected[:, 0].numpy(), abs=1e-4)


def test_a_text_of_nothing_has_no_states_and_a_long_one_is_read_in_segments(tmp_path: Path) -> None:
    parallel = reader(random_parallel(PARALLEL, LABELS, seed=1), tmp_path / "parallel")
    generator = reader(random_generator(GENERATOR, LABELS, seed=1), tmp_path / "generator")
    for states in (parallel, generator):
        assert states.read(b"").values.shape == (0, states.cells)
        assert states.read(TEXT * 10).values.shape == (len(states.read(TEXT * 10).ends), states.cells)
    assert parallel.read(b" \n").values.shape == (0, parallel.cells)
    assert len(parallel.read(TEXT * 10).ends) == len(cut_units(TEXT * 10))


def test_a_graph_with_other_layers_than_its_settings_is_refused(tmp_path: Path) -> None:
    model = random_parallel(replace(PARALLEL, layers=1), LABELS, seed=1)
    graph = export_model(model)
    write_package(tmp_path / "odd", config=PARALLEL, labels=LABELS, provenance=Provenance("odd"), onnx=graph)
    with pytest.raises(ModelError, match=r"odd: model\.onnx has 1 LSTM nodes instead of 2; export the model again"):
        StateReader(read_package(tmp_path / "odd"))

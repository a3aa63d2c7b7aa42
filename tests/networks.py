"""Models with random weights that depend on every input, for comparing what runs them; generators write spans too."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from bytespan.config import ModelConfig
from bytespan.neural.generate import Generator
from bytespan.neural.parallel import Parallel
from bytespan.ngrams import NgramFilter
from bytespan.vocabulary import Vocabulary

STRENGTH = 4.0

LABELS = {"tokens": ("NOUN", "VERB"), "entities": ("PER",)}
CONFIG = ModelConfig(
    "parallel", segment_length=100, layers=2, units=12, embedding=6, table_rows=64, table_width=8, kernels=10,
    unit_width=14,
)  # fmt: skip
"""Of a small parallel decoder, as LABELS are."""
SHAPES = [
    pytest.param(CONFIG, id="two layers"),
    pytest.param(replace(CONFIG, layers=1), id="one layer"),
    pytest.param(replace(CONFIG, layers=3, units=5, kernels=1), id="three layers"),
    pytest.param(replace(CONFIG, bidirectional=False), id="one way"),
    pytest.param(replace(CONFIG, known_bits=64), id="some n-grams"),
]
"""Parallel decoders of every shape that the graph treats in a way of its own."""
_SHARED = ModelConfig("generator", 15, layers=3, units=20, embedding=12)
GENERATORS = [
    pytest.param(_SHARED, id="shared"),
    pytest.param(replace(_SHARED, separate=True), id="separate"),
    pytest.param(replace(_SHARED, attention=True), id="attention"),
    pytest.param(replace(_SHARED, separate=True, attention=True), id="separate, attention"),
    pytest.param(replace(_SHARED, separate=True, bidirectional=True), id="both ways"),
    pytest.param(replace(_SHARED, separate=True, bidirectional=True, attention=True), id="both ways, attention"),
    pytest.param(replace(_SHARED, carried_bytes=9), id="carried"),
    pytest.param(replace(_SHARED, layers=1, units=7, embedding=5), id="one layer"),
]
"""Generators of every variant."""


def random_generator(config: ModelConfig, labels: Mapping[str, tuple[str, ...]], *, seed: int) -> Generator:
    """A model that depends wildly on every input, but writes a label after a length after a start, and seldom STOP.

    Three units of every layer carry whether a start is due, a length or a label: that is, what kind of symbol was fed.
    """
    model = Generator(config, Vocabulary(config.segment_length, labels)).eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-1.5, 1.5, generator=rng)
        for lstm in (model.encoder, model.decoder):
            if lstm is not None:
                _carry(lstm)
        if model.combine is not None:
            model.combine.weight[:3] = 0
            model.combine.weight[:3, :3] = STRENGTH * torch.eye(3)
        _follow_grammar(model)
    return model


def _carry(lstm: torch.nn.LSTM) -> None:
    """Let units 0 to 2 of each layer hold the sign of inputs 0 to 2 of this step, and nothing else."""
    units = lstm.hidden_size
    for layer in range(lstm.num_layers):
        for gate, bias in enumerate((STRENGTH, -STRENGTH, 0.0, STRENGTH)):  # input, forget, cell, output
            rows = slice(gate * units, gate * units + 3)
            for kind in ("ih", "hh"):
                getattr(lstm, f"weight_{kind}_l{layer}")[rows] = 0
                getattr(lstm, f"bias_{kind}_l{layer}")[rows] = bias / 2
        getattr(lstm, f"weight_ih_l{layer}")[2 * units : 2 * units + 3, :3] = STRENGTH * torch.eye(3)


def _follow_grammar(model: Generator) -> None:
    vocabulary = model.vocabulary
    starts, lengths, labels = vocabulary.first_start, vocabulary.first_length, vocabulary.first_label
    kinds = [slice(starts, lengths), slice(lengths, labels), slice(labels, vocabulary.output_size)]
    model.embedding.weight[:, :3] = 0
    model.embedding.weight[256 : vocabulary.first_fed_output + starts, 0] = 1  # after GO a start
    for kind, after in zip(kinds, (1, 2, 0), strict=True):
        fed = slice(vocabulary.first_fed_output + kind.start, vocabulary.first_fed_output + kind.stop)
        model.embedding.weight[fed, after] = 1
    model.output.weight[:, :3] = 0
    for kind, due in zip(kinds, (0, 1, 2), strict=True):
        model.output.weight[kind, due] = 3 * STRENGTH
    model.output.bias[0] = 2 * STRENGTH  # STOP comes when all starts have little to say


def random_parallel(config: ModelConfig, labels: Mapping[str, tuple[str, ...]], *, seed: int) -> Parallel:
    """A model whose weights are far from nought, so that every input makes itself felt."""
    model = Parallel(config, Vocabulary(config.segment_length, labels)).eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and "weight" in name:
                reach = 8.0 if name == "output.weight" else 2.0
                parameter.normal_(std=reach / parameter.shape[1] ** 0.5, generator=rng)
            else:
                parameter.normal_(std=0.2, generator=rng)
        for table in (model.table, model.bytes, model.gaps):
            table.weight.normal_(generator=rng)
    if config.known_bits:
        model.meet(NgramFilter(np.full(config.known_bits // 8, 0b0110_1101, np.uint8)))
    return model


def unfit_for_int8(model: Parallel) -> Parallel:
    """The model with one unit silenced and huge weights on it: nothing in fp32, but all of the range of int8."""
    model = deepcopy(model)
    last, gate = model.config.layers - 1, 3 * model.config.units  # the output gate of the first unit
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            parameters[f"forwards.{last}.{kind}_l0"][gate] = -200.0 if kind == "bias_ih" else 0.0
        model.output.weight[:, 0] = 1e4
    return model

"""A generator as a model package: an ONNX graph written node by node from its weights (see docs/format.md).

One graph reads segments and writes spans, since both are the same LSTM: reading is one call with K steps from a zero
state, writing is one call a symbol. Logits are computed once a call, from the top layer's last state.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save
from torch import nn

from bytespan.errors import ConfigError
from bytespan.neural.batches import WORDS
from bytespan.neural.generate import Generator, transplant
from bytespan.package import Provenance, write_package
from bytespan.vocabulary import Vocabulary

PRECISIONS = ("fp32", "fp16", "int8")
"""fp32: the weights as trained. fp16: weights rounded to 16 bits on disk, 32-bit arithmetic. int8: LSTM weights rounded
to 8 bits, a scale a gate unit, and 8-bit matrix products; the rest as fp16."""

OPSET = 17
IR_VERSION = 8
Array = NDArray[Any]


def export_package(
    model: Generator,
    path: Path | str,
    *,
    provenance: Provenance,
    precision: str = "fp16",
    with_weights: bool = True,
    card: str | None = None,
) -> None:
    """Write the model package of a generator; `with_weights` adds them in 16 bits, so that it can be trained on.

    The task of writing words, which only training knows, is left out.
    Raises ConfigError for an unknown precision, ModelError if the package cannot be written.
    """
    model = _without_words(model)
    weights = {name: value.detach().cpu().half().contiguous() for name, value in model.state_dict().items()}
    write_package(
        path,
        config=model.config,
        labels=model.vocabulary.labels,
        provenance=replace(provenance, precision=precision),
        onnx=export_model(model, precision=precision),
        weights=save(weights) if with_weights else None,
        card=card,
    )


def _without_words(model: Generator) -> Generator:
    """The generator without the symbols of `batches.WORDS`; everything else keeps its weights."""
    labels = {task: members for task, members in model.vocabulary.labels.items() if task != WORDS}
    if labels == model.vocabulary.labels:
        return model
    smaller = Generator(model.config, Vocabulary(model.config.segment_length, labels))
    transplant(smaller, model.state_dict(), model.vocabulary)
    return smaller


def export_model(model: Generator, *, precision: str = "fp32") -> bytes:
    """The ONNX file of a generator; ConfigError for a precision that is not one of PRECISIONS."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    graph = _Graph(precision)
    embedded = graph.add("Gather", [graph.weight("embedding", _array(model.embedding.weight)), "symbols"])
    if model.decoder is not None:
        writing = _branch("decoder", model.decoder, embedded, precision)
        reading = _branch("encoder", model.encoder, embedded, precision)
        names = graph.add_many("If", ["decoding"], 3, then_branch=writing, else_branch=reading)
    else:
        names = _recurrence(graph, model.encoder, embedded)
    states, hidden, cell = names
    top = graph.add("Gather", [hidden, graph.constant(np.array(model.config.layers - 1))], axis=0)  # (B, H)
    if model.config.attention:
        top = _attend(graph, model, top)
    weight, bias = graph.weight("output", _array(model.output.weight)), graph.weight("bias", _array(model.output.bias))
    logits = graph.add("Gemm", [top, weight, bias], transB=1)
    outputs = {"logits": logits, "hidden_out": hidden, "cell_out": cell}
    if model.config.attention:
        outputs["states"] = states
    for name, value in outputs.items():
        graph.nodes.append(helper.make_node("Identity", [value], [name]))
    return _serialize(graph, model, tuple(outputs))


class _Graph:
    """Nodes and initializers under construction; the prefix keeps the names of an `If`'s branches apart."""

    def __init__(self, precision: str, *, prefix: str = "") -> None:
        self.precision = precision
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add_many(self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Append a node; its outputs' names."""
        names = [f"{self.prefix}{operator}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node with one output; the output's name."""
        return self.add_many(operator, inputs, 1, **attributes)[0]

    def constant(self, values: Array) -> str:
        """The name of an initializer with exactly these values."""
        name = f"{self.prefix}constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def weight(self, name: str, values: Array) -> str:
        """The name of a float32 tensor; stored in 16 bits, and widened on loading, unless the precision is fp32."""
        if self.precision == "fp32":
            self.initializers.append(numpy_helper.from_array(values, self.prefix + name))
            return self.prefix + name
        self.initializers.append(numpy_helper.from_array(values.astype(np.float16), f"{self.prefix}{name}_fp16"))
        return self.add("Cast", [f"{self.prefix}{name}_fp16"], to=TensorProto.FLOAT)


def _recurrence(graph: _Graph, lstm: nn.LSTM, embedded: str) -> list[str]:
    """All layers of an LSTM over `embedded` (T, B, E): top states (T, B, H), then hidden and cell state (L, B, H)."""
    parts = [graph.add_many("Split", [name], lstm.num_layers, axis=0) for name in ("hidden", "cell")]
    states, last = embedded, []
    for layer, (hidden, cell) in enumerate(zip(*parts, strict=True)):
        four, *state = _layer(graph, lstm, layer, [states, hidden, cell])
        states = graph.add("Squeeze", [four, graph.constant(np.array([1]))])  # (T, 1, B, H) -> (T, B, H)
        last.append(state)
    return [states, *(graph.add("Concat", list(names), axis=0) for names in zip(*last, strict=True))]


def _layer(graph: _Graph, lstm: nn.LSTM, layer: int, inputs: list[str]) -> list[str]:
    states, hidden, cell = inputs
    weights = [_gates(getattr(lstm, f"weight_{kind}_l{layer}")) for kind in ("ih", "hh")]  # (4H, E) and (4H, H)
    bias = np.concatenate([_gates(getattr(lstm, f"bias_{kind}_l{layer}")) for kind in ("ih", "hh")])  # (8H,)
    bias_name = graph.weight(f"lstm_{layer}_bias", bias[None])
    names = [f"lstm_{layer}_input", f"lstm_{layer}_recurrent"]
    if graph.precision != "int8":
        matrices = [graph.weight(name, weight[None]) for name, weight in zip(names, weights, strict=True)]
        row = [states, *matrices, bias_name, "lengths", hidden, cell]
        return graph.add_many("LSTM", row, 3, hidden_size=lstm.hidden_size)
    codes, scales = zip(*(_quantize(weight) for weight in weights), strict=True)
    zero = graph.constant(np.zeros((1, 4 * lstm.hidden_size), np.int8))
    row = [states, *map(graph.constant, codes), bias_name, "lengths", hidden, cell, ""]
    row += [name for scale in scales for name in (graph.constant(scale), zero)]
    return graph.add_many("DynamicQuantizeLSTM", row, 3, hidden_size=lstm.hidden_size, domain="com.microsoft")


def _quantize(weights: Array) -> tuple[Array, Array]:
    """int8 (1, inputs, 4H) and scales (1, 4H): each gate unit's largest weight becomes 127."""
    scale = np.maximum(np.abs(weights).max(axis=1), 1e-8).astype(np.float32) / 127
    return np.rint(weights / scale[:, None]).astype(np.int8).T[None].copy(), scale[None]


def _attend(graph: _Graph, model: Generator, top: str) -> str:
    """`Generator._attend` for one step: top state (B, H) joined with the `memory` (K, B, H) that it looks at."""
    assert model.query is not None
    assert model.combine is not None
    query = graph.add("MatMul", [top, graph.weight("query", _array(model.query.weight).T.copy())])  # (B, H)
    axis = graph.constant(np.array([2]))
    scores = graph.add("ReduceSum", [graph.add("Mul", ["memory", query]), axis], keepdims=0)  # (K, B)
    size = graph.add("Squeeze", [graph.add("Shape", ["memory"], start=0, end=1)])
    places = graph.add("Range", [graph.constant(np.array(0)), size, graph.constant(np.array(1))])  # (K,)
    rows = graph.add("Unsqueeze", [places, graph.constant(np.array([1]))])  # (K, 1)
    inside = graph.add("Less", [rows, "memory_lengths"])  # (K, B)
    scores = graph.add("Where", [inside, scores, graph.constant(np.array(-np.inf, np.float32))])
    shares = graph.add("Unsqueeze", [graph.add("Softmax", [scores], axis=0), axis])  # (K, B, 1)
    steps = graph.constant(np.array([0]))
    seen = graph.add("ReduceSum", [graph.add("Mul", [shares, "memory"]), steps], keepdims=0)  # (B, H)
    weight = graph.weight("combine", _array(model.combine.weight))
    bias = graph.weight("combine_bias", _array(model.combine.bias))
    return graph.add("Tanh", [graph.add("Gemm", [graph.add("Concat", [top, seen], axis=1), weight, bias], transB=1)])


def _branch(name: str, lstm: nn.LSTM, embedded: str, precision: str) -> onnx.GraphProto:
    """One side of the `If` between a separate decoder and the encoder."""
    graph = _Graph(precision, prefix=f"{name}_")
    names = _recurrence(graph, lstm, embedded)
    outputs = [helper.make_tensor_value_info(item, TensorProto.FLOAT, [None] * 3) for item in names]
    return helper.make_graph(graph.nodes, name, [], outputs, graph.initializers)


def _serialize(graph: _Graph, model: Generator, outputs: tuple[str, ...]) -> bytes:
    config, symbols = model.config, model.vocabulary.output_size
    state: Sequence[str | int | None] = [config.layers, "B", config.units]
    shapes: dict[str, tuple[int, Sequence[str | int | None]]] = {
        "symbols": (TensorProto.INT64, ["T", "B"]),
        "lengths": (TensorProto.INT32, ["B"]),
        "hidden": (TensorProto.FLOAT, state),
        "cell": (TensorProto.FLOAT, state),
    }
    if config.separate:
        shapes["decoding"] = (TensorProto.BOOL, [])
    if config.attention:
        shapes["memory"] = (TensorProto.FLOAT, ["K", "B", config.units])
        shapes["memory_lengths"] = (TensorProto.INT64, ["B"])
    produced: dict[str, Sequence[str | int | None]] = {
        "logits": ["B", symbols],
        "hidden_out": state,
        "cell_out": state,
        "states": ["T", "B", config.units],
    }
    proto = helper.make_graph(
        graph.nodes,
        "bytespan-generator",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in shapes.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, produced[name]) for name in outputs],
        graph.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    exported = helper.make_model(proto, producer_name="bytespan", opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(exported, full_check=graph.precision != "int8")
    data: bytes = exported.SerializeToString()
    return data


def _gates(parameter: torch.Tensor) -> Array:
    """An LSTM weight or bias with its gates in the order of ONNX (input, output, forget, cell) instead of torch's."""
    entry, forget, cell, output = np.split(_array(parameter), 4)
    return np.concatenate([entry, output, forget, cell])


def _array(parameter: torch.Tensor) -> Array:
    values: Array = parameter.detach().cpu().float().numpy()
    return values

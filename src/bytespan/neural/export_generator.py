"""The generator's ONNX graph, written node by node from its weights (see docs/format.md).

One graph reads segments and writes spans, since both are the same LSTM: reading is one call with K steps from a zero
state, writing is one call a symbol. Logits are computed once a call, from the top layer's last state.

Letters in shapes: T steps, B segments, E embedding width, H LSTM units, L layers, D directions, V output symbols.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper
from torch import nn

from bytespan.neural.generate import Generator
from bytespan.neural.graph import LSTM_KINDS, Graph, array, serialize


def generator_graph(model: Generator, *, precision: str) -> bytes:
    """The ONNX file of a generator, its weights in one of `graph.PRECISIONS`."""
    graph = Graph(precision)
    embedded = graph.add("Gather", [graph.weight("embedding", array(model.embedding.weight)), "symbols"])
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
    weight, bias = graph.weight("output", array(model.output.weight)), graph.weight("bias", array(model.output.bias))
    logits = graph.add("Gemm", [top, weight, bias], transB=1)
    outputs = {"logits": logits, "hidden_out": hidden, "cell_out": cell}
    if model.config.attention:
        outputs["states"] = states
    for name, value in outputs.items():
        graph.name_output(name, value)
    return _serialize(graph, model, tuple(outputs))


def _recurrence(graph: Graph, lstm: nn.LSTM, embedded: str) -> list[str]:
    """All layers of an LSTM over `embedded` (T, B, E): top states (T, B, H), then hidden and cell state (L, B, H).

    Of an LSTM that reads from both ends, which begins with a state of zeros, they are the sums over both directions.
    """
    states, read, last, before = embedded, "", [], [[""] * lstm.num_layers] * 2
    if not lstm.bidirectional:
        before = [graph.add_many("Split", [name], lstm.num_layers, axis=0) for name in ("hidden", "cell")]
    for layer, state in enumerate(zip(*before, strict=True)):
        ways = [f"l{layer}", f"l{layer}_reverse"][: 2 if lstm.bidirectional else 1]
        weights = [[getattr(lstm, f"{kind}_{way}") for kind in LSTM_KINDS] for way in ways]
        read, *after = graph.lstm(layer, weights, [states, *state], 3)  # (T, D, B, H), then twice (D, B, H)
        if lstm.bidirectional:
            states = graph.side_by_side(read, 2 * lstm.hidden_size)
            after = [graph.add("ReduceSum", [name, graph.constant(np.array([0]))]) for name in after]
        else:
            states = graph.add("Squeeze", [read, graph.constant(np.array([1]))])
        last.append(after)
    if lstm.bidirectional:
        states = graph.add("ReduceSum", [read, graph.constant(np.array([1]))], keepdims=0)
    return [states, *(graph.add("Concat", list(names), axis=0) for names in zip(*last, strict=True))]


def _attend(graph: Graph, model: Generator, top: str) -> str:
    """`Generator._attend` for one step: top state (B, H) joined with the `memory` (K, B, H) that it looks at."""
    assert model.query is not None
    assert model.combine is not None
    query = graph.add("MatMul", [top, graph.weight("query", array(model.query.weight).T.copy())])  # (B, H)
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
    weight = graph.weight("combine", array(model.combine.weight))
    bias = graph.weight("combine_bias", array(model.combine.bias))
    return graph.add("Tanh", [graph.add("Gemm", [graph.add("Concat", [top, seen], axis=1), weight, bias], transB=1)])


def _branch(name: str, lstm: nn.LSTM, embedded: str, precision: str) -> onnx.GraphProto:
    """One side of the `If` between a separate decoder and the encoder."""
    graph = Graph(precision, prefix=f"{name}_")
    names = _recurrence(graph, lstm, embedded)
    outputs = [helper.make_tensor_value_info(item, TensorProto.FLOAT, [None] * 3) for item in names]
    return helper.make_graph(graph.nodes, name, [], outputs, graph.initializers)


def _serialize(graph: Graph, model: Generator, outputs: tuple[str, ...]) -> bytes:
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
    return serialize(
        graph,
        "bytespan-generator",
        inputs=shapes,
        outputs={name: (TensorProto.FLOAT, produced[name]) for name in outputs},
    )

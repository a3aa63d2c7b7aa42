"""The parallel decoder's ONNX graph, written node by node from its weights (see docs/format.md).

Its inputs are the fields of `units.UnitBatch`. Of an ensemble the graph holds all models, and gives the mean of their
scores: the softmax of that is the geometric mean of their probabilities, made to add up to 1.

Letters in shapes: T units, B segments, H LSTM units a direction, D directions, N distinct units, V tags of all tasks.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from onnx import TensorProto
from torch import nn

from bytespan.neural.graph import LSTM_KINDS, Array, Graph, Shapes, array, quantize, serialize
from bytespan.neural.parallel import KERNEL, Parallel
from bytespan.units import HASHES, PAD, WIDTH

HEAD = 8
"""Places of a unit's bytes that are looked at in every unit; those behind them only where there are bytes."""


def parallel_graph(models: Sequence[Parallel], *, precision: str) -> bytes:
    """The ONNX file of a parallel decoder, or of several alike, its weights in one of `graph.PRECISIONS`."""
    graph, scores = Graph(precision), []
    for number, model in enumerate(models):
        graph.prefix = f"model_{number}_" if len(models) > 1 else ""
        scores.append(_scores(graph, model))
    graph.name_output("scores", graph.add("Mean", scores) if len(models) > 1 else scores[0])
    inputs: Shapes = {
        "rows": (TensorProto.INT64, ["T", "B", HASHES]),
        "symbols": (TensorProto.INT64, ["T", "B", WIDTH]),
        "gaps": (TensorProto.INT64, ["T", "B"]),
        "words": (TensorProto.INT64, ["T", "B"]),
        "lengths": (TensorProto.INT32, ["B"]),
    }
    outputs: Shapes = {"scores": (TensorProto.FLOAT, ["T", "B", models[0].tags.size])}
    return serialize(graph, "bytespan-parallel", inputs=inputs, outputs=outputs)


def _scores(graph: Graph, model: Parallel) -> str:
    """(T, B, V): what one model says."""
    states = _read_units(graph, model)  # (T, B, unit_width)
    for layer in range(model.config.layers):
        states = _recurrence(graph, model, layer, states)  # (T, B, D H)
        if layer == 0 and model.config.layers > 1:
            states = graph.add("Concat", [states, _elsewhere(graph, states)], axis=2)  # (T, B, 2 D H)
    return _linear(graph, "output", model.output, states)


def _read_units(graph: Graph, model: Parallel) -> str:
    """(T, B, unit_width): units before the first LSTM layer. Those that are alike are read once, N in all."""
    gaps = graph.add("Unsqueeze", ["gaps", graph.constant(np.array([2]))])
    told = graph.add("Concat", ["rows", "symbols", gaps], axis=2)
    flat = graph.add("Reshape", [told, graph.constant(np.array([-1, HASHES + WIDTH + 1]))])
    distinct, _, places, _ = graph.add_many("Unique", [flat], 4, axis=0)
    rows, symbols, gaps = graph.add_many("Split", [distinct, graph.constant(np.array([HASHES, WIDTH, 1]))], 3, axis=1)
    gap = graph.add("Gather", [graph.weight("gap_table", array(model.gaps.weight)), gaps])  # (N, 1, GAP_WIDTH)
    gap = graph.add("Squeeze", [gap, graph.constant(np.array([1]))])
    seen = [_look_up(graph, _table(model), rows), _read_bytes(graph, model, symbols), gap]
    units = _gelu(graph, _linear(graph, "input", model.input, graph.add("Concat", seen, axis=1)))  # (N, unit_width)
    return graph.add("Gather", [units, graph.add("Reshape", [places, graph.add("Shape", ["gaps"])])])


def _table(model: Parallel) -> Array:
    """(table_rows, table_width); behind it, in a model that does not know all n-grams, a row of zeros for UNKNOWN."""
    table = array(model.table.weight)
    return table if model.ngrams is None else np.concatenate([table, np.zeros_like(table[:1])])


def _look_up(graph: Graph, table: Array, rows: str) -> str:
    """(N, HASHES * table_width): the rows of the table, of which only those looked up are widened to 32 bits."""
    if graph.precision == "int8":
        codes, scales = quantize(table, axis=0)
        found = graph.add("Cast", [graph.add("Gather", [graph.constant(codes), rows])], to=TensorProto.FLOAT)
        found = graph.add("Mul", [found, graph.constant(scales[0])])
    elif graph.precision == "fp16":
        found = graph.add("Gather", [graph.constant(table.astype(np.float16)), rows])
        found = graph.add("Cast", [found], to=TensorProto.FLOAT)
    else:
        found = graph.add("Gather", [graph.constant(table), rows])
    return graph.add("Reshape", [found, graph.constant(np.array([0, HASHES * table.shape[1]]))])


def _read_bytes(graph: Graph, model: Parallel, symbols: str) -> str:
    """(N, kernels): the largest value of each kernel over a unit's bytes.

    What a symbol adds to the kernels at each of the KERNEL places is in a table that ONNX Runtime works out on loading,
    once for all; the convolution is then a sum of rows. From place HEAD on all units that end before HEAD are alike, so
    there one of them and those that are longer do.
    """
    outside = len(model.bytes.weight)  # the symbol around a unit, a row of zeros
    embedding = np.concatenate([array(model.bytes.weight), np.zeros((1, model.config.embedding), np.float32)])
    kernels = np.concatenate(np.split(array(model.convolution.weight).T, KERNEL), axis=1)  # (E, KERNEL * kernels)
    product = graph.add("MatMul", [_matrix(graph, "bytes", embedding), _matrix(graph, "convolution", kernels)])
    tables = graph.add_many("Split", [product], KERNEL, axis=1)
    edges = graph.constant(np.array([0, KERNEL // 2, 0, KERNEL // 2]))
    padded = graph.add("Pad", [symbols, edges, graph.constant(np.array(outside))])
    head = _largest(graph, tables, padded, 0, HEAD)
    zero = graph.constant(np.array(0))
    last = graph.add("Gather", [symbols, graph.constant(np.array(HEAD - 1))], axis=1)  # (N,)
    is_long = graph.add("Not", [graph.add("Equal", [last, graph.constant(np.array(PAD))])])
    short = graph.constant(np.array([[PAD] * (WIDTH + KERNEL // 2) + [outside] * (KERNEL // 2)]))
    long = graph.add("Concat", [short, graph.add("Compress", [padded, is_long], axis=0)], axis=0)
    tail = _largest(graph, tables, long, HEAD, WIDTH)
    number = graph.add("Cast", [is_long], to=TensorProto.INT64)
    number = graph.add("Mul", [number, graph.add("CumSum", [number, zero])])  # (N,) row of `long`, 0 if it is short
    most = graph.add("Max", [head, graph.add("Gather", [tail, number])])
    bias = graph.weight("convolution_bias", array(model.convolution.bias))
    return graph.add("Relu", [graph.add("Add", [most, bias])])


def _largest(graph: Graph, tables: Sequence[str], padded: str, first: int, last: int) -> str:
    """(N, kernels): the largest sum of rows at the places from `first` to `last`."""
    axis, parts = graph.constant(np.array([1])), []
    for i, table in enumerate(tables):
        bounds = (graph.constant(np.array([first + i])), graph.constant(np.array([last + i])))
        parts.append(graph.add("Gather", [table, graph.add("Slice", [padded, *bounds, axis])]))
    total = reduce(lambda one, two: graph.add("Add", [one, two]), parts)  # (N, last - first, kernels)
    return graph.add("ReduceMax", [total], axes=[1], keepdims=0)


def _linear(graph: Graph, name: str, linear: nn.Linear, states: str) -> str:
    product = graph.add("MatMul", [states, _matrix(graph, name, array(linear.weight).T)])
    return graph.add("Add", [product, graph.weight(f"{name}_bias", array(linear.bias))])


def _matrix(graph: Graph, name: str, values: Array) -> str:
    """The name of a float32 matrix; in int8 stored in 8 bits, a scale a column, and widened on loading."""
    if graph.precision != "int8":
        return graph.weight(name, np.ascontiguousarray(values))
    codes, scales = quantize(values, axis=0)
    return graph.add("Mul", [graph.add("Cast", [graph.constant(codes)], to=TensorProto.FLOAT), graph.constant(scales)])


def _gelu(graph: Graph, states: str) -> str:
    """x / 2 * (1 + erf(x / sqrt 2)), torch's default."""
    part = graph.add("Erf", [graph.add("Div", [states, graph.constant(np.array(np.sqrt(2), np.float32))])])
    part = graph.add("Add", [part, graph.constant(np.array(1, np.float32))])
    return graph.add("Mul", [graph.add("Mul", [states, part]), graph.constant(np.array(0.5, np.float32))])


def _recurrence(graph: Graph, model: Parallel, layer: int, states: str) -> str:
    """(T, B, D H): what the LSTMs of a layer read, from the start and from the end; zeros beyond the lengths."""
    lstms = [ways[layer] for ways in (model.forwards, model.backwards) if len(ways)]
    weights = [[getattr(lstm, f"{kind}_l0") for kind in LSTM_KINDS] for lstm in lstms]
    (found,) = graph.lstm(layer, weights, [states, "", ""], 1)
    return graph.side_by_side(found, len(lstms) * model.config.units)


def _elsewhere(graph: Graph, states: str) -> str:
    """(T, B, D H): of each unit the mean state of all units of its segment that are the same word.

    The sums are a matrix product of W x T weights, W being the highest number of a word and 1.
    """
    zero, one, two = (graph.constant(np.array(axis)) for axis in range(3))
    words = graph.add("Transpose", ["words"], perm=[1, 0])  # (B, T)
    count = graph.add("Add", [graph.add("ReduceMax", ["words"], keepdims=0), one])
    numbers = graph.add("Unsqueeze", [graph.add("Range", [zero, count, one]), graph.constant(np.array([0, 2]))])
    same = graph.add("Equal", [numbers, graph.add("Unsqueeze", [words, one])])  # (B, W, T)
    same = graph.add("Cast", [same], to=TensorProto.FLOAT)
    total = graph.add("MatMul", [same, graph.add("Transpose", [states], perm=[1, 0, 2])])  # (B, W, D H)
    mean = graph.add("Div", [total, graph.add("ReduceSum", [same, graph.constant(np.array([2]))], keepdims=1)])
    place = graph.add("Unsqueeze", [graph.add("Max", [words, zero]), two])  # (B, T, 1)
    mean = graph.add("GatherND", [mean, place], batch_dims=1)  # (B, T, D H)
    return graph.add("Transpose", [mean], perm=[1, 0, 2])

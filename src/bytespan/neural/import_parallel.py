"""The parallel decoder's weights, read back out of its ONNX graph: the other direction of `export_parallel`.

A package for tagging alone holds no weights to train on, but its graph holds the same numbers, rounded as they were
exported. They are found by what the graph does with them, so that every package ever written is understood.
"""

from collections.abc import Mapping
from functools import reduce

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import NodeProto, numpy_helper
from torch import Tensor

from bytespan.config import ModelConfig
from bytespan.errors import ModelError
from bytespan.neural.graph import Array
from bytespan.neural.parallel import KERNEL, Parallel
from bytespan.vocabulary import Vocabulary


def parallel_weights(data: bytes, config: ModelConfig, vocabulary: Vocabulary, *, source: str) -> dict[str, Tensor]:
    """The weights in a parallel decoder's `model.onnx`, as float32, by the names of `Parallel.state_dict`.

    Raises ModelError if the graph is laid out in another way than `export_parallel` does, or of another shape.
    """
    try:
        found = _read(_Graph(onnx.load_from_string(data)), config)
    except (DecodeError, LookupError, ValueError) as error:
        raise _unreadable(source) from error
    weights = {name: torch.from_numpy(np.ascontiguousarray(value, np.float32)) for name, value in found.items()}
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Parallel(config, vocabulary).state_dict().items()}
    if shapes != {name: value.shape for name, value in weights.items()}:
        raise _unreadable(source)
    return weights


def _unreadable(source: str) -> ModelError:
    return ModelError(
        f"{source}: packaged without weights to train on, and its model.onnx, which none can be read back out of, is "
        "not laid out as bytespan does it: start from its checkpoint"
    )


class _Graph:
    """Nodes, and what can be said of tensors without running them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes: list[NodeProto] = list(model.graph.node)
        self.makers: Mapping[str, NodeProto] = {name: node for node in self.nodes for name in node.output}
        self._initializers = {item.name: item for item in model.graph.initializer}

    def value(self, name: str) -> Array | None:
        """A tensor that is the same for every input, since it is stored, maybe widened or scaled; None for others."""
        if name in self._initializers:
            return numpy_helper.to_array(self._initializers[name]).astype(np.float32)
        node = self.makers.get(name)
        if node is None or node.op_type not in ("Cast", "Mul"):
            return None
        values = [self.value(item) for item in node.input]
        known = [value for value in values if value is not None]
        return None if len(known) < len(values) else reduce(np.multiply, known)

    def stored(self, name: str) -> Array:
        """`value` of a tensor that must have one."""
        value = self.value(name)
        if value is None:
            raise LookupError(name)
        return value

    def weight(self, name: str) -> str:
        """The tensor in which the weight that was exported under a name is wide: it is stored so, or widened."""
        if name in self._initializers:
            return name
        (cast,) = self.readers(f"{name}_fp16")
        return str(cast.output[0])

    def readers(self, name: str) -> list[NodeProto]:
        """The nodes that take a tensor."""
        return [node for node in self.nodes if name in node.input]


def _read(graph: _Graph, config: ModelConfig) -> dict[str, Array]:
    tables = [node.input[0] for node in graph.nodes if node.op_type == "Gather"]
    (table,) = [name for name in tables if _is_table(graph.value(name), config)]
    (product,) = [node for node in graph.nodes if node.op_type == "MatMul" and graph.value(node.input[0]) is not None]
    embedding, kernels = (graph.stored(name) for name in product.input)  # (bytes + 1, E), (E, KERNEL * kernels)
    weights = {
        "table.weight": graph.stored(table) * _scale_behind(graph, table),
        "bytes.weight": embedding[:-1],
        "gaps.weight": graph.stored(graph.weight("gap_table")),
        "convolution.weight": np.concatenate(np.split(kernels, KERNEL, axis=1)).T,
        "convolution.bias": graph.stored(graph.weight("convolution_bias")),
    }
    for name in ("input", "output"):
        weights |= _linear(graph, name)
    recurrent = [node for node in graph.nodes if node.op_type in ("LSTM", "DynamicQuantizeLSTM")]
    for layer, node in enumerate(recurrent):
        weights |= _both_ways(graph, layer, node)
    return weights


def _is_table(value: Array | None, config: ModelConfig) -> bool:
    return value is not None and value.shape == (config.table_rows, config.table_width)


def _scale_behind(graph: _Graph, table: str) -> Array:
    """What the rows that are looked up in a table are multiplied by once they are widened: in int8 a scale a column."""
    (rows,) = [node.output[0] for node in graph.readers(table)]
    for cast in graph.readers(rows):
        for node in graph.readers(cast.output[0]):
            if node.op_type == "Mul":
                return graph.stored(node.input[1])
    return np.ones(1, np.float32)


def _linear(graph: _Graph, name: str) -> dict[str, Array]:
    """Weight and bias of the linear layer whose product the bias of that name is added to."""
    bias = graph.weight(f"{name}_bias")
    (add,) = graph.readers(bias)
    product = graph.makers[add.input[0]]
    return {f"{name}.weight": graph.stored(product.input[1]).T, f"{name}.bias": graph.stored(bias)}


def _both_ways(graph: _Graph, layer: int, node: NodeProto) -> dict[str, Array]:
    """The weights of one layer's two LSTMs."""
    matrices = [graph.stored(name) for name in node.input[1:3]]
    if node.op_type == "DynamicQuantizeLSTM":  # X, W, R, B, lengths, state, cell, peepholes, W's scale and zero, R's
        scales = [graph.stored(node.input[place]) for place in (8, 10)]
        matrices = [(codes * scale[:, None]).transpose(0, 2, 1) for codes, scale in zip(matrices, scales, strict=True)]
    parts = [*matrices, *np.split(graph.stored(node.input[3]), 2, axis=1)]  # (2, 4 H, ...) each
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return {
        f"{way}.{layer}.{kind}_l0": _torch_gates(part[number])
        for number, way in enumerate(("forwards", "backwards"))
        for kind, part in zip(kinds, parts, strict=True)
    }


def _torch_gates(values: Array) -> Array:
    """Gates in torch's order (input, forget, cell, output) instead of ONNX's; `graph.gates` goes the other way."""
    entry, output, forget, cell = np.split(values, 4)
    return np.concatenate([entry, forget, cell, output])

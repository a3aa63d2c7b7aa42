"""Reading an ONNX graph that `graph.Graph` wrote: which weights its nodes compute with, whatever their precision."""

from collections.abc import Iterable, Mapping
from functools import reduce

import numpy as np
from onnx import GraphProto, NodeProto, numpy_helper

from bytespan.neural.graph import Array

LSTMS = ("LSTM", "DynamicQuantizeLSTM")


class StoredGraph:
    """Nodes, and what can be said of tensors without running them."""

    def __init__(self, graph: GraphProto) -> None:
        self.nodes: list[NodeProto] = list(graph.node)
        self.makers: Mapping[str, NodeProto] = {name: node for node in self.nodes for name in node.output}
        self._initializers = {item.name: item for item in graph.initializer}

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

    def lstm_weights(self) -> Iterable[dict[str, Array]]:
        """Layer by layer, torch's kinds of weights of an LSTM; the first axis of each is the direction."""
        for node in self.nodes:
            if node.op_type in LSTMS:
                yield self._layer(node)

    def _layer(self, node: NodeProto) -> dict[str, Array]:
        matrices = [self.stored(name) for name in node.input[1:3]]
        if node.op_type == "DynamicQuantizeLSTM":  # X, W, R, B, lengths, states, peepholes, W's scale and zero, R's
            scales = [self.stored(node.input[place])[:, None] for place in (8, 10)]
            matrices = [(codes * scale).transpose(0, 2, 1) for codes, scale in zip(matrices, scales, strict=True)]
        parts = [*matrices, *np.split(self.stored(node.input[3]), 2, axis=1)]  # (directions, 4 H, ...) each
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return {kind: _torch_gates(part) for kind, part in zip(kinds, parts, strict=True)}


def _torch_gates(values: Array) -> Array:
    """Gates in torch's order (input, forget, cell, output) instead of ONNX's; `graph.gates` goes the other way."""
    entry, output, forget, cell = np.split(values, 4, axis=1)
    return np.concatenate([entry, forget, cell, output], axis=1)

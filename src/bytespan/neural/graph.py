"""Writing an ONNX graph node by node: nodes, weights in the precision asked for, and the checked file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

PRECISIONS = ("fp32", "fp16", "int8")
"""fp32: the weights as trained. fp16: weights rounded to 16 bits on disk, 32-bit arithmetic. int8: large matrices
rounded to 8 bits, a scale a column, and 8-bit matrix products where they are faster; the rest as fp16."""

LSTM_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""The weights of an LSTM layer in one direction, by torch's names."""

LSTM_CODE = 64
"""The largest code of an LSTM's weights in int8. Two products with activations of up to 255 then fit in the 16 bits in
which x86 processors without VNNI add them."""

OPSET = 17
IR_VERSION = 8
Array = NDArray[Any]
Shapes = Mapping[str, tuple[int, Sequence[str | int | None]]]
"""Name -> element type and shape; an axis of any size has a name."""


class Graph:
    """Nodes and initializers under construction; the prefix keeps the names of an `If`'s branches, and of the models of
    an ensemble, apart."""

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

    def lstm(
        self, layer: int, weights: Sequence[Sequence[torch.Tensor]], inputs: Sequence[str], outputs: int
    ) -> list[str]:
        """A layer that reads in D directions as far as `lengths`; of its states (T, D, B, H), the last ones and cells.

        weights: the LSTM_KINDS of each direction. inputs: what it reads (T, B, width), and states before, "" for zeros.
        """
        entry, recurrent, *biases = (np.stack([gates(way[kind]) for way in weights]) for kind in range(4))
        units = recurrent.shape[2]  # (D, 4 H, width), (D, 4 H, H) and twice (D, 4 H)
        direction = "bidirectional" if len(weights) == 2 else "forward"
        bias = self.weight(f"lstm_{layer}_bias", np.concatenate(biases, axis=1))
        read, *before = inputs
        if self.precision != "int8":
            names = (f"lstm_{layer}_input", f"lstm_{layer}_recurrent")
            matrices = [self.weight(name, values) for name, values in zip(names, (entry, recurrent), strict=True)]
            row = [read, *matrices, bias, "lengths", *before]
            return self.add_many("LSTM", row, outputs, hidden_size=units, direction=direction)
        codes, scales = zip(*(quantize(values, axis=2, most=LSTM_CODE) for values in (entry, recurrent)), strict=True)
        zero = self.constant(np.zeros((len(weights), 4 * units), np.int8))
        row = [read, *(self.constant(code.transpose(0, 2, 1).copy()) for code in codes), bias, "lengths", *before, ""]
        row += [name for scale in scales for name in (self.constant(scale[..., 0]), zero)]
        return self.add_many(
            "DynamicQuantizeLSTM", row, outputs, domain="com.microsoft", hidden_size=units, direction=direction
        )

    def side_by_side(self, states: str, width: int) -> str:
        """(T, B, width): the states (T, D, B, H) of all directions of a layer in a row."""
        moved = self.add("Transpose", [states], perm=[0, 2, 1, 3])
        return self.add("Reshape", [moved, self.constant(np.array([0, 0, width]))])

    def name_output(self, name: str, value: str) -> None:
        """Give a tensor the name under which the graph hands it out."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))


def serialize(graph: Graph, name: str, *, inputs: Shapes, outputs: Shapes) -> bytes:
    """The ONNX file of a graph, checked."""
    proto = helper.make_graph(
        graph.nodes,
        name,
        [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in outputs.items()],
        graph.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    exported = helper.make_model(proto, producer_name="bytespan", opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(exported, full_check=graph.precision != "int8")
    data: bytes = exported.SerializeToString()
    return data


def quantize(weights: Array, *, axis: int, most: int = 127) -> tuple[Array, Array]:
    """int8 codes of a matrix and its float32 scales: along `axis` the largest weight becomes `most`."""
    scale = np.maximum(np.abs(weights).max(axis=axis, keepdims=True), 1e-8).astype(np.float32) / most
    return np.rint(weights / scale).astype(np.int8), scale


def gates(parameter: torch.Tensor) -> Array:
    """An LSTM weight or bias with its gates in the order of ONNX (input, output, forget, cell) instead of torch's."""
    entry, forget, cell, output = np.split(array(parameter), 4)
    return np.concatenate([entry, output, forget, cell])


def array(parameter: torch.Tensor) -> Array:
    """A parameter as float32 numpy."""
    values: Array = parameter.detach().cpu().float().numpy()
    return values

"""The parallel decoder's weights, read back out of its ONNX graph: the other direction of `export_parallel`.

They are found by what the graph does with them, so that every package ever written is understood.
"""

import numpy as np

from bytespan.config import ModelConfig
from bytespan.neural.graph import Array
from bytespan.neural.parallel import KERNEL
from bytespan.neural.stored_graph import StoredGraph

WAYS = ("forwards", "backwards")


def parallel_weights(graph: StoredGraph, config: ModelConfig) -> dict[str, Array]:
    """The weights by the names of `Parallel.state_dict`; LookupError or ValueError in a graph of another layout."""
    tables = [node.input[0] for node in graph.nodes if node.op_type == "Gather"]
    (table,) = [name for name in tables if _is_table(graph.value(name), config)]
    (product,) = [node for node in graph.nodes if node.op_type == "MatMul" and graph.value(node.input[0]) is not None]
    embedding, kernels = (graph.stored(name) for name in product.input)  # (bytes + 1, E), (E, KERNEL * kernels)
    weights = {
        "table.weight": (graph.stored(table) * _scale_behind(graph, table))[: config.table_rows],
        "bytes.weight": embedding[:-1],
        "gaps.weight": graph.stored(graph.weight("gap_table")),
        "convolution.weight": np.concatenate(np.split(kernels, KERNEL, axis=1)).T,
        "convolution.bias": graph.stored(graph.weight("convolution_bias")),
    }
    for name in ("input", "output"):
        weights |= _linear(graph, name)
    for layer, kinds in enumerate(graph.lstm_weights()):
        for kind, values in kinds.items():
            weights |= {f"{way}.{layer}.{kind}_l0": value for way, value in zip(WAYS, values, strict=False)}
    return weights


def _is_table(value: Array | None, config: ModelConfig) -> bool:
    rows = config.table_rows + (1 if config.known_bits else 0)
    return value is not None and value.shape == (rows, config.table_width)


def _scale_behind(graph: StoredGraph, table: str) -> Array:
    """What the rows that are looked up in a table are multiplied by once they are widened: in int8 a scale a column."""
    (rows,) = [node.output[0] for node in graph.readers(table)]
    for cast in graph.readers(rows):
        for node in graph.readers(cast.output[0]):
            if node.op_type == "Mul":
                return graph.stored(node.input[1])
    return np.ones(1, np.float32)


def _linear(graph: StoredGraph, name: str) -> dict[str, Array]:
    """Weight and bias of the linear layer whose product the bias of that name is added to."""
    bias = graph.weight(f"{name}_bias")
    (add,) = graph.readers(bias)
    product = graph.makers[add.input[0]]
    return {f"{name}.weight": graph.stored(product.input[1]).T, f"{name}.bias": graph.stored(bias)}

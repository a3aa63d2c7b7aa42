"""The generator's weights, read back out of its ONNX graph: the other direction of `export_generator`."""

from onnx import NodeProto

from bytespan.neural.graph import Array
from bytespan.neural.stored_graph import StoredGraph


def generator_weights(graph: StoredGraph) -> dict[str, Array]:
    """The weights by the names of `Generator.state_dict`; LookupError or ValueError in a graph of another layout."""
    (look_up,) = graph.readers("symbols")
    weights = {"embedding.weight": graph.stored(look_up.input[0])} | _linear(graph, "output", graph.makers["logits"])
    lstms = {"encoder": graph}
    for node in graph.nodes:
        if node.op_type == "MatMul":
            weights["query.weight"] = graph.stored(node.input[1]).T
        elif node.op_type == "Tanh":
            weights |= _linear(graph, "combine", node)
        elif node.op_type == "If":
            branches = {attribute.name: StoredGraph(attribute.g) for attribute in node.attribute}
            lstms = {"encoder": branches["else_branch"], "decoder": branches["then_branch"]}
    for name, part in lstms.items():
        for layer, kinds in enumerate(part.lstm_weights()):
            for kind, values in kinds.items():
                ways = zip((f"l{layer}", f"l{layer}_reverse"), values, strict=False)
                weights |= {f"{name}.{kind}_{way}": value for way, value in ways}
    return weights


def _linear(graph: StoredGraph, name: str, behind: NodeProto) -> dict[str, Array]:
    """Weight and bias of the linear layer whose outcome a node takes."""
    _, weight, bias = graph.makers[behind.input[0]].input
    return {f"{name}.weight": graph.stored(weight), f"{name}.bias": graph.stored(bias)}

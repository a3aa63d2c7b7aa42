"""A model's weights, read back out of its package's ONNX graph: the other direction of `export`.

A package for tagging alone holds no weights to train on, but its graph holds the same numbers, rounded as they were
exported.
"""

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor

from bytespan.config import ModelConfig
from bytespan.errors import ModelError
from bytespan.neural.decoders import new_model
from bytespan.neural.import_generator import generator_weights
from bytespan.neural.import_parallel import parallel_weights
from bytespan.neural.stored_graph import StoredGraph
from bytespan.vocabulary import Vocabulary


def import_weights(data: bytes, config: ModelConfig, vocabulary: Vocabulary, *, source: str) -> dict[str, Tensor]:
    """The weights in a `model.onnx`, as float32, by the names of the model's `state_dict`.

    Languages that the model tells apart, and n-grams that it knows, are no weights.

    Raises ModelError if the graph is laid out in another way than `export` does, or of another shape, or an ensemble.
    """
    if config.ensemble > 1:
        raise ModelError(f"{source}: an ensemble of {config.ensemble} models, which cannot be trained on as one: start "
                         "from one of them")  # fmt: skip
    try:
        graph = StoredGraph(onnx.load_from_string(data).graph)
        found = parallel_weights(graph, config) if config.decoder == "parallel" else generator_weights(graph)
    except (DecodeError, LookupError, ValueError) as error:
        raise _unreadable(source) from error
    weights = {name: torch.from_numpy(np.ascontiguousarray(value, np.float32)) for name, value in found.items()}
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in new_model(config, vocabulary).named_parameters()}
    if shapes != {name: value.shape for name, value in weights.items()}:
        raise _unreadable(source)
    return weights


def _unreadable(source: str) -> ModelError:
    return ModelError(
        f"{source}: packaged without weights to train on, and its model.onnx, which none can be read back out of, is "
        "not laid out as bytespan does it: start from its checkpoint"
    )

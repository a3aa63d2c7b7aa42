"""The generator over ONNX Runtime: a `bytespan.decoding.SegmentModel` made from a model package."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytespan.config import ModelConfig
from bytespan.decoding import DecoderState, Floats, Ints
from bytespan.errors import ModelError
from bytespan.package import Package
from bytespan.runtime.session import Arrays, Session
from bytespan.vocabulary import Vocabulary


class OnnxGenerator:
    """Reads segments and writes spans with the graph of docs/format.md. Many threads may use one."""

    def __init__(self, package: Package, *, threads: int | None = None) -> None:
        """Raise ModelError if the graph is not one for the package's settings and label sets."""
        self._config = package.config
        self._vocabulary = package.vocabulary
        self._session = Session(package.onnx, source=str(package.path), threads=threads)
        self._check_shapes(str(package.path))

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self._config

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's symbols."""
        return self._vocabulary

    def encode(self, inputs: Ints, lengths: Ints) -> DecoderState:
        """The state after reading (B, K) input symbols, of which `lengths` (B,) count."""
        zeros = np.zeros((self._config.layers, len(lengths), self._config.units), np.float32)
        memory = np.zeros((1, len(lengths), self._config.units), np.float32) if self._config.attention else None
        state = DecoderState(zeros, zeros, np.ones_like(lengths), memory)
        feeds = self._feeds(np.ascontiguousarray(inputs.T), lengths, state, decoding=False)
        wanted = ["hidden_out", "cell_out", *(["states"] if self._config.attention else [])]
        hidden, cell, *states = self._session.run(wanted, feeds)
        return DecoderState(hidden, cell, lengths, states[0] if states else None)

    def step(self, symbols: Ints, state: DecoderState) -> tuple[Floats, DecoderState]:
        """Logits (B, V) after feeding one input symbol (B,) to each segment, and the state then."""
        feeds = self._feeds(symbols[None], np.ones_like(symbols), state, decoding=True)
        logits, hidden, cell = self._session.run(["logits", "hidden_out", "cell_out"], feeds)
        return logits, replace(state, hidden=hidden, cell=cell)

    def _feeds(self, symbols: Ints, steps: Ints, state: DecoderState, *, decoding: bool) -> Arrays:
        feeds: dict[str, NDArray[Any]] = {
            "symbols": symbols,
            "lengths": steps.astype(np.int32),
            "hidden": state.hidden,
            "cell": state.cell,
        }
        if self._config.separate:
            feeds["decoding"] = np.array(decoding)
        if state.memory is not None:
            feeds |= {"memory": state.memory, "memory_lengths": state.lengths}
        return feeds

    def _check_shapes(self, source: str) -> None:
        config = self._config
        inputs = {"symbols", "lengths", "hidden", "cell"}
        inputs |= {"decoding"} if config.separate else set()
        inputs |= {"memory", "memory_lengths"} if config.attention else set()
        outputs = self._session.outputs
        fits = (
            set(self._session.inputs) == inputs
            and outputs.get("logits", [])[-1:] == [self._vocabulary.output_size]
            and outputs.get("hidden_out", [])[::2] == [config.layers, config.units]
        )
        if not fits:
            raise ModelError(f"{source}: model.onnx does not fit config.json and labels.json; export the model again")

"""The states of a model as it reads: what every cell of every layer holds behind each byte, or at each unit.

A package's graph hands out scores only, and a package such as the packaged model holds no weights but those in its
graph. So the graph is opened, and what its LSTM nodes give becomes its output: for every decoder and precision alike.
Of an ensemble the first model is looked into.

Letters in shapes: P positions, C cells of all layers together, T steps, B segments, H LSTM units.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bytespan.config import ModelConfig
from bytespan.errors import ModelError, import_extra
from bytespan.languages import profiles_of, recognised_parts
from bytespan.lattice import unit_windows
from bytespan.ngrams import ngrams_of
from bytespan.package import Package
from bytespan.runtime.batching import open_model
from bytespan.runtime.session import Arrays, Session
from bytespan.units import Units, collate_units, cut_parts
from bytespan.windows import Windows

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class States:
    """What the cells hold at the positions of one text: behind each byte (generator), or at each unit (parallel)."""

    starts: Ints
    """(P,) first byte of each position."""
    ends: Ints
    """(P,) byte after each."""
    values: Floats
    """(P, C)."""


class StateReader:
    """Tells the states of a model package. Many threads may use one."""

    def __init__(self, package: Package, *, threads: int | None = None) -> None:
        """Raise ModelError if the graph is not one of docs/format.md, MissingExtra without the package onnx."""
        open_model(package, threads=1)
        self._config, self._stop = package.config, package.vocabulary.fed_stop
        self._profiles, self._ngrams = profiles_of(package), ngrams_of(package)
        graph, self._wanted = _open_graph(package)
        self._session = Session(graph, source=str(package.path), threads=threads)
        edges = np.cumsum([0, *_widths(package.config)]).tolist()
        names = ["input", *(f"layer {i + 1}" for i in range(package.config.layers))]
        self.layers = {name: slice(*pair) for name, pair in zip(names, pairwise(edges), strict=True)}
        """What is read by the first layer, then each layer -> its cells."""

    @property
    def reads_bytes(self) -> bool:
        """Whether positions are bytes, not units."""
        return self._config.decoder == "generator"

    @property
    def cells(self) -> int:
        """C."""
        return sum(_widths(self._config))

    def name(self, cell: int) -> str:
        """Layer and number of a cell; of two directions the one that reads from the end has an arrow to the left."""
        layer, cells = next((layer, cells) for layer, cells in self.layers.items() if cell < cells.stop)
        number = cell - cells.start
        if layer == "input" or self._config.directions == 1:
            return f"{layer}, cell {number}"
        arrow = "→" if number < self._config.units else "←"
        return f"{layer}{arrow}, cell {number % self._config.units}"

    def read(self, data: bytes) -> States:
        """The states of a text, in segments as for tagging. Takes memory in proportion to the text."""
        if self._config.decoder == "parallel":
            units = Units.joined(list(recognised_parts(cut_parts(data), self._profiles)))
            return States(units.starts, units.ends, self._at_units(units))
        ends = np.arange(1, len(data) + 1)
        if self._config.input_order == "reversed":
            return States(ends - 1, ends, self._behind_bytes(data[::-1])[::-1])
        return States(ends - 1, ends, self._behind_bytes(data))

    def _at_units(self, units: Units) -> Floats:
        parts = []
        for first, last, kept, end in unit_windows(units, length=self._config.segment_length):
            segment = units.slice(first, last)
            batch = collate_units([segment], rows=self._config.table_rows, known=self._ngrams)
            feeds: Arrays = {name: getattr(batch, name) for name in ("rows", "symbols", "gaps", "words")}
            values = self._run(feeds | {"lengths": batch.lengths.astype(np.int32)})
            parts.append(values[kept - first : end - first, 0])
        return np.concatenate([np.zeros((0, self.cells), np.float32), *parts])

    def _behind_bytes(self, data: bytes) -> Floats:
        windows = Windows([data], self._config.segment_length, carried=self._config.carried_bytes)
        rows = np.arange(len(windows.start))
        if not len(rows):
            return np.zeros((0, self.cells), np.float32)
        state = np.zeros((self._config.layers, len(rows), self._config.units), np.float32)
        feeds: Arrays = {
            "symbols": np.ascontiguousarray(windows.inputs(rows, stop=self._stop).T),  # (T, B)
            "lengths": windows.read_lengths.astype(np.int32),
            "hidden": state,
            "cell": state,
        }
        if self._config.separate:
            feeds["decoding"] = np.array(False)
        if self._config.attention:  # which only writing looks at
            feeds |= {"memory": state[:1], "memory_lengths": np.ones(len(rows), np.int64)}
        values = self._run(feeds)
        before = windows.read_lengths - windows.lengths - 1
        places = zip((before + windows.low).tolist(), (before + windows.high).tolist(), strict=True)
        return np.concatenate([values[low:high, b] for b, (low, high) in enumerate(places)])

    def _run(self, feeds: Arrays) -> Floats:
        """(T, B, C)."""
        given, *layers = self._session.run(self._wanted, feeds)  # (T, B, width), then (T, directions, B, H) each
        steps, segments = given.shape[:2]
        flat = [layer.transpose(0, 2, 1, 3).reshape(steps, segments, -1) for layer in layers]
        return np.concatenate([given, *flat], axis=2)


def _widths(config: ModelConfig) -> list[int]:
    given = config.unit_width if config.decoder == "parallel" else config.embedding
    return [given, *([config.directions * config.units] * config.layers)]


def _open_graph(package: Package) -> tuple[bytes, list[str]]:
    """The package's graph with other outputs, and their names: what the first LSTM reads, then what each one gives."""
    onnx = import_extra("onnx", extra="inspect", purpose="looking into a model")
    model = onnx.load_model_from_string(package.onnx)
    _take_reading_side(model.graph, onnx.helper.make_node)
    nodes = [node for node in model.graph.node if node.op_type in ("LSTM", "DynamicQuantizeLSTM")]
    layers = package.config.layers
    if len(nodes) != layers * package.config.ensemble:
        raise ModelError(f"{package.path}: model.onnx has {len(nodes)} LSTM nodes instead of "
                         f"{layers * package.config.ensemble}; export the model again")  # fmt: skip
    nodes = nodes[:layers]
    wanted = [nodes[0].input[0], *(node.output[0] for node in nodes)]
    del model.graph.output[:]
    floats = onnx.TensorProto.FLOAT
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, floats, None) for name in wanted)
    return model.SerializeToString(), wanted


def _take_reading_side(graph: "GraphProto", make_node: Callable[..., "NodeProto"]) -> None:
    """Put in the place of the `If` between a separate decoder and the encoder the encoder alone."""
    nodes = []
    for node in graph.node:
        if node.op_type != "If":
            nodes.append(node)
            continue
        (side,) = (attribute.g for attribute in node.attribute if attribute.name == "else_branch")
        graph.initializer.extend(side.initializer)
        ends = zip(side.output, node.output, strict=True)
        nodes += [*side.node, *(make_node("Identity", [inner.name], [outer]) for inner, outer in ends)]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]  # extending clears what is deleted
    del graph.node[:]
    graph.node.extend(copies)

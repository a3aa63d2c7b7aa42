"""How near tagging comes to what the machine could do: arithmetic at its measured rate, and bytes moved.

    python bench/floors.py [--model PATH] [--bytes 300000]

One thread. The rates are those of plain products of matrices in ONNX Runtime, in 32 and in 8 bits, of the size of a
batch, and of copying memory. A unit's multiplications are those of the model's LSTMs, their inputs and its output
layer, padding left out; its bytes are the rows of the table that it looks up, and the weights of the LSTMs, read at
every step of a batch. Writes bench/results/floors.json and docs/performance.md. Needs the extra `train`.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import machine
import numpy as np
from texts import count_bytes, read_texts

from bytespan.config import ModelConfig
from bytespan.lattice import TagSets
from bytespan.package import read_package
from bytespan.parallel import BATCH_UNITS
from bytespan.runtime.parallel import OnnxParallel
from bytespan.tagger import PACKAGED_MODEL, Tagger
from bytespan.units import HASHES, cut_units

FILES = ("pos/en/test.conllu", "ner/conll/en/test.conll")
PRODUCT = (1024, 640, 1280)
"""Rows, inner size and columns of the products: those of a batch before the second layer of the preset."""

COPIED = 1 << 28
ROUNDS = 5


def multiplications(config: ModelConfig, tags: int) -> int:
    """Of one unit in the LSTMs, their inputs and the output layer."""
    read = config.directions * config.units
    widths = [config.unit_width, *(read * (2 if layer == 0 else 1) for layer in range(config.layers - 1))]
    return sum(config.directions * 4 * config.units * (width + config.units) for width in widths) + read * tags


def moved_bytes(config: ModelConfig, segments: float) -> float:
    """Of one unit, in 8 bits: rows of the table, and the recurrent weights, which `segments` units share at a step."""
    recurrent = config.layers * config.directions * 4 * config.units**2
    return HASHES * config.table_width + recurrent / segments


def product_rate(integer: bool) -> float:
    """Multiplications and additions a second in a product of matrices on one thread."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    rows, inner, columns = PRODUCT
    kinds = (TensorProto.UINT8, TensorProto.INT8) if integer else (TensorProto.FLOAT, TensorProto.FLOAT)
    operator = "MatMulInteger" if integer else "MatMul"
    rng = np.random.default_rng(1)
    right = rng.integers(-100, 100, (inner, columns)).astype(np.int8 if integer else np.float32)
    left = rng.integers(0, 200, (rows, inner)).astype(np.uint8 if integer else np.float32)
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", kinds[0], [rows, inner])],
        [helper.make_tensor_value_info("product", TensorProto.INT32 if integer else TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return 2 * rows * inner * columns / fastest(lambda: session.run(None, {"left": left}))


def copy_rate() -> float:
    """Bytes a second that are read, and as many written."""
    source = np.ones(COPIED, np.uint8)
    target = np.empty_like(source)
    return COPIED / fastest(lambda: np.copyto(target, source))


def fastest(work: Callable[[], Any]) -> float:
    """Seconds of the fastest of some rounds."""
    seconds = []
    for _ in range(4 * ROUNDS):
        began_at = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began_at)
    return min(seconds)


def tagging(model: Path, texts: list[str]) -> tuple[float, float]:
    """Median seconds for the texts on one thread, and those of them within the graph."""
    tagger = Tagger(read_package(model, with_weights=False), threads=1)
    inner, spent = tagger._model, 0.0
    assert isinstance(inner, OnnxParallel)
    score = inner.score

    def timed(batch: Any) -> Any:
        nonlocal spent
        began_at = time.perf_counter()
        found = score(batch)
        spent += time.perf_counter() - began_at
        return found

    inner.score = timed  # type: ignore[method-assign]
    rows = []
    for _ in range(ROUNDS + 1):
        spent, began_at = 0.0, time.perf_counter()
        for _document in tagger.pipe(texts):
            pass
        rows.append((time.perf_counter() - began_at, spent))
    return median(row[0] for row in rows[1:]), median(row[1] for row in rows[1:])


def section(result: dict[str, Any] | None) -> list[str]:
    """What docs/performance.md says of them."""
    from page import DASH, describe, figure, table

    head = ["## What the machine could do", ""]
    if result is None:
        return [*head, f"{DASH} not measured yet: `python bench/floors.py`.", ""]
    units, seconds = result["units"], result["seconds"]
    floors = {
        f"arithmetic in 8 bits, {figure(result['int8_rate'] / 1e9)} GFLOP/s": 2 * result["multiplications"] * units
        / result["int8_rate"],
        f"arithmetic in 32 bits, {figure(result['fp32_rate'] / 1e9)} GFLOP/s": 2 * result["multiplications"] * units
        / result["fp32_rate"],
        f"bytes moved, {figure(result['copy_rate'] / 1e9)} GB/s": result["moved_bytes"] * units / result["copy_rate"],
    }  # fmt: skip
    rows = [(name, 1e3 * floor, 100 * floor / seconds) for name, floor in floors.items()]
    within = result["graph_seconds"]
    rows += [("the graph in ONNX Runtime", 1e3 * within, 100 * within / seconds), ("all of it", 1e3 * seconds, 100.0)]
    return [
        *head,
        f"{figure(result['bytes'] / 1000)} kB of English, {units:,} words and marks, on one thread. The floors are "
        f"what the {figure(result['multiplications'] / 1e6)} million multiplications of a word in the LSTMs, their "
        "inputs and the output layer take at the rate of a plain product of matrices in ONNX Runtime, and what its "
        f"{figure(result['moved_bytes'] / 1000)} kB of table and recurrent weights take at the rate of copying memory.",
        "",
        *table(("", "ms", "share of all, %"), rows),
        "At every step an LSTM multiplies the states of the few segments of a batch, where a plain product has a "
        "thousand rows to share each weight, so that the floors leave out what a recurrence costs. The CRF looks "
        "up some numbers a word and tag and adds them, and keeps what it looked up. To pass it a model would have "
        "to read a word with fewer multiplications, or many words at a time, as convolutions do; kernels of our "
        "own for the LSTMs could shorten only the time within the graph.",
        "",
        describe(result),
        "",
    ]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=PACKAGED_MODEL, help="default: the packaged one")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="default: %(default)s")
    parser.add_argument("--bytes", type=int, default=300_000, help="of text; default: %(default)s")
    parser.add_argument("--results", type=Path, default=machine.RESULTS, help="folder; default: %(default)s")
    options = parser.parse_args()
    if not options.data.exists():
        sys.exit(f"floors: {options.data} is not there: give --data FOLDER")
    package = read_package(options.model, with_weights=False)
    texts = read_texts([options.data / file for file in FILES], size=options.bytes)
    units = sum(len(cut_units(text.encode())) for text in texts)
    seconds, in_graph = tagging(options.model, texts)
    segments = BATCH_UNITS / (units / len(texts))
    result = {
        "machine": machine.describe(),
        "bytes": count_bytes(texts),
        "units": units,
        "multiplications": multiplications(package.config, TagSets(package.labels).size),
        "moved_bytes": round(moved_bytes(package.config, segments)),
        "seconds": round(seconds, 4),
        "graph_seconds": round(in_graph, 4),
        "int8_rate": round(product_rate(integer=True)),
        "fp32_rate": round(product_rate(integer=False)),
        "copy_rate": round(copy_rate()),
    }
    machine.write("floors", result, options.results)
    if options.results == machine.RESULTS:
        import page

        page.publish()


if __name__ == "__main__":
    main()

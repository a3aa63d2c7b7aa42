"""An ONNX session, and what it says when there is nothing to run."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import TensorProto, helper

from bytespan.errors import ModelError
from bytespan.runtime.session import Session, available_cpus


def doubling() -> bytes:
    """A graph that adds its input to itself."""
    shape = ["N", 2]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def test_session_runs_and_tells_its_shapes() -> None:
    session = Session(doubling(), source="here", threads=1)
    assert (session.inputs, session.outputs) == ({"x": ["N", 2]}, {"y": ["N", 2]})
    (doubled,) = session.run(["y"], {"x": np.ones((3, 2), np.float32)})
    assert np.array_equal(doubled, np.full((3, 2), 2, np.float32))


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_many_threads_share_a_session(threads: int | None) -> None:
    session = Session(doubling(), source="here", threads=threads)
    inputs = [np.full((n, 2), n, np.float32) for n in range(1, 50)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda x: session.run(["y"], {"x": x})[0], inputs))
    assert all(np.array_equal(y, 2 * x) for x, y in zip(inputs, results, strict=True))


@pytest.mark.parametrize("model", [b"", b"nonsense", doubling()[:-5]])
def test_graph_that_cannot_be_loaded_is_refused(model: bytes) -> None:
    with pytest.raises(ModelError, match=r"^here: model\.onnx cannot be loaded: [^\n]*; export the model again$"):
        Session(model, source="here")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process to a CPU")
def test_only_cpus_that_the_process_may_use_count() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)

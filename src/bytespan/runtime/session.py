"""One ONNX Runtime session, set up for tagging beside other work."""

import os
from contextlib import suppress
from functools import lru_cache
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from bytespan.errors import ModelError

Arrays = dict[str, NDArray[Any]]

ARENA_BYTES = 1 << 26
"""Of addresses, not of memory, that are set aside for batches at first."""


class Session:
    """A loaded `model.onnx`. Many threads may call `run` at the same time."""

    def __init__(self, model: bytes, *, source: str, threads: int | None = None) -> None:
        """`threads` is the most that one call uses, all CPUs given to this process if None.

        Raises ModelError naming `source` if ONNX Runtime cannot load the file.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cpus()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        _share_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.enable_mem_pattern = False  # patterns of many shapes of batches cost 25 MB and gain nothing
        # A spinning thread would burn a CPU between two calls, which here are half a millisecond apart.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(f"{source}: model.onnx cannot be loaded: {reason}; export the model again") from error

    @property
    def inputs(self) -> dict[str, list[int | str | None]]:
        """Input name -> shape; an axis of any size has a name."""
        return {item.name: item.shape for item in self._session.get_inputs()}

    @property
    def outputs(self) -> dict[str, list[int | str | None]]:
        """Output name -> shape; an axis of any size has a name."""
        return {item.name: item.shape for item in self._session.get_outputs()}

    def run(self, outputs: list[str], inputs: Arrays) -> list[NDArray[Any]]:
        """The named outputs for these inputs."""
        results: list[NDArray[Any]] = self._session.run(outputs, inputs)
        return results


@lru_cache(maxsize=1)
def _share_memory() -> None:
    """Let all sessions of this process take the memory of their batches from one place, and give it back there.

    It begins so large that hardly any text needs more: batches of many shapes leave fewer gaps in one large piece than
    in small ones added bit by bit. What is not written to takes no memory.
    """
    info = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    with suppress(Exception):  # older versions refuse a second one: what other code of this process registered will do
        onnxruntime.create_and_register_allocator(info, onnxruntime.OrtArenaCfg(0, 0, ARENA_BYTES, -1))


def available_cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""The symbols that the generator reads and writes (paper, section 3).

Written: STOP, the starts 0..k, the lengths 0..k, then the labels of each task.
Read: the 256 bytes, DROP, one GO a task, then every written symbol, since the decoder is fed what it last wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import LabelError

STOP = 0
DROP = 256
FIRST_GO = 257


@dataclass(frozen=True)
class Vocabulary:
    """Numbers for every input and output symbol of a model; fixed by its segment length and its label sets."""

    segment_length: int
    """k: the most bytes in a segment, so the highest start and the highest length."""
    labels: Mapping[str, tuple[str, ...]]
    """Task -> its label set, in the order of the output symbols."""

    def __post_init__(self) -> None:
        if self.segment_length < 1:
            raise LabelError(f"segment_length must be at least 1, got {self.segment_length}")
        for task, labels in self.labels.items():
            if not labels or len(set(labels)) != len(labels):
                raise LabelError(f"task {task!r} needs at least one label and no label twice, got {list(labels)}")

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The tasks in the order of their GO symbols."""
        return tuple(self.labels)

    @property
    def first_start(self) -> int:
        """Output symbol of start 0; start s is s further."""
        return STOP + 1

    @property
    def first_length(self) -> int:
        """Output symbol of length 0; length n is n further."""
        return self.first_start + self.segment_length + 1

    @property
    def first_label(self) -> int:
        """Output symbol of the first task's first label."""
        return self.first_length + self.segment_length + 1

    @cached_property
    def output_size(self) -> int:
        """V: how many symbols the softmax has."""
        return self.first_label + sum(map(len, self.labels.values()))

    @property
    def first_fed_output(self) -> int:
        """Input symbol of output symbol 0 (STOP); output symbol v is v further."""
        return FIRST_GO + len(self.labels)

    @property
    def fed_stop(self) -> int:
        """Input symbol of STOP; read between bytes that are carried and the segment that they are carried into."""
        return self.first_fed_output + STOP

    @property
    def input_size(self) -> int:
        """How many rows the embedding has."""
        return self.first_fed_output + self.output_size

    def go(self, task: str) -> int:
        """Input symbol that asks for the spans of `task`; LabelError if the model has no such task."""
        if task not in self.labels:
            raise LabelError(f"task {task!r} is not one of this model's ({', '.join(self.tasks)})")
        return FIRST_GO + self.tasks.index(task)

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """All tasks' labels in the order of their output symbols, from `first_label` on."""
        return tuple(label for labels in self.labels.values() for label in labels)

    @cached_property
    def _label_symbols(self) -> dict[str, dict[str, int]]:
        numbered = iter(range(self.first_label, self.output_size))
        return {task: {label: next(numbered) for label in labels} for task, labels in self.labels.items()}

    def label_symbol(self, task: str, label: str) -> int:
        """Output symbol of `label`; LabelError names it and the label set if it is unknown."""
        symbol = self._label_symbols.get(task, {}).get(label)
        if symbol is None:
            known = ", ".join(self.labels.get(task, ())) or "none"
            raise LabelError(f"label {label!r} is not in the {task} label set of this model ({known})")
        return symbol

    def label_range(self, task: str) -> range:
        """The output symbols of the task's labels; LabelError if the model has no such task."""
        self.go(task)
        symbols = self._label_symbols[task]
        return range(min(symbols.values()), max(symbols.values()) + 1)

    def meanings(self) -> list[tuple[str, ...]]:
        """What each input symbol stands for, in order: equal meanings are equal symbols of two vocabularies."""
        inputs = [("byte", str(value)) for value in range(256)] + [("DROP",)]
        inputs += [("GO", task) for task in self.labels]
        return inputs + [("output", *meaning) for meaning in self.output_meanings()]

    def output_meanings(self) -> list[tuple[str, ...]]:
        """What each output symbol stands for, in order."""
        numbers = range(self.segment_length + 1)
        outputs: list[tuple[str, ...]] = [("STOP",)]
        outputs += [("start", str(n)) for n in numbers] + [("length", str(n)) for n in numbers]
        return outputs + [("label", task, label) for task, labels in self.labels.items() for label in labels]


def feed_bytes(data: bytes) -> NDArray[np.int64]:
    """The input symbols of raw bytes, (len(data),) int64."""
    return np.frombuffer(data, np.uint8).astype(np.int64)

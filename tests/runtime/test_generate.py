"""The generator over ONNX Runtime, as a `SegmentModel`; test_export.py compares its numbers with torch's."""

from pathlib import Path

import numpy as np
import pytest

from bytespan.decoding import decode_greedily, predict_spans
from bytespan.package import read_package
from bytespan.runtime.generate import OnnxGenerator
from bytespan.spans import Document


@pytest.fixture(scope="module")
def model(tiny_package: Path) -> OnnxGenerator:
    return OnnxGenerator(read_package(tiny_package), threads=1)


def test_state_has_the_models_shape(model: OnnxGenerator) -> None:
    state = model.encode(np.array([[97, 98, 0], [97, 98, 99]]), np.array([2, 3]))
    assert state.hidden.shape == state.cell.shape == (1, 2, 64)
    assert state.lengths.tolist() == [2, 3]
    assert state.memory is None
    logits, after = model.step(np.array([model.vocabulary.go("tokens")] * 2), state)
    assert logits.shape == (2, model.vocabulary.output_size)
    assert after.lengths.tolist() == [2, 3]
    assert not np.array_equal(after.hidden, state.hidden)


def test_stepping_leaves_the_state_before_as_it_was(model: OnnxGenerator) -> None:
    """Two tasks are decoded from one encoding."""
    state = model.encode(np.array([[97, 98]]), np.array([2]))
    before = state.hidden.copy(), state.cell.copy()
    first = decode_greedily(model, state, task="tokens")
    assert np.array_equal(state.hidden, before[0])
    assert np.array_equal(state.cell, before[1])
    assert np.array_equal(decode_greedily(model, state, task="tokens").symbols, first.symbols)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_batch_size_does_not_change_what_is_found(
    model: OnnxGenerator, tiny_documents: list[Document], batch_size: int
) -> None:
    data = [document.data * times for times in (1, 3) for document in tiny_documents]
    expected = [predict_spans(model, [item], tasks=model.vocabulary.tasks)[0] for item in data]
    assert predict_spans(model, data, tasks=model.vocabulary.tasks, batch_size=batch_size) == expected

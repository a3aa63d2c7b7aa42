"""docs/format.md followed to the letter by a second reader, which knows nothing of bytespan's own."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import bytespan
from bytespan.config import ModelConfig
from bytespan.neural.export import export_package
from bytespan.package import Provenance
from bytespan.spans import Document
from networks import random_generator

Found = list[tuple[int, int, str, float]]


class Reader:
    """A package, checked and run as the page says."""

    def __init__(self, path: Path) -> None:
        data = (path / "config.json").read_bytes()
        self.config: dict[str, Any] = json.loads(data)
        assert self.config["format"] == "bytespan-model"
        assert self.config["format_version"] == 1
        own = self.config["sha256"]
        assert hashlib.sha256(data.replace(own.encode(), b"0" * 64, 1)).hexdigest() == own
        for name, entry in self.config["files"].items():
            content = (path / name).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
        self.labels: dict[str, list[str]] = json.loads((path / "labels.json").read_text(encoding="utf-8"))
        self.k = int(self.config["model"]["segment_length"])
        self.session = onnxruntime.InferenceSession(str(path / "model.onnx"), providers=["CPUExecutionProvider"])

    def tag(self, data: bytes, task: str) -> Found:
        """The spans of a document, from overlapping segments."""
        stride = max(self.k // 2, 1)
        starts = [start for start in range(0, len(data), stride) if start + self.k < len(data)]
        starts.append(max(len(data) - self.k, 0))
        found: Found = []
        for i, start in enumerate(starts):
            low = 0 if i == 0 else starts[i - 1] + self.k
            high = start + self.k if i + 1 < len(starts) else len(data) + 1
            for first, end, label, score in self.tag_segment(data[start : start + self.k], task, low - start):
                if low <= start + end < high:
                    found.append((*self.whole_characters(data, start + first, start + end), label, score))
        kept: Found = []
        for span in sorted(found, key=lambda span: (-span[3], span[0] - span[1], span[0])):
            if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
                kept.append(span)
        return sorted(kept)

    def whole_characters(self, data: bytes, first: int, end: int) -> tuple[int, int]:
        while first > 0 and data[first] & 0xC0 == 0x80:
            first -= 1
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        return first, end

    def tag_segment(self, segment: bytes, task: str, needed_from: int) -> Found:
        """Read, then write until STOP."""
        if not segment:
            return []
        model = self.config["model"]
        symbols = segment[::-1] if model["input_order"] == "reversed" else segment
        zeros = np.zeros((model["layers"], 1, model["units"]), np.float32)
        memory = np.zeros((1, 1, model["units"]), np.float32)
        result = self.call(list(symbols), zeros, zeros, memory, 1, writing=False)
        memory = result.get("states", memory)
        fed = 257 + list(self.labels).index(task)
        written: list[tuple[int, float]] = []
        while len(written) < 3 * len(segment) + 1:
            result = self.call([fed], result["hidden_out"], result["cell_out"], memory, len(segment), writing=True)
            logits = result["logits"][0].astype(np.float64)
            symbol = int(logits.argmax())
            if symbol == 0:
                break
            written.append((symbol, float(np.exp(logits[symbol] - np.logaddexp.reduce(logits)))))
            if model["span_order"] == "last-first" and self.ends_before(written[-3:], needed_from):
                break
            fed = 257 + len(self.labels) + symbol
        return self.spell(written, len(segment), task)

    def call(
        self,
        symbols: list[int],
        hidden: np.ndarray,
        cell: np.ndarray,
        memory: np.ndarray,
        length: int,
        *,
        writing: bool,
    ) -> dict[str, np.ndarray]:
        feeds = {
            "symbols": np.array(symbols)[:, None],
            "lengths": np.array([len(symbols)], np.int32),
            "hidden": hidden,
            "cell": cell,
        }
        if self.config["model"]["separate"]:
            feeds["decoding"] = np.array(writing)
        if self.config["model"]["attention"]:
            feeds |= {"memory": memory, "memory_lengths": np.array([length])}
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, feeds), strict=True))

    def ends_before(self, triple: list[tuple[int, float]], needed_from: int) -> bool:
        if len(triple) < 3:
            return False
        start, length, label = triple[0][0] - 1, triple[1][0] - self.k - 2, triple[2][0] - 2 * self.k - 3
        return 0 <= start <= self.k and 1 <= length <= self.k and label >= 0 and start + length < needed_from

    def spell(self, written: list[tuple[int, float]], size: int, task: str) -> Found:
        names = [(own, label) for own, labels in self.labels.items() for label in labels]
        found = []
        for (start, p), (length, q), (label, r) in zip(written, written[1:], written[2:], strict=False):
            start, length, label = start - 1, length - self.k - 2, label - 2 * self.k - 3
            if 0 <= start <= self.k and 1 <= length <= self.k and start + length <= size and label >= 0:
                owner, name = names[label]
                found += [(start, start + length, name, p * q * r)] if owner == task else []
        return found


def count_same_spans(path: Path, texts: list[bytes]) -> int:
    """How many spans were compared, and found to be equal."""
    reader, tagger = Reader(path), bytespan.load(path)
    documents = [tagger(data) for data in texts]
    for data, document in zip(texts, documents, strict=True):
        for task, spans in document.spans.items():
            expected = reader.tag(data, task)
            assert [(span.start, span.end, span.label) for span in spans] == [item[:3] for item in expected]
            assert np.allclose([span.score for span in spans], [item[3] for item in expected], atol=1e-3)
    return sum(len(spans) for document in documents for spans in document.spans.values())


def test_second_reader_finds_what_the_tagger_finds(tiny_package: Path, tiny_documents: list[Document]) -> None:
    texts = [document.data * times for document in tiny_documents for times in (1, 4)]
    assert count_same_spans(tiny_package, [*texts, b""]) > 100


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize(("order", "span_order"), [("forward", "first-first"), ("reversed", "last-first")])
def test_second_reader_runs_every_variant(
    separate: bool, attention: bool, order: str, span_order: str, tmp_path: Path
) -> None:
    config = ModelConfig(
        "generator", 12, 2, 16, 8, input_order=order, separate=separate, attention=attention, span_order=span_order
    )
    texts = [
        "日本語 text, über 60 bytes long; 😀😀😀 and so on".encode(),
        b"short",
        b"\xff\x80\x80\x80\x80abc",
        b"12 bytes long",
    ]
    count = 0
    for seed in range(3):
        model = random_generator(config, {"tokens": ("A", "B"), "entities": ("C",)}, seed=seed)
        export_package(model, tmp_path / "model", provenance=Provenance("random"), precision="fp32")
        count += count_same_spans(tmp_path / "model", texts)
    assert count > 5

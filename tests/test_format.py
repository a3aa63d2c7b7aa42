"""docs/format.md followed to the letter by a second reader, which knows nothing of bytespan's own."""

import gzip
import hashlib
import json
import unicodedata
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
from networks import random_generator, random_parallel

Found = list[tuple[int, int, str, float]]
THRESHOLD = 0.05


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
        self.known_bits = self.config["model"]["known_bits"]
        self.ngrams = gzip.decompress((path / "ngrams.gz").read_bytes()) if self.known_bits else b""
        self.session = onnxruntime.InferenceSession(str(path / "model.onnx"), providers=["CPUExecutionProvider"])

    floor: float | None = None
    """The least probability of a span with a threshold; without one, what is written counts."""

    def tag(self, data: bytes, task: str) -> Found:
        """The spans of a document, flat."""
        return flat(self.find(data, task))

    def find(self, data: bytes, task: str) -> Found:
        """The spans of a document, from overlapping segments, which may overlap."""
        stride = max(self.k // 2, 1)
        starts = [start for start in range(0, len(data), stride) if start + self.k < len(data)]
        starts.append(max(len(data) - self.k, 0))
        found: Found = []
        for i, start in enumerate(starts):
            low = 0 if i == 0 else starts[i - 1] + self.k
            high = start + self.k if i + 1 < len(starts) else len(data) + 1
            before = data[max(start - self.config["model"]["carried_bytes"], 0) : start]
            for first, end, label, score in self.tag_segment(data[start : start + self.k], before, task, low - start):
                if low <= start + end < high:
                    found.append((*self.whole_characters(data, start + first, start + end), label, score))
        return once(found)

    def whole_characters(self, data: bytes, first: int, end: int) -> tuple[int, int]:
        while first > 0 and data[first] & 0xC0 == 0x80:
            first -= 1
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        return first, end

    def tag_segment(self, segment: bytes, before: bytes, task: str, needed_from: int) -> Found:
        """Read what is carried, STOP and the segment, then write until STOP."""
        if not segment:
            return []
        model = self.config["model"]
        symbols = list(segment[::-1] if model["input_order"] == "reversed" else segment)
        symbols = [*before, 257 + len(self.labels), *symbols] if before else symbols
        zeros = np.zeros((model["layers"], 1, model["units"]), np.float32)
        memory = np.zeros((1, 1, model["units"]), np.float32)
        result = self.call(symbols, zeros, zeros, memory, 1, writing=False)
        memory = result.get("states", memory)
        fed = 257 + list(self.labels).index(task)
        written: list[tuple[int, float]] = []
        likely: Found = []
        while len(written) < 3 * len(symbols) + 1:
            result = self.call([fed], result["hidden_out"], result["cell_out"], memory, len(symbols), writing=True)
            p = shares(result)
            symbol = int(p.argmax())
            if self.floor and (not written or written[-1][0] >= 2 * self.k + 3):
                likely += self.likely(result, memory, len(symbols), len(segment), task)
            if symbol == 0:
                break
            written.append((symbol, float(p[symbol])))
            if model["span_order"] == "last-first" and self.ends_before(written[-3:], needed_from):
                break
            fed = 257 + len(self.labels) + symbol
        return likely if self.floor else self.spell(written, len(segment), task)

    def likely(self, result: dict[str, np.ndarray], memory: np.ndarray, read: int, size: int, task: str) -> Found:
        """The spans that could follow, which are probable enough."""
        assert self.floor
        found: Found = []
        for start, p in enumerate(shares(result)[1 : self.k + 2], 1):
            if p >= self.floor:
                after = self.feed(start, result, memory, read)
                for length, q in enumerate(shares(after)[self.k + 2 : 2 * self.k + 3], self.k + 2):
                    if p * q >= self.floor:
                        last = self.feed(length, after, memory, read)
                        rows = [[(start, p), (length, q), (2 * self.k + 3 + i, r)]
                                for i, r in enumerate(shares(last)[2 * self.k + 3 :])]  # fmt: skip
                        found += [span for row in rows for span in self.spell(row, size, task)]
        return [span for span in found if span[3] >= self.floor]

    def feed(self, symbol: int, result: dict[str, np.ndarray], memory: np.ndarray, read: int) -> dict[str, np.ndarray]:
        fed = 257 + len(self.labels) + symbol
        return self.call([fed], result["hidden_out"], result["cell_out"], memory, read, writing=True)

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


def shares(result: dict[str, np.ndarray]) -> np.ndarray:
    logits = result["logits"][0].astype(np.float64)
    return np.exp(logits - np.logaddexp.reduce(logits))


def once(found: Found) -> Found:
    """Each span with its highest score."""
    best: dict[tuple[int, int, str], float] = {}
    for first, end, label, score in found:
        best[first, end, label] = max(best.get((first, end, label), 0.0), score)
    return [(*span, score) for span, score in best.items()]


def flat(found: Found) -> Found:
    """Of spans that overlap the most probable, then the longest, then the first."""
    kept: Found = []
    for span in sorted(found, key=lambda span: (-span[3], span[0] - span[1], span[0])):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
    return sorted(kept)


UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x2E80, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
BLANK = {
    *range(0x9, 0xE),
    *range(0x1C, 0x21),
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
}
BLANK.add(0x3000)
MODULUS, B = 1 << 32, 0x9E3779B1


def joins(c: str) -> bool:
    return unicodedata.category(c)[0] in "LNM" and not any(low <= ord(c) <= high for low, high in UNSPACED)


def shape(c: str) -> int:
    kinds = (c.isupper(), c.islower(), c.isdigit(), unicodedata.category(c)[0] == "L", True)
    return 1 + kinds.index(True)


def polynomial(characters: str) -> int:
    return sum((ord(c) + 1) * pow(B, i, MODULUS) for i, c in enumerate(characters)) % MODULUS


def mix(x: int) -> int:
    x = (x ^ x >> 16) * 0x85EBCA6B % MODULUS
    x = (x ^ x >> 13) * 0xC2B2AE35 % MODULUS
    return x ^ x >> 16


def unspaced(c: str) -> bool:
    return any(low <= ord(c) <= high for low, high in UNSPACED) and ord(c) not in BLANK


def hashes(unit: str, before: str = "", behind: str = "") -> list[int]:
    """The ten hashes of a unit between unspaced characters, by the table of the page."""
    lower = "".join(c.lower()[0] for c in unit)
    shapes = [shape(c) for c in unit]
    d, n = sum(1 << kind for kind in set(shapes)), min(len(unit), 7)
    fourth = shapes[0] + 8 * shapes[:2][-1] + 64 * shapes[-1] + 512 * d + 32768 * n
    values = [polynomial(unit), polynomial(unit), polynomial(lower), fourth]
    ahead, back = unit + behind, before + lower
    values += [polynomial(ahead[:size]) for size in (2, 3, 4)] + [polynomial(back[-size:]) for size in (2, 3, 4)]
    return [mix(x ^ j * B % MODULUS) for j, x in enumerate(values, 1)]


class UnitReader(Reader):
    """The same for a parallel decoder."""

    def find(self, data: bytes, task: str) -> Found:
        """The spans of a document, from the kept units of overlapping segments."""
        units = self.units(data)
        scores = [row for a, b, c, d in self.segments(units) for row in self.score(data, units, a, b)[c - a : d - a]]
        column = 0
        for own, labels in self.labels.items():
            if own == task:
                break
            column += 2 * len(labels) + 1
        logs = [row[column : column + 2 * len(self.labels[task]) + 1].astype(np.float64) for row in scores]
        logs = [row - np.logaddexp.reduce(row) for row in logs]
        if self.floor:
            return self.likely_units(units, logs, task, self.floor)
        return self.spans(units, logs, task) if task == "tokens" else self.likely_units(units, logs, task, 0.4)

    def likely_units(
        self, units: list[tuple[int, int, str, int]], logs: list[np.ndarray], task: str, floor: float
    ) -> Found:
        """Every span that is probable enough."""
        found: Found = []
        for i, label in enumerate(self.labels[task]):
            for first in range(len(units)):
                p = float(np.exp(logs[first][2 * i + 1]))
                for last in range(first, len(units)):
                    goes_on = float(np.exp(logs[last + 1][2 * i + 2])) if last + 1 < len(units) else 0.0
                    found.append((units[first][0], units[last][1], label, p * (1 - goes_on)))
                    p *= goes_on
        return [span for span in found if span[3] >= floor]

    def units(self, data: bytes) -> list[tuple[int, int, str, int]]:
        """(first byte, byte after, characters, gap) of each unit."""
        try:
            characters = [(c, len(c.encode())) for c in data.decode()]
        except UnicodeDecodeError:
            characters = [(chr(value), 1) for value in data]
        found: list[tuple[int, int, str, int]] = []
        offset, lines, open_ = 0, 2, False
        for c, size in characters:
            if ord(c) in BLANK:
                lines += c == "\n"
                open_ = False
            elif open_ and joins(c):
                first, _, word, gap = found[-1]
                found[-1] = (first, offset + size, word + c, gap)
            else:
                is_behind = bool(found) and found[-1][1] == offset
                found.append((offset, offset + size, c, 3 if not found else 0 if is_behind else 1 + min(lines, 2)))
                lines, open_ = 0, joins(c)
            offset += size
        return found

    def segments(self, units: list[tuple[int, int, str, int]]) -> list[tuple[int, int, int, int]]:
        """(first, after, first kept, after the last kept) of each segment."""
        m, c = self.k // 8, 0
        found = []
        while c < len(units):
            a = c if c == 0 else next(i for i, unit in enumerate(units) if unit[0] >= units[c][0] - m)
            b = max(sum(end <= units[a][0] + self.k for _, end, _, _ in units), c + 1)
            d = b if b == len(units) else max(sum(end <= units[b - 1][1] - m for _, end, _, _ in units), c + 1)
            found.append((a, b, c, d))
            c = d
        return found

    def around(self, units: list[tuple[int, int, str, int]], i: int) -> tuple[str, str]:
        """The unspaced characters right before and behind a unit that is one itself."""
        if not unspaced(units[i][2][0]):
            return "", ""
        low, high = i, i + 1
        while low > 0 and units[low][3] == 0 and unspaced(units[low - 1][2][0]):
            low -= 1
        while high < len(units) and units[high][3] == 0 and unspaced(units[high][2][0]):
            high += 1
        return "".join(word for _, _, word, _ in units[low:i]), "".join(word for _, _, word, _ in units[i + 1 : high])

    def score(self, data: bytes, units: list[tuple[int, int, str, int]], a: int, b: int) -> np.ndarray:
        """(units, V) scores of one segment."""
        rows = [hashes(units[i][2], *self.around(units, i)) for i in range(a, b)]
        pieces = [data[first:end] for first, end, _, _ in units[a:b]]
        pieces = [piece if len(piece) <= 16 else piece[:8] + piece[-8:] for piece in pieces]
        known = sorted({row[2] for row in rows})
        feeds = {
            "rows": np.array([[self.row(h) for h in row] for row in rows])[:, None],
            "symbols": np.array([[*piece, *[257] * (16 - len(piece))] for piece in pieces])[:, None],
            "gaps": np.array([gap for _, _, _, gap in units[a:b]])[:, None],
            "words": np.array([known.index(row[2]) for row in rows])[:, None],
            "lengths": np.array([b - a], np.int32),
        }
        return np.asarray(self.session.run(["scores"], feeds)[0])[:, 0]

    def row(self, h: int) -> int:
        """The row of the table that a hash looks up."""
        bit = h * self.known_bits >> 32
        is_known = not self.known_bits or self.ngrams[bit // 8] & 1 << bit % 8
        return h % int(self.config["model"]["table_rows"]) if is_known else -1

    def spans(self, units: list[tuple[int, int, str, int]], logs: list[np.ndarray], task: str) -> Found:
        """The most likely possible tags, as spans: for each tag, the best sequence that ends with it."""
        best: list[tuple[float, list[int]]] = []
        for row in logs:
            ways = []
            for tag, log in enumerate(row.tolist()):
                befores = best if tag == 0 or tag % 2 else [item for item in best if item[1][-1] in (tag, tag - 1)]
                start = (0.0, []) if not best and (tag == 0 or tag % 2) else (-np.inf, [0])
                total, tags = max(befores, key=lambda item: item[0], default=start)
                ways.append((total + log, [*tags, tag]))
            best = ways
        tags = max(best, key=lambda item: item[0])[1] if best else []
        found: Found = []
        for (first, end, _, _), tag, row in zip(units, tags, logs, strict=True):
            p = float(np.exp(row[tag]))
            if tag % 2:
                found.append((first, end, self.labels[task][tag // 2], p))
            elif tag:
                begun = found.pop()
                found.append((begun[0], end, begun[2], begun[3] * p))
        return found


def count_same_spans(path: Path, texts: list[bytes]) -> int:
    """How many spans were compared, and found to be equal."""
    tagger = bytespan.load(path)
    reader = Reader(path)
    if reader.config["model"]["decoder"] == "parallel":
        reader = UnitReader(path)
    documents = [tagger(data) for data in texts]
    for data, document in zip(texts, documents, strict=True):
        for task, spans in document.spans.items():
            expected = reader.tag(data, task)
            assert [(span.start, span.end, span.label) for span in spans] == [item[:3] for item in expected]
            assert np.allclose([span.score for span in spans], [item[3] for item in expected], atol=1e-3)
    compare_likely_spans(tagger, reader, texts[:3])
    return sum(len(spans) for document in documents for spans in document.spans.values())


def compare_likely_spans(tagger: bytespan.Tagger, reader: Reader, texts: list[bytes]) -> None:
    """With a threshold, but for spans whose probability is a hair from it."""
    near = 1e-3
    for data in texts:
        documents = [tagger(data, threshold=THRESHOLD, alternatives=alternatives) for alternatives in (True, False)]
        for task in reader.labels:
            reader.floor = THRESHOLD - near
            likely = reader.find(data, task)
            reader.floor = None
            for document, items in zip(documents, (likely, flat(likely)), strict=True):
                found = {(span.start, span.end, span.label): span.score for span in document.spans[task]}
                wider = {item[:3]: item[3] for item in items}
                assert set(found) <= set(wider)
                assert {span for span, p in wider.items() if p > THRESHOLD + near} <= set(found)
                assert all(abs(wider[span] - score) < near for span, score in found.items())


def test_second_reader_finds_what_the_tagger_finds(tiny_package: Path, tiny_documents: list[Document]) -> None:
    texts = [document.data * times for document in tiny_documents for times in (1, 4)]
    assert count_same_spans(tiny_package, [*texts, b""]) > 100


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize(
    ("order", "span_order", "carried"), [("forward", "first-first", 0), ("reversed", "last-first", 0),
                                         ("forward", "last-first", 10)],
)  # fmt: skip
def test_second_reader_runs_every_variant(
    separate: bool, attention: bool, order: str, span_order: str, carried: int, tmp_path: Path
) -> None:
    config = ModelConfig(
        "generator", 12, 2, 16, 8, input_order=order, separate=separate, attention=attention, span_order=span_order,
        carried_bytes=carried, bidirectional=separate and carried > 0,
    )  # fmt: skip
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


def test_second_reader_finds_what_a_parallel_tagger_finds(
    tiny_parallel_package: Path, tiny_documents: list[Document]
) -> None:
    texts = [document.data * times for document in tiny_documents for times in (1, 4)]
    assert count_same_spans(tiny_parallel_package, [*texts, b"", b" \n"]) > 100


@pytest.mark.parametrize(("layers", "segment_length", "both_ways"), [(1, 30, True), (2, 24, False), (3, 1024, True)])
def test_second_reader_runs_every_parallel_variant(
    layers: int, segment_length: int, both_ways: bool, tmp_path: Path
) -> None:
    config = ModelConfig(
        "parallel", segment_length, layers, units=8, embedding=6, table_rows=97, table_width=4, kernels=8,
        unit_width=12, bidirectional=both_ways, known_bits=64 if both_ways else 0,
    )  # fmt: skip
    texts = [
        "日本語 text, über 60 bytes long; 😀😀😀 and so on\n\nSTRASSE straße Strasse İstanbul istanbul".encode(),
        "ภาษาไทย नमस्ते\u00a0العربية\u2028e\u0301a x² ½ Ⅷ ǅ".encode(),
        b"Donaudampfschifffahrtsgesellschaftskapitaen, then\n a line \n\n and a paragraph of words " * 3,
        b"\xff\x80\x80\x80\x80abc \xc3",
        b"short",
    ]
    count = 0
    for seed in range(2):
        model = random_parallel(config, {"tokens": ("A", "B"), "entities": ("C",)}, seed=seed)
        export_package(model, tmp_path / "model", provenance=Provenance("random"), precision="fp32")
        count += count_same_spans(tmp_path / "model", texts)
    assert count > 25


def test_hashes_on_the_page_are_those_of_the_reader() -> None:
    page = (Path(__file__).parent.parent / "docs" / "format.md").read_text(encoding="utf-8")
    for unit in ("a", "Straße"):
        assert f"{', '.join(map(str, hashes(unit)[:4]))}" in page

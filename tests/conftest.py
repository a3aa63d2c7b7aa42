"""Fixtures that several rooms use: a few annotated sentences, and a small model that has learnt them by heart."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models here are too small to share among threads

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bytespan.codec import encode
from bytespan.config import ModelConfig
from bytespan.segments import segment_starts
from bytespan.spans import Document, Span
from bytespan.vocabulary import STOP, Vocabulary

if TYPE_CHECKING:
    from bytespan.neural.generate import Generator
    from bytespan.neural.parallel import Parallel

SENTENCES = [
    "Angela/PROPN/PER Merkel/PROPN/PER besuchte/VERB Paris/PROPN/LOC ./PUNCT",
    "El/DET presidente/NOUN viajó/VERB a/ADP México/PROPN/LOC ayer/ADV ./PUNCT",
    "東京/PROPN/LOC は/ADP 大きい/ADJ です/AUX 。/PUNCT",
    "Москва/PROPN/LOC слушает/VERB Чайковского/PROPN/PER и/CCONJ Баха/PROPN/PER !/PUNCT",
    "a/DET 😀/SYM b/NOUN",
    "no/DET names/NOUN here/ADV",
]
"""Words with part of speech and, where it is a name, its kind; neighbours of one kind are one name."""


def annotated(sentence: str) -> Document:
    """The document of one of SENTENCES, its words parted by single spaces."""
    tokens: list[Span] = []
    entities: list[Span] = []
    offset = 0
    for item in sentence.split(" "):
        word, upos, *kind = item.split("/")
        end = offset + len(word.encode())
        tokens.append(Span(offset, end, upos))
        if kind and entities and entities[-1].end == offset - 1 and entities[-1].label == kind[0]:
            entities[-1] = Span(entities[-1].start, end, kind[0])
        elif kind:
            entities.append(Span(offset, end, kind[0]))
        offset = end + 1
    text = " ".join(item.split("/")[0] for item in sentence.split(" "))
    return Document(text.encode(), {"tokens": tokens, "entities": entities})


@pytest.fixture(scope="session")
def tiny_documents() -> list[Document]:
    """What the tiny model knows by heart."""
    return [annotated(sentence) for sentence in SENTENCES]


@pytest.fixture(scope="session")
def tiny_generator(tiny_documents: list[Document]) -> "Generator":
    """A model of 1 x 64 units that writes exactly the spans of `tiny_documents`."""
    labels = {
        task: tuple(sorted({span.label for document in tiny_documents for span in document.spans[task]}))
        for task in ("tokens", "entities")
    }
    config = ModelConfig(segment_length=48, layers=1, units=64, embedding=24)
    return memorise(config, Vocabulary(config.segment_length, labels), tiny_documents)


@pytest.fixture(scope="session")
def tiny_package(tiny_generator: "Generator", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model directory of `tiny_generator`; read-only by agreement."""
    from bytespan.neural.export import export_package
    from bytespan.package import Provenance

    path = tmp_path_factory.mktemp("models") / "tiny"
    provenance = Provenance(
        name="tiny",
        version="1",
        languages=("de", "es", "ja", "ru"),
        licence="MIT",
        training_data=("six sentences of tests/conftest.py (MIT)",),
        scores={"six sentences F1": 1.0},
    )
    export_package(tiny_generator, path, provenance=provenance, precision="fp32")
    return path


@pytest.fixture(scope="session")
def tiny_parallel(tiny_documents: list[Document]) -> "Parallel":
    """A parallel decoder that gives exactly the spans of `tiny_documents`."""
    from bytespan.config import TrainConfig
    from bytespan.corpora.annotated import annotate
    from bytespan.neural.checkpoint import new_state
    from bytespan.neural.parallel import Parallel
    from bytespan.neural.training import train
    from bytespan.neural.unit_batches import UnitSampler

    labels = {
        task: tuple(sorted({span.label for document in tiny_documents for span in document.spans[task]}))
        for task in ("tokens", "entities")
    }
    config = ModelConfig(
        "parallel", segment_length=100, layers=2, units=24, embedding=8, table_rows=512, table_width=8, kernels=8,
        unit_width=24,
    )  # fmt: skip
    settings = TrainConfig(
        steps=200, batch_size=8, learning_rate=1.5e-2, warmup_steps=5, clip_norm=1, dropout=0, byte_dropout=0,
        unit_dropout=0, hash_dropout=0, short_fraction=0,
    )  # fmt: skip
    vocabulary = Vocabulary(config.segment_length, labels)
    state = new_state(config, vocabulary, settings)
    losses = [
        step.loss
        for step in train(state, UnitSampler(annotate(tiny_documents), vocabulary, config, settings), [], settings)
    ]
    assert losses[-1] < 0.1, f"the tiny model did not learn its sentences (loss {losses[-1]:.3f})"
    assert isinstance(state.model, Parallel)
    return state.model.eval()


@pytest.fixture(scope="session")
def tiny_parallel_package(tiny_parallel: "Parallel", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model directory of `tiny_parallel`; read-only by agreement."""
    from bytespan.neural.export import export_package
    from bytespan.package import Provenance

    path = tmp_path_factory.mktemp("models") / "units"
    export_package(tiny_parallel, path, provenance=Provenance("units", licence="MIT"), precision="fp32")
    return path


def memorise(
    config: ModelConfig, vocabulary: Vocabulary, documents: list[Document], *, max_steps: int = 1000
) -> "Generator":
    """A generator that writes the spans of each window in which it will see the documents."""
    import torch

    from bytespan.neural.generate import Generator

    torch.set_num_threads(1)
    model = Generator(config, vocabulary)
    model.initialize(torch.Generator().manual_seed(1), scheme="orthogonal")
    inputs, lengths, fed, targets = (torch.from_numpy(array) for array in _windows(vocabulary, documents))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2, weight_decay=0.0)
    for step in range(max_steps):
        logits, _ = model(inputs, lengths, fed)
        logits, gold = logits.flatten(0, 1), targets.t().flatten()
        loss = torch.nn.functional.cross_entropy(logits, gold, ignore_index=-100)
        if step % 20 == 0 and bool(((logits.argmax(dim=1) == gold) | (gold == -100)).all()) and loss < 0.02:
            return model.eval()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    raise AssertionError(f"the tiny model did not learn its sentences in {max_steps} steps (loss {float(loss):.3f})")


def _windows(vocabulary: Vocabulary, documents: list[Document]) -> list[np.ndarray]:
    k = vocabulary.segment_length
    rows = [
        (document.data[start : start + k], vocabulary.go(task), _target(vocabulary, document, task, int(start)))
        for document in documents
        for task in document.spans
        for start in segment_starts(len(document.data), length=k)
    ]
    width = max(len(data) for data, _, _ in rows)
    steps = max(len(target) for _, _, target in rows)
    inputs = np.zeros((len(rows), width), np.int64)
    fed = np.full((len(rows), steps), vocabulary.first_fed_output + STOP, np.int64)
    targets = np.full((len(rows), steps), -100, np.int64)
    for row, (data, go, target) in enumerate(rows):
        inputs[row, : len(data)] = list(data)
        targets[row, : len(target)] = target
        fed[row, : len(target)] = [go, *(symbol + vocabulary.first_fed_output for symbol in target[:-1])]
    return [inputs, np.array([len(data) for data, _, _ in rows]), fed, targets]


def _target(vocabulary: Vocabulary, document: Document, task: str, start: int) -> list[int]:
    end = start + vocabulary.segment_length
    inside = [span.shifted(by=-start) for span in document.spans[task] if start <= span.start and span.end <= end]
    return encode(inside, vocabulary, task=task)

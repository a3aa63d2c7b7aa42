"""The parallel decoder over ONNX Runtime; test_export_parallel.py compares its numbers with torch's."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import bytespan
import bytespan.parallel
from bytespan import ConfigError, ModelError, Tagger
from bytespan.package import read_package
from bytespan.parallel import predict_by_units
from bytespan.runtime.parallel import OnnxParallel, open_parallel
from bytespan.spans import Document
from bytespan.units import collate_units, cut_units

EXAMPLE = Path(__file__).parents[2] / "examples" / "languages.txt"


@pytest.fixture(scope="module")
def model(tiny_parallel_package: Path) -> OnnxParallel:
    return OnnxParallel(read_package(tiny_parallel_package), threads=1)


@pytest.fixture(scope="module")
def tagger(tiny_parallel_package: Path) -> Tagger:
    return bytespan.load(tiny_parallel_package)


def test_scores_have_a_column_a_tag(model: OnnxParallel) -> None:
    batch = collate_units([cut_units(b"one two three"), cut_units(b"four")], rows=model.config.table_rows)
    scores = model.score(batch)
    assert scores.shape == (3, 2, model.tags.size)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_only_a_parallel_decoder_is_opened_as_one(tiny_parallel_package: Path, tiny_package: Path) -> None:
    labels = read_package(tiny_parallel_package).labels
    assert open_parallel(tiny_parallel_package, threads=1).tags.labels == labels
    with pytest.raises(ModelError, match="tiny: a generator, where only a parallel decoder will do: give another"):
        open_parallel(tiny_package)


def test_company_does_not_change_what_is_found(model: OnnxParallel, tiny_documents: list[Document]) -> None:
    data = [document.data * times for times in (1, 5) for document in tiny_documents]
    tasks = tuple(model.tags.labels)
    expected = [predict_by_units(model, [item], tasks=tasks)[0] for item in data]
    assert predict_by_units(model, data, tasks=tasks) == expected
    assert predict_by_units(model, data[::-1], tasks=tasks) == expected[::-1]


def test_tagger_gives_the_spans_that_the_model_learnt(tagger: Tagger, tiny_documents: list[Document]) -> None:
    assert [tagger(document.text).spans for document in tiny_documents] == [item.spans for item in tiny_documents]
    found = list(tagger.pipe([document.text for document in tiny_documents] * 3))
    assert [document.spans for document in found] == [document.spans for document in tiny_documents] * 3


def test_real_text_has_the_same_spans_whatever_batch_threads_or_processes(tiny_parallel_package: Path) -> None:
    """The weights are 32 bits wide: with 8 a batch rounds its activations together."""
    text = EXAMPLE.read_text(encoding="utf-8")
    texts = [*text.splitlines(), text, text * 20]
    expected = [document.spans for document in bytespan.load(tiny_parallel_package, threads=1).pipe(texts)]
    for threads, batch_units in ((1, 50), (2, 1024), (2, 5000)):
        tagger = bytespan.load(tiny_parallel_package, threads=threads)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bytespan.parallel, "BATCH_UNITS", batch_units)
            assert [document.spans for document in tagger.pipe(iter(texts))] == expected
            assert [tagger(text).spans for text in texts] == expected
    assert [document.spans for document in tagger.pipe(texts, workers=2)] == expected


def test_tagger_takes_any_bytes(tagger: Tagger) -> None:
    for data in (b"", b" \n", b"\xff\xfe\x80 Paris", bytes(range(256)), b"x" * 5000):
        document = tagger(data)
        assert document.data == data
        for span in document.spans["tokens"]:
            assert 0 <= span.start < span.end <= len(data)
            assert 0 < span.score <= 1


def test_long_text_gets_what_its_parts_do(tagger: Tagger, tiny_documents: list[Document]) -> None:
    """The model learnt each line alone, so only most lines of many in a window come out as they were learnt."""
    lines = [document.data for document in tiny_documents] * 40
    document = tagger(b"\n\n\n".join(lines))
    found = {(span.start, span.end) for span in document.spans["tokens"]}
    offset, right, total = 0, 0, 0
    for line, gold in zip(lines, tiny_documents * 40, strict=True):
        right += sum((offset + span.start, offset + span.end) in found for span in gold.spans["tokens"])
        total += len(gold.spans["tokens"])
        offset += len(line) + 3
    assert right > 0.9 * total


def test_many_threads_get_the_answers_of_one(tagger: Tagger, tiny_documents: list[Document]) -> None:
    texts = [document.text * (1 + i) for i, document in enumerate(tiny_documents)]
    expected = [tagger(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(tagger, texts * 4)) == expected * 4


def test_tagger_refuses_a_beam(tagger: Tagger) -> None:
    with pytest.raises(
        ConfigError, match=r"beam_size must be 1, got 3: the parallel decoder of .* always finds the best"
    ):
        tagger("text", beam_size=3)
    with pytest.raises(ConfigError, match="beam_size must be at least 1, got 0"):
        tagger("text", beam_size=0)


def test_tagger_refuses_spans_that_part_words(tiny_parallel_package: Path) -> None:
    with pytest.raises(ConfigError, match="finds whole words only: leave out whole_words=False"):
        bytespan.load(tiny_parallel_package, whole_words=False)
    assert bytespan.load(tiny_parallel_package, whole_words=True)("Paris").tokens

"""The parallel decoder's ONNX graph against torch, in every precision and shape."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bytespan.config import PRESETS, ModelConfig, TrainConfig
from bytespan.errors import ConfigError, ModelError
from bytespan.neural.batches import WORDS
from bytespan.neural.checkpoint import initialize_from, new_state
from bytespan.neural.export import export_model, export_package
from bytespan.neural.graph import PRECISIONS
from bytespan.neural.parallel import Parallel
from bytespan.neural.scoring import TorchUnitModel
from bytespan.ngrams import UNKNOWN, NgramFilter
from bytespan.package import Provenance, read_package, write_package
from bytespan.parallel import predict_by_units
from bytespan.runtime.generate import OnnxGenerator
from bytespan.runtime.parallel import OnnxParallel
from bytespan.spans import Document
from bytespan.units import UnitBatch, collate_units, cut_units
from networks import CONFIG, LABELS, SHAPES, random_generator, random_parallel

TEXTS = [
    "Angela Merkel besuchte Paris. In paris, PARIS!",
    "東京は大きい",
    "x",
    "a\n\nStaatsangehörigkeitsangelegenheiten 1234567890123456789",
]
WITHIN = {"fp32": 1e-5, "fp16": 0.01, "int8": 0.25}
"""Largest difference of a score, in standard deviations of the scores."""


def batch_of(texts: list[str], rows: int, known: NgramFilter | None = None) -> UnitBatch:
    return collate_units([cut_units(text.encode()) for text in texts], rows=rows, known=known)


def inside(batch: UnitBatch) -> np.ndarray:
    """(T, B) where there is a unit."""
    return np.arange(len(batch.gaps))[:, None] < batch.lengths


def exported(model: Parallel, path: Path, precision: str) -> OnnxParallel:
    export_package(model, path, provenance=Provenance("random"), precision=precision)
    return OnnxParallel(read_package(path), threads=1)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("config", SHAPES)
def test_exported_model_scores_what_torch_does(config: ModelConfig, precision: str, tmp_path: Path) -> None:
    """In segments of different lengths; whatever stands beyond a length does not count."""
    model = random_parallel(config, LABELS, seed=0)
    batch = batch_of(TEXTS, config.table_rows, model.ngrams)
    wanted = TorchUnitModel(model).score(batch)[inside(batch)]
    found = exported(model, tmp_path / "model", precision).score(batch)
    assert found.shape == (*batch.gaps.shape, model.tags.size)
    assert found.dtype == np.float32
    assert np.abs(found[inside(batch)] - wanted).max() < WITHIN[precision] * wanted.std()
    assert wanted.std() > 0.5


def test_smaller_precisions_differ_little_on_the_whole(tmp_path: Path) -> None:
    model = random_parallel(CONFIG, LABELS, seed=2)
    batch = batch_of(TEXTS, CONFIG.table_rows)
    wanted = TorchUnitModel(model).score(batch)[inside(batch)]
    errors = [
        np.abs(exported(model, tmp_path / "model", precision).score(batch)[inside(batch)] - wanted).mean()
        / wanted.std()
        for precision in PRECISIONS
    ]
    assert errors[0] < 1e-6 < errors[1] < 5e-3 < errors[2] < 0.1


def test_every_input_makes_itself_felt(tmp_path: Path) -> None:
    model = exported(random_parallel(CONFIG, LABELS, seed=1), tmp_path / "model", "fp32")
    batch = batch_of(["Ana saw Ana and a dog"], CONFIG.table_rows)
    before = model.score(batch)
    for name, value in (("rows", 7), ("symbols", 33), ("gaps", 3)):
        changed = getattr(batch, name).copy()
        changed[2] = value
        after = model.score(replace(batch, **{name: changed}))
        assert (np.abs(after - before).max(axis=2) > 1e-4).any(axis=1).all()  # at every unit, before and behind
    apart = model.score(replace(batch, words=np.arange(6)[:, None]))
    assert not np.allclose(apart, before, atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_unknown_ngrams_say_nothing(precision: str, tmp_path: Path) -> None:
    """Rows of the table that they would have looked up may hold anything (in int8 all rows share their scales)."""
    config = replace(CONFIG, known_bits=64)
    model = random_parallel(config, LABELS, seed=1)
    batch = batch_of(TEXTS, config.table_rows, model.ngrams)
    unknown = np.setdiff1d(np.arange(config.table_rows), batch.rows)
    assert len(unknown)
    before = exported(model, tmp_path / "model", precision).score(batch)[inside(batch)]
    with torch.no_grad():
        model.table.weight[unknown] = 0.0
    after = exported(model, tmp_path / "model", precision).score(batch)[inside(batch)]
    assert (batch.rows == UNKNOWN).any()
    np.testing.assert_allclose(before, after, atol=1e-5)
    told = batch_of(TEXTS, config.table_rows)
    assert not np.allclose(before, exported(model, tmp_path / "model", precision).score(told)[inside(batch)], atol=0.1)


def test_segment_scores_the_same_in_any_company(tmp_path: Path) -> None:
    model = exported(random_parallel(CONFIG, LABELS, seed=3), tmp_path / "model", "fp32")
    together = batch_of(TEXTS, CONFIG.table_rows)
    scores = model.score(together)
    for column, text in enumerate(TEXTS):
        alone = model.score(batch_of([text], CONFIG.table_rows))
        assert np.abs(scores[: len(alone), column] - alone[:, 0]).max() < 1e-5


def test_exported_model_finds_the_spans_that_torch_finds(tmp_path: Path) -> None:
    data = [text.encode() * times for text in TEXTS for times in (1, 9)] + [b"", b"\xff\xfe broken \x80"]
    count = 0
    for seed, config in enumerate([CONFIG, replace(CONFIG, known_bits=64), CONFIG]):
        model = random_parallel(config, LABELS, seed=seed)
        found = predict_by_units(exported(model, tmp_path / "model.zip", "fp32"), data, tasks=("tokens", "entities"))
        assert found == predict_by_units(TorchUnitModel(model), data, tasks=("tokens", "entities"))
        count += sum(len(spans) for item in found for spans in item.values())
    assert count > 100


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_trained_model_tags_the_same_in_every_precision(
    precision: str, tiny_parallel: Parallel, tiny_documents: list[Document], tmp_path: Path
) -> None:
    model = exported(tiny_parallel, tmp_path / "model", precision)
    found = predict_by_units(model, [document.data for document in tiny_documents], tasks=("tokens", "entities"))
    assert [{task: tuple(spans) for task, spans in item.items()} for item in found] == [
        document.spans for document in tiny_documents
    ]


def test_packaged_shape_takes_at_most_four_megabytes_in_int8() -> None:
    """With some 90 parts of speech, multiword ones among them, and a few kinds of names."""
    labels = {"tokens": tuple(f"tag {i}" for i in range(92)), "entities": ("LOC", "MISC", "ORG", "PER")}
    model = random_parallel(PRESETS["parallel"], labels, seed=0)
    assert model.tags.size > 190
    sizes = {precision: len(export_model(model, precision=precision)) for precision in PRECISIONS}
    assert sizes["int8"] < 4_000_000
    assert sizes["fp16"] < 0.51 * sizes["fp32"]


def test_same_weights_give_the_same_file() -> None:
    models = [random_parallel(CONFIG, LABELS, seed=4) for _ in range(2)]
    assert export_model(models[0], precision="int8") == export_model(models[1], precision="int8")


def test_task_that_only_training_knows_is_left_out(tmp_path: Path) -> None:
    model = random_parallel(CONFIG, {WORDS: ("O",), **LABELS}, seed=5)
    smaller = exported(model, tmp_path / "model", "fp32")
    assert list(smaller.tags.labels) == ["tokens", "entities"]
    data = [TEXTS[0].encode()]
    tasks = ("tokens", "entities")
    assert predict_by_units(smaller, data, tasks=tasks) == predict_by_units(TorchUnitModel(model), data, tasks=tasks)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("config", SHAPES)
def test_an_ensemble_scores_the_mean_of_its_models(config: ModelConfig, precision: str, tmp_path: Path) -> None:
    first, *others = (random_parallel(config, LABELS, seed=seed) for seed in (1, 2, 3))
    batch = batch_of(TEXTS, config.table_rows)
    scores = [exported(model, tmp_path / "one", precision).score(batch)[inside(batch)] for model in (first, *others)]
    export_package(first, tmp_path / "all", others=others, provenance=Provenance("random"), precision=precision)
    package = read_package(tmp_path / "all")
    assert (package.config, package.weights) == (replace(config, ensemble=3), None)
    found = OnnxParallel(package, threads=1).score(batch)[inside(batch)]
    assert np.abs(found - np.mean(scores, axis=0)).max() < 1e-4
    assert all(np.abs(found - alone).mean() > 0.1 for alone in scores)


def test_what_does_not_fit_together_is_no_ensemble() -> None:
    model = random_parallel(CONFIG, LABELS, seed=1)
    with pytest.raises(ConfigError, match=r"must have one shape: in one units is 13, not 12$"):
        export_model(model, random_parallel(replace(CONFIG, units=13), LABELS, seed=1))
    with pytest.raises(ConfigError, match="must have the same labels"):
        export_model(model, random_parallel(CONFIG, LABELS | {"entities": ("LOC",)}, seed=1))
    several = replace(CONFIG, known_bits=64)
    other = random_parallel(several, LABELS, seed=2)
    other.meet(NgramFilter(np.full(8, 255, np.uint8)))
    with pytest.raises(ConfigError, match="must know the same languages and n-grams"):
        export_model(random_parallel(several, LABELS, seed=1), other)
    generators = [random_generator(ModelConfig(layers=1, units=7, embedding=5), LABELS, seed=seed) for seed in (1, 2)]
    with pytest.raises(ConfigError, match="generators do not tag together"):
        export_model(*generators)
    with pytest.raises(ConfigError, match="must have one shape"):
        export_model(model, generators[0])


def test_an_ensemble_cannot_be_trained_on(tmp_path: Path) -> None:
    models = [random_parallel(CONFIG, LABELS, seed=seed) for seed in (1, 2)]
    export_package(models[0], tmp_path / "all", others=models[1:], provenance=Provenance("random"))
    state = new_state(CONFIG, models[0].vocabulary, TrainConfig())
    with pytest.raises(ModelError, match="all: an ensemble of 2 models, which cannot be trained on"):
        initialize_from(state, tmp_path / "all")
    with pytest.raises(ConfigError, match=r"an ensemble of 2 models is neither trained nor adapted"):
        new_state(replace(CONFIG, ensemble=2), models[0].vocabulary, TrainConfig())


def test_graph_of_another_shape_is_refused(tmp_path: Path) -> None:
    small = random_parallel(CONFIG, LABELS, seed=6)
    large = random_parallel(CONFIG, LABELS | {"entities": ("LOC", "PER")}, seed=6)
    provenance = Provenance("mixed")
    write_package(tmp_path / "model", config=CONFIG, labels=LABELS, provenance=provenance, onnx=export_model(large))
    with pytest.raises(ModelError, match=r"model\.onnx does not fit config\.json"):
        OnnxParallel(read_package(tmp_path / "model"))
    generator = replace(CONFIG, decoder="generator")
    write_package(tmp_path / "model", config=generator, labels=LABELS, provenance=provenance, onnx=export_model(small))
    with pytest.raises(ModelError, match=r"model\.onnx does not fit config\.json"):
        OnnxGenerator(read_package(tmp_path / "model"))

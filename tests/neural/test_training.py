"""The training loop: it learns, its schedules are what they say, and every setting of the paper's comparisons works."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import bytespan
from bytespan.config import ModelConfig, TrainConfig
from bytespan.decoding import predict_spans
from bytespan.neural.batches import SegmentSampler
from bytespan.neural.checkpoint import TrainingState, new_state
from bytespan.neural.export import export_package
from bytespan.neural.generate import Generator
from bytespan.neural.losses import multiplies_in_bf16
from bytespan.neural.scoring import DevCorpus, TorchSegmentModel, mean_score, score_corpora
from bytespan.neural.training import StepRecord, learning_rate_at, should_stop, train
from bytespan.package import Provenance
from bytespan.vocabulary import Vocabulary
from neural import corpus

MODEL = ModelConfig(segment_length=12, layers=1, units=64, embedding=32)
TRAIN = TrainConfig(
    steps=600, batch_size=32, learning_rate=1e-2, warmup_steps=20, decay_steps=200, dropout=0, byte_dropout=0,
    auxiliary_weight=0, words_fraction=0, growth_steps=0, short_fraction=0, dev_every=300,
)  # fmt: skip
DEV = [DevCorpus("toy", tuple(corpus.documents()))]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(
    model: ModelConfig = MODEL, config: TrainConfig = TRAIN, drawers: int = 0
) -> tuple[TrainingState, list[StepRecord]]:
    vocabulary = Vocabulary(model.segment_length, corpus.LABELS)
    state = new_state(model, vocabulary, config)
    sampler = SegmentSampler(corpus.documents(), vocabulary, model, config)
    return state, list(train(state, sampler, DEV, config, drawers=drawers))


def test_tiny_model_learns_a_tiny_corpus_by_heart() -> None:
    state, records = run()
    scores = score_corpora(state.model, DEV)
    assert {task: score.main for (_, task), score in scores.items()} == {"tokens": 100.0, "entities": 100.0}
    assert records[-1].loss < 0.1 < records[0].loss
    assert [record.step for record in records if record.dev] == [300, 600]
    assert records[-1].dev is not None
    assert records[-1].dev.mean == 100.0


@pytest.mark.parametrize(
    "change",
    [
        {"layers": 2},
        {"units": 48},
        {"segment_length": 10},
        {"input_order": "reversed"},
        {"span_order": "first-first"},
        {"separate": True},
        {"attention": True},
        {"separate": True, "attention": True},
        {"separate": True, "bidirectional": True},
        {"carried_bytes": 6, "segment_length": 10},
    ],
    ids=str,
)
def test_every_setting_learns_and_decodes_the_same_once_it_is_packaged(
    change: dict[str, object], tmp_path: Path
) -> None:
    state, _ = run(replace(MODEL, **change))
    assert mean_score(score_corpora(state.model, DEV)) > 90
    assert isinstance(state.model, Generator)
    export_package(state.model, tmp_path / "model", provenance=Provenance("toy"), precision="fp32")
    data = [document.data for document in corpus.documents()]
    found = predict_spans(TorchSegmentModel(state.model), data, tasks=("tokens", "entities"))
    tagged = bytespan.load(tmp_path / "model", threads=1).pipe(data)
    assert [{task: list(spans) for task, spans in document.spans.items()} for document in tagged] == found


def test_beam_search_decodes_what_greedy_search_does_once_the_model_is_sure() -> None:
    state, _ = run()
    runner = TorchSegmentModel(state.model)
    data = [document.data for document in corpus.documents()]
    greedy = predict_spans(runner, data, tasks=("tokens", "entities"))
    assert predict_spans(runner, data, tasks=("tokens", "entities"), beam_size=3) == greedy


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd", "learning_rate": 1.0, "initialization": "uniform"},
        {"precision": "bf16"},
        {"auxiliary_weight": 0.5},
        {"dropout": 0.2, "byte_dropout": 0.2},
        {"first_length": 4, "growth_steps": 40},
        {"span_fraction": 0.5},
    ],
    ids=str,
)
def test_every_way_of_training_lowers_the_loss(change: dict[str, object]) -> None:
    _, records = run(config=replace(TRAIN, steps=120, **change))
    assert all(math.isfinite(record.loss) for record in records)
    assert sum(r.loss for r in records[-10:]) < 0.8 * sum(r.loss for r in records[:10])


@pytest.mark.parametrize(
    ("found", "precision", "expected"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, "bf16", True),
        ({"avx512_f": True, "avx512_bf16": True}, "fp32", False),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "bf16", False),
        ({"architecture": "aarch64", "neon": True}, "bf16", False),
    ],
)
def test_bf16_is_left_to_processors_that_do_not_imitate_it(
    found: dict[str, object], precision: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert multiplies_in_bf16(replace(TRAIN, precision=precision), torch.device("cpu")) is expected
    assert multiplies_in_bf16(replace(TRAIN, precision=precision), torch.device("cuda")) is (precision == "bf16")


@pytest.mark.parametrize(("capability", "expected"), [("AVX512", True), ("AVX2", False), ("DEFAULT", False)])
def test_a_torch_that_does_not_know_the_instructions_goes_by_the_vectors(
    capability: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert multiplies_in_bf16(replace(TRAIN, precision="bf16"), torch.device("cpu")) is expected


def test_same_seed_gives_the_same_losses_and_another_seed_others() -> None:
    config = replace(TRAIN, steps=20, dropout=0.3, byte_dropout=0.3)
    losses = [[record.loss for record in run(config=replace(config, seed=seed))[1]] for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_batches_that_other_processes_draw_give_the_same_losses() -> None:
    config = replace(TRAIN, steps=20, dropout=0.3, byte_dropout=0.3)
    alone, ahead = (run(config=config, drawers=drawers)[1] for drawers in (0, 2))
    assert [record.loss for record in alone] == [record.loss for record in ahead]


def test_global_random_state_plays_no_part() -> None:
    config = replace(TRAIN, steps=5, dropout=0.3, byte_dropout=0.3)
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        losses.append([record.loss for record in run(config=config)[1]])
    assert losses[0] == losses[1]


def test_patience_ends_a_run_that_gets_no_better() -> None:
    config = replace(TRAIN, learning_rate=1e-9, dev_every=5, patience=3)
    state, records = run(config=config)
    assert records[-1].step == 20  # the first score is a best, then three misses
    assert state.progress.best_step == 5
    assert [should_stop(misses, config) for misses in (2, 3)] == [False, True]


def test_learning_rate_rises_stays_and_falls() -> None:
    config = TrainConfig(steps=100, learning_rate=1.0, warmup_steps=10, decay_steps=20)
    rates = [learning_rate_at(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:80] == [1.0] * 71
    assert rates[90] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.05)


def test_papers_rate_is_halved_in_the_second_half() -> None:
    config = TrainConfig(steps=100, learning_rate=0.3, warmup_steps=0, decay_steps=0, halve_every=20)
    assert [learning_rate_at(step, config) for step in (0, 50, 69, 70, 90)] == [0.3, 0.3, 0.3, 0.15, 0.075]


def test_training_without_development_corpora_scores_nothing() -> None:
    config = replace(TRAIN, steps=3, dev_every=1)
    vocabulary = Vocabulary(12, corpus.LABELS)
    state = new_state(MODEL, vocabulary, config)
    sampler = SegmentSampler(corpus.documents(), vocabulary, MODEL, config)
    assert all(record.dev is None for record in train(state, sampler, [], config))

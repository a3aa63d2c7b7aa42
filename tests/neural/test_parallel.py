"""The parallel decoder in torch: it learns, company changes nothing, and new label sets keep what is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bytespan.config import ModelConfig, TrainConfig
from bytespan.corpora.annotated import annotate
from bytespan.neural.checkpoint import TrainingState, new_state
from bytespan.neural.dropout import DropoutPlan
from bytespan.neural.parallel import KERNEL, Parallel, transplant_tags
from bytespan.neural.scoring import DevCorpus, TorchUnitModel, score_corpora
from bytespan.neural.training import StepRecord, train
from bytespan.neural.unit_batches import UnitSampler
from bytespan.spans import Document
from bytespan.units import PAD, WIDTH, UnitBatch, collate_units, cut_units
from bytespan.vocabulary import Vocabulary
from networks import random_parallel
from neural import corpus

MODEL = ModelConfig(
    "parallel", segment_length=40, layers=2, units=16, embedding=8, table_rows=256, table_width=8, kernels=8,
    unit_width=24,
)  # fmt: skip
TRAIN = TrainConfig(
    steps=100, batch_size=8, learning_rate=2e-2, warmup_steps=5, clip_norm=1, dropout=0, byte_dropout=0, unit_dropout=0,
    hash_dropout=0, short_fraction=0, dev_every=50,
)  # fmt: skip
DEV = [DevCorpus("toy", tuple(corpus.documents()))]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def run(model: ModelConfig = MODEL, config: TrainConfig = TRAIN) -> tuple[TrainingState, list[StepRecord]]:
    vocabulary = Vocabulary(model.segment_length, corpus.LABELS)
    state = new_state(model, vocabulary, config)
    sampler = UnitSampler(annotate(corpus.documents()), vocabulary, model, config)
    return state, list(train(state, sampler, DEV, config))


def batch_of(*texts: str) -> UnitBatch:
    return collate_units([cut_units(text.encode()) for text in texts], rows=MODEL.table_rows)


@pytest.mark.parametrize("change", [{}, {"layers": 1}, {"layers": 3}, {"bidirectional": False}], ids=str)
def test_tiny_model_learns_a_tiny_corpus_by_heart(change: dict[str, int]) -> None:
    state, records = run(replace(MODEL, **change))
    scores = score_corpora(state.model, DEV)
    assert {task: score.main for (_, task), score in scores.items()} == {"tokens": 100.0, "entities": 100.0}
    assert records[-1].loss < 0.1 < records[0].loss
    assert [record.step for record in records if record.dev] == [50, 100]


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "bf16"},
        {"dropout": 0.3, "byte_dropout": 0.1, "unit_dropout": 0.05, "hash_dropout": 0.2},
        {"short_fraction": 0.5},
        {"balance": 0.5},
        {"optimizer": "sgd", "learning_rate": 0.3},
    ],
    ids=str,
)
def test_every_way_of_training_lowers_the_loss(change: dict[str, object]) -> None:
    _, records = run(config=replace(TRAIN, steps=60, **change))
    assert all(np.isfinite(record.loss) for record in records)
    assert sum(r.loss for r in records[-10:]) < 0.7 * sum(r.loss for r in records[:10])


def test_same_seed_gives_the_same_losses_and_another_seed_others() -> None:
    config = replace(TRAIN, steps=10, dropout=0.3, byte_dropout=0.3, hash_dropout=0.3)
    losses = [[record.loss for record in run(config=replace(config, seed=seed))[1]] for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_segment_scores_the_same_in_any_company() -> None:
    model = TorchUnitModel(random_parallel(MODEL, corpus.LABELS, seed=0))
    texts = ["Ana saw Rom.", "x", "Bo, bo and BO: a longer one"]
    together = model.score(batch_of(*texts))
    for column, text in enumerate(texts):
        alone = model.score(batch_of(text))
        assert np.abs(together[: len(alone), column] - alone[:, 0]).max() < 1e-5


def test_unit_hears_of_equal_words_but_only_with_two_layers() -> None:
    """Far away: the LSTMs are cut off by weights of nought, so that only the mean of equal words is left."""
    for layers in (1, 2):
        model = random_parallel(replace(MODEL, layers=layers), corpus.LABELS, seed=0)
        with torch.no_grad():
            for lstm in (*model.forwards, *model.backwards):
                lstm.weight_hh_l0.zero_()
                lstm.bias_ih_l0[MODEL.units : 2 * MODEL.units] = -50  # the forget gate: nothing is remembered
        runner = TorchUnitModel(model)
        batch = batch_of("Ana saw Rom and ana")
        changed = batch.rows.copy()
        changed[0] = 5
        difference = np.abs(runner.score(replace(batch, rows=changed)) - runner.score(batch)).max(axis=(1, 2)) > 1e-5
        assert difference.tolist() == [True, False, False, False, layers == 2]


def test_reading_of_bytes_is_a_convolution_and_the_largest_value() -> None:
    model = random_parallel(MODEL, corpus.LABELS, seed=1)
    (symbols,) = cut_units(b"Ulm").symbols.astype(np.int64)
    with torch.no_grad():
        found = model._read_bytes(torch.from_numpy(symbols)[None, None])[0, 0]
        embedded = [torch.zeros(MODEL.embedding), *model.bytes(torch.from_numpy(symbols)), torch.zeros(MODEL.embedding)]
        windows = [torch.cat(embedded[i : i + KERNEL]) for i in range(WIDTH)]
        expected = torch.stack([model.convolution(window) for window in windows]).amax(dim=0).relu()
    assert symbols.tolist() == [*b"Ulm", *[PAD] * 13]
    assert torch.allclose(found, expected, atol=1e-5)


def test_hidden_hashes_play_no_part() -> None:
    model = random_parallel(MODEL, corpus.LABELS, seed=2)
    batch = batch_of("Ana saw")
    shown = np.ones(batch.rows.shape, bool)
    shown[0, 0, 3:7] = False
    other = batch.rows.copy()
    other[0, 0, 3:7] = 99

    def scores(rows: np.ndarray, shown: np.ndarray | None) -> torch.Tensor:
        arrays = (rows, batch.symbols, batch.gaps, batch.words, batch.lengths, shown)
        with torch.no_grad():
            return model(*(None if array is None else torch.from_numpy(array) for array in arrays))

    assert torch.equal(scores(batch.rows, shown), scores(other, shown))
    assert not torch.equal(scores(batch.rows, shown), scores(batch.rows, None))
    assert torch.equal(scores(batch.rows, np.ones_like(shown)), scores(batch.rows, None))


def test_dropout_hides_the_same_states_of_all_units_of_a_segment() -> None:
    plan = DropoutPlan(0.5, torch.Generator().manual_seed(0))
    dropped = plan.locked(torch.ones(7, 3, 40))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert all(torch.equal(step, dropped[0]) for step in dropped)
    assert not torch.equal(dropped[0, 0], dropped[0, 1])


def test_new_label_sets_keep_the_rows_of_known_tags() -> None:
    old = random_parallel(MODEL, {"entities": ("PER", "LOC"), "tokens": ("NOUN",)}, seed=3)
    labels = {"tokens": ("VERB", "NOUN"), "entities": ("DATE", "PER")}
    new = random_parallel(MODEL, labels, seed=4)
    before = new.output.weight.detach().clone()
    transplant_tags(new, old.state_dict(), old.vocabulary)
    place = {meaning: row for row, meaning in enumerate(old.tags.meanings())}
    kept = 0
    for row, meaning in enumerate(new.tags.meanings()):
        source = old.output.weight[place[meaning]] if meaning in place else before[row]
        assert torch.equal(new.output.weight[row], source)
        kept += meaning in place
    assert kept == 3 + 3
    shared = {name: value for name, value in new.state_dict().items() if not name.startswith("output.")}
    assert all(torch.equal(value, old.state_dict()[name]) for name, value in shared.items())


def test_fresh_weights_depend_on_the_seed_alone() -> None:
    models = [Parallel(MODEL, Vocabulary(40, corpus.LABELS)) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        model.initialize(torch.Generator().manual_seed(seed))
    first, second, third = (torch.cat([p.flatten() for p in model.parameters()]) for model in models)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    units = MODEL.units
    assert (models[0].forwards[0].bias_ih_l0[units : 2 * units] == 1).all()


def test_development_score_leaves_out_labels_that_the_corpus_does_not_annotate() -> None:
    state, _ = run()
    whole = corpus.documents()
    some = [
        Document(document.data, {"entities": [span for span in document.spans["entities"] if span.label == "PER"]})
        for document in whole
    ]
    assert {span.label for document in whole for span in document.spans["entities"]} > {"PER"}
    (score,) = score_corpora(state.model, [DevCorpus("people", tuple(some))]).values()
    assert score.main == 100.0

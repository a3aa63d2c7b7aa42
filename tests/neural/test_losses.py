"""The parallel decoder's losses: against a slow reference, with labels that a corpus does not annotate, in parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bytespan.config import CorpusConfig, ModelConfig, TrainConfig
from bytespan.corpora.annotated import annotate
from bytespan.neural.batches import IGNORED
from bytespan.neural.dropout import DropoutPlan
from bytespan.neural.losses import parallel_losses
from bytespan.neural.parallel import summed_loss
from bytespan.neural.unit_batches import TaggedBatch, UnitSampler
from bytespan.spans import Document, Span
from bytespan.teaching import Lesson
from bytespan.vocabulary import Vocabulary
from networks import random_parallel
from neural import corpus

MODEL = ModelConfig(
    "parallel", segment_length=20, layers=2, units=6, embedding=5, table_rows=64, table_width=4, kernels=6, unit_width=8
)
TRAIN = TrainConfig(batch_size=6, dropout=0.3, byte_dropout=0.2)


@pytest.fixture(scope="module")
def mixed_batch() -> TaggedBatch:
    """Segments of corpora that annotate different tasks and labels, one of them taught."""
    people = [Document(b"Ana saw Rom. Bo too.", {"entities": [Span(0, 3, "PER"), Span(13, 15, "PER")]})]
    words = [Document(b"Ulm is far", {"tokens": [Span(0, 3, "PROPN"), Span(4, 6, "VERB")]})]
    members = annotate(people) + annotate(words) + annotate(corpus.documents())
    lesson = Lesson(np.tile([[1, 0, 4]], (4, 1)), np.tile([[0.7, 0.2, 0.1]], (4, 1)), frozenset({"PER"}))
    lessons = [{"entities": lesson} if i % 2 else {} for i in range(len(members))]
    lessons[:2] = {}, {}
    settings = replace(TRAIN, balance=0.7)
    sampler = UnitSampler(members, Vocabulary(20, corpus.LABELS), MODEL, settings, lessons)
    return next(batch for batch in map(sampler.batch, range(99)) if is_mixed(batch))


def is_mixed(batch: TaggedBatch) -> bool:
    """Whether it has unannotated tasks and labels, and units of a task that are taught and others that are not."""
    unannotated = any((tags == IGNORED).all(axis=0).any() for tags in batch.gold.values())
    taught = sum(int((found.shares[..., 0] > 0).sum()) for found in batch.taught.values())
    return batch.free is not None and unannotated and 0 < taught < int((batch.gold["entities"] != IGNORED).sum())


def slow_loss(
    scores: torch.Tensor,
    gold: list[int],
    free: list[list[bool]],
    unmarked_weight: float = 0.0,
    taught: list[dict[int, float]] | None = None,
    gold_weight: float = 0.0,
) -> float:
    """Unit by unit, in plain probabilities; taught: tag -> probability, of units that are not taught nothing."""
    total = 0.0
    for i, (row, tag, unknown) in enumerate(zip(scores.double().softmax(dim=1).tolist(), gold, free, strict=True)):
        target = dict.fromkeys(range(len(row)), 0.0)
        if taught and taught[i]:
            target |= {told: (1 - gold_weight) * share for told, share in taught[i].items()}
        if tag != IGNORED:
            target[tag] += 1 - sum(target.values())
            for wanted, share in target.items():
                right = [p for j, p in enumerate(row) if j == wanted or (wanted == 0 and unknown[j])]
                loss = (1 - unmarked_weight) * np.log(sum(right)) + unmarked_weight * np.log(row[wanted])
                total -= float(share * loss)
    return total


def test_loss_is_that_of_the_slow_reference() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        units, labels = int(rng.integers(1, 9)), int(rng.integers(1, 4))
        scores = torch.from_numpy(rng.normal(size=(units, 2 * labels + 1)) * 3)
        gold = np.where(rng.random(units) < 0.2, IGNORED, rng.integers(0, 2 * labels + 1, units))
        free = np.repeat(rng.random((units, labels)) < 0.4, 2, axis=1)
        free = np.concatenate([np.zeros((units, 1), bool), free], axis=1)
        for weight in (0.0, 0.1, 1.0):
            found = summed_loss(scores, torch.from_numpy(gold), torch.from_numpy(free), unmarked_weight=weight)
            assert float(found) == pytest.approx(slow_loss(scores, gold.tolist(), free.tolist(), weight))
        told = np.argsort(rng.random(scores.shape))[:, :3]
        shares = rng.dirichlet([1, 1, 1], units) * (rng.random((units, 1)) < 0.7)
        taught = [dict(zip(tags, row, strict=True)) if any(row) else {} for tags, row in zip(told, shares, strict=True)]
        for gold_weight in (0.0, 0.3, 1.0):
            tensors = [torch.from_numpy(array) for array in (gold, free, told, shares)]
            found = summed_loss(
                scores, *tensors[:2], (tensors[2], tensors[3]), unmarked_weight=0.1, gold_weight=gold_weight
            )
            expected = slow_loss(scores, gold.tolist(), free.tolist(), 0.1, taught, gold_weight)
            assert float(found) == pytest.approx(expected)
        plain = summed_loss(scores, torch.from_numpy(gold), None)
        assert float(plain) == pytest.approx(slow_loss(scores, gold.tolist(), [[False] * scores.shape[1]] * units))


def test_nothing_free_is_plain_cross_entropy() -> None:
    scores, gold = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, IGNORED, 6, 0])
    none = torch.zeros(5, 7, dtype=torch.bool)
    assert float(summed_loss(scores, gold, none)) == pytest.approx(float(summed_loss(scores, gold, None)), rel=1e-5)


def test_no_gradient_pushes_an_unannotated_label_down_at_a_unit_outside() -> None:
    """At units inside a span of another label it may: there the corpus does say what they are."""
    scores = torch.randn(40, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    gold = torch.tensor([0, 1, 2, IGNORED] * 10)
    free = torch.tensor([False, False, False, True, True]).expand(40, -1)
    summed_loss(scores, gold, free).backward()
    assert scores.grad is not None
    assert (scores.grad[gold == 0][:, 3:] <= 1e-7).all()
    assert (scores.grad[gold == 0][:, 1:3] > 0).all()
    assert (scores.grad[gold > 0][:, 3:] > 0).all()
    assert (scores.grad[gold == IGNORED] == 0).all()
    assert torch.isfinite(scores.grad).all()


def test_model_learns_nothing_of_a_task_that_a_batch_does_not_annotate() -> None:
    document = Document(b"Ana saw Rom", {"entities": [Span(0, 3, "PER"), Span(8, 11, "LOC")]})
    batch = UnitSampler(annotate([document]), Vocabulary(20, corpus.LABELS), MODEL, TRAIN).batch(0)
    model = random_parallel(MODEL, corpus.LABELS, seed=0)
    loss, _ = parallel_losses(model, batch, DropoutPlan(0.0, torch.Generator()), TRAIN)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = model.output.weight.grad
    assert gradient is not None
    assert not gradient[model.tags.columns["tokens"]].any()
    assert gradient[model.tags.columns["entities"]].any()


def test_loss_of_a_batch_is_the_mean_over_its_units(mixed_batch: TaggedBatch) -> None:
    model = random_parallel(MODEL, corpus.LABELS, seed=0)
    batch = mixed_batch
    units = batch.units
    arrays = (units.rows, units.symbols, units.gaps, units.words, units.lengths, batch.shown)
    with torch.no_grad():
        found, auxiliary = parallel_losses(model, batch, DropoutPlan(0.0, torch.Generator()), TRAIN)
        scores = model(*map(torch.from_numpy, arrays))
    assert batch.free is not None
    total = 0.0
    for task, gold in batch.gold.items():
        columns = model.tags.columns[task]
        for column in range(gold.shape[1]):
            free = [batch.free[column, columns].tolist()] * len(gold)
            taught = [{}] * len(gold)
            if task == "entities":
                is_taught = batch.taught[task].shares[:, column, 0] > 0
                taught = [{1: 0.7, 0: 0.2, 4: 0.1} if one else {} for one in is_taught]
            total += slow_loss(
                scores[:, column, columns], gold[:, column].tolist(), free, taught=taught, gold_weight=TRAIN.gold_weight
            )
    assert float(found) == pytest.approx(total / batch.lengths.sum(), rel=1e-5)
    assert float(auxiliary) == 0


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_rows_split_over_two_processes_sum_to_the_whole_loss_and_gradient(cut: int, mixed_batch: TaggedBatch) -> None:
    """Dropout included: its masks are drawn for all rows."""
    total = len(mixed_batch.lengths)

    def take(rows: slice | None) -> tuple[float, torch.Tensor]:
        model = random_parallel(MODEL, corpus.LABELS, seed=0)
        plan = DropoutPlan(0.3, torch.Generator().manual_seed(5), rows=rows, total=total)
        loss, _ = parallel_losses(model, mixed_batch, plan, TRAIN)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    whole, gradient = take(None)
    parts = [take(slice(0, cut)), take(slice(cut, total))]
    assert sum(loss for loss, _ in parts) == pytest.approx(whole, rel=1e-5)
    assert torch.allclose(parts[0][1] + parts[1][1], gradient, atol=1e-5)


def test_readings_of_a_segment_differ_by_the_divergence_of_their_tags_each_way() -> None:
    """A unit of the batch, where the task is annotated, times the corpus's weight; half of a batch gives half of it."""
    agreeing = annotate(
        [Document(b"Ana saw Rom. Bo too.", {"entities": [Span(0, 3, "PER")]})], CorpusConfig(agreement=0.5)
    )
    members = agreeing + annotate([Document(b"Ulm is far", {"tokens": [Span(0, 3, "PROPN")]})])
    sampler = UnitSampler(members, Vocabulary(20, corpus.LABELS), MODEL, replace(TRAIN, byte_dropout=0.4))
    batch = next(one for one in map(sampler.batch, range(99)) if np.count_nonzero(one.agreement) == 2)
    model = random_parallel(MODEL, corpus.LABELS, seed=0)
    units = batch.units
    arrays = (units.rows, units.symbols, units.gaps, units.words, units.lengths, batch.shown)
    columns = model.tags.columns["entities"]
    with torch.no_grad():
        logs = model(*map(torch.from_numpy, arrays))[..., columns].log_softmax(2).double().numpy()
    total = 0.0
    for row in np.flatnonzero(batch.agreement):
        for unit in range(batch.lengths[row]):
            one, other = logs[unit, row - 1], logs[unit, row]
            total += 0.5 * sum(np.exp(a) * (a - b) + np.exp(b) * (b - a) for a, b in zip(one, other, strict=True))

    def divergence(rows: slice | None) -> float:
        plan = DropoutPlan(0.0, torch.Generator(), rows=rows, total=len(batch.lengths))
        return float(parallel_losses(model, batch, plan, TRAIN)[1].detach())

    assert divergence(None) == pytest.approx(total / batch.lengths.sum(), rel=1e-4)
    assert divergence(None) > 1e-4
    assert divergence(slice(0, 4)) + divergence(slice(4, 6)) == pytest.approx(divergence(None), rel=1e-4)

"""The training loop: one generator that yields facts; the caller prints, saves and stops.

Everything random at a step is drawn from (seed, step), so a run that is resumed at any step takes the same steps as one
that was never stopped. With several processes (torchrun) each takes its rows of the same global batch and gradients are
summed, so the result is that of one process.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.distributed as distributed
from torch import Tensor

from bytespan.config import TrainConfig
from bytespan.evaluation import Scores
from bytespan.neural.batches import Batch, growth_at
from bytespan.neural.checkpoint import TrainingState
from bytespan.neural.decoders import Sampler, draw_ahead
from bytespan.neural.dropout import DropoutPlan
from bytespan.neural.losses import generator_losses, parallel_losses
from bytespan.neural.parallel import Parallel
from bytespan.neural.rehearsal import EVERY, Rehearsal
from bytespan.neural.scoring import DevCorpus, mean_score, score_corpora
from bytespan.neural.unit_batches import TaggedBatch


@dataclass(frozen=True, slots=True)
class DevRecord:
    """Scores on the development corpora after a step."""

    scores: dict[tuple[str, str], Scores]
    """(corpus, task) -> scores."""
    mean: float
    """Mean of the rows' main figures, in percent."""
    is_best: bool
    """Whether no earlier mean was as high."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What happened in one optimizer step."""

    step: int
    """Steps done, this one included."""
    loss: float
    """Mean cross-entropy an output symbol (generator) or a unit (parallel), in nats."""
    auxiliary_loss: float
    """In nats: mean cross-entropy of the auxiliary head a span, or divergence a unit, of a rehearsal and of readings of
    the same segment; else 0."""
    learning_rate: float
    segment_length: int
    """Bytes (generator) or units (parallel) in the longest segment of the batch."""
    bytes_read: int
    """Segment bytes of this step's batch."""
    step_s: float
    """Seconds that this step took, without scoring."""
    dev: DevRecord | None = None


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """The rate of 0-based step `step`: linear warm-up, constant, then halved again and again or falling to 0."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(config.warmup_steps, 1))
    if config.halve_every is not None:
        rate *= 0.5 ** (max(step - config.steps // 2, 0) // config.halve_every)
    decay_steps = config.steps if config.decay_steps is None else config.decay_steps
    if decay_steps:
        rate *= min(1.0, (config.steps - step) / decay_steps)
    return rate


def should_stop(misses: int, config: TrainConfig) -> bool:
    """Whether patience is at its end after `misses` development scores in a row without a better one."""
    return config.patience is not None and misses >= config.patience


def train(
    state: TrainingState,
    sampler: Sampler,
    dev: Sequence[DevCorpus],
    config: TrainConfig,
    rehearsal: Rehearsal | None = None,
    *,
    drawers: int = 0,
) -> Iterator[StepRecord]:
    """Take steps from where `state` is to the end, changing it in place; yield a record after each.

    A parallel decoder may be held to a rehearsal every `rehearsal.EVERY` steps, with weight `auxiliary_weight`.

    drawers: processes that draw batches ahead, for a device that is faster than one; 0 draws each in its turn.

    Only rank 0 of several processes scores; the others wait for its verdict.
    """
    steps = range(state.progress.step, config.steps)
    batches: Iterator[Batch | TaggedBatch] = map(sampler.batch, steps)
    if drawers:
        batches = draw_ahead(sampler, steps, workers=drawers)
    while state.progress.step < config.steps and not should_stop(state.progress.misses, config):
        step = state.progress.step
        began = time.perf_counter()
        batch = next(batches)
        loss, auxiliary_loss = _take_step(state, batch, step, config, rehearsal)
        elapsed_s = time.perf_counter() - began
        state.progress = replace(
            state.progress,
            step=step + 1,
            elapsed_s=state.progress.elapsed_s + elapsed_s,
            bytes_seen=state.progress.bytes_seen + batch.bytes_read,
        )
        is_scored = dev and ((step + 1) % config.dev_every == 0 or step + 1 == config.steps)
        record = _score(state, dev) if is_scored else None
        rate = learning_rate_at(step, config)
        yield StepRecord(step + 1, loss, auxiliary_loss, rate, batch.longest, batch.bytes_read, elapsed_s, record)


def _take_step(
    state: TrainingState, batch: Batch | TaggedBatch, step: int, config: TrainConfig, rehearsal: Rehearsal | None
) -> tuple[float, float]:
    """One optimizer step on this process's rows; returns the global batch's mean losses."""
    device = next(state.model.parameters()).device
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    total = len(batch.lengths)
    rows = slice(total * rank // world, total * (rank + 1) // world)
    rng = torch.Generator(device).manual_seed(int(np.random.SeedSequence([config.seed, step]).generate_state(1)[0]))
    dropout = DropoutPlan(config.dropout * growth_at(step, config), rng, rows=rows, total=total)
    if isinstance(state.model, Parallel):
        assert isinstance(batch, TaggedBatch)
        loss, auxiliary = parallel_losses(state.model, batch, dropout, config)
        if rehearsal is not None and step % EVERY == 0:
            auxiliary = auxiliary + rehearsal.loss(state.model, step // EVERY) / world
    else:
        assert isinstance(batch, Batch)
        assert state.auxiliary is not None
        loss, auxiliary = generator_losses(state.model, state.auxiliary, batch, dropout, config)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate_at(step, config) * group["factor"]
    state.optimizer.zero_grad(set_to_none=True)
    (loss + config.auxiliary_weight * auxiliary).backward()  # type: ignore[no-untyped-call]
    parameters = [parameter for _, parameter in state.named_parameters() if parameter.grad is not None]
    losses = torch.stack([loss.detach(), auxiliary.detach()])
    if world > 1:
        _sum_over_processes([*(p.grad for p in parameters if p.grad is not None), losses])
    torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
    state.optimizer.step()
    return float(losses[0]), float(losses[1])


def _sum_over_processes(tensors: list[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in one exchange."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def _score(state: TrainingState, dev: Sequence[DevCorpus]) -> DevRecord:
    is_first = not distributed.is_initialized() or distributed.get_rank() == 0
    scores = score_corpora(state.model, dev) if is_first else {}
    mean = mean_score(scores)
    if distributed.is_initialized():
        shared = torch.tensor([mean], dtype=torch.float64, device=next(state.model.parameters()).device)
        distributed.broadcast(shared, src=0)
        mean = float(shared)
    state.progress = state.progress.after(score=mean)
    return DevRecord(scores, mean, is_best=state.progress.best_step == state.progress.step)

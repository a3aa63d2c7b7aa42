"""The losses of one optimizer step, for either decoder.

Each process computes them on its rows of the batch and divides by what the whole batch holds, so that the processes'
losses, and gradients, add up to those of a single one.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bytespan.config import TrainConfig
from bytespan.neural.batches import IGNORED, Batch
from bytespan.neural.dropout import DropoutPlan
from bytespan.neural.generate import AuxiliaryHead, Generator
from bytespan.neural.parallel import Parallel, summed_divergence, summed_loss
from bytespan.neural.unit_batches import TaggedBatch


def multiplies_in_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether matrix products are in bfloat16: as configured, but never on processors that only imitate it.

    Those are all that lack x86's instructions for it; there a step of the parallel decoder takes three to ten times as
    long as in fp32. A torch that does not know of these instructions takes AVX-512 for a sign of them.
    """
    if config.precision == "fp32" or device.type != "cpu":
        return config.precision == "bf16"
    if not hasattr(torch.cpu, "get_capabilities"):
        return torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2")
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def generator_losses(
    model: Generator, auxiliary: AuxiliaryHead, batch: Batch, dropout: DropoutPlan, config: TrainConfig
) -> tuple[Tensor, Tensor]:
    """The mean losses a symbol and a span of the batch, as far as this process's rows make them up."""
    device = next(model.parameters()).device
    part = batch.rows(dropout.rows or slice(None))
    symbols, ended = (int((array != IGNORED).sum()) for array in (batch.targets, batch.ended))
    with torch.autocast(device.type, torch.bfloat16, enabled=multiplies_in_bf16(config, device)):
        inputs, lengths, fed = (_tensor(array, device) for array in (part.inputs, part.lengths, part.fed))
        logits, encoded = model(inputs, lengths, fed, dropout)
    targets = _tensor(part.targets, device).t().flatten()
    loss = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets, ignore_index=IGNORED, reduction="sum"
    ) / symbols  # fmt: skip
    if not (config.auxiliary_weight and ended):
        return loss, torch.zeros((), device=device)
    return loss, auxiliary.loss(encoded.float(), _tensor(part.ended, device)) / max(ended, 1)


def parallel_losses(
    model: Parallel, batch: TaggedBatch, dropout: DropoutPlan, config: TrainConfig
) -> tuple[Tensor, Tensor]:
    """The mean loss a unit of the batch, summed over tasks, as far as this process's rows make it up, and what readings
    of the same segment differ by, a unit of the batch."""
    device = next(model.parameters()).device
    total = max(int(batch.lengths.sum()), 1)
    part = batch.rows(dropout.rows or slice(None))
    units = part.units
    arrays = (units.rows, units.symbols, units.gaps, units.words, units.lengths, part.shown)
    with torch.autocast(device.type, torch.bfloat16, enabled=multiplies_in_bf16(config, device)):
        scores = model(*(_tensor(array, device) for array in arrays), dropout).float()
    loss, divergence = torch.zeros((), device=device), torch.zeros((), device=device)
    again = np.flatnonzero(part.agreement[1:]) + 1  # the second readings; the first stand before them
    weight = _tensor(part.agreement[again], device)
    for task, gold in part.gold.items():
        columns = model.tags.columns[task]
        counted = gold != IGNORED
        if len(again):
            one, other = (scores[:, rows][..., columns] for rows in (again - 1, again))
            shares = _tensor(counted[:, again], device) * weight
            divergence = divergence + summed_divergence(one, other, shares) / total
        free = None
        if part.free is not None:
            free = _tensor(part.free[:, columns], device).expand(*gold.shape, -1)[_tensor(counted, device)]
        chosen = scores[..., columns][_tensor(counted, device)]
        truth = _tensor(gold[counted], device)
        taught = None
        if task in part.taught:
            found = part.taught[task]
            taught = _tensor(found.tags[counted], device), _tensor(found.shares[counted], device)
        weights = {"unmarked_weight": config.unmarked_weight, "gold_weight": config.gold_weight}
        loss = loss + summed_loss(chosen, truth, free, taught, **weights) / total
    return loss, divergence


def _tensor(array: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)

"""Dropout that one seed decides, whichever process holds which rows."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class DropoutPlan:
    """Dropout for one training step: its rate, and the generator that draws the masks."""

    rate: float
    rng: torch.Generator
    rows: slice | None = None
    """Which rows of the global batch this process holds: masks are drawn for all rows, so that a run with several
    processes is the run with one."""
    total: int = 0
    """Rows of the global batch."""

    def __call__(self, states: Tensor) -> Tensor:
        """`states` (steps, B, width) with entries zeroed at the rate and the rest scaled up."""
        return self._masked(states, steps=states.shape[0])

    def locked(self, states: Tensor) -> Tensor:
        """The same with one mask for all steps of a segment (Gal and Ghahramani 2016)."""
        return self._masked(states, steps=1)

    def _masked(self, states: Tensor, *, steps: int) -> Tensor:
        if self.rate == 0:
            return states
        shape = (steps, self.total or states.shape[1], states.shape[2])
        keep = torch.empty(shape, device=self.rng.device).bernoulli_(1 - self.rate, generator=self.rng)
        keep = (keep if self.rows is None else keep[:, self.rows]).to(device=states.device, dtype=states.dtype)
        return states * keep.div_(1 - self.rate)

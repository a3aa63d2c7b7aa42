"""How fast each preset trains here, and how much of the machine's matrix-product rate its steps reach.

    python bench/training_speed.py [--threads 2] [--rounds 2] [--steps 4]

In turn, round by round, the best of each is kept: square matrix products, and whole optimizer steps of each preset on
made-up words, one in ten of them a span, with the batch that suits its decoder. The arithmetic of a step is six times
its multiplications by weights (forward, and twice that backward); attention to equal words, losses and the optimizer
count as time alone. Writes bench/results/training.json, docs/performance.md and its pictures.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch

from bytespan.config import PRESETS, TrainConfig
from bytespan.corpora.annotated import annotate
from bytespan.neural.batches import Batch
from bytespan.neural.checkpoint import new_state
from bytespan.neural.decoders import Model, new_sampler
from bytespan.neural.parallel import Parallel
from bytespan.neural.training import train
from bytespan.neural.unit_batches import TaggedBatch
from bytespan.spans import Document, Span
from bytespan.units import WIDTH
from bytespan.vocabulary import Vocabulary

LABELS = {"entities": ("LOC", "MISC", "ORG", "PER")}
WANTED = ("paper", "paper-1m", "parallel")
BATCH = {"generator": 128, "parallel": TrainConfig().batch_size}
"""Segments a step."""
NUMBERS = {"fp32": torch.float32, "bf16": torch.bfloat16}
PRODUCT = 2048
WORDS = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """The fastest step."""

    bytes_per_s: float
    flops: float
    """A second."""


def product_flops(dtype: torch.dtype) -> float:
    """FLOP/s of a square matrix product, the best of five."""
    left, right = torch.randn(2, PRODUCT, PRODUCT, dtype=dtype)
    seconds = []
    for _ in range(5):
        began_at = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - began_at)
    return 2 * PRODUCT**3 / min(seconds)


def made_up() -> Document:
    """Words of random letters, every tenth a span."""
    rng = np.random.default_rng(1)
    words = [rng.integers(97, 123, size=size, dtype=np.uint8).tobytes() for size in rng.integers(1, 10, WORDS)]
    starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])]).tolist()
    spans = [Span(start, start + len(word), "PER") for start, word in zip(starts[::10], words[::10], strict=True)]
    return Document(b" ".join(words), {"entities": spans})


def multiplications(model: Model, batch: Batch | TaggedBatch) -> int:
    """By weights, in reading a batch once, padding included."""
    sizes = {name: value.numel() for name, value in model.named_parameters() if value.dim() == 2}
    lstm = sum(size for name, size in sizes.items() if "weight_ih" in name or "weight_hh" in name)
    if isinstance(model, Parallel):
        assert isinstance(batch, TaggedBatch)
        units = batch.units.gaps.size
        return int(
            units * (WIDTH * sizes["convolution.weight"] + sizes["input.weight"] + lstm + sizes["output.weight"])
        )
    assert isinstance(batch, Batch)
    return int(batch.inputs.size * lstm + batch.fed.size * (lstm + sizes["output.weight"]))


def step_rate(preset: str, precision: str, *, steps: int) -> Rate:
    """Of whole optimizer steps, the fastest one."""
    model, document = PRESETS[preset], made_up()
    config = TrainConfig(steps=steps, batch_size=BATCH[model.decoder], precision=precision, short_fraction=0)
    state = new_state(model, Vocabulary(model.segment_length, LABELS), config)
    sampler = new_sampler(annotate([document]), state.model.vocabulary, model, config)
    rates = []
    for record in train(state, sampler, [], config):
        count = multiplications(state.model, sampler.batch(record.step - 1))
        rates.append(Rate(record.bytes_read / record.step_s, 6 * count / record.step_s))
    return max(rates, key=lambda rate: rate.bytes_per_s)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The whole result file."""
    rows = [(preset, precision) for preset in options.presets for precision in NUMBERS]
    began = machine.describe() | {"torch": torch.__version__, "threads": options.threads}
    products: dict[str, list[float]] = {precision: [] for precision in NUMBERS}
    steps: dict[tuple[str, str], list[Rate]] = {row: [] for row in rows}
    for _ in range(options.rounds):
        for preset, precision in rows:
            products[precision].append(product_flops(NUMBERS[precision]))
            steps[preset, precision].append(step_rate(preset, precision, steps=options.steps))
    return {
        "machine": began,
        "products": {precision: round(max(found) / 1e9, 1) for precision, found in products.items()},
        "presets": [
            {
                "preset": preset,
                "precision": precision,
                "bytes_per_s": round(max(rate.bytes_per_s for rate in found)),
                "gflops": round(max(rate.flops for rate in found) / 1e9, 1),
            }
            for (preset, precision), found in steps.items()
        ],
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=WANTED, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=4, help="of each training; default: %(default)s")
    parser.add_argument("--results", type=Path, default=machine.RESULTS, help="folder; default: %(default)s")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result = measure(options)
    machine.write("training", result, options.results)
    import page

    print("\n".join(page.training_table(result)))
    if options.results == machine.RESULTS:
        page.publish()


if __name__ == "__main__":
    main()

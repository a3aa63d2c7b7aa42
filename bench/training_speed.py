"""How fast a generator trains here, and how much of the machine's matrix-product rate its LSTM reaches.

    python bench/training_speed.py [--threads 2] [--batch 128]

Three rates are taken in turn, round by round, and the best of each is printed: square matrix products; the LSTM alone,
forward and backward over (60, batch, 320); and whole optimizer steps on segments of random bytes with one span in six.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from bytespan.config import PRESETS, TrainConfig
from bytespan.neural.batches import SegmentSampler
from bytespan.neural.checkpoint import new_state
from bytespan.neural.training import train
from bytespan.spans import Document, Span
from bytespan.vocabulary import Vocabulary

LABELS = {"entities": ("LOC", "MISC", "ORG", "PER")}
PRODUCT = 2048


def seconds(action: Callable[[], object], *, repeats: int) -> float:
    """Seconds of one call, the best of `repeats`."""
    times = []
    for _ in range(repeats):
        started_at = time.perf_counter()
        action()
        times.append(time.perf_counter() - started_at)
    return min(times)


def product_rate(dtype: torch.dtype) -> float:
    """GFLOP/s of a square matrix product."""
    left, right = torch.randn(2, PRODUCT, PRODUCT, dtype=dtype)
    return 2 * PRODUCT**3 / seconds(lambda: left @ right, repeats=5) / 1e9


def lstm_rate(preset: str, batch: int, dtype: torch.dtype) -> float:
    """GFLOP/s of the preset's LSTM, forward and backward, over segments of full length; a product counts thrice."""
    config = PRESETS[preset]
    lstm = torch.nn.LSTM(config.embedding, config.units, config.layers).to(dtype)
    inputs = torch.randn(config.segment_length, batch, config.embedding, dtype=dtype, requires_grad=True)
    weights = sum(parameter.numel() for name, parameter in lstm.named_parameters() if "weight" in name)
    elapsed_s = seconds(lambda: lstm(inputs)[0].sum().backward(), repeats=3)
    return 6 * weights * config.segment_length * batch / elapsed_s / 1e9


def step_rate(preset: str, batch: int, precision: str) -> float:
    """Segment bytes a second of whole optimizer steps."""
    rng = np.random.default_rng(1)
    data = rng.integers(97, 123, size=100_000, dtype=np.uint8).tobytes()
    document = Document(data, {"entities": [Span(at, at + 6, "PER") for at in range(0, len(data) - 6, 60)]})
    config = TrainConfig(steps=4, batch_size=batch, precision=precision)
    vocabulary = Vocabulary(PRESETS[preset].segment_length, LABELS)
    state = new_state(PRESETS[preset], vocabulary, config)
    sampler = SegmentSampler([document], vocabulary, PRESETS[preset], config)
    return max(record.bytes_read / record.step_s for record in train(state, sampler, [], config))


def main() -> None:
    """Print the rates as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=128, help="segments a step")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads, batch {options.batch}")
    print(f"{'preset':10} {'numbers':8} {'product':>14} {'LSTM':>14} {'LSTM/product':>13} {'training':>12}")
    for preset in ("paper", "paper-1m"):
        for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            batch = options.batch
            rounds = [
                (product_rate(dtype), lstm_rate(preset, batch, dtype), step_rate(preset, batch, precision))
                for _ in range(options.rounds)
            ]
            product, lstm, step = (max(column) for column in zip(*rounds, strict=True))
            print(
                f"{preset:10} {precision:8} {product:7.0f} GFLOP/s {lstm:7.0f} GFLOP/s {lstm / product:12.0%} "
                f"{step / 1000:7.1f} kB/s"
            )


if __name__ == "__main__":
    main()

"""How far a command is, on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from bytespan.neural.training import StepRecord

Item = TypeVar("Item")


def with_progress(items: Iterable[Item], description: str = "tagging", *, total: int | None = None) -> Iterator[Item]:
    """The items as they come, with a bar on standard error if that is a terminal; `total` if they have no length."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, total=total, description=description, console=Console(stderr=True), transient=True)


class StepProgress:
    """A progress bar on standard error if that is a terminal; a line a development score in any case."""

    def __init__(self, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True, width=None if sys.stderr.isatty() else 200, highlight=False)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.row = self.bar.add_task("starting", total=steps)
        self.loss: float | None = None
        self.dev = ""

    def __enter__(self) -> StepProgress:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def track(self, what: str, items: Iterable[Item], sizes: Sequence[int]) -> Iterator[Item]:
        """The items, of so many bytes each, with a bar of their own meanwhile that counts kilobytes."""
        row = self.bar.add_task(what, total=sum(sizes) // 1000)
        done = 0
        for item, size in zip(items, sizes, strict=True):
            done += size
            self.bar.update(row, completed=done // 1000)
            yield item
        self.bar.remove_task(row)

    def show(self, record: StepRecord) -> None:
        """Move the bar to a step; its loss is averaged over about the last 50 steps."""
        self.loss = record.loss if self.loss is None else 0.98 * self.loss + 0.02 * record.loss
        if record.dev is not None:
            self.dev = f"  dev {record.dev.mean:.2f}"
            rows = ", ".join(f"{name} {task} {score.main:.2f}" for (name, task), score in record.dev.scores.items())
            best = " (best)" if record.dev.is_best else ""
            self.console.print(f"step {record.step}  loss {self.loss:.3f}  dev {record.dev.mean:.2f}{best}: {rows}")
        rate = record.bytes_read / record.step_s / 1000
        self.bar.update(self.row, completed=record.step, description=f"loss {self.loss:.3f}  {rate:.1f} kB/s{self.dev}")

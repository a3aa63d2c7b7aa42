"""`bytespan train`: annotated files in, a run directory and a model package out."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bytespan.config import CorpusConfig, Recipe, model_from_table, override, read_recipe
from bytespan.errors import import_extra

logger = logging.getLogger(__name__)

EXAMPLE = """Example:

bytespan train --train train.conll --dev dev.conll --output runs/mine

bytespan tag --model runs/mine/model text.txt
"""


def train(
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory; a run that stands there is resumed.")],
    train_files: Annotated[
        list[str] | None, typer.Option("--train", help="Annotated file to train on; may be given many times.")
    ] = None,
    dev_files: Annotated[
        list[str] | None, typer.Option("--dev", help="Annotated file that chooses the best checkpoint.")
    ] = None,
    recipe_path: Annotated[
        Path | None, typer.Option("--recipe", help="TOML file with [model], [train] and [[corpus]].")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder that the recipe's file names count from.")] = Path(),
    preset: Annotated[
        str | None, typer.Option(help="Shape of the model where no recipe says it: paper, paper-1m, tiny. [paper-1m]")
    ] = None,
    initial: Annotated[
        Path | None, typer.Option("--init", help="Checkpoint or model package of the same shape to start from.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One setting of the recipe, e.g. train.steps=20000.")
    ] = None,
    device: Annotated[str, typer.Option(help="torch device: cpu or cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores if not given.")] = None,
) -> None:
    """Train a model from annotated files, or go on with a run that was stopped."""
    import_extra("torch", extra="train", purpose="bytespan train")
    recipe = _recipe(recipe_path, train_files or [], dev_files or [], preset, settings or [])
    from bytespan.neural import runs

    runs.prepare(device=device, threads=threads)
    records = runs.run_training(recipe, output, data=data, initial=initial, device=device)
    with _progress(recipe.train.steps) if runs.is_first_process() else nullcontext(_Silent()) as progress:
        for record in records:
            progress.show(record)
    if runs.is_first_process():
        package = runs.export_run(output, recipe)
        logger.info("model package: %s", package)


def _recipe(
    path: Path | None, train_files: list[str], dev_files: list[str], preset: str | None, settings: list[str]
) -> Recipe:
    if path is None:
        recipe = Recipe(model=model_from_table({"preset": preset or "paper-1m"}, source="--preset"))
    else:
        recipe = read_recipe(path)
        if preset:
            recipe = replace(recipe, model=model_from_table({"preset": preset}, source="--preset"))
    if train_files or dev_files:
        corpus = CorpusConfig(train=tuple(train_files), dev=tuple(dev_files))
        recipe = replace(recipe, corpora=(*recipe.corpora, corpus))
    return override(recipe, settings)


class _Silent:
    """Shows nothing: for all processes but the first."""

    def show(self, record: Any) -> None:
        """Nothing."""


class _Progress:
    """A progress bar on standard error, and a line a development score."""

    def __init__(self, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True)
        self.steps = steps
        self.bar = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn(),
            console=self.console, disable=not self.console.is_terminal,
        )  # fmt: skip
        self.row = self.bar.add_task("starting", total=steps)
        self.loss: float | None = None
        self.dev = ""

    def __enter__(self) -> "_Progress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, record: Any) -> None:
        """Move the bar to a `StepRecord`."""
        self.loss = record.loss if self.loss is None else 0.98 * self.loss + 0.02 * record.loss
        rate = record.bytes_read / record.step_s / 1000
        if record.dev is not None:
            self.dev = f"  dev {record.dev.mean:.2f}"
            rows = ", ".join(f"{name} {task} {score.main:.2f}" for (name, task), score in record.dev.scores.items())
            best = "  (best)" if record.dev.is_best else ""
            self.console.print(f"step {record.step}  loss {self.loss:.3f}  dev {record.dev.mean:.2f}: {rows}{best}")
        self.bar.update(self.row, completed=record.step, description=f"loss {self.loss:.3f}  {rate:.1f} kB/s{self.dev}")


def _progress(steps: int) -> _Progress:
    return _Progress(steps)

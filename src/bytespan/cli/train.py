"""`bytespan train`: annotated files in, a run directory and a model package out."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytespan.cli.options import Debug, Threads, model_path
from bytespan.cli.progress import StepProgress
from bytespan.errors import import_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bytespan.config import CorpusConfig, Recipe
    from bytespan.corpora.annotated import Annotated as AnnotatedDocument
    from bytespan.teaching import Lessons

logger = logging.getLogger(__name__)

DEFAULT_PRESET = "parallel"


def train(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Run directory; a run that was stopped there goes on.",
            show_default=False,
        ),
    ],
    train_files: Annotated[
        list[str] | None, typer.Option("--train", metavar="FILE", help="Annotated file to train on; repeat for more.")
    ] = None,
    dev_files: Annotated[
        list[str] | None,
        typer.Option("--dev", metavar="FILE", help="Annotated file that chooses the best checkpoint; repeat for more."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", metavar="TOML", help="File with [model], [train] and [[corpus]] tables.")
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Folder that file names in the recipe count from.")
    ] = Path(),
    corpora: Annotated[
        list[str] | None,
        typer.Option(
            "--corpus",
            metavar="NAME",
            help="Train on the recipe's corpora of this name or folder only, e.g. en or pos/en; repeat for more.",
            show_default="all",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="Shape of the model: parallel, or the paper's generator as paper, paper-1m or tiny.",
            show_default=f"the recipe's, else {DEFAULT_PRESET}",
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            "--init",
            metavar="MODEL",
            parser=model_path,
            help="Start from the weights of a checkpoint or package of that shape; base is the packaged model.",
        ),
    ] = None,
    teachers: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher",
            metavar="MODEL",
            help="Model whose probabilities to learn along with the tags of every corpus; repeat for their mean.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, e.g. train.steps=5000; repeat for more."),
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="torch device: cpu or cuda.")] = "cpu",
    threads: Threads = None,
    debug: Debug = False,
) -> None:
    """Train a model from annotated files, or go on with a run that was stopped.

    The run directory gets checkpoints (last, best), losses (log.csv), development scores (dev.csv), TensorBoard events
    and, at the end, curves.png and the package to tag with (model), whose weights are rounded to 16 bits; what that
    costs on the development files is shown. Killed at any moment, the same command goes on with
    the same losses. For several processes start it with torchrun.

    With teachers, models that tag the same tasks, a parallel decoder learns what they hold probable on the mean, and a
    tenth of the file's own tags (train.gold_weight): one model learns what several know.

    Example: bytespan train --train train.conll --dev dev.conll --output runs/mine
    """
    import_extra("torch", extra="train", purpose="bytespan train")
    wanted = _recipe(recipe, corpora or [], train_files or [], dev_files or [], preset, settings or [])
    wanted = replace(wanted, corpora=tuple(_with_teachers(corpus, teachers or []) for corpus in wanted.corpora))
    from bytespan.neural import runs

    runs.prepare(device=device, threads=threads)
    run = partial(runs.run_training, wanted, output, data=data, initial=initial, device=device)
    if not runs.is_first_process():
        for _ in run(teach=partial(_teach, threads=threads, progress=None)):
            pass
        return
    with StepProgress(wanted.train.steps) as progress:
        for record in run(teach=partial(_teach, threads=threads, progress=progress)):
            progress.show(record)
    package = runs.export_run(output, wanted)
    if runs.development_files(output):
        _show_price(output, threads)
    logger.info("tag with: bytespan tag --model %s", package)


def _show_price(output: Path, threads: int | None) -> None:
    """What the rounded weights of the run's package cost on its development files."""
    from bytespan.cli.prices import measure_on_development, show_prices
    from bytespan.neural.checkpoint import load_best
    from bytespan.neural.runs import PRECISION

    prices = measure_on_development(load_best(output), output, None, precision=PRECISION, threads=threads)
    show_prices(prices, precision=PRECISION)


def _with_teachers(corpus: CorpusConfig, teachers: list[str]) -> CorpusConfig:
    return replace(corpus, teachers=tuple(dict.fromkeys([*corpus.teachers, *teachers])))


def _teach(
    members: Sequence[AnnotatedDocument],
    labels: Mapping[str, tuple[str, ...]],
    *,
    threads: int | None,
    progress: StepProgress | None,
) -> Iterator[Lessons]:
    """What the teachers say of each document."""
    from bytespan.runtime.parallel import open_parallel
    from bytespan.teaching import ask_teachers

    lessons = ask_teachers(members, labels, partial(open_parallel, threads=threads))
    if progress is None:
        return lessons
    sizes = [len(member.document.data) * len(member.corpus.teachers) for member in members]
    logger.info("the teachers read %.1f MB of training text first", sum(sizes) / 1e6)
    return progress.track("kB read by the teachers", lessons, sizes)


def _recipe(
    path: Path | None,
    corpora: list[str],
    train_files: list[str],
    dev_files: list[str],
    preset: str | None,
    settings: list[str],
) -> Recipe:
    """The recipe file's settings with those of the command line, all checked before any data is read."""
    from bytespan.config import CorpusConfig, Recipe, choose_corpora, model_from_table, override, read_recipe

    recipe = Recipe(model=model_from_table({"preset": DEFAULT_PRESET}, source="--preset"))
    if path is not None:
        recipe = read_recipe(path)
    if corpora:
        recipe = choose_corpora(recipe, corpora)
    if preset is not None:
        recipe = replace(recipe, model=model_from_table({"preset": preset}, source="--preset"))
    if train_files or dev_files:
        # Files of the command line count from the working directory, whatever --data says.
        files = [tuple(str(Path(name).absolute()) for name in names) for names in (train_files, dev_files)]
        recipe = replace(recipe, corpora=(*recipe.corpora, CorpusConfig(train=files[0], dev=files[1])))
    return override(recipe, settings)

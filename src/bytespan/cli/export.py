"""`bytespan export`: a checkpoint of a training -> a model package to tag with, and what rounding its weights costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bytespan.cli.options import Debug, Threads
from bytespan.errors import ConfigError, import_extra


def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="Checkpoint, or a run directory: its best checkpoint.")
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="Model directory to write, or zip file if the name ends in .zip.")
    ],
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            metavar="CHECKPOINT",
            help="Another one of the same shape and labels, such as one of another seed, that tags together with the "
            "first; may be given several times. Better, but as many times as large and slow.",
        ),
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(
            "--precision",
            help="Of the weights: fp32 as trained; fp16 half the size; int8 a quarter, faster and a little less exact.",
        ),
    ] = "fp16",
    dev_files: Annotated[
        list[str] | None,
        typer.Option(
            "--dev",
            metavar="FILE",
            help="Annotated file on which to measure what fp16 or int8 cost; may be given several times.",
            show_default="the development files of the run",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Export even where more than 0.3 points are lost."),
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the model.", show_default="that of OUT")
    ] = None,
    version: Annotated[str, typer.Option("--version", metavar="VERSION", help="Of the model.")] = "1",
    languages: Annotated[
        list[str] | None,
        typer.Option("--language", metavar="CODE", help="ISO 639 code of a language; may be given several times."),
    ] = None,
    licence: Annotated[str, typer.Option("--licence", metavar="NAME", help="Licence of the model.")] = "unknown",
    training_data: Annotated[
        list[str] | None,
        typer.Option("--training-data", metavar="NAME", help="A corpus and its licence; may be given several times."),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option("--score", metavar="NAME=NUMBER", help="What was measured; may be given several times."),
    ] = None,
    card: Annotated[
        Path | None, typer.Option("--card", metavar="FILE", help="Markdown file to use as card.", show_default="made")
    ] = None,
    weights: Annotated[
        bool,
        typer.Option(
            "--weights/--no-weights", help="Add the weights in 16 bits, to train on from more exactly than from int8."
        ),
    ] = True,
    samples: Annotated[
        list[str] | None,
        typer.Option(
            "--sample",
            metavar="FILE",
            help="Training file of which some text goes along, 200 kB of all together, so that bytespan adapt "
            "keeps in mind what the model knows; may be given several times. Whoever has the model can read it.",
        ),
    ] = None,
    threads: Threads = None,
    debug: Debug = False,
) -> None:
    """Export a training checkpoint as a model to tag with.

    Rounded weights have a price: F1 of entities, or accuracy of tokens, on development files with fp32 weights and with
    the rounded ones is shown; if more than 0.3 points are lost on any file, nothing is written.

    Needs the extra: pip install 'bytespan[train]'.

    Example: bytespan export runs/mine model --precision int8

    Example: bytespan export runs/mine model --sample train.conll

    Example: bytespan export runs/seed1 model --with runs/seed2 --with runs/seed3
    """
    import_extra("torch", extra="train", purpose="bytespan export")
    import_extra("onnx", extra="train", purpose="bytespan export")
    from bytespan.cli.prices import measure_on_development, show_prices
    from bytespan.neural.checkpoint import load_best
    from bytespan.neural.export import export_package
    from bytespan.neural.rehearsal import pack_sample, sample_files
    from bytespan.package import SAMPLE_BYTES, Provenance
    from bytespan.price import refuse_dear

    chosen = None if card is None else _read_card(card)
    trained, *together = (load_best(path) for path in (checkpoint, *(others or ())))
    provenance = Provenance(
        name=name or target.name.removesuffix(".zip"),
        version=version,
        languages=tuple(languages or ()),
        licence=licence,
        training_data=tuple(training_data or ()),
        scores=dict(_score(assignment) for assignment in scores or ()),
    )
    if samples and trained.config.decoder != "parallel":
        raise ConfigError("--sample is for an adaptation, and only a parallel decoder can be adapted: leave it out")
    sample = pack_sample(sample_files(samples, SAMPLE_BYTES // len(samples))) if samples else None
    if precision != "fp32":
        prices = measure_on_development(
            trained, checkpoint, dev_files, others=together, precision=precision, threads=threads
        )
        show_prices(prices, precision=precision)
        if not force:
            refuse_dear(prices, precision=precision, remedy="give --force")
    export_package(
        trained,
        target,
        others=together,
        provenance=provenance,
        precision=precision,
        with_weights=weights,
        sample=sample,
        card=chosen,
    )


def _score(assignment: str) -> tuple[str, float]:
    measured, _, score = assignment.rpartition("=")
    try:
        return measured, float(score)
    except ValueError:
        raise ConfigError(f"--score {assignment}: write it as NAME=NUMBER, e.g. 'es test F1=82.95'") from None


def _read_card(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as the card: {getattr(error, 'strerror', error)}") from error

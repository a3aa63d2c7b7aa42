"""`bytespan adapt`: a packaged model and some hundred sentences of a new language in, a model that knows it too out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytespan.cli.options import Debug, Threads, model_path
from bytespan.cli.progress import StepProgress
from bytespan.errors import import_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bytespan.adaptation import Change

logger = logging.getLogger(__name__)


def adapt(
    train_files: Annotated[
        list[str], typer.Option("--train", metavar="FILE", help="Annotated file to learn from; repeat for more.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT", help="Model directory to write, or zip file if the name ends in .zip."
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]",
            parser=model_path,
            help="Model directory or zip file of a parallel decoder; it need not hold weights to train on.",
            show_default="the packaged model",
        ),
    ] = None,
    dev_files: Annotated[
        list[str] | None,
        typer.Option(
            "--dev",
            metavar="FILE",
            help="Annotated file on which to measure what was learnt; repeat for more.",
            show_default="every twentieth line of the training files, which is then not learnt from",
        ),
    ] = None,
    keep_files: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="FILE",
            help="Annotated file on which to measure what was kept; repeat for more.",
            show_default="agreement with MODEL on text that it carries",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the adapted model.", show_default="that of OUT")
    ] = None,
    languages: Annotated[
        list[str] | None,
        typer.Option("--language", metavar="CODE", help="ISO 639 code of a new language; may be given several times."),
    ] = None,
    samples: Annotated[
        list[str] | None,
        typer.Option(
            "--sample",
            metavar="FILE",
            help="Training file of which some text goes along, 20 kB of each, besides what MODEL carries, so that it "
            "is kept in mind when OUT is adapted in its turn; may be given several times. Whoever has the model can "
            "read it.",
        ),
    ] = None,
    threads: Threads = None,
    debug: Debug = False,
) -> None:
    """Teach a model a language or labels more from 100 to 5,000 sentences, in minutes, without losing what it knows.

    What the training files do not annotate is left as it is: with names alone, words and parts of speech stay. Old
    languages are kept by a rehearsal of the text that the model carries for that. How long to train follows from the
    files. In the end a table shows old and new scores, before and after. What bytespan tune chose for MODEL does not
    hold for the new model: tune that again.

    Needs the extra: pip install 'bytespan[train]'.

    Example: bytespan adapt --train hausa.conll --language ha --output hausa

    Example: bytespan adapt --train ha.conll --sample ha.conll --output first && bytespan adapt first --train ig.conll
    --output second
    """
    import_extra("torch", extra="train", purpose="bytespan adapt")
    import_extra("onnx", extra="train", purpose="bytespan adapt")
    from bytespan import adaptation as adapting
    from bytespan.atomic import refuse_foreign
    from bytespan.neural import runs
    from bytespan.tagger import PACKAGED_MODEL

    if output.suffix != ".zip":
        refuse_foreign(output)
    runs.prepare(device="cpu", threads=threads)
    model = PACKAGED_MODEL if model is None else model
    adaptation = adapting.prepare_adaptation(model, train_files, dev_files or (), samples or ())
    with StepProgress(adaptation.settings.steps) as progress:
        for record in adapting.adapt(adaptation):
            progress.show(record)
    changes = adapting.measure_changes(adaptation, keep_files or (), threads=threads)
    adapting.export_adapted(
        adaptation,
        output,
        name=name or output.name.removesuffix(".zip"),
        files=train_files,
        languages=languages or (),
        changes=changes,
    )
    _show(changes)
    before = adaptation.package.provenance
    logger.warning(
        "%s is under the licence of %s, %s; see to it that the new data allow that", output, before.name, before.licence
    )


def _show(changes: Sequence[Change]) -> None:
    """A row a text and task, and the mean of those that tell what was kept; on standard output."""
    from bytespan.cli.output import Results
    from bytespan.cli.tables import table

    def row(text: str, task: str, before: float, after: float) -> list[str]:
        return [text, task, f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}"]

    rows = [row(change.text, change.task, change.before, change.after) for change in changes]
    kept = [change for change in changes if change.is_kept]
    if len(kept) > 1:
        before, after = (sum(values) / len(kept) for values in ([c.before for c in kept], [c.after for c in kept]))
        rows.append(row("mean of what was kept", "", before, after))
    with Results() as results:
        title = "accuracy of tokens, F1 of the others"
        results.write(table(["text", "task", "before", "after", "change"], rows, title=title, names=2))

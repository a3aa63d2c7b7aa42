"""`bytespan tune`: confidences that mean what they say, and the operating point between precision and recall."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytespan.cli.options import (
    Debug,
    Encoding,
    GivenModel,
    GoldFormat,
    OnErrorChoice,
    OnErrorOption,
    Threads,
    report_skipped,
)

if TYPE_CHECKING:
    from bytespan.calibration import CurvePoint, Judged
    from bytespan.spans import Document
    from bytespan.tagger import Tagger
    from bytespan.tuning import Tuning

SHOWN = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Thresholds that the table shows besides the chosen one."""


def tune(
    model: GivenModel,
    dev: Annotated[
        list[str],
        typer.Option("--dev", metavar="FILE", help="Annotated file to tune on; may be given several times."),
    ],
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="TASK", help="Which spans to tune.", show_default="entities, or the only task"),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option("--precision", metavar="SHARE", help="Choose the most recall with this precision, such as 0.9."),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option("--recall", metavar="SHARE", help="Choose the most precision with this recall, such as 0.95."),
    ] = None,
    f_beta: Annotated[
        float | None,
        typer.Option(
            "--f-beta",
            metavar="BETA",
            help="Choose the best F-beta, in which recall counts BETA times as much as precision.",
            show_default="1 if neither precision nor recall is given",
        ),
    ] = None,
    alternatives: Annotated[
        bool,
        typer.Option(
            "--alternatives",
            help="Give spans that overlap more probable ones too: other labels and bounds, for more recall.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="Where to write the tuned model.", show_default="back to MODEL"
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Where to draw.", show_default="beside OUT, as OUT-tuning.png"),
    ] = None,
    format: GoldFormat = None,
    encoding: Encoding = "utf-8",
    on_error: OnErrorOption = OnErrorChoice.stop,
    threads: Threads = None,
    debug: Debug = False,
) -> None:
    """Choose between precision and recall on a development file, and calibrate the model's confidences.

    Writes the model with both: from then on a span's score is the share of such spans that were right, and spans are
    given whose score is at least the chosen threshold. What the thresholds gave is kept too, so that tagging can ask
    for another point: bytespan tag --recall 0.9. The table's ECE is the expected calibration error of the chosen spans,
    before and after; after, each half of the documents is scored by a calibration that was fitted on the other.

    Needs the extra: pip install 'bytespan[train]'.

    Example: bytespan tune base --dev dev.conll --recall 0.9 --output tuned
    """
    from bytespan.calibration import LEAST_PROBABILITY, Target, judge, measure
    from bytespan.cli.output import Results
    from bytespan.cli.progress import with_progress
    from bytespan.corpora.lines import Skipped, stop
    from bytespan.corpora.reading import read_documents
    from bytespan.errors import ConfigError, import_extra
    from bytespan.package import add_tuning, read_package
    from bytespan.tagger import PACKAGED_MODEL, load
    from bytespan.tuning import chosen_bins, fit_tuning, tunings_of, tunings_to_json
    from bytespan.tuning_picture import draw_tuning

    import_extra("matplotlib", extra="train", purpose="bytespan tune")
    if output is None and model == PACKAGED_MODEL:
        raise ConfigError("the packaged model stays as it is: say with --output where the tuned one goes")
    target, out = Target(precision, recall, f_beta), output or model
    package, tagger = read_package(model), load(model, threads=threads, tuned=False)
    if out.exists() and out != model:
        read_package(out, with_weights=False)  # refuses to replace what is no model
    skipped = Skipped()
    bad = skipped if on_error is OnErrorChoice.skip else stop
    gold = [d for file in dev for d in read_documents(file, format=format, encoding=encoding, on_error=bad)]
    task = _task_of(tagger, gold, task, " and ".join(dev))
    gold = [document for document in gold if task in document.spans]
    count = len(gold)
    before = measure(zip(gold, with_progress(tagger.pipe(gold, tasks=[task]), total=count), strict=True), task=task)
    likely = tagger.pipe(gold, tasks=[task], threshold=LEAST_PROBABILITY, alternatives=True)
    judged = judge(zip(gold, with_progress(likely, "all likely spans", total=count), strict=True), task=task)
    tuning = fit_tuning(judged, target, alternatives=alternatives)
    picture = plot or out.with_name(f"{out.name.removesuffix('.zip')}-tuning.png")
    title = f"{out.name}: {task}"
    draw_tuning(picture, tuning, before, chosen_bins(judged, tuning), title=title)
    add_tuning(package, out, tuning=tunings_to_json({**tunings_of(package), task: tuning}))
    with Results() as results:
        results.write(_report(tuning, before, judged, title=title))
        results.write(f"wrote {out} and {picture}\n")
    report_skipped(skipped)


def _task_of(tagger: Tagger, gold: list[Document], wanted: str | None, source: str) -> str:
    """The task to tune; LabelError if the model does not have it, or the file."""
    from bytespan.errors import LabelError
    from bytespan.spans import ENTITIES

    task = wanted or (ENTITIES if ENTITIES in tagger.tasks else tagger.tasks[0])
    if task not in tagger.tasks:
        raise LabelError(f"--task {task}: not one of this model's ({', '.join(tagger.tasks)})")
    if not any(document.spans.get(task) for document in gold):
        annotated = {name for document in gold for name, spans in document.spans.items() if spans}
        raise LabelError(f"{source}: holds no {task} but {' and '.join(sorted(annotated)) or 'nothing'}: give another "
                         "file or --task")  # fmt: skip
    return task


def _report(tuning: Tuning, before: CurvePoint, judged: Judged, *, title: str) -> str:
    """The chosen point beside the model as it was, and what other thresholds give."""
    from bytespan.cli.tables import table
    from bytespan.tuning import calibration_errors

    errors = calibration_errors(judged, tuning)
    rows = [["before tuning", "", *_shares(before), f"{errors[0]:.3f}"]]
    rows.append([_name("chosen", tuning.alternatives), *_point(tuning.chosen), f"{errors[1]:.3f}"])
    for curve, overlaps in ((tuning.flat, False), (tuning.overlapping, True)):
        points = (min(curve, key=lambda point: abs(point.threshold - threshold)) for threshold in SHOWN)
        rows += [[_name("", overlaps), *_point(point), ""] for point in dict.fromkeys(points)]
    return table(["spans", "threshold", "precision", "recall", "F1", "ECE"], rows, title=title)


def _name(name: str, overlaps: bool) -> str:
    return " ".join(filter(None, (name, "with alternatives" if overlaps else "" if name else "flat")))


def _point(point: CurvePoint) -> list[str]:
    return [f"{point.threshold:.2f}", *_shares(point)]


def _shares(point: CurvePoint) -> list[str]:
    return [f"{100 * share:.2f}" for share in (point.precision, point.recall, point.f())]

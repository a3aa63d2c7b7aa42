"""`bytespan evaluate`: a model's spans against gold spans."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bytespan.cli.options import (
    Alternatives,
    BeamSize,
    Debug,
    Encoding,
    GoldFormat,
    Model,
    OnErrorChoice,
    OnErrorOption,
    Precision,
    Recall,
    Threads,
    Threshold,
    WholeWords,
    report_skipped,
    threshold_of,
)

if TYPE_CHECKING:
    from bytespan.cli.report import Report
    from bytespan.spans import Document
    from bytespan.tagger import Tagger

logger = logging.getLogger(__name__)


def evaluate(
    files: Annotated[
        list[str], typer.Argument(metavar="GOLD...", help="Annotated files, gzipped or not; - is standard input.")
    ],
    model: Model = None,
    format: GoldFormat = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="A task to do, such as tokens or entities; may be given several times.",
            show_default="all that the model and the file have",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", metavar="LABELS", help="Leave all but these labels out, of gold and predicted: PER,LOC."
        ),
    ] = None,
    errors: Annotated[
        int,
        typer.Option("--errors", min=0, metavar="N", help="Show the first N errors of each file with their context."),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file and task instead of tables.")] = False,
    threshold: Threshold = None,
    precision: Precision = None,
    recall: Recall = None,
    alternatives: Alternatives = None,
    beam_size: BeamSize = 1,
    whole_words: WholeWords = None,
    encoding: Encoding = "utf-8",
    on_error: OnErrorOption = OnErrorChoice.stop,
    threads: Threads = None,
    debug: Debug = False,
) -> None:
    """Score a model on gold files, by exact spans.

    The model sees the raw text alone. A span is right if start, end and label are. Entities: precision, recall and F1,
    in percent, for all labels and each. Tokens: also accuracy, the share of gold tokens whose exact span has the gold
    label, and F1 of spans without labels (token_f1).

    Example: bytespan evaluate --errors 20 test.conllu
    """
    from bytespan.cli.output import Results
    from bytespan.cli.report import report_to_json, show_report, show_summary
    from bytespan.corpora.lines import Skipped, stop
    from bytespan.corpora.reading import read_documents
    from bytespan.tagger import load

    tagger = load(model, threads=threads, whole_words=whole_words)
    labels = _labels_to_keep(keep, tagger)
    least = threshold_of(
        tagger,
        task or tagger.tasks,
        threshold=threshold,
        precision=precision,
        recall=recall,
        alternatives=alternatives,
    )
    wanted = {"beam_size": beam_size, "threshold": least, "alternatives": alternatives}
    skipped = Skipped()
    bad = skipped if on_error is OnErrorChoice.skip else stop
    reports: list[Report] = []
    with Results() as results:
        for file in files:
            gold = list(read_documents(file, format=format, encoding=encoding, on_error=bad))
            for report in _evaluate_file(file, gold, tagger, task, labels, wanted):
                reports.append(report)
                results.write(report_to_json(report, errors=errors) if as_json else show_report(report, errors=errors))
                results.flush()
        if len(reports) > 1 and not as_json:
            results.write(show_summary(reports))
    report_skipped(skipped)


def _labels_to_keep(keep: str | None, tagger: Tagger) -> set[str] | None:
    from bytespan.errors import LabelError

    if keep is None:
        return None
    known = {label for labels in tagger.labels.values() for label in labels}
    labels = set(keep.split(","))
    for label in sorted(labels - known):
        raise LabelError(f"--keep: label {label!r} is not one of this model's ({', '.join(sorted(known))})")
    return labels


def _evaluate_file(
    file: str,
    gold: list[Document],
    tagger: Tagger,
    tasks: list[str] | None,
    keep: set[str] | None,
    wanted: dict[str, Any],
) -> list[Report]:
    from bytespan.cli.progress import with_progress
    from bytespan.cli.report import Report
    from bytespan.errors import LabelError
    from bytespan.evaluation import Scores, list_errors, score_document

    annotated = {name for document in gold for name in document.spans}
    shared = [name for name in tasks or tagger.tasks if name in annotated]
    if not shared:
        raise LabelError(
            f"{file}: is annotated with {' and '.join(sorted(annotated)) or 'nothing'}, but asked for is "
            f"{' and '.join(tasks or tagger.tasks)}: give another file or model"
        )
    reports = [Report(file, name, Scores(name)) for name in shared]
    _warn_of_unknown_labels(file, gold, shared, tagger, keep)
    began_at = time.perf_counter()
    predictions = tagger.pipe(gold, tasks=shared, **wanted)
    for number, (truth, predicted) in enumerate(zip(gold, with_progress(predictions, total=len(gold)), strict=True), 1):
        truth, answer = _kept(truth, keep), _kept(predicted, keep)
        for report in reports:
            if report.task in truth.spans:
                report.scores += score_document(truth, answer, task=report.task)
                report.errors += [(number, truth, error) for error in list_errors(truth, answer, task=report.task)]
                report.documents += 1
                report.bytes += len(truth.data)
    elapsed_s = time.perf_counter() - began_at
    return [replace(report, elapsed_s=elapsed_s) for report in reports]


def _kept(document: Document, keep: set[str] | None) -> Document:
    from bytespan.spans import Document

    if keep is None:
        return document
    spans = {task: [span for span in members if span.label in keep] for task, members in document.spans.items()}
    return Document(document.data, spans, identifier=document.identifier)


def _warn_of_unknown_labels(
    file: str, gold: list[Document], tasks: list[str], tagger: Tagger, keep: set[str] | None
) -> None:
    for task in tasks:
        labels = {span.label for document in gold for span in document.spans.get(task, ())}
        unknown = sorted(labels - set(tagger.labels[task])) if keep is None else []
        if unknown:
            logger.warning(
                "%s: the model has no %s label %s, so these count as missed: leave them out with --keep %s",
                file, task, ", ".join(unknown), ",".join(tagger.labels[task]),
            )  # fmt: skip

"""One task's scores on one gold file, as tables for a person or as JSON."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bytespan.cli.tables import table
from bytespan.corpora.jsonlines import json_line
from bytespan.evaluation import ERROR_KINDS, Counts, Scores, SpanError
from bytespan.spans import TOKENS, Document, Span

CONTEXT_CHARACTERS = 30
"""Text shown on either side of an error."""


@dataclass(slots=True)
class Report:
    """What was counted."""

    file: str
    task: str
    scores: Scores
    documents: int = 0
    bytes: int = 0
    elapsed_s: float = 0.0
    """Seconds of tagging, all tasks of the file together."""
    errors: list[tuple[int, Document, SpanError]] = field(default_factory=list)
    """(number of the document from 1, the gold document, what is wrong)"""


def show_report(report: Report, *, errors: int) -> str:
    """A table with a row a label, the figures of all labels together, and the first `errors` errors with context."""
    scores = report.scores
    rows = [_row(label, counts) for label, counts in sorted(scores.labels.items())]
    rows.append(_row("all", scores.total))
    title = f"{report.file}: {report.task}"
    text = table(["label", "precision", "recall", "F1", "gold", "predicted"], rows, title=title, total=True)
    if report.task == TOKENS:
        figures = _main_figures(report)
        text += f"accuracy {figures['accuracy']:.2f}, F1 without labels {figures['token_f1']:.2f}\n"
    text += f"{report.documents} documents, {report.bytes} bytes in {report.elapsed_s:.1f} s\n"
    if errors:
        text += _show_errors(report, errors)
    return text + "\n"


def show_summary(reports: list[Report]) -> str:
    """A table with a row a report and, for each task that several have, the mean."""
    rows = [[report.file, report.task, *_summary_figures(report)] for report in reports]
    for task in dict.fromkeys(report.task for report in reports):
        members = [report.scores.main for report in reports if report.task == task]
        if len(members) > 1:
            rows.append(["mean", task, f"{sum(members) / len(members):.2f}", "", ""])
    title = "accuracy of tokens, F1 of the others"
    return table(["file", "task", "score", "precision", "recall"], rows, title=title, names=2)


def report_to_json(report: Report, *, errors: int) -> str:
    """One line of JSON; figures in percent."""
    labels = sorted(report.scores.labels.items())
    value: dict[str, Any] = {
        "task": report.task,
        "gold": report.file,
        "documents": report.documents,
        "bytes": report.bytes,
        "spans": report.scores.total.gold,
        "seconds": round(report.elapsed_s, 2),
        "bytes_per_second": round(report.bytes / report.elapsed_s) if report.elapsed_s else None,
        **_main_figures(report),
        "labels": {label: _figures(counts) | {"gold": counts.gold} for label, counts in labels},
    }
    if errors:
        value["errors"] = [_error_to_json(*error) for error in report.errors[:errors]]
    return json_line(value)


def _row(label: str, counts: Counts) -> list[str]:
    return [label, *(f"{figure:.2f}" for figure in _figures(counts).values()), str(counts.gold), str(counts.predicted)]


def _summary_figures(report: Report) -> list[str]:
    total = report.scores.total
    return [f"{figure:.2f}" for figure in (report.scores.main, total.precision, total.recall)]


def _figures(counts: Counts) -> dict[str, float]:
    return {name: round(getattr(counts, name), 2) for name in ("precision", "recall", "f1")}


def _main_figures(report: Report) -> dict[str, float]:
    total = report.scores.total
    if report.task != TOKENS:
        return _figures(total)
    return {
        "accuracy": round(total.recall, 2),
        "token_f1": round(report.scores.unlabelled.f1, 2),
        "upos_f1": round(total.f1, 2),
    }


def _show_errors(report: Report, most: int) -> str:
    counts = Counter(error.kind for _, _, error in report.errors)
    lines = [", ".join(f"{kind} {counts[kind]}" for kind in ERROR_KINDS)]
    for number, gold, error in report.errors[:most]:
        before, text, after = _context(gold, error)
        labels = ", ".join(
            f"{name} {_shown(gold, span)}"
            for name, span in (("gold", error.gold), ("predicted", error.predicted))
            if span
        )
        lines.append(f"{error.kind}: {labels}")
        lines.append(f"    document {number}: {before}[{text}]{after}")
    if len(report.errors) > most:
        lines.append(f"{len(report.errors) - most} more: raise --errors to see them")
    return "\n".join([*lines, ""])


def _shown(gold: Document, span: Span) -> str:
    return f"{span.label} {_one_line(gold.data[span.start : span.end])!r}"


def _context(gold: Document, error: SpanError) -> tuple[str, str, str]:
    """The text before, in and after an error, each on one line."""
    reach = 4 * CONTEXT_CHARACTERS  # bytes that hold at least so many characters
    before = _one_line(gold.data[max(error.start - reach, 0) : error.start])[-CONTEXT_CHARACTERS:]
    after = _one_line(gold.data[error.end : error.end + reach])[:CONTEXT_CHARACTERS]
    return before, _one_line(gold.data[error.start : error.end]), after


def _one_line(data: bytes) -> str:
    return " ".join(data.decode("utf-8", errors="ignore").splitlines())


def _error_to_json(number: int, gold: Document, error: SpanError) -> dict[str, Any]:
    def to_json(span: Span | None) -> dict[str, Any] | None:
        if span is None:
            return None
        (shown,) = Document(gold.data, {"error": [span]}).text_spans("error")
        return {"text": shown.text} | shown.to_json()

    return {"kind": error.kind, "document": number, "gold": to_json(error.gold), "predicted": to_json(error.predicted)}

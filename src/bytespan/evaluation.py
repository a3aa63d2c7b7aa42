"""Exact-span scores from counts that add up, by the rules of the project's scorer.

Named entities: precision, recall and F1 over (span, label). Tokens: accuracy is the share of gold tokens whose exact
span carries the gold label. 0/0 is 0, everywhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bytespan.spans import TOKENS, Document, Span


@dataclass(frozen=True, slots=True)
class Counts:
    """How many spans were right, predicted and gold; counts of parts add up to the counts of the whole."""

    correct: int = 0
    predicted: int = 0
    gold: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.correct + other.correct, self.predicted + other.predicted, self.gold + other.gold)

    @property
    def precision(self) -> float:
        """Percent of predicted spans that are right."""
        return _percent(self.correct, self.predicted)

    @property
    def recall(self) -> float:
        """Percent of gold spans that were found; for tokens, the accuracy."""
        return _percent(self.correct, self.gold)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in percent."""
        return _percent(2 * self.correct, self.predicted + self.gold)


@dataclass(frozen=True, slots=True)
class Scores:
    """Counts of one task over some documents, by label, and without regard to labels."""

    task: str
    labels: dict[str, Counts] = field(default_factory=dict)
    unlabelled: Counts = Counts()
    """Exact spans, whatever their labels."""

    @property
    def total(self) -> Counts:
        """All labels together."""
        return sum(self.labels.values(), Counts())

    @property
    def main(self) -> float:
        """The figure by which models are compared: accuracy for tokens, F1 for anything else, in percent."""
        return self.total.recall if self.task == TOKENS else self.total.f1

    def __add__(self, other: "Scores") -> "Scores":
        labels = dict(self.labels)
        for label, counts in other.labels.items():
            labels[label] = labels.get(label, Counts()) + counts
        return Scores(self.task, labels, self.unlabelled + other.unlabelled)


def score_document(gold: Document, predicted: Document, *, task: str) -> Scores:
    """The counts of one document, in which spans are equal if start, end and label are."""
    truth, answer = set(gold.spans.get(task, ())), set(predicted.spans.get(task, ()))
    labels: dict[str, Counts] = {}
    for span in truth | answer:
        counts = Counts(int(span in truth and span in answer), int(span in answer), int(span in truth))
        labels[span.label] = labels.get(span.label, Counts()) + counts
    places, found = {(s.start, s.end) for s in truth}, {(s.start, s.end) for s in answer}
    return Scores(task, labels, Counts(len(places & found), len(answer), len(truth)))


def score_documents(pairs: Iterable[tuple[Document, Document]], *, task: str) -> Scores:
    """The counts of many (gold, predicted) documents together."""
    return sum((score_document(gold, predicted, task=task) for gold, predicted in pairs), Scores(task))


def score_annotated(gold: Sequence[Document], predicted: Sequence[Document], *, task: str) -> Scores:
    """The counts of a corpus, of those labels alone that it annotates: predicted spans of others may well be right.

    A document that does not have the task is left out.
    """
    pairs = [pair for pair in zip(gold, predicted, strict=True) if task in pair[0].spans]
    labels = {span.label for truth, _ in pairs for span in truth.spans[task]}
    return score_documents(((truth, _only(answer, task, labels)) for truth, answer in pairs), task=task)


def _only(document: Document, task: str, labels: set[str]) -> Document:
    return Document(document.data, {task: [span for span in document.spans[task] if span.label in labels]})


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


ERROR_KINDS = ("missed", "spurious", "wrong label", "wrong bounds", "wrong label and bounds")


@dataclass(frozen=True, slots=True)
class SpanError:
    """A gold span without prediction, a predicted span that is not gold, or a pair of the two that differ."""

    kind: str
    """One of ERROR_KINDS."""
    gold: Span | None
    predicted: Span | None

    @property
    def start(self) -> int:
        """The first byte of either span."""
        return min(span.start for span in (self.gold, self.predicted) if span is not None)

    @property
    def end(self) -> int:
        """The byte after both spans."""
        return max(span.end for span in (self.gold, self.predicted) if span is not None)


def list_errors(gold: Document, predicted: Document, *, task: str) -> list[SpanError]:
    """Every difference between the spans of `task`, in the order of the text.

    A wrong span is paired with the first gold span that it overlaps and that was not found; each is in one error only.
    """
    truth, answer = set(gold.spans.get(task, ())), set(predicted.spans.get(task, ()))
    missed, wrong = sorted(truth - answer), sorted(answer - truth)
    errors: list[SpanError] = []
    while missed and wrong:
        if missed[0].end <= wrong[0].start:
            errors.append(SpanError("missed", missed.pop(0), None))
        elif wrong[0].end <= missed[0].start:
            errors.append(SpanError("spurious", None, wrong.pop(0)))
        else:
            errors.append(_pair(missed.pop(0), wrong.pop(0)))
    return (
        errors
        + [SpanError("missed", span, None) for span in missed]
        + [SpanError("spurious", None, span) for span in wrong]
    )


def _pair(gold: Span, predicted: Span) -> SpanError:
    if gold.label == predicted.label:
        return SpanError("wrong bounds", gold, predicted)
    same_place = (gold.start, gold.end) == (predicted.start, predicted.end)
    return SpanError("wrong label" if same_place else "wrong label and bounds", gold, predicted)

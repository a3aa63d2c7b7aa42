"""What rounding a model's weights costs: the exported package against the weights as trained, on gold files.

Needs torch, to export; both packages are then tagged with as users do. A price is counted in points of the figure by
which models are compared: F1 in percent, for tokens accuracy. Labels that a file annotates nowhere do not count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bytespan.corpora.reading import read_documents
from bytespan.errors import ConfigError, LabelError
from bytespan.evaluation import Scores, score_annotated
from bytespan.neural.decoders import Model
from bytespan.neural.export import export_package
from bytespan.package import Provenance
from bytespan.spans import TOKENS, Document
from bytespan.tagger import Tagger, load

MOST_POINTS = 0.3
"""A higher price is not paid unasked: see `refuse_dear`."""


@dataclass(frozen=True, slots=True)
class Price:
    """What rounding costs on one gold file, in one task."""

    file: str
    task: str
    exact: float
    """The figure with fp32 weights, in percent."""
    rounded: float
    """The figure with the rounded ones."""

    @property
    def points(self) -> float:
        """What is lost; below 0 if rounding happened to help."""
        return self.exact - self.rounded


def measure_prices(
    model: Model,
    files: Iterable[str | Path],
    *,
    others: Sequence[Model] = (),
    precision: str,
    threads: int | None = None,
) -> list[Price]:
    """The price of a precision on each file and task, in their order; with `others`, of all together.

    Raises CorpusError for a file that cannot be read, LabelError for one that annotates nothing that the model does.
    """
    prices: list[Price] = []
    with TemporaryDirectory() as folder:
        taggers = []
        for name in ("fp32", precision):
            path = Path(folder) / name
            about = Provenance(name)
            export_package(model, path, others=others, provenance=about, precision=name, with_weights=False)
            taggers.append(load(path, threads=threads))
        for file in files:
            gold = list(read_documents(file))
            exact, rounded = (_score(tagger, gold, str(file)) for tagger in taggers)
            prices += [Price(str(file), task, exact[task].main, rounded[task].main) for task in exact]
    return prices


def refuse_dear(prices: Iterable[Price], *, precision: str, remedy: str) -> None:
    """ConfigError if a task costs more than MOST_POINTS on any file, often a language, for which others do not make up.

    `remedy` says how the caller takes it all the same.
    """
    dearest = max(prices, key=lambda price: price.points, default=None)
    if dearest is not None and dearest.points > MOST_POINTS:
        raise ConfigError(
            f"{precision} costs {dearest.points:.2f} points of {dearest.task} {figure_of(dearest.task)} on "
            f"{dearest.file}, more than {MOST_POINTS}, so nothing was written: choose a finer precision, or {remedy}"
        )


def figure_of(task: str) -> str:
    """What is counted in a task."""
    return "accuracy" if task == TOKENS else "F1"


def _score(tagger: Tagger, gold: Sequence[Document], file: str) -> dict[str, Scores]:
    """Task -> scores, for what both the model and the file have."""
    annotated = {task for document in gold for task in document.spans}
    tasks = [task for task in tagger.tasks if task in annotated]
    if not tasks:
        known = " and ".join(tagger.tasks)
        raise LabelError(f"{file}: no spans of {known}, which the model finds: give another file to measure on")
    predicted = list(tagger.pipe(gold, tasks=tasks))
    return {task: score_annotated(gold, predicted, task=task) for task in tasks}

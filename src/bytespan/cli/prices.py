"""What rounding a trained model's weights costs, as a table: at the end of a training, and on an export."""

import logging
from collections.abc import Sequence
from pathlib import Path

from bytespan.cli.output import Results
from bytespan.cli.progress import with_progress
from bytespan.cli.tables import table
from bytespan.errors import CorpusError, LabelError
from bytespan.neural.decoders import Model
from bytespan.neural.runs import development_files
from bytespan.price import Price, figure_of, measure_prices

logger = logging.getLogger(__name__)


def measure_on_development(
    model: Model,
    checkpoint: Path,
    dev_files: list[str] | None,
    *,
    others: Sequence[Model] = (),
    precision: str,
    threads: int | None,
) -> list[Price]:
    """Prices on the files that were given, else on those of the run, if they are still there."""
    known = (development_files(folder) for folder in (checkpoint, checkpoint.parent))
    files = dev_files or next((found for found in known if found), [])
    try:
        shown = with_progress(files, "measuring")
        return measure_prices(model, shown, others=others, precision=precision, threads=threads)
    except (CorpusError, LabelError) as error:
        if dev_files:
            raise
        logger.warning("%s", error)
        return []


def show_prices(prices: Sequence[Price], *, precision: str) -> None:
    """A row a file and task."""
    if not prices:
        logger.warning("what %s costs was not measured: give an annotated file with --dev FILE", precision)
        return
    rows = [
        [price.file, price.task, figure_of(price.task), *map(_points, (price.exact, price.rounded, price.points))]
        for price in prices
    ]
    with Results() as results:
        columns = ["file", "task", "figure", "fp32", precision, "lost"]
        results.write(table(columns, rows, title=f"what {precision} costs", names=3))


def _points(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0: what rounds to -0 is 0

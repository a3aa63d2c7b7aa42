"""Tables for a person, as text for standard output."""

import io
from collections.abc import Iterable, Sequence

from bytespan.cli.show import wants_colour

WIDTH = 10_000
"""Characters that a line may have: more than any has, so that nothing is cut off."""


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str, names: int = 1, total: bool = False
) -> str:
    """A table whose first `names` columns are text and whose others are figures; with `total` the last row is bold."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        grid.add_column(Text(column), justify="left" if number < names else "right", no_wrap=True)
    members = list(rows)
    for number, row in enumerate(members, 1):
        grid.add_row(*map(Text, row), style="bold" if total and number == len(members) else "")
    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH, force_terminal=wants_colour())
    console.print(Text(title, style="bold"), grid, sep="\n")
    return "".join(line.rstrip() + "\n" for line in stream.getvalue().splitlines())

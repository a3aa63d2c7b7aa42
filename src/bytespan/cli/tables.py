"""Tables for a person, as text for standard output."""

import io
import shutil
from collections.abc import Iterable, Sequence

from bytespan.cli.show import wants_colour


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", total: bool = False) -> str:
    """A table whose first column is text and whose others are figures; with `total` a line parts the last row.

    Nothing is cut off: where standard output is no terminal, lines are as long as they need to be.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(
        title=Text(title), title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for number, column in enumerate(columns):
        grid.add_column(Text(column), justify="right" if number else "left", no_wrap=True)
    members = list(rows)
    for number, row in enumerate(members):
        is_total = total and number == len(members) - 1
        grid.add_row(*map(Text, row), style="bold" if is_total else "")
    stream = io.StringIO()
    width = max(shutil.get_terminal_size().columns, 200)
    Console(file=stream, width=width, force_terminal=wants_colour()).print(grid)
    return "".join(line.rstrip() + "\n" for line in stream.getvalue().splitlines())

"""Figures that may be missing, and Markdown tables of them, for the pages that are made from results."""

from collections.abc import Iterable, Sequence
from statistics import mean

DASH = "–"


def average(values: Iterable[float | None]) -> float | None:
    """The mean, None as long as one of the values is not there."""
    members = list(values)
    known = [value for value in members if value is not None]
    return mean(known) if known and len(known) == len(members) else None


def difference(one: float | None, other: float | None) -> float | None:
    """One less the other, None if either is not there."""
    return None if one is None or other is None else one - other


def best(values: Iterable[float | None]) -> float | None:
    """The highest that is there."""
    return max((value for value in values if value is not None), default=None)


def cell(value: object, *, signed: bool = False) -> str:
    """A table's cell: two decimals for percents, a dash for what was not measured."""
    if value is None:
        return DASH
    return f"{value:{'+' if signed else ''}.2f}" if isinstance(value, float) else str(value)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, signed: Sequence[str] = ()) -> list[str]:
    """A Markdown table; the columns that `signed` names show differences."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 1)}"]
    for row in rows:
        cells = [cell(value, signed=name in signed) for name, value in zip(head, row, strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]

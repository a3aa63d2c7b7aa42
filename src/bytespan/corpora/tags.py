"""Tags of tokens <-> ranges of tokens: IOB1, IOB2, BIOES and BILOU, told apart tag by tag."""

from collections.abc import Iterable, Sequence

from bytespan.errors import CorpusError

OUTSIDE = "O"

_BEGINS = frozenset("BSU")
_CONTINUES = frozenset("IEL")
_ENDS = frozenset("SUEL")


def split_tag(tag: str) -> tuple[str, str]:
    """The prefix and the label of a tag, "O" and "" outside; CorpusError for a tag that has no known prefix."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, hyphen, label = tag.partition("-")
    if not hyphen or not label or prefix not in _BEGINS | _CONTINUES:
        raise CorpusError(
            f"tag {tag!r} is neither O nor a label after one of B- I- E- S- L- U-: name the column of the tags, or "
            "write them as IOB or BIOES"
        )
    return prefix, label


def ranges_of_tags(tags: Iterable[tuple[str, str]]) -> list[tuple[int, int, str]]:
    """The labelled ranges of tokens [first, last) that one sentence's split tags stand for.

    A tag that continues a span begins one where there is none of its label to continue: so IOB1 is read like IOB2, and
    an I- without B- is a span of its own, as the scorer has it.
    """
    ranges: list[tuple[int, int, str]] = []
    open_label: str | None = None
    for index, (prefix, label) in enumerate(tags):
        if prefix == OUTSIDE:
            open_label = None
            continue
        if prefix in _CONTINUES and label == open_label:
            ranges[-1] = (ranges[-1][0], index + 1, label)
        else:
            ranges.append((index, index + 1, label))
        open_label = None if prefix in _ENDS else label
    return ranges


def tags_of_ranges(ranges: Sequence[tuple[int, int, str]], *, size: int) -> list[str]:
    """The IOB2 tags of `size` tokens."""
    tags = [OUTSIDE] * size
    for first, last, label in ranges:
        tags[first] = f"B-{label}"
        tags[first + 1 : last] = [f"I-{label}"] * (last - first - 1)
    return tags

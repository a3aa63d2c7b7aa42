"""Units: the pieces of a text that the parallel decoder labels, and what it is told about each.

A unit is a longest run of letters, digits and marks, or any other single character that is not white space; in scripts
without spaces every character is one. Units only say where spans may begin and end (`words.broken_edges`): which of
them make up a word or a name, the model decides.

Of each unit the model sees its bytes, what stands before it, and hashes of it, its beginnings and its ends (of a
character of a script without spaces: of the characters that it begins and ends, too): rows of one table of trained
vectors, after the hashed n-grams of CANINE and the Bloom embeddings of spaCy. All arithmetic here is modulo 2^32, so
that a reader in any language gets the same numbers (see docs/format.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytespan.characters import BLANK, JOINS, SHAPE_SHIFT, UNSPACED, lowered, properties
from bytespan.ngrams import NgramFilter
from bytespan.words import code_points, code_points_of_lines, is_utf8, latin_points

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint32]

WIDTH = 16
"""Bytes of a unit that the model sees as bytes; of a longer one the first and the last eight."""

PAD = 257
"""Symbol behind the bytes of a short unit; 256 is DROP."""

PREFIXES = (2, 3, 4)
SUFFIXES = (2, 3, 4)
"""Characters in the beginnings (as they are) and ends (in lower case) that are hashed.

In scripts without spaces, where every character is a unit, they are those of the run of characters that it stands in.
"""

WHOLE = 4
"""Hashes of the whole unit: itself, itself once more with another seed, in lower case, its shape."""

HASHES = WHOLE + len(PREFIXES) + len(SUFFIXES)
"""How many rows of the table each unit adds up."""

LOWERED = 2
"""Which of the hashes is of the unit in lower case: units with the same one are the same word."""

SALTED = (1, *range(WHOLE + len(PREFIXES), HASHES))
"""Which of the hashes look up other rows in every language that a model knows: the second of the whole, and the ends,
where grammar is. Names come from all languages, and the other hashes know them."""

NO_GAP, SPACE, NEW_LINE, NEW_PARAGRAPH = range(4)
"""What stands before a unit: nothing, white space without a line end, one line end, several or the text's beginning."""

GAPS = 4

PART_BYTES = 1 << 15
"""Bytes of a document that are cut into units at a time."""

AROUND = 4 * max(*PREFIXES, *SUFFIXES)
"""Bytes in as many characters as the hash of a unit in a script without spaces may tell of on either side."""

_BASE = 0x9E3779B1
_INVERSE = pow(_BASE, -1, 1 << 32)
_NEW_LINE = 10


@dataclass(frozen=True, slots=True)
class Units:
    """All units of a document, in order. U units."""

    starts: Ints
    """(U,) first byte of each."""
    ends: Ints
    """(U,) byte after each."""
    gaps: NDArray[np.int8]
    """(U,) what stands before each."""
    hashes: Hashes
    """(U, HASHES)."""
    symbols: NDArray[np.int16]
    """(U, WIDTH) bytes, PAD behind them."""
    affixes: NDArray[np.uint8]
    """(U, len(PREFIXES) + len(SUFFIXES)) bytes in each hashed beginning and end, at most WIDTH."""

    def __len__(self) -> int:
        return len(self.starts)

    def slice(self, first: int, last: int) -> "Units":
        """Some units in a row."""
        part = slice(first, last)
        return Units(
            self.starts[part],
            self.ends[part],
            self.gaps[part],
            self.hashes[part],
            self.symbols[part],
            self.affixes[part],
        )

    @staticmethod
    def joined(parts: "Sequence[Units]") -> "Units":
        """The units of all parts in a row; there must be at least one part."""
        if len(parts) == 1:
            return parts[0]
        columns = zip(*((p.starts, p.ends, p.gaps, p.hashes, p.symbols, p.affixes) for p in parts), strict=True)
        starts, ends, gaps, hashes, symbols, affixes = (np.concatenate(column) for column in columns)
        return Units(starts, ends, gaps, hashes, symbols, affixes)


def cut_units(data: bytes) -> Units:
    """The units of a document with everything that the model is told about them; any bytes will do."""
    return Units.joined(list(cut_parts(data)))


def cut_parts(data: bytes) -> Iterator[Units]:
    """The same units in order, those of about PART_BYTES at a time, so that little memory does for any document.

    A part is cut out of its bytes and AROUND more on both sides; units that reach into those are left to other parts.
    """
    if len(data) <= PART_BYTES:
        yield _cut(data, *code_points(data))
        return
    valid = is_utf8(data)
    begin, size = 0, PART_BYTES  # all units that end by `begin` were given
    while begin < len(data):
        low, high = max(begin - AROUND, 0), min(begin + size, len(data))
        if valid:
            low, high = _character_start(data, low), _character_start(data, high)
        window = data[low:high]
        units = _cut(window, *(code_points(window) if valid else latin_points(window)))
        ends = units.ends + low
        first = int(np.searchsorted(ends, begin, side="right"))
        last = len(ends) if high == len(data) else int(np.searchsorted(ends, high - AROUND, side="right"))
        if last > first:
            yield replace(units, starts=units.starts + low, ends=ends).slice(first, last)
            begin, size = int(ends[last - 1]), PART_BYTES
        elif high == len(data):
            return
        else:
            size *= 2


def salted(units: Units, salts: NDArray[np.uint32]) -> Units:
    """The units with some hashes salted, each with its own salt (U,) or all with the same (1,); 0 changes nothing."""
    hashes = units.hashes.copy()
    changed = np.broadcast_to(salts, len(units)) != 0
    columns = np.array(SALTED)
    rows = np.flatnonzero(changed)[:, None]
    hashes[rows, columns] = _mixed(hashes[rows, columns] ^ np.broadcast_to(salts, len(units))[rows])
    return replace(units, hashes=hashes)


def _character_start(data: bytes, place: int) -> int:
    while 0 < place < len(data) and data[place] & 0xC0 == 0x80:
        place -= 1
    return place


def cut_documents(data: Sequence[bytes]) -> tuple[Units, Ints]:
    """The units of some small documents in a row, and (D + 1,) where those of each begin and the last one's end."""
    units = _cut(b"\n".join(data), *code_points_of_lines(data))
    bases = np.cumsum([0, *(len(item) + 1 for item in data)])
    bounds = np.searchsorted(units.starts, bases)
    shifts = np.repeat(bases[:-1], np.diff(bounds))
    gaps = units.gaps.copy()
    gaps[bounds[:-1][np.diff(bounds) > 0]] = NEW_PARAGRAPH
    return replace(units, starts=units.starts - shifts, ends=units.ends - shifts, gaps=gaps), bounds


def _cut(data: bytes, codes: NDArray[np.uint32], offsets: Ints) -> Units:
    """The units of `data`, whose characters are `codes` and begin at `offsets`."""
    found = properties(codes)
    firsts, lasts = _edges(found)
    starts, ends = offsets[firsts], offsets[lasts]
    affixes = _affixes(found, firsts, lasts)
    return Units(
        starts,
        ends,
        _gaps(codes, firsts, lasts),
        _hashes(codes, found >> SHAPE_SHIFT, firsts, lasts, affixes),
        _symbols(data, starts, ends),
        np.stack([offsets[end] - offsets[start] for start, end in affixes], axis=1).astype(np.uint8),
    )


def _edges(found: NDArray[np.uint8]) -> tuple[Ints, Ints]:
    """First character of each unit, and the one after it."""
    joins, blank = found & JOINS != 0, found & BLANK != 0
    cuts = np.ones(len(found) + 1, np.bool_)
    cuts[1:-1] = ~(joins[:-1] & joins[1:])
    edges = np.flatnonzero(cuts)
    kept = ~blank[edges[:-1]]
    return edges[:-1][kept], edges[1:][kept]


def _gaps(codes: NDArray[np.uint32], firsts: Ints, lasts: Ints) -> NDArray[np.int8]:
    before = np.append(0, lasts[:-1])[: len(firsts)]
    lines = np.append(0, np.cumsum(codes == _NEW_LINE))
    gaps = np.where(firsts > before, SPACE + np.minimum(lines[firsts] - lines[before], 2), NO_GAP)
    gaps[:1] = NEW_PARAGRAPH
    return gaps.astype(np.int8)


def _affixes(found: NDArray[np.uint8], firsts: Ints, lasts: Ints) -> list[tuple[Ints, Ints]]:
    """First character of each hashed beginning and end, and the one after it."""
    unspaced = found & UNSPACED != 0
    edges = np.flatnonzero(np.diff(unspaced, prepend=False, append=False))  # of the runs, beginning, end, beginning ...
    run = np.searchsorted(edges, firsts, side="right")
    inside = run % 2 == 1  # behind a beginning
    begins = np.where(inside, edges[run - 1], firsts) if len(edges) else firsts
    ends = np.where(inside, edges[np.minimum(run, len(edges) - 1)], lasts) if len(edges) else lasts
    return [
        *((firsts, np.minimum(firsts + size, ends)) for size in PREFIXES),
        *((np.maximum(lasts - size, begins), lasts) for size in SUFFIXES),
    ]


def _hashes(
    codes: NDArray[np.uint32], shapes: NDArray[Any], firsts: Ints, lasts: Ints, affixes: Sequence[tuple[Ints, Ints]]
) -> Hashes:
    plain, lower = _Rolling(codes), _Rolling(lowered(codes))
    whole = plain(firsts, lasts)
    columns = [whole, whole, lower(firsts, lasts), _shapes(shapes, firsts, lasts)]
    columns += [plain(*affix) for affix in affixes[: len(PREFIXES)]]
    columns += [lower(*affix) for affix in affixes[len(PREFIXES) :]]
    seeds = (np.arange(1, HASHES + 1, dtype=np.uint64) * _BASE).astype(np.uint32)
    return _mixed(np.stack(columns, axis=1) ^ seeds)


class _Rolling:
    """Hashes of any ranges of characters from running sums: sum of (c + 1) * BASE^i over the range, i from 0."""

    def __init__(self, codes: NDArray[np.uint32]) -> None:
        powers, self.inverses = _powers(1 << max(len(codes) - 1, 1).bit_length())
        self.sums = np.zeros(len(codes) + 1, np.uint32)
        np.cumsum((codes + np.uint32(1)) * powers[: len(codes)], out=self.sums[1:], dtype=np.uint32)

    def __call__(self, firsts: Ints, lasts: Ints) -> Hashes:
        return (self.sums[lasts] - self.sums[firsts]) * self.inverses[firsts]


@lru_cache(maxsize=4)
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """BASE^i and BASE^-i for i below `count`."""
    one = np.ones(1, np.uint32)
    rows = (np.append(one, np.full(count - 1, base, np.uint32)) for base in (_BASE, _INVERSE))
    powers, inverses = (np.cumprod(row, dtype=np.uint32) for row in rows)
    return powers, inverses


def _shapes(shapes: NDArray[Any], firsts: Ints, lasts: Ints) -> Hashes:
    """The shapes of the first, second and last character, which shapes there are, and the length up to 7, in one."""
    if not len(firsts):
        return np.zeros(0, np.uint32)
    present = np.bitwise_or.reduceat(np.append(np.uint8(1) << shapes, np.uint8(0)), _interleaved(firsts, lasts))[::2]
    second = shapes[np.minimum(firsts + 1, lasts - 1)]
    parts = (shapes[firsts], second, shapes[lasts - 1], present, np.minimum(lasts - firsts, 7))
    code = np.zeros(len(firsts), np.uint32)
    for part, shift in zip(parts, (0, 3, 6, 9, 15), strict=True):
        code |= part.astype(np.uint32) << np.uint32(shift)
    return code


def _interleaved(firsts: Ints, lasts: Ints) -> Ints:
    return np.stack([firsts, lasts], axis=1).ravel()


def _mixed(values: Hashes) -> Hashes:
    """MurmurHash3's last step: every bit of the result depends on every bit of the value."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


def _symbols(data: bytes, firsts: Ints, lasts: Ints) -> NDArray[np.int16]:
    buffer = np.frombuffer(data, np.uint8)
    if not len(firsts):
        return np.zeros((0, WIDTH), np.int16)
    starts, ends = firsts.astype(np.int32), lasts.astype(np.int32)  # half of the memory for all places
    columns, lengths = np.arange(WIDTH, dtype=np.int32), (ends - starts)[:, None]
    from_end = (lengths > WIDTH) & (columns >= WIDTH // 2)
    places = np.where(from_end, ends[:, None] - WIDTH, starts[:, None]) + columns
    inside = columns < lengths
    return np.where(inside, buffer[np.where(inside, places, 0)].astype(np.int16), np.int16(PAD))


@dataclass(frozen=True, slots=True)
class UnitBatch:
    """Segments of units side by side, as the model takes them. T units in the longest, B segments."""

    rows: Ints
    """(T, B, HASHES) rows of the table, `ngrams.UNKNOWN` for n-grams that the model does not know."""
    symbols: Ints
    """(T, B, WIDTH)."""
    gaps: Ints
    """(T, B)."""
    words: Ints
    """(T, B) units of a segment with the same number are the same word, up to case; -1 beyond `lengths`."""
    lengths: Ints
    """(B,) units of each segment."""


def collate_units(
    segments: Sequence[Units], *, rows: int, known: NgramFilter | None = None, multiple: int = 1
) -> UnitBatch:
    """The batch of some segments for a table with so many rows; zeros and PAD fill the shorter ones up.

    All n-grams are `known` if it is None. T is rounded up to a multiple, so that batches have few different shapes.
    """
    edges = np.cumsum([0, *map(len, segments)])
    units = Units.joined(segments or [cut_units(b"")])
    return collate_windows(units, edges[:-1], edges[1:], rows=rows, known=known, multiple=multiple)


def collate_windows(
    units: Units, firsts: Ints, lasts: Ints, *, rows: int, known: NgramFilter | None = None, multiple: int = 1
) -> UnitBatch:
    """The batch of the segments that hold the units from `firsts` (B,) to `lasts` (B,), as by `collate_units`."""
    lengths = lasts - firsts
    steps = -(-int(lengths.max(initial=0)) // multiple) * multiple
    places = firsts + np.arange(steps)[:, None]  # (T, B)
    inside = places < lasts
    shape, kept = places.shape, places[inside]
    batch = UnitBatch(
        np.zeros((*shape, HASHES), np.int64),
        np.full((*shape, WIDTH), PAD, np.int64),
        np.zeros(shape, np.int64),
        np.full(shape, -1, np.int64),
        lengths,
    )
    hashes = units.hashes[kept]
    batch.rows[inside] = hashes % np.uint32(rows) if known is None else known.rows(hashes, rows)
    batch.symbols[inside] = units.symbols[kept]
    batch.gaps[inside] = units.gaps[kept]
    batch.words[inside] = _word_numbers(hashes[:, LOWERED], np.nonzero(inside)[1])
    return batch


def _word_numbers(hashes: Hashes, segments: Ints) -> Ints:
    """(n,) numbers from 0 on in each segment that units of it share which are the same word; no number is skipped."""
    keys = segments.astype(np.uint64) << np.uint64(32) | hashes
    order = np.argsort(keys)
    is_new = np.diff(keys[order], prepend=keys[order[:1]]) != 0
    numbers = np.empty(len(keys), np.int64)
    numbers[order] = np.cumsum(is_new)
    begins = numbers[order][np.searchsorted(segments[order], np.arange(int(segments.max(initial=-1)) + 1))]
    result: Ints = numbers - begins[segments]
    return result

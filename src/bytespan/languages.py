"""Which language a line is in, so that the same ending can mean different things in different languages.

Many languages write -en or -a, and mean other things by it: in a model of many languages such n-grams say little. So a
model may know languages: in a line of one of them some of the hashes of every unit (`units.SALTED`) are salted with it,
and look up rows of their own. Other hashes stay shared, so that a name is known from one language in the other.

The languages are told apart by a naive Bayes classifier over hashed n-grams of units, counted in the training text. A
line that it is not sure of follows the nearest line of its document that it is sure of; where there is none, nothing
is salted, which the model has learnt to live with, too. A few words in a row that are plainly of another language than
their line are taken for that.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import ModelError
from bytespan.package import LANGUAGES, Package
from bytespan.units import LOWERED, NEW_LINE, PREFIXES, WHOLE, Units, salted

Ints = NDArray[np.int64]
Scores = NDArray[np.int32]

BUCKETS = 3072
"""Into which the hashes are sorted; each has a probability in each language."""

COLUMNS = (LOWERED, WHOLE + 1, WHOLE + len(PREFIXES), WHOLE + len(PREFIXES) + 1)
"""Hashes that tell languages apart: of the word in lower case, its first three and last two and three characters."""

STEPS_PER_NAT = 8
"""A logarithm of a probability is stored as a whole number of eighths."""

SMOOTHING = 0.01
"""The buckets begin with this share of all that will be counted, spread evenly: none is impossible."""

SURE = 4 * STEPS_PER_NAT
"""By so much more probable than the next must a language be for a line to be sure of it."""

AROUND = 4
"""Units on either side that tell, with a unit itself, whether it is in another language than its line."""

STRAY = 14 * STEPS_PER_NAT
"""By so much more probable than the line's must another language be there."""

LONGEST_LINE = 256
"""Units; longer lines are looked at in pieces."""


@dataclass(frozen=True, slots=True)
class Profiles:
    """What is known of L languages."""

    names: tuple[str, ...]
    """The empty name is that of a language whose lines are not salted."""
    logs: NDArray[np.int8]
    """(BUCKETS, L) logarithm of the probability of a bucket in each language, in eighths."""

    @property
    def salts(self) -> NDArray[np.uint32]:
        """(L + 1,) what the hashes of each language are salted with; last, for lines of no language, 0."""
        return np.array([*map(salt_of, self.names), 0], np.uint32)


def salt_of(name: str) -> int:
    """The CRC-32 of the language's name; 0 for the empty one, which changes nothing."""
    return zlib.crc32(name.encode("utf-8"))


def count_profiles(texts: Iterable[tuple[str, Units]], names: Sequence[str]) -> Profiles:
    """The profiles of the languages from their training text, (name, units) each; other names are passed over."""
    counts = {name: np.zeros(BUCKETS) for name in names}
    for name, units in texts:
        if name in counts:
            counts[name] += np.bincount(_buckets(units).ravel(), minlength=BUCKETS)
    return Profiles(tuple(names), np.stack([_logs(counts[name]) for name in names], axis=1))


def with_profile(profiles: Profiles, name: str, texts: Iterable[Units]) -> Profiles:
    """The profiles and one more, of a language with these texts."""
    new = count_profiles(((name, units) for units in texts), [name])
    return Profiles((*profiles.names, name), np.concatenate([profiles.logs, new.logs], axis=1))


def _logs(counts: NDArray[np.float64]) -> NDArray[np.int8]:
    smooth = counts + SMOOTHING * max(counts.sum(), 1) / BUCKETS
    logs: NDArray[np.int8] = np.clip(np.round(STEPS_PER_NAT * np.log(smooth / smooth.sum())), -128, 127).astype(np.int8)
    return logs


def recognised(units: Units, bounds: Ints, profiles: Profiles | None) -> Units:
    """The units of some documents, those of each between two `bounds`, salted with their languages."""
    if profiles is None or not len(units):
        return units
    return _in_languages(units, _languages(units, bounds, profiles), profiles)


def recognised_parts(parts: Iterable[Units], profiles: Profiles | None) -> Iterator[Units]:
    """The same for one document, whose units come part by part."""
    before = None
    for units in parts:
        if profiles is not None and len(units):
            languages = _languages(units, np.array([0, len(units)]), profiles, before)
            before = int(languages[-1]) if languages[-1] < len(profiles.names) else None
            units = _in_languages(units, languages, profiles)
        yield units


def language_of(units: Units, profiles: Profiles) -> str:
    """The most probable language of some text, whatever its lines."""
    return profiles.names[int(_scores(units, profiles).sum(axis=0).argmax())] if len(units) else ""


def _in_languages(units: Units, languages: Ints, profiles: Profiles) -> Units:
    return salted(units, profiles.salts[languages])


def _languages(units: Units, bounds: Ints, profiles: Profiles, before: int | None = None) -> Ints:
    """(U,) number of the language that each unit is in, L if that cannot be told.

    before: that of the unit before the first, if the document goes on.
    """
    starts, scores = line_starts(units.gaps), _scores(units, profiles)
    languages = np.repeat(_of_lines(scores, starts, bounds, before), np.diff(np.append(starts, len(units))))
    around = _sums_around(scores, starts)
    of_line = np.take_along_axis(around, np.minimum(languages, scores.shape[1] - 1)[:, None], axis=1)[:, 0]
    strays = (around.max(axis=1) - of_line >= STRAY) & (languages < scores.shape[1])
    result: Ints = np.where(strays, around.argmax(axis=1), languages)
    return result


def _sums_around(scores: Scores, starts: Ints) -> Scores:
    """(U, L) of each unit the sum of its scores (U, L) and those AROUND it in its line."""
    sums = np.concatenate([np.zeros((1, scores.shape[1]), np.int32), np.cumsum(scores, axis=0, dtype=np.int32)])
    ends = np.append(starts[1:], len(scores))
    sizes, numbers = ends - starts, np.arange(len(scores))
    first = np.maximum(numbers - AROUND, np.repeat(starts, sizes))
    last = np.minimum(numbers + AROUND + 1, np.repeat(ends, sizes))
    found: Scores = sums[last] - sums[first]
    return found


def _of_lines(scores: Scores, starts: Ints, bounds: Ints, before: int | None) -> Ints:
    """(lines,) number of the language that each line is in, L if that cannot be told, from the scores (U, L)."""
    scores = np.add.reduceat(scores, starts, axis=0, dtype=np.int32)  # (lines, L)
    best = scores.argmax(axis=1)
    sure = _margins(scores) >= SURE
    document = np.searchsorted(bounds, starts, side="right")
    numbers = np.arange(len(starts))
    last = np.maximum.accumulate(np.where(sure, numbers, -1))
    following = np.minimum.accumulate(np.where(sure, numbers, len(starts))[::-1])[::-1]
    has_last = (last >= 0) & (document[last] == document)
    has_next = following < len(starts)
    has_next[has_next] = document[following[has_next]] == document[has_next]
    chosen = np.full(len(starts), scores.shape[1])
    chosen[has_next] = best[following[has_next]]
    if before is not None:
        chosen[document == document[0]] = before
    chosen[has_last] = best[last[has_last]]
    return chosen


def line_starts(gaps: NDArray[np.int8]) -> Ints:
    """First units of the lines, and of every LONGEST_LINE units in a longer one."""
    starts = gaps >= NEW_LINE
    starts[0] = True
    numbers = np.arange(len(gaps))
    place = numbers - np.maximum.accumulate(np.where(starts, numbers, 0))
    found: Ints = np.flatnonzero(place % LONGEST_LINE == 0)
    return found


def _margins(scores: Scores) -> Scores:
    """(lines,) by how much the best score of each row (lines, L) is above the next."""
    if scores.shape[1] == 1:
        return np.full(len(scores), SURE, np.int32)
    ranked = np.partition(scores, -2, axis=1)
    margins: Scores = ranked[:, -1] - ranked[:, -2]
    return margins


def _scores(units: Units, profiles: Profiles) -> Scores:
    """(U, L) what each unit says for each language, in eighths of a nat."""
    found: Scores = profiles.logs[_buckets(units)].sum(axis=1, dtype=np.int32)
    return found


def _buckets(units: Units) -> Ints:
    """(U, len(COLUMNS))."""
    return (units.hashes[:, COLUMNS] % np.uint32(BUCKETS)).astype(np.int64)


def pack_profiles(profiles: Profiles) -> bytes:
    """The file `languages.gz` of a package; the same profiles give the same bytes."""
    return gzip.compress(profiles.logs.tobytes(), mtime=0)


def profiles_of(package: Package) -> Profiles | None:
    """The languages that a package knows, if any; ModelError where its file does not fit its config."""
    names = package.config.languages
    if not names:
        return None
    try:
        logs = np.frombuffer(gzip.decompress(package.files[LANGUAGES]), np.int8).reshape(BUCKETS, len(names))
    except (KeyError, OSError, EOFError, zlib.error, ValueError) as error:
        raise ModelError(f"{package.path}: {LANGUAGES} does not hold the languages that config.json names: export the "
                         "model again") from error  # fmt: skip
    return Profiles(names, logs)

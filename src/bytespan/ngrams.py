"""Which n-grams a model has learnt, so that one that it never met says nothing to it.

The table of hashed n-grams has fewer rows than texts have n-grams. One that was never met would look up a row all the
same, which others have trained: a new word would be told things about other words. So a model may remember which hashes
it has met, in a Bloom filter with a single hash function (Bloom 1970), and reads zeros for all others. As it does so in
training with n-grams that a single line holds, it learns what to think of words that it does not know.
"""

import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytespan.errors import ModelError
from bytespan.package import NGRAMS, Package

Hashes = NDArray[np.uint32]

UNKNOWN = -1
"""Row of an n-gram that a model does not know; as an index the table's last, which a graph has behind the others, of
zeros."""


@dataclass(frozen=True, slots=True)
class NgramFilter:
    """A set of hashes of n-grams; of the others it takes as large a share for members as `filled` says."""

    bits: NDArray[np.uint8]
    """(size / 8,) bit i is bit i % 8 of number i // 8."""

    @property
    def size(self) -> int:
        """Bits."""
        return 8 * len(self.bits)

    @property
    def filled(self) -> float:
        """The fraction of the bits that are set."""
        return float(np.unpackbits(self.bits).mean())

    def holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Which of the hashes are in it, for hashes of any shape."""
        places = _places(hashes, self.size)
        found: NDArray[np.bool_] = (self.bits[places >> 3] >> (places & 7).astype(np.uint8)) & 1 != 0
        return found

    def rows(self, hashes: Hashes, count: int) -> NDArray[np.int64]:
        """Of each hash the row in a table of so many rows, UNKNOWN if it is not in the filter."""
        return np.where(self.holds(hashes), (hashes % np.uint32(count)).astype(np.int64), UNKNOWN)

    def joined(self, other: "NgramFilter") -> "NgramFilter":
        """One that holds what either of two of the same size does."""
        return NgramFilter(self.bits | other.bits)


def find_ngrams(met: Iterable[tuple[Hashes, Hashes]], *, least: float, size: int) -> NgramFilter:
    """A filter of so many bits with the hashes that at least `least` different lines hold.

    met: hashes (U, n) of units, and (U,) one number for all units of a line, the same for lines that are alike.
    """
    pairs = [_distinct((hashes.astype(np.uint64) << np.uint64(32) | lines[:, None]).ravel()) for hashes, lines in met]
    found = (_distinct(np.concatenate([np.zeros(0, np.uint64), *pairs])) >> np.uint64(32)).astype(np.uint32)  # sorted
    edges = np.flatnonzero(np.diff(found, prepend=found[:1] + np.uint32(1), append=found[-1:] + np.uint32(1)))
    often = np.diff(edges) >= least
    bits = np.zeros(size, np.bool_)
    bits[_places(found[edges[:-1]][often], size)] = True
    return NgramFilter(np.packbits(bits, bitorder="little"))


def _distinct(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The different values in order; some 15 times as fast as numpy's unique on what a corpus holds."""
    values = np.sort(values)
    is_first: NDArray[np.bool_] = np.diff(values, prepend=values[:1] + np.uint64(1)) != 0
    return values[is_first]


def _places(hashes: Hashes, size: int) -> NDArray[np.int64]:
    """Which bit stands for each hash: hash * size / 2^32, rounded down, so that the hash's upper bits choose."""
    return ((hashes.astype(np.uint64) * np.uint64(size)) >> np.uint64(32)).astype(np.int64)


def pack_ngrams(ngrams: NgramFilter) -> bytes:
    """The file `ngrams.gz` of a package; the same filter gives the same bytes."""
    return gzip.compress(ngrams.bits.tobytes(), mtime=0)


def ngrams_of(package: Package) -> NgramFilter | None:
    """The n-grams that a package knows, None if it takes all for known; ModelError for a file that does not fit."""
    size = package.config.known_bits
    if not size:
        return None
    try:
        bits = np.frombuffer(gzip.decompress(package.files[NGRAMS]), np.uint8)
    except (KeyError, OSError, EOFError, zlib.error) as error:
        raise _misfit(package) from error
    if 8 * len(bits) != size:
        raise _misfit(package)
    return NgramFilter(bits)


def _misfit(package: Package) -> ModelError:
    return ModelError(f"{package.path}: {NGRAMS} does not hold the n-grams that config.json tells of: export the model "
                      "again")  # fmt: skip

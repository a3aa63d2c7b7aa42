"""N-grams that a model knows: a set of hashes that forgets none, in a file that is checked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bytespan.config import PRESETS, ModelConfig
from bytespan.errors import ConfigError, ModelError
from bytespan.ngrams import UNKNOWN, NgramFilter, find_ngrams, ngrams_of, pack_ngrams
from bytespan.package import Provenance, read_package, write_package

sizes = st.integers(1, 40).map(lambda size: 8 * size)
hashes = arrays(np.uint32, st.tuples(st.integers(0, 6), st.integers(1, 3)))


def lines_of(count: int, per_line: int) -> np.ndarray:
    return (np.arange(count) // per_line).astype(np.uint32)


@given(st.lists(hashes, max_size=3), st.integers(1, 3), st.sampled_from([1, 2, 2.5]), sizes)
def test_filter_holds_every_hash_that_enough_different_lines_hold(
    found: list[np.ndarray], per_line: int, least: float, size: int
) -> None:
    """Against a slow reference; lines with the same number are the same line, whatever text they are in."""
    met = [(members, lines_of(len(members), per_line)) for members in found]
    lines: dict[int, set[int]] = {}
    for members, numbers in met:
        for row, number in zip(members.tolist(), numbers.tolist(), strict=True):
            for value in row:
                lines.setdefault(value, set()).add(number)
    places = {value * size >> 32 for value, holders in lines.items() if len(holders) >= least}
    known = find_ngrams(met, least=least, size=size)
    assert known.size == size
    assert known.filled * size == pytest.approx(len(places))
    for members in found:
        wanted = [[value * size >> 32 in places for value in row] for row in members.tolist()]
        assert known.holds(members).tolist() == wanted


@given(hashes, hashes, sizes)
def test_joined_filters_hold_what_either_does(one: np.ndarray, other: np.ndarray, size: int) -> None:
    filters = [find_ngrams([(each, lines_of(len(each), 1))], least=1, size=size) for each in (one, other)]
    both = filters[0].joined(filters[1])
    for each in (one, other):
        assert both.holds(each).all()
        assert (both.holds(each) == (filters[0].holds(each) | filters[1].holds(each))).all()


def test_unknown_ngrams_have_no_row_of_the_table() -> None:
    known = find_ngrams([(np.array([[7]], np.uint32), np.zeros(1, np.uint32))], least=1, size=1 << 20)
    rows = known.rows(np.array([[7, 1 << 31], [7, 7]], np.uint32), 5)
    assert rows.tolist() == [[2, UNKNOWN], [2, 2]]


@pytest.mark.parametrize("size", [12, -8, (1 << 32) + 8])
def test_a_filter_of_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=f"model.known_bits must be a multiple of 8 in 0..2\\^32, got {size}"):
        ModelConfig(known_bits=size)


def package(folder: Path, data: bytes | None) -> Path:
    path = folder / "model"
    config = replace(PRESETS["parallel"], known_bits=64)
    write_package(path, config=config, labels={"x": ("A",)}, provenance=Provenance("n"), onnx=b"", ngrams=data)
    return path


def test_ngrams_come_back_from_a_package(tmp_path: Path) -> None:
    known = NgramFilter(np.arange(8, dtype=np.uint8))
    found = ngrams_of(read_package(package(tmp_path, pack_ngrams(known)), with_weights=False))
    assert found is not None
    assert np.array_equal(found.bits, known.bits)


@pytest.mark.parametrize("data", [None, b"", b"not gzip", pack_ngrams(NgramFilter(np.zeros(7, np.uint8)))])
def test_ngrams_that_do_not_fit_the_model_are_refused(tmp_path: Path, data: bytes | None) -> None:
    with pytest.raises(ModelError, match=r"ngrams\.gz does not hold the n-grams that config.json tells of"):
        ngrams_of(read_package(package(tmp_path, data)))

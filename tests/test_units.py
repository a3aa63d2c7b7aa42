"""Units of any text, and their hashes against a slow reader that follows docs/format.md with Python's own integers."""

import unicodedata
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bytespan.units
from bytespan.characters import UNSPACED_CODES
from bytespan.units import (
    HASHES,
    LOWERED,
    NEW_LINE,
    NEW_PARAGRAPH,
    NO_GAP,
    PAD,
    PART_BYTES,
    PREFIXES,
    SPACE,
    SUFFIXES,
    WHOLE,
    WIDTH,
    Units,
    collate_units,
    cut_documents,
    cut_parts,
    cut_units,
)
from bytespan.words import broken_edges
from strategies import texts

inputs = texts.map(str.encode) | st.binary(max_size=40) | st.text("aB1 .\n日é", max_size=40).map(str.encode)
"""Texts, and bytes that are mostly not UTF-8."""

MODULUS = 1 << 32
BASE = 0x9E3779B1


def characters_of(data: bytes) -> list[tuple[str, bytes]]:
    """Each character with its bytes; a byte each if they are not UTF-8."""
    try:
        return [(character, character.encode()) for character in data.decode()]
    except UnicodeDecodeError:
        return [(chr(value), bytes([value])) for value in data]


def polynomial(characters: str) -> int:
    return sum((ord(character) + 1) * pow(BASE, i, MODULUS) for i, character in enumerate(characters)) % MODULUS


def shape_of(character: str) -> int:
    tests = (str.isupper, str.islower, str.isdigit, str.isalpha)
    return next((number for number, test in enumerate(tests, 1) if test(character)), 5)


def shapes_code(word: str) -> int:
    shapes = [shape_of(character) for character in word]
    present = sum(1 << shape for shape in set(shapes))
    second = shapes[min(1, len(word) - 1)]
    return shapes[0] | second << 3 | shapes[-1] << 6 | present << 9 | min(len(word), 7) << 15


def mixed(value: int) -> int:
    value = (value ^ value >> 16) * 0x85EBCA6B % MODULUS
    value = (value ^ value >> 13) * 0xC2B2AE35 % MODULUS
    return value ^ value >> 16


def run_around(characters: list[tuple[str, bytes]], first: int, last: int) -> tuple[int, int]:
    """The run of a script without spaces that the unit from character `first` to `last` stands in, else the unit."""

    def is_unspaced(number: int) -> bool:
        character = characters[number][0] if 0 <= number < len(characters) else " "
        return any(low <= ord(character) <= high for low, high in UNSPACED_CODES) and not character.isspace()

    if is_unspaced(first):
        while is_unspaced(first - 1):
            first -= 1
        while is_unspaced(last):
            last += 1
    return first, last


def hashes_of(characters: list[tuple[str, bytes]], first: int, last: int) -> list[int]:
    """What a reader in any language works out for the unit from character `first` to `last`."""
    low, high = run_around(characters, first, last)
    text = "".join(character for character, _ in characters)
    word = text[first:last]
    lower = "".join(character.lower()[0] for character in word)
    values = [polynomial(word), polynomial(word), polynomial(lower), shapes_code(word)]
    values += [polynomial(text[first : min(first + size, high)]) for size in PREFIXES]
    text = "".join(character.lower()[0] for character in text)
    values += [polynomial(text[max(last - size, low) : last]) for size in SUFFIXES]
    return [mixed(value ^ (number * BASE % MODULUS)) for number, value in enumerate(values, 1)]


@given(inputs)
def test_units_are_in_order_apart_and_cover_all_but_white_space(data: bytes) -> None:
    units = cut_units(data)
    assert (units.starts < units.ends).all()
    assert (units.ends[:-1] <= units.starts[1:]).all()
    covered = {i for start, end in zip(units.starts, units.ends, strict=True) for i in range(start, end)}
    offset = 0
    for character, encoded in characters_of(data):
        places = set(range(offset, offset + len(encoded)))
        assert places.isdisjoint(covered) if character.isspace() else places <= covered
        offset += len(encoded)


@given(inputs)
def test_edges_of_units_are_where_spans_of_whole_words_may_begin_and_end(data: bytes) -> None:
    """But at the end of the text nothing begins, and at its beginning nothing ends."""
    units = cut_units(data)
    begin, end = ~broken_edges(data)
    assert units.starts.tolist() == np.flatnonzero(begin[:-1]).tolist()
    assert units.ends.tolist() == (np.flatnonzero(end[1:]) + 1).tolist()


@given(inputs)
def test_hashes_are_those_of_the_slow_reader(data: bytes) -> None:
    units = cut_units(data)
    assert units.hashes.shape == (len(units), HASHES)
    characters = characters_of(data)
    offsets = np.cumsum([0, *(len(encoded) for _, encoded in characters)]).tolist()
    edges = [(offsets.index(start), offsets.index(end)) for start, end in zip(units.starts, units.ends, strict=True)]
    assert units.hashes.tolist() == [hashes_of(characters, *edge) for edge in edges]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [1525533463, 2080168841, 249552865, 749218781]),
        ("Straße", [3340117350, 3341550251, 230018148, 369113742]),
    ],
)
def test_hashes_of_known_units_stay_what_they_are(text: str, expected: list[int]) -> None:
    """Every trained table depends on them."""
    (hashes,) = cut_units(text.encode()).hashes.tolist()
    assert hashes[:4] == expected


def test_characters_of_scripts_without_spaces_know_their_neighbours() -> None:
    """The first and last three characters of a run, and where a space parts them."""
    run, parted = (cut_units(text.encode()).hashes[2, WHOLE:].tolist() for text in ("東京都庁舎", "東京 都 庁舎"))
    assert len(set(run)) == len(run)
    assert set(run).isdisjoint(parted[:1])
    lone = cut_units("都".encode()).hashes[0, WHOLE:].tolist()
    assert parted == lone
    ahead = cut_units("都庁舎".encode()).hashes[0, WHOLE : WHOLE + len(PREFIXES)].tolist()
    assert run[: len(PREFIXES)] == ahead


@given(st.text("abÉ日", min_size=1, max_size=6), inputs, inputs)
def test_equal_units_have_equal_hashes_wherever_they_stand(word: str, before: bytes, after: bytes) -> None:
    alone = cut_units(word.encode())
    try:
        amid = cut_units((before.decode() + " " + word + " " + after.decode()).encode())
    except UnicodeDecodeError:
        return
    first = amid.starts.tolist().index(len(before) + 1)
    part = amid.slice(first, first + len(alone))
    assert np.array_equal(part.hashes, alone.hashes)
    assert np.array_equal(part.symbols, alone.symbols)
    assert np.array_equal(part.affixes, alone.affixes)


@given(inputs)
def test_gaps_say_what_stands_before_each_unit(data: bytes) -> None:
    units = cut_units(data)
    for number, (start, gap) in enumerate(zip(units.starts.tolist(), units.gaps.tolist(), strict=True)):
        between = data[units.ends[number - 1] : start] if number else b"\n\n"
        lines = between.count(b"\n")
        assert gap == (NO_GAP if not between else (SPACE, NEW_LINE, NEW_PARAGRAPH)[min(lines, 2)])


@given(inputs)
def test_symbols_are_the_bytes_or_the_first_and_last_eight(data: bytes) -> None:
    units = cut_units(data)
    for start, end, symbols in zip(units.starts, units.ends, units.symbols, strict=True):
        word = data[start:end]
        seen = word if len(word) <= WIDTH else word[: WIDTH // 2] + word[-WIDTH // 2 :]
        assert symbols.tolist() == [*seen, *[PAD] * (WIDTH - len(seen))]


@pytest.mark.parametrize("size", [15, 16, 17, 40])
def test_long_units_are_seen_at_both_ends(size: int) -> None:
    word = bytes(97 + i % 26 for i in range(size))
    (symbols,) = cut_units(word).symbols.tolist()
    assert bytes(symbols[: min(size, 16)]) == (word if size <= 16 else word[:8] + word[-8:])


@given(inputs)
def test_affixes_count_the_bytes_that_were_hashed(data: bytes) -> None:
    units = cut_units(data)
    characters = characters_of(data)
    offsets = np.cumsum([0, *(len(encoded) for _, encoded in characters)]).tolist()
    for sizes, start, end in zip(units.affixes, units.starts.tolist(), units.ends.tolist(), strict=True):
        first, last = offsets.index(start), offsets.index(end)
        low, high = run_around(characters, first, last)
        word = [len(encoded) for _, encoded in characters]
        expected = [sum(word[first : min(first + size, high)]) for size in PREFIXES]
        expected += [sum(word[max(last - size, low) : last]) for size in SUFFIXES]
        assert sizes.tolist() == expected
        assert max(expected) <= WIDTH


@given(texts)
def test_no_unit_parts_a_mark_from_its_letter(text: str) -> None:
    starts = set(cut_units(text.encode()).starts.tolist())
    offset = 0
    for before, character in zip(" " + text, text, strict=False):
        if unicodedata.category(character)[0] == "M" and before in "abzàé":
            assert offset not in starts
        offset += len(character.encode())


def assert_same(one: Units, other: Units) -> None:
    for field in fields(Units):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


@given(st.text("aB1 .\n日éก\u0301", max_size=300).map(str.encode) | st.binary(max_size=300), st.integers(1, 100))
def test_parts_have_the_units_of_the_whole(data: bytes, size: int) -> None:
    whole = cut_units(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bytespan.units, "PART_BYTES", size)
        parts = list(cut_parts(data))
    assert_same(Units.joined(parts or [cut_units(b"")]), whole)


def test_parts_of_a_large_document_are_small() -> None:
    sizes = [len(part) for part in cut_parts(b"a b c d e f g h " * 20_000)]
    assert sum(sizes) == 160_000
    assert max(sizes) <= PART_BYTES // 2


@given(st.lists(inputs, max_size=5))
def test_units_of_documents_in_a_row_are_those_of_each(data: list[bytes]) -> None:
    units, bounds = cut_documents(data)
    assert len(bounds) == len(data) + 1
    assert bounds[-1] == len(units)
    for item, first, last in zip(data, bounds.tolist(), bounds[1:].tolist(), strict=False):
        assert_same(units.slice(first, last), cut_units(item))


@given(st.lists(inputs, max_size=4), st.sampled_from([1, 7, 1024]))
def test_collated_segments_stand_side_by_side(data: list[bytes], rows: int) -> None:
    segments = [cut_units(item) for item in data]
    batch = collate_units(segments, rows=rows)
    longest = max(map(len, segments), default=0)
    assert batch.rows.shape == (longest, len(data), HASHES)
    assert batch.symbols.shape == (longest, len(data), WIDTH)
    assert batch.gaps.shape == batch.words.shape == (longest, len(data))
    assert batch.lengths.tolist() == [len(units) for units in segments]
    for column, units in enumerate(segments):
        size = len(units)
        assert (batch.rows[:size, column] == units.hashes.astype(np.int64) % rows).all()
        assert (batch.symbols[:size, column] == units.symbols).all()
        assert (batch.gaps[:size, column] == units.gaps).all()
        lower = units.hashes[:, LOWERED]
        words = batch.words[:size, column]
        assert ((words[:, None] == words) == (lower[:, None] == lower)).all()
        assert (words >= 0).all()
        assert (batch.words[size:, column] == -1).all()
        assert (batch.symbols[size:, column] == PAD).all()
        assert not batch.rows[size:, column].any()


def test_same_word_in_another_case_is_the_same_word() -> None:
    batch = collate_units([cut_units(b"Rom ROM rom Ulm rom.")], rows=64)
    first, second, third, other, last, stop = batch.words[:, 0].tolist()
    assert first == second == third == last
    assert len({first, other, stop}) == 3


@pytest.mark.parametrize("data", [b"", b" \n\t", " \u3000".encode()])
def test_text_without_anything_visible_has_no_units(data: bytes) -> None:
    units = cut_units(data)
    assert len(units) == 0
    assert units.hashes.shape == (0, HASHES)
    assert units.symbols.shape == (0, WIDTH)
    assert units.affixes.shape == (0, len(PREFIXES) + len(SUFFIXES))

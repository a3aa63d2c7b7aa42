"""Languages of lines: who is recognised, whom unsure lines follow, and what salt does."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.errors import ModelError
from bytespan.languages import (
    AROUND,
    BUCKETS,
    LONGEST_LINE,
    Profiles,
    count_profiles,
    language_of,
    pack_profiles,
    profiles_of,
    recognised,
    recognised_parts,
    salt_of,
    with_profile,
)
from bytespan.package import LANGUAGES, Provenance, read_package, write_package
from bytespan.units import SALTED, Units, cut_documents, cut_units, salted

ENGLISH = b"the cat sits on the mat and the dog barks at the moon while the children sleep"
GERMAN = "die Katze sitzt auf der Matte und der Hund bellt den Mond an, während die Kinder schlafen".encode()
NEITHER = b"12"


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return count_profiles([("en", cut_units(ENGLISH)), ("de", cut_units(GERMAN))], ["en", "de"])


def in_language(data: bytes, name: str) -> Units:
    return salted(cut_units(data), np.array([salt_of(name)], np.uint32))


def spoken(units: Units, data: bytes) -> list[str]:
    """The language that each unit was salted with."""
    known = {name: in_language(data, name).hashes for name in ("en", "de", "")}
    return [next(name for name, hashes in known.items() if np.array_equal(hashes[i], units.hashes[i]))
            for i in range(len(units))]  # fmt: skip


def of_lines(lines: list[bytes], profiles: Profiles) -> list[str]:
    """The language of each line of a document."""
    data = b"\n".join(lines)
    units = recognised(cut_units(data), np.array([0]), profiles)
    found, at = [], np.cumsum([0, *(len(cut_units(line)) for line in lines)])
    for first, last in itertools.pairwise(at):
        (language,) = set(spoken(units, data)[first:last])
        found.append(language)
    return found


def test_each_line_is_recognised_by_itself(profiles: Profiles) -> None:
    assert of_lines([ENGLISH, GERMAN, ENGLISH], profiles) == ["en", "de", "en"]


def test_unsure_lines_follow_the_sure_line_before_them_or_else_the_next(profiles: Profiles) -> None:
    lines = [NEITHER, GERMAN, NEITHER, NEITHER, ENGLISH, NEITHER]
    assert of_lines(lines, profiles) == ["de", "de", "de", "de", "en", "en"]


def test_document_without_a_sure_line_is_told_no_language(profiles: Profiles) -> None:
    assert of_lines([NEITHER, NEITHER], profiles) == ["", ""]


def test_documents_do_not_learn_their_language_from_one_another(profiles: Profiles) -> None:
    texts = [ENGLISH, NEITHER, GERMAN]
    units, bounds = cut_documents(texts)
    together = recognised(units, bounds, profiles)
    for text, first, last in zip(texts, bounds[:-1], bounds[1:], strict=True):
        alone = recognised(cut_units(text), np.array([0]), profiles)
        assert np.array_equal(alone.hashes, together.hashes[first:last])


def test_long_line_may_change_its_language(profiles: Profiles) -> None:
    data = b" ".join([ENGLISH] * 40 + [GERMAN] * 40)
    units = recognised(cut_units(data), np.array([0]), profiles)
    languages = spoken(units, data)
    assert len(languages) > 3 * LONGEST_LINE
    assert (languages[0], languages[-1]) == ("en", "de")
    assert sum(one != other for one, other in itertools.pairwise(languages)) == 1


def test_part_goes_on_in_the_language_of_the_part_before(profiles: Profiles) -> None:
    parts = recognised_parts([cut_units(GERMAN), cut_units(NEITHER), cut_units(b"")], profiles)
    _, neither, nothing = parts
    assert spoken(neither, NEITHER) == ["de"]
    assert len(nothing) == 0


def test_model_of_no_languages_changes_nothing() -> None:
    units = cut_units(GERMAN)
    assert recognised(units, np.array([0]), None) is units
    assert list(recognised_parts([units], None)) == [units]


def test_salt_changes_some_hashes_and_leaves_the_others() -> None:
    plain, told = cut_units(GERMAN).hashes, in_language(GERMAN, "de").hashes
    shared = np.setdiff1d(np.arange(plain.shape[1]), SALTED)
    assert np.array_equal(plain[:, shared], told[:, shared])
    assert (plain[:, SALTED] != told[:, SALTED]).all()
    assert np.array_equal(in_language(GERMAN, "").hashes, plain)
    assert (in_language(GERMAN, "en").hashes[:, SALTED] != told[:, SALTED]).all()


def test_language_added_later_leaves_the_others_as_they_were(profiles: Profiles) -> None:
    finnish = cut_units(b"kissa istuu matolla ja koira haukkuu kuuta, kun lapset nukkuvat")
    more = with_profile(profiles, "", [finnish])
    assert more.names == ("en", "de", "")
    assert np.array_equal(more.logs[:, :2], profiles.logs)
    assert [language_of(cut_units(text), more) for text in (ENGLISH, GERMAN, b"kissa nukkuu")] == ["en", "de", ""]


@given(data=st.binary(max_size=200))
def test_any_bytes_have_a_language_or_none(data: bytes) -> None:
    profiles = count_profiles([("en", cut_units(ENGLISH)), ("de", cut_units(GERMAN))], ["en", "de"])
    units = cut_units(data)
    assert set(spoken(recognised(units, np.array([0]), profiles), data)) <= {"en", "de", ""}


def test_profiles_come_back_from_a_package(tmp_path: Path, profiles: Profiles) -> None:
    path = package(tmp_path, profiles, pack_profiles(profiles))
    found = profiles_of(read_package(path, with_weights=False))
    assert found is not None
    assert found.names == ("en", "de")
    assert np.array_equal(found.logs, profiles.logs)


@pytest.mark.parametrize(
    "data", [None, b"", b"not gzip", pack_profiles(Profiles(("en",), np.zeros((BUCKETS, 1), np.int8)))]
)
def test_package_whose_languages_are_missing_or_damaged_is_refused(
    tmp_path: Path, profiles: Profiles, data: bytes | None
) -> None:
    path = package(tmp_path, profiles, data)
    with pytest.raises(ModelError, match=LANGUAGES):
        profiles_of(read_package(path))


def package(folder: Path, profiles: Profiles, data: bytes | None) -> Path:
    from bytespan.config import PRESETS

    path = folder / "model"
    config = replace(PRESETS["parallel"], languages=profiles.names)
    labels = {"tokens": ("NOUN",)}
    write_package(path, config=config, labels=labels, provenance=Provenance("m"), onnx=b"", languages=data)
    return path


def test_clause_of_another_language_is_told_from_its_line(profiles: Profiles) -> None:
    data = b" ".join([ENGLISH, GERMAN, ENGLISH])
    languages = spoken(recognised(cut_units(data), np.array([0]), profiles), data)
    assert set(languages) == {"en", "de"}
    assert languages[: AROUND * 2] == languages[-AROUND * 2 :] == ["en"] * AROUND * 2
    assert languages[len(languages) // 2] == "de"

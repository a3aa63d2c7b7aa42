"""A model on disk: what was written comes back, and what was not written by us is refused in one sentence."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytespan.config import ModelConfig
from bytespan.errors import ConfigError, LabelError, ModelError
from bytespan.package import Package, Provenance, read_package, write_package

CONFIG = ModelConfig(segment_length=30, layers=2, units=8, embedding=4, attention=True)
LABELS = {"tokens": ("NOUN", "ADP+DET"), "entities": ("PER", "地名")}
PROVENANCE = Provenance("trial", "3", ("de", "fr"), "MIT", ("a corpus (CC0)",), {"dev F1": 0.5}, "int8")
FILES = ("config.json", "labels.json", "model.onnx", "card.md", "weights.safetensors")


def write(path: Path, *, onnx: bytes = bytes(range(256)) * 5, **changes: Any) -> Path:
    wanted: dict[str, Any] = {"config": CONFIG, "labels": LABELS, "provenance": PROVENANCE, "weights": b"weights" * 9}
    write_package(path, onnx=onnx, **(wanted | changes))
    return path


@pytest.fixture(params=["model", "model.zip"])
def package_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A package as a directory and as a zip file."""
    return write(tmp_path / request.param)


def contents(package: Package) -> tuple[object, ...]:
    return package.config, package.vocabulary, package.provenance, package.files


def refusal(path: Path) -> str:
    """The one sentence with which a model is refused."""
    with pytest.raises(ModelError) as caught:
        read_package(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def test_package_comes_back_as_it_was_written(package_path: Path) -> None:
    package = read_package(package_path)
    assert (package.config, package.labels, package.provenance) == (CONFIG, LABELS, PROVENANCE)
    assert (package.onnx, package.weights) == (bytes(range(256)) * 5, b"weights" * 9)
    assert list(package.labels) == ["tokens", "entities"]
    assert read_package(str(package_path)) == package


names = st.text(max_size=8)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(names, st.lists(names, min_size=1, max_size=3, unique=True).map(tuple), min_size=1, max_size=3),
    st.builds(
        Provenance,
        names,
        names,
        st.lists(names, max_size=2).map(tuple),
        names,
        st.lists(names, max_size=2).map(tuple),
        st.dictionaries(names, st.floats(0, 1), max_size=2),
        names,
    ),
)
def test_any_labels_and_provenance_come_back(
    tmp_path_factory: pytest.TempPathFactory, labels: dict[str, tuple[str, ...]], provenance: Provenance
) -> None:
    path = write(tmp_path_factory.mktemp("any") / "model", labels=labels, provenance=provenance)
    package = read_package(path)
    assert (list(package.labels.items()), package.provenance) == (list(labels.items()), provenance)


def test_package_without_weights_has_none(tmp_path: Path) -> None:
    assert read_package(write(tmp_path / "model", weights=None)).weights is None


def test_weights_that_are_not_wanted_are_not_read(package_path: Path) -> None:
    whole = read_package(package_path)
    package = read_package(package_path, with_weights=False)
    assert package.weights is None
    assert dict(package.files) == {name: data for name, data in whole.files.items() if name != "weights.safetensors"}


def test_directory_holds_the_files_that_the_contract_names(tmp_path: Path) -> None:
    path = write(tmp_path / "deep" / "down" / "model")
    assert sorted(item.name for item in path.iterdir()) == sorted(FILES)
    assert [item.name for item in path.parent.iterdir()] == ["model"]


def test_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a.zip").read_bytes() == write(tmp_path / "b.zip").read_bytes()


def test_card_is_written_from_what_is_known(package_path: Path) -> None:
    card = read_package(package_path).card
    for fact in (
        "# trial 3",
        "NOUN, ADP+DET",
        "地名",
        "de, fr",
        "MIT",
        "a corpus (CC0)",
        "| dev F1 | 0.5000 |",
        "2 x 8",
    ):
        assert fact in card


def test_card_of_ones_own_is_kept(tmp_path: Path) -> None:
    assert read_package(write(tmp_path / "model", card="Ours: ü\n")).card == "Ours: ü\n"


def test_no_file_of_a_package_is_a_pickle(tmp_path: Path) -> None:
    assert not any(item.read_bytes().startswith(b"\x80") for item in write(tmp_path / "model").iterdir())


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model")
    (path / name).unlink()
    assert name in refusal(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_truncated_file_is_named(name: str, kept: int, tmp_path: Path) -> None:
    path = write(tmp_path / "model")
    (path / name).write_bytes((path / name).read_bytes()[:kept])
    assert name in refusal(path)


@pytest.mark.parametrize("name", FILES)
def test_flipped_bit_of_a_file_is_noticed(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model", onnx=b"graph" * 4)
    whole = (path / name).read_bytes()
    for position in range(0, len(whole), 4):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        (path / name).write_bytes(damaged)
        refusal(path)
    (path / name).write_bytes(whole)
    read_package(path)


@pytest.mark.parametrize("name", ["labels.json", "model.onnx", "card.md"])
def test_file_of_another_model_is_noticed(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model")
    labels = {"tokens": ("ADP+DET", "NOUN"), "entities": ("PER", "地名")}
    other = write(tmp_path / "other", labels=labels, onnx=bytes(256) * 5, card="# else")
    shutil.copy(other / name, path / name)
    assert name in refusal(path)


def test_extra_files_in_a_directory_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "model")
    (path / ".DS_Store").write_bytes(b"Bud1")
    assert read_package(path).labels == LABELS


def signed(content: dict[str, Any]) -> bytes:
    """config.json as docs/format.md says it must be, made without our writer."""
    data = json.dumps(content | {"sha256": "0" * 64}).encode()
    return data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)


def rewrite(path: Path, change: Callable[[dict[str, Any]], object], **files: str) -> Path:
    """Change config.json and files by name, and make sizes and checksums fit again, as a hostile writer would."""
    content = json.loads((path / "config.json").read_bytes())
    for stem, text in files.items():
        name = f"{stem}.json"
        (path / name).write_text(text, encoding="utf-8")
        data = (path / name).read_bytes()
        content["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    change(content)
    (path / "config.json").write_bytes(signed(content))
    return path


def test_config_of_another_writer_is_read(tmp_path: Path) -> None:
    path = rewrite(write(tmp_path / "model"), lambda content: content.update(comment="hello"))
    assert read_package(path).config == CONFIG


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: s.update(format_version=2), "format version 2, this bytespan reads 1: upgrade bytespan"),
        (lambda s: s.update(format_version="1"), "format version '1'"),
        (lambda s: s.pop("format_version"), "format version None"),
        (lambda s: s.update(format="another"), "not a model of bytespan"),
        (lambda s: s["model"].update(units="many"), "model.units must be int, got 'many'"),
        (lambda s: s["model"].update(units=0), "model.units must be at least 1, got 0"),
        (lambda s: s["model"].update(unit=8), "unknown setting model.unit; did you mean 'units'?"),
        (lambda s: s.pop("model"), "docs/format.md"),
        (lambda s: s.update(provenance=[1]), "docs/format.md"),
        (lambda s: s["provenance"].update(scores={"F1": "high"}), "docs/format.md"),
        (lambda s: s["provenance"].pop("name"), "docs/format.md"),
        (lambda s: s.update(files=[]), "does not list"),
        (lambda s: s["files"].pop("model.onnx"), "does not list"),
        (lambda s: s["files"].update({"../../etc/passwd": {"bytes": 1, "sha256": ""}}), "'../../etc/passwd'"),
        (lambda s: s["files"].update({"/etc/passwd": {"bytes": 1, "sha256": ""}}), "'/etc/passwd'"),
        (lambda s: s["files"].update({"model.onnx": 7}), "model.onnx"),
    ],
)
def test_unusable_config_is_refused(change: Callable[[dict[str, Any]], object], complaint: str, tmp_path: Path) -> None:
    assert complaint in refusal(rewrite(write(tmp_path / "model"), change))


@pytest.mark.parametrize(
    "labels",
    [
        *("[]", "7", "{", "", "[" * 100_000, "{}"),
        *('{"tokens": "NOUN"}', '{"tokens": [1]}', '{"tokens": []}', '{"tokens": ["A", "A"]}'),
    ],
)
def test_unusable_label_sets_are_refused(labels: str, tmp_path: Path) -> None:
    path = rewrite(write(tmp_path / "model"), lambda content: None, labels=labels)
    assert "unusable model" in refusal(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": "else"}', b"[" * 100_000])
def test_foreign_config_is_refused(data: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "model")
    (path / "config.json").write_bytes(data)
    refusal(path)


def test_huge_config_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "model")
    with open(path / "config.json", "r+b") as stream:
        stream.truncate(1 << 40)  # sparse: a terabyte that takes no space
    refusal(path)


def test_absent_model_is_said_to_be_absent(tmp_path: Path) -> None:
    assert "no such model" in refusal(tmp_path / "nowhere")


def test_directory_that_is_no_model_is_refused(tmp_path: Path) -> None:
    assert "it holds no config.json" in refusal(tmp_path)


@pytest.mark.parametrize("data", [b"", b"plain text\n", b"PK\x03\x04 and no more", b"\0" * 5000])
def test_file_that_is_no_zip_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    assert "neither a model directory nor a whole zip file" in refusal(tmp_path / "file")


def test_truncated_zip_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.zip", onnx=b"graph")
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        refusal(path)


def test_zip_with_any_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    """Some bytes of a zip file, such as its dates, mean nothing to us."""
    path = write(tmp_path / "model.zip", onnx=b"graph", weights=None)
    whole, sound = path.read_bytes(), contents(read_package(path))
    refused, positions = 0, range(0, len(whole), 5)
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            assert contents(read_package(path)) == sound
        except ModelError:
            refused += 1
    assert refused > len(positions) * 0.7


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "model/", "..", "a\\b", "", "C:evil", "x\n"])
def test_zip_with_a_member_outside_its_top_is_refused(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    assert repr(name) in refusal(path)
    assert [item.name for item in tmp_path.iterdir()] == ["model.zip"]


def test_zip_with_a_member_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.zip")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("labels.json", b"{}")
    assert "'labels.json'" in refusal(path)


def test_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.zip")
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(signature, at + 1)
    path.write_bytes(data)
    assert "encrypted" in refusal(path)


def test_zip_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.zip", onnx=bytes(1 << 20))
    data = path.read_bytes()
    assert (1 << 20).to_bytes(4, "little") in data
    path.write_bytes(data.replace((1 << 20).to_bytes(4, "little"), (1 << 10).to_bytes(4, "little")))
    refusal(path)


def test_zip_made_by_another_tool_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "packed", "w", zipfile.ZIP_STORED) as archive:
        for name in reversed(FILES):
            archive.write(path / name, name)
    assert contents(read_package(tmp_path / "packed")) == contents(read_package(path))


def test_package_is_replaced_in_one_step(package_path: Path) -> None:
    write(package_path, onnx=b"newer")
    assert read_package(package_path).onnx == b"newer"
    assert [item.name for item in package_path.parent.iterdir()] == [package_path.name]


@pytest.mark.parametrize(
    ("changes", "kind"), [({"labels": {"tokens": ()}}, LabelError), ({"labels": {"tokens": ("A", "A")}}, LabelError)]
)
def test_package_that_could_not_be_read_again_is_not_written(
    changes: dict[str, Any], kind: type[Exception], package_path: Path
) -> None:
    with pytest.raises(kind):
        write(package_path, **changes)
    assert read_package(package_path).labels == LABELS


def test_old_directory_that_a_killed_writer_set_aside_is_still_the_model(tmp_path: Path) -> None:
    """Killed after the first of its two renames."""
    path = write(tmp_path / "model")
    sound = contents(read_package(path))
    path.rename(tmp_path / ".model.4711.old")
    (tmp_path / ".model.4711.new").mkdir()
    (tmp_path / ".model.4711.new" / "config.json").write_text("{}")
    assert contents(read_package(path)) == sound
    write(path, onnx=b"newer")
    assert read_package(path).onnx == b"newer"
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def test_what_a_killed_writer_left_of_another_model_stays(tmp_path: Path) -> None:
    (tmp_path / ".model-2.4711.old").mkdir()
    write(tmp_path / "model")
    assert "no such model" in refusal(tmp_path / "model-1")
    assert sorted(item.name for item in tmp_path.iterdir()) == [".model-2.4711.old", "model"]


def test_config_errors_are_not_model_errors_when_writing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write(tmp_path / "model", config=ModelConfig(units=0))

"""Models written in one step: whatever happens to the writer, what stands there is the old one or the new one."""

import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from bytespan.atomic import find_written, recover, write_directory, write_zip
from bytespan.errors import ModelError

OLD, NEW = ({"config.json": b"{}", "data": content * 1000} for content in (b"first", b"second"))


def write(path: Path, files: Mapping[str, bytes]) -> Path:
    """A directory or a zip file, as the name says."""
    (write_zip if path.suffix == ".zip" else write_directory)(path, files)
    return path


def read(path: Path) -> dict[str, bytes]:
    path = find_written(path)
    if path.is_dir():
        return {item.name: item.read_bytes() for item in path.iterdir()}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


@pytest.fixture(params=["model", "model.zip"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a directory or a zip file is to be."""
    return tmp_path / request.param


def test_what_is_written_replaces_what_was_there_whole(place: Path) -> None:
    assert read(write(place, {**OLD, "more": b""})) == {**OLD, "more": b""}
    assert read(write(place, NEW)) == NEW
    assert names(place.parent) == [place.name]


def test_same_files_give_the_same_zip_file(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, OLD) for name in ("a.zip", "b.zip"))
    assert first.read_bytes() == second.read_bytes()


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
sys.path.insert(0, sys.argv[2])
from test_atomic import write
from bytespan.errors import ModelError
from pathlib import Path
import random
try:
    write(Path(sys.argv[1]), {"config.json": b"{}", "data": random.Random(0).randbytes(100_000)})
except ModelError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
def test_full_disk_leaves_the_old_model(place: Path) -> None:
    write(place, OLD)
    command = [sys.executable, "-c", FULL_DISK, str(place), str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith(f"{place}: cannot write the model: ")
    assert result.stdout.count("\n") == 1
    assert read(place) == OLD
    assert names(place.parent) == [place.name]


def test_place_that_cannot_be_written_is_named(place: Path) -> None:
    (place.parent / "file").write_text("no directory")
    with pytest.raises(ModelError, match=f"file/{place.name}: cannot write the model: "):
        write(place.parent / "file" / place.name, NEW)


@pytest.mark.parametrize("is_directory", [True, False])
def test_what_is_no_model_is_not_replaced_by_one(is_directory: bool, tmp_path: Path) -> None:
    place = tmp_path / "thesis"
    content = place / "chapter.txt" if is_directory else place
    content.parent.mkdir(exist_ok=True)
    content.write_text("years of work", encoding="utf-8")
    with pytest.raises(ModelError, match=r"thesis: holds no model .* empty it"):
        write(place, NEW)
    assert content.read_text(encoding="utf-8") == "years of work"
    assert names(tmp_path) == ["thesis"]


def test_empty_directory_becomes_a_model(tmp_path: Path) -> None:
    place = tmp_path / "new"
    place.mkdir()
    assert read(write(place, NEW)) == NEW


def test_directory_in_the_way_of_a_zip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.zip").mkdir()
    with pytest.raises(ModelError, match="cannot write the model"):
        write(tmp_path / "model.zip", NEW)


def test_old_directory_that_a_killed_writer_set_aside_is_brought_back(tmp_path: Path) -> None:
    """Killed after the first of its two renames."""
    path = write(tmp_path / "model", OLD)
    path.rename(tmp_path / ".model.4711.old")
    (tmp_path / ".model.4711.new").mkdir()
    (tmp_path / ".model.4711.new" / "config.json").write_text("{}")
    assert read(path) == OLD
    with pytest.raises(ModelError):
        write(path, {"no/such/directory": b""})
    assert read(path) == OLD
    assert names(tmp_path) == ["model"]
    assert read(write(path, NEW)) == NEW


def test_what_a_killed_writer_left_of_another_model_stays(tmp_path: Path) -> None:
    (tmp_path / ".model-2.4711.old").mkdir()
    write(tmp_path / "model", NEW)
    recover(tmp_path / "model-1")
    assert not find_written(tmp_path / "model-1").exists()
    assert names(tmp_path) == [".model-2.4711.old", "model"]


WRITE_FOREVER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_atomic import NEW, OLD, write
from pathlib import Path
path = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for files in (OLD, NEW):
        write(path, files)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_writer_killed_at_any_moment_leaves_a_whole_model(place: Path) -> None:
    moments = random.Random(1)
    write(place, OLD)
    for _ in range(4):
        command = [sys.executable, "-c", WRITE_FOREVER, str(place), str(Path(__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(moments.random() * 0.1)
            writer.send_signal(signal.SIGKILL)
        assert read(place) in (OLD, NEW)

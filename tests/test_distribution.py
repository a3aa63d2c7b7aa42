"""What the wheel and the sdist hold."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from bytespan.tagger import PACKAGED_MODEL

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return directory


def test_the_wheel_holds_the_package_and_its_model_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"bytespan", "bytespan-0.1.0.dist-info"}
    for member in ("py.typed", "cli/app.py", "models/base.zip"):
        assert f"bytespan/{member}" in names
    assert wheel.stat().st_size < 20_000_000


def test_the_packaged_model_takes_at_most_four_megabytes() -> None:
    assert PACKAGED_MODEL.stat().st_size <= 4_000_000


def test_the_sdist_leaves_out_recipes_and_their_weights(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/bytespan/__init__.py", "examples/languages.txt"} <= names
    assert not [name for name in names if name.startswith(("recipes", "runs", ".")) and name != ".gitignore"]


def test_tagging_needs_no_torch() -> None:
    from importlib.metadata import requires

    needed = [line for line in requires("bytespan") or [] if "extra ==" not in line]
    assert not [line for line in needed if line.startswith(("torch", "onnx>", "tensorboard"))]

"""Every block of the README runs as pasted, in order, in an empty directory that has nothing but the examples."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SET_UP = {"bash demo.sh\n", "bash check.sh\n"}
"""The two commands that set up a clone: CI itself runs them, and one of them runs this test."""


@pytest.mark.slow
def test_every_block_runs_as_pasted(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path}
    commands = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    ran = []
    for language, block in BLOCKS:
        if block not in SET_UP:
            ended = subprocess.run([*commands[language], block], cwd=tmp_path, env=environment, capture_output=True)
            assert ended.returncode == 0, f"{block}\n{ended.stderr.decode()}"
            assert ended.stdout, block
            ran.append(language)
    assert {"bash", "python"} <= set(ran)


def test_ci_runs_the_two_commands_that_set_up_a_clone() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {block for _, block in BLOCKS if block in SET_UP} == SET_UP
    assert all(block in ci for block in SET_UP)


def test_every_file_that_the_readme_names_is_there() -> None:
    links = re.findall(r"\]\(([^):]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []

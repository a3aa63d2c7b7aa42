"""The command line as its users have it: a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "bytespan"]
PLAIN = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM")
"""Variables that change what is shown, and so are not handed on."""

GOLDEN = Path(__file__).parent.parent / "golden"

Golden = Callable[[str | Path, str], None]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without what changes the look, and with `variables`."""
    return {key: value for key, value in os.environ.items() if key not in PLAIN} | variables


def take_interrupts() -> None:
    """For the child of a Popen: let Ctrl-C through, also where the tests were started in the background.

    A shell has its background jobs ignore SIGINT, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `bytespan` in an empty directory and return how it ended; standard input is closed unless given."""

    def call(*arguments: object, stdin: str | bytes = b"", **variables: str) -> "subprocess.CompletedProcess[str]":
        ended = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=tmp_path,
            env=environment(**variables),
            timeout=120,
        )
        return subprocess.CompletedProcess(
            ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode(errors="replace")
        )

    return call


@pytest.fixture
def golden() -> Golden:
    """Compare a text with a file of tests/golden; with UPDATE_GOLDEN=1 in the environment, write it there instead."""

    def compare(name: str | Path, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_text(text, encoding="utf-8", newline="\n")
        assert text == path.read_text(encoding="utf-8"), f"{path} differs: see CONTRIBUTING.md for how to write it anew"

    return compare

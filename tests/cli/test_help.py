"""What `--help` says, and that docs/cli.md is made of it."""

import re
from pathlib import Path

import pytest

from cli.conftest import Golden, Run

COMMANDS = ("tag", "train", "adapt", "evaluate", "tune", "inspect", "convert", "export", "info")
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "cli.md"

HEAD = """# Command line

Made from `--help` by `UPDATE_GOLDEN=1 pytest tests/cli/test_help.py`.
"""


def test_every_command_is_listed(run: Run) -> None:
    text = run("--help").stdout
    assert tuple(re.findall(r"^  (\w+)  ", text.partition("Commands:")[2], re.MULTILINE)) == COMMANDS


def test_the_manual_page_is_what_help_says_with_an_example_for_every_command(run: Run, golden: Golden) -> None:
    helps = {
        name: run(*name.split()[1:], "--help") for name in ("bytespan", *(f"bytespan {name}" for name in COMMANDS))
    }
    assert all((help.returncode, help.stderr) == (0, "") for help in helps.values())
    for name in COMMANDS:
        assert re.search(rf"^ +Example: .*bytespan {name}\b", helps[f"bytespan {name}"].stdout, re.MULTILINE)
    golden(DOCUMENT, HEAD + "".join(f"\n## {name}\n\n```text\n{help.stdout}```\n" for name, help in helps.items()))


def test_the_version_is_that_of_the_package(run: Run) -> None:
    from bytespan import __version__

    assert run("--version").stdout == f"bytespan {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["sing"], ["tag", "--sing"], ["tag", "--format", "song"], ["tag", "--threads", "0"], ["convert", "in.conll"]],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_says_how_it_should_be(run: Run, arguments: list[str]) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Usage: bytespan")
    assert "Traceback" not in ended.stderr

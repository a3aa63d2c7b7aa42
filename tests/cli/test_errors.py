"""Input, models and places to write that are of no use: one clear sentence, the right status, nothing lost."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from cli.conftest import COMMAND, Golden, Run, environment, take_interrupts

ANNOTATED = "no O\nnames O\nhere O\n\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, tiny_package: Path) -> None:
    """What the arguments below name."""
    (tmp_path / "good.txt").write_text("no names here\n", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes(b"no names here\ncaf\xe9\nno names here\n")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "broken.jsonl").write_text('{"text": "no names here"}\n{"text"\n', encoding="utf-8")
    (tmp_path / "good.conll").write_text(ANNOTATED, encoding="utf-8")
    (tmp_path / "few.conll").write_text(f"{ANNOTATED}no O\nnames\n", encoding="utf-8")
    (tmp_path / "odd.conll").write_text("no B-DATE\nnames O\nhere O\n", encoding="utf-8")
    (tmp_path / "overlap.jsonl").write_text('{"text": "abc", "label": [[0, 2, "A"], [1, 3, "A"]]}\n', encoding="utf-8")
    (tmp_path / "outside.jsonl").write_text('{"text": "abc", "label": [[0, 9, "A"]]}\n', encoding="utf-8")
    (tmp_path / "folder").mkdir()
    shutil.copytree(tiny_package, tmp_path / "tiny")
    for name, size in (("truncated", -1), ("altered", None)):
        shutil.copytree(tiny_package, tmp_path / name)
        data = bytearray((tmp_path / name / "model.onnx").read_bytes())[:size]
        data[len(data) // 2] ^= 1
        (tmp_path / name / "model.onnx").write_bytes(data)
    (tmp_path / "foreign.zip").write_bytes(b"PK and nothing more")


FAILURES = [
    "tag -m tiny absent.txt",
    "tag -m tiny folder",
    "tag -m tiny latin.txt",
    "tag -m tiny broken.jsonl",
    "tag -m tiny --input-format conllu good.conll",
    "tag -m tiny --input-format conllu empty.txt",
    "tag -m tiny --encoding klingon good.txt",
    "tag -m tiny --task verses good.txt",
    "tag -m absent good.txt",
    "tag -m folder good.txt",
    "tag -m good.txt good.txt",
    "tag -m truncated good.txt",
    "tag -m altered good.txt",
    "tag -m foreign.zip good.txt",
    "evaluate -m tiny empty.txt",
    "evaluate -m tiny folder",
    "evaluate -m tiny few.conll",
    "evaluate -m tiny overlap.jsonl",
    "evaluate -m tiny outside.jsonl",
    "evaluate -m tiny --keep DATE odd.conll",
    "evaluate -m tiny --task tokens good.conll",
    "convert few.conll out.jsonl",
    "convert good.conll out.xyz",
    "convert good.conll folder --to jsonl",
    "convert good.conll absent/out.jsonl",
    "info absent",
    "export absent out",
    "export tiny out",
]


def test_every_failure_reads_as_agreed(run: Run, golden: Golden) -> None:
    said = []
    for command in FAILURES:
        ended = run(*command.split())
        assert ended.returncode == 1, command
        assert len(ended.stderr.splitlines()) == 1, ended.stderr
        said.append(f"$ bytespan {command}\n{ended.stderr}")
    sizes = re.compile(r"\d{5,}")  # of the model, which depend on the version of onnx
    golden("errors.txt", sizes.sub("N", "\n".join(said)))


def test_lines_before_a_bad_one_are_tagged_all_the_same(run: Run) -> None:
    ended = run("tag", "-m", "tiny", "--task", "entities", "good.txt", "latin.txt")
    assert (ended.returncode, ended.stdout) == (1, "no names here\nno names here\n")


def test_bad_lines_are_skipped_and_counted_on_request(run: Run) -> None:
    ended = run("tag", "-m", "tiny", "--task", "entities", "--on-error", "skip", "latin.txt", "broken.jsonl")
    assert (ended.returncode, ended.stdout) == (0, "no names here\n" * 3)
    assert re.fullmatch(
        r"bytespan: skipped: latin.txt:2: byte 0xE9 .*\n"
        r"bytespan: skipped: broken.jsonl:2: not JSON .*\n"
        r"bytespan: skipped 2 that could not be read\n",
        ended.stderr,
    )


def test_an_empty_text_gives_an_empty_result(run: Run) -> None:
    assert run("tag", "-m", "tiny", "empty.txt").returncode == 0
    assert run("tag", "-m", "tiny", "-f", "jsonl", stdin="").stdout == ""


def test_nul_bytes_are_tagged_like_any_other(run: Run) -> None:
    ended = run("tag", "-m", "tiny", "--task", "entities", stdin=b"\0\n\0no names\0here\n")
    assert ended.returncode == 0
    assert ended.stdout.replace("[", "").count("\0") == 3


def test_labels_that_the_model_does_not_have_are_named_and_count_as_missed(run: Run) -> None:
    ended = run("evaluate", "-m", "tiny", "odd.conll")
    assert ended.returncode == 0
    assert "DATE" in ended.stdout
    assert "the model has no entities label DATE, so these count as missed" in ended.stderr


def test_a_traceback_is_shown_on_request(run: Run) -> None:
    ended = run("tag", "-m", "absent", "--debug")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Traceback")
    assert "ModelError" in ended.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
@pytest.mark.parametrize(
    "command", ["tag -m tiny good.txt", "evaluate -m tiny good.conll", "convert good.conll - --to jsonl", "info tiny"]
)
def test_a_full_disk_behind_standard_output_is_an_error(command: str, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [*COMMAND, *command.split()], stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, env=environment()
        )
    assert ended.returncode == 1
    assert ended.stderr == b"bytespan: standard output: cannot be written: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_full_disk_behind_a_file_is_an_error(run: Run) -> None:
    ended = run("convert", "good.conll", "/dev/full", "--to", "jsonl")
    assert (ended.returncode, ended.stderr) == (1, "bytespan: /dev/full: cannot be written: No space left on device\n")


def test_a_conversion_that_fails_leaves_the_old_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("old", encoding="utf-8")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run("convert", "few.conll", "out.jsonl").returncode == 1
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_line_of_fifty_megabytes_is_answered_from_its_beginning_on(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_bytes(b"no names here " * 3_600_000)
    with subprocess.Popen(
        [*COMMAND, "tag", "-m", "tiny", "--task", "entities", "-f", "jsonl", "long.txt"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(),
        preexec_fn=take_interrupts,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stderr
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [answer["id"] for answer in answers] == [1, 1]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == b""

"""`bytespan tag` on a model that knows its sentences by heart."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bytespan.corpora.texts import LONGEST_LINE
from bytespan.spans import Document
from cli.conftest import COMMAND, Golden, Run, environment, take_interrupts


def spans_of(document: Document, task: str) -> list[dict[str, Any]]:
    """The spans in the contract's shape, without scores."""
    return [without_score(span.to_json()) for span in document.text_spans(task)]


def without_score(span: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in span.items() if key != "score"}


def test_json_lines_are_answered_in_order_with_their_ids(
    run: Run, tiny_package: Path, tiny_documents: list[Document]
) -> None:
    identifiers: list[object] = ["a", 7, None, [1], "a", 0.5]
    lines = [json.dumps({"id": i, "text": d.text}) for i, d in zip(identifiers, tiny_documents, strict=True)]
    ended = run("tag", "--model", tiny_package, "--format", "jsonl", stdin="\n".join(lines))
    assert (ended.returncode, ended.stderr) == (0, "")
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == ["a", 7, 3, [1], "a", 0.5]
    for answer, document in zip(answers, tiny_documents, strict=True):
        assert list(answer) == ["id", "tokens", "entities"]
        for task in ("tokens", "entities"):
            assert [without_score(span) for span in answer[task]] == spans_of(document, task)
            assert all(0 < span["score"] <= 1 for span in answer[task])


def test_a_task_that_was_not_asked_for_is_empty_in_json(run: Run, tiny_package: Path) -> None:
    ended = run("tag", "-m", tiny_package, "-f", "jsonl", "--task", "entities", stdin="Angela Merkel besuchte Paris .")
    answer = json.loads(ended.stdout)
    assert (answer["id"], answer["tokens"], len(answer["entities"])) == (1, [], 2)


@pytest.mark.parametrize("format", ["text", "conllu", "conll", "html"])
def test_every_sentence_looks_as_agreed(
    run: Run, tiny_package: Path, tiny_documents: list[Document], golden: Golden, format: str
) -> None:
    text = "\n".join([*(document.text for document in tiny_documents), "", "no names here <&>"])
    ended = run("tag", "-m", tiny_package, "-f", format, stdin=text)
    assert (ended.returncode, ended.stderr) == (0, "")
    golden(f"tagged.{format if format != 'text' else 'txt'}", ended.stdout)


def test_plain_output_is_the_text_with_its_line_ends(run: Run, tiny_package: Path) -> None:
    ended = run("tag", "-m", tiny_package, stdin=b"no names here\r\n\n\nno names here\n\nno names here")
    assert ended.stdout == "no names here\r\n\n\nno names here\n\nno names here"


def test_files_are_tagged_one_after_the_other_and_dash_is_standard_input(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    (tmp_path / "one.txt").write_text("first\n", encoding="utf-8")
    (tmp_path / "two.jsonl").write_text('{"text": "third"}\n', encoding="utf-8")
    ended = run("tag", "-m", tiny_package, "--task", "entities", "one.txt", "-", "two.jsonl", stdin="second\n")
    assert ended.stdout == "first\nsecond\nthird\n"


def test_annotated_files_are_tagged_anew(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "gold.conll").write_text("no O\nnames O\nhere O\n", encoding="utf-8")
    ended = run("tag", "-m", tiny_package, "--input-format", "conll", "-f", "conll", "gold.conll")
    assert ended.stdout == "-DOCSTART- _ O\n\nno DET O\nnames NOUN O\nhere ADV O\n\n"


def test_annotated_files_are_plain_text_unless_said_otherwise(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "gold.conll").write_text("no names here\n", encoding="utf-8")
    ended = run("tag", "-m", tiny_package, "--task", "entities", "gold.conll")
    assert (ended.returncode, ended.stdout) == (0, "no names here\n")
    assert ended.stderr.startswith("bytespan: gold.conll: read as plain text: give --input-format conll ")


def test_another_encoding_is_read_when_it_is_named(run: Run, tiny_package: Path) -> None:
    text = "El presidente viajó a México ayer ."
    ended = run("tag", "-m", tiny_package, "--encoding", "latin-1", stdin=text.encode("latin-1"))
    assert ended.stdout == "El presidente viajó a [México]LOC ayer ."


def test_parts_of_a_long_line_share_its_number_and_count_from_its_beginning(run: Run, tiny_package: Path) -> None:
    first = "é" * 9 + " no" * ((LONGEST_LINE - 22) // 3)
    line = (
        first.ljust(LONGEST_LINE - 10) + "Angela Merkel besuchte Paris ."
    )  # each é is two bytes, and a byte stays uncut
    ended = run("tag", "-m", tiny_package, "-f", "jsonl", "--task", "entities", stdin=line + "\nlast\n")
    answers = [json.loads(answer) for answer in ended.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [1, 1, 2]
    spans = answers[1]["entities"]
    assert [line[span["start"] : span["end"]] for span in spans] == ["Angela Merkel", "Paris"]
    data = line.encode()
    assert [data[span["byte_start"] : span["byte_end"]] for span in spans] == [b"Angela Merkel", b"Paris"]


def in_a_terminal(arguments: list[str], **variables: str) -> str:
    """What a terminal shows."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=follower, env=environment(**variables)
    ):
        os.close(follower)
        shown = b""
        try:
            while block := os.read(leader, 1 << 16):
                shown += block
        except OSError:  # how Linux says that the other side is closed
            pass
    os.close(leader)
    return shown.decode()


def test_a_terminal_gets_colour_and_no_color_takes_it_away(tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("Angela Merkel besuchte Paris .", encoding="utf-8")
    arguments = ["tag", "-m", str(tiny_package), str(tmp_path / "text")]
    assert in_a_terminal(arguments, TERM="xterm-256color").startswith(
        "\x1b[30;48;5;117mAngela Merkel \x1b[1mPER\x1b[0m b"
    )
    assert in_a_terminal(arguments, TERM="xterm-256color", NO_COLOR="1").startswith("[Angela Merkel]PER b")
    assert in_a_terminal(arguments, TERM="dumb").startswith("[Angela Merkel]PER b")


def test_a_terminal_is_told_what_is_awaited(tiny_package: Path) -> None:
    leader, follower = pty.openpty()
    arguments = [*COMMAND, "tag", "-m", str(tiny_package)]
    with subprocess.Popen(
        arguments, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == b"bytespan: type a text a line; Ctrl-D ends\n"
        os.write(leader, b"no names here\n")
        assert process.stdout.readline() == b"no names here\n"
        os.write(leader, b"\x04")
        assert process.wait(timeout=60) == 0
    os.close(follower)
    os.close(leader)


def test_output_begins_before_the_input_ends_and_ctrl_c_ends_it_quietly(tiny_package: Path) -> None:
    arguments = [*COMMAND, "tag", "-m", str(tiny_package)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, **pipes, env=environment(), preexec_fn=take_interrupts) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        for _ in range(2):
            process.stdin.write(b"Angela Merkel besuchte Paris .\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"[Angela Merkel]PER besuchte [Paris]LOC .\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stdout.read() == process.stderr.read() == b""


@pytest.mark.parametrize("format", ["text", "jsonl"])
def test_several_processes_write_what_one_does(
    run: Run, tiny_package: Path, tiny_documents: list[Document], format: str
) -> None:
    text = "\n".join([document.text for document in tiny_documents] * 3)
    arguments = ("tag", "-m", tiny_package, "-f", format)
    alone = run(*arguments, stdin=text)
    ended = run(*arguments, "--workers", "2", stdin=text)
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", alone.stdout)
    ended = run(*arguments, "--workers", "2", stdin=text.encode() + b"\n\xff\n")
    assert (ended.returncode, ended.stdout) == (1, alone.stdout + ("\n" if format == "text" else ""))
    assert "byte 0xFF at 0 of the line is not UTF-8" in ended.stderr


def test_several_processes_answer_at_once_and_end_quietly_on_ctrl_c(tiny_package: Path) -> None:
    arguments = [*COMMAND, "tag", "-m", str(tiny_package), "--workers", "2"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        arguments, **pipes, env=environment(), preexec_fn=take_interrupts, start_new_session=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"Angela Merkel besuchte Paris .\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"[Angela Merkel]PER besuchte [Paris]LOC .\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stdout.read() == process.stderr.read() == b""


def test_a_reader_that_goes_away_ends_it_quietly(tiny_package: Path) -> None:
    arguments = [*COMMAND, "tag", "-m", str(tiny_package), "--task", "entities"]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"no names here\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"no names here\n"
        process.stdout.close()
        process.stdin.write(b"no names here\n")
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def peak_megabytes(arguments: list[str], text: bytes, repetitions: int) -> float:
    """The most memory that a process held while `text` was written to it again and again.

    Not from its resource usage when it has ended, which counts what this process held when it forked.
    """
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment()
    )
    assert process.stdin
    for _ in range(repetitions):
        process.stdin.write(text)
    process.stdin.flush()
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(peak) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc, which Linux has")
@pytest.mark.parametrize("ending", ["\n", " "], ids=["many lines", "one line"])
def test_memory_does_not_grow_with_the_text(tiny_package: Path, ending: str) -> None:
    """bench/memory.py measures the 100 MB of the claim; this shows that nothing grows on the way there."""
    arguments = ["tag", "-m", str(tiny_package), "--task", "entities"]
    text = ("no names here " * 20 + ending).encode() * 400
    little, much = (peak_megabytes(arguments, text, repetitions) for repetitions in (4, 24))
    assert much < 300
    assert much - little < 30

"""Every block of the README runs as pasted, in order, in an empty directory that has nothing but the examples."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def test_what_the_packaged_model_and_its_peers_score_is_what_was_measured() -> None:
    results = ROOT / "recipes" / "results"
    base = json.loads((results / "base.json").read_text(encoding="utf-8"))
    peers = json.loads((results / "peers.json").read_text(encoding="utf-8"))
    languages = ("bg", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "id", "it", "sv")
    words = {f"pos/{language}/test.conllu" for language in languages}

    def mean(scores: list[dict[str, Any]], name: str) -> str:
        wanted = words if name == "upos_f1" else {file for file in names if file.endswith("/test.conll")}
        found = {score["file"]: score[name] for score in scores if score["file"] in wanted}
        assert set(found) == wanted
        return f"{sum(found.values()) / len(found):.1f}"

    names = {score["file"] for score in base["scores"] if score["file"].startswith(("ner/uner/", "ner/germeval/"))}
    by_peer = {peer: [score for entry in peers if entry["peer"] == peer and entry["sentences"] is None
                      for score in entry["scores"]] for peer in ("udpipe", "crf")}  # fmt: skip
    told = re.search(r"The packaged model, (.*?) MB, .*? with ([\d.]+) on .*? has ([\d.]+), .*? F1 of ([\d.]+), .*? "
                     r"has ([\d.]+);", README, re.DOTALL)  # fmt: skip
    assert told is not None
    assert told.groups() == (
        f"{base['megabytes']:.1f}",
        mean(base["scores"], "upos_f1"),
        mean(by_peer["udpipe"], "upos_f1"),
        mean(base["scores"], "f1"),
        mean(by_peer["crf"], "f1"),
    )

"""Scores from raw text by the scorer that lies beside the data: it hands texts out, and compares the spans it gets.

Lines of ours, of which there is no other copy, are scored here, line by line.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bytespan.corpora.reading import read_documents
from bytespan.evaluation import score_documents
from bytespan.spans import ENTITIES
from bytespan.tagger import Tagger

GOLD_NAMES = ("{}.conllu", "{}.conll", "{}.natural.jsonl")
"""Files of a folder of the data for a part (train, dev or test); the last holds running text instead of columns."""

NOT_KEPT = ("gold", "seconds", "bytes_per_second")
"""What the scorer prints besides scores: paths and times of one machine."""


def gold_files(data: Path, folder: str, part: str) -> list[str]:
    """The gold files of a folder such as pos/en, as paths from `data`."""
    names = (f"{folder}/{name.format(part)}" for name in GOLD_NAMES)
    return [name for name in names if (data / name).exists()]


def score_file(name: str, command: Sequence[object], *, data: Path) -> dict[str, Any]:
    """What `../score/score.py`, seen from `data`, says of a command that tags JSON lines; all scores are percents.

    Entities with a label that the file annotates nowhere, such as MISC in UNER, do not count.
    """
    scorer = data / ".." / "score" / "score.py"
    task = name.partition("/")[0]
    keep = ["--keep", ",".join(sorted(annotated_labels(data / name)))] if task == "ner" else []
    call = [sys.executable, scorer, task, data / name, *keep, "--", *command]
    ended = subprocess.run([str(part) for part in call], stdout=subprocess.PIPE, check=True)
    report = json.loads(ended.stdout)
    return {"file": name} | {key: value for key, value in report.items() if key not in NOT_KEPT}


def score_lines(path: Path, tagger: Tagger) -> dict[str, Any]:
    """How well names are found in a file of lines, in percent, and in how many of the lines all are right."""
    gold = list(read_documents(path))
    pairs = list(zip(gold, tagger.pipe([line.data for line in gold], tasks=[ENTITIES]), strict=True))
    counts = score_documents(pairs, task=ENTITIES).total
    return {
        "file": path.name,
        "f1": round(counts.f1, 2),
        "precision": round(counts.precision, 2),
        "recall": round(counts.recall, 2),
        "lines": len(gold),
        "right": sum(set(line.spans[ENTITIES]) == set(answer.spans[ENTITIES]) for line, answer in pairs),
    }


def annotated_labels(path: Path) -> set[str]:
    """The labels of a gold file's spans."""
    documents = read_documents(path)
    return {span.label for document in documents for spans in document.spans.values() for span in spans}


def write_json(path: Path, value: object) -> None:
    """Write JSON for people to read in a diff, replacing the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """What a JSON file holds, None if it is not there."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

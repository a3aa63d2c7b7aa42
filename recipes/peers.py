"""Train and score the peers (CRF, UDPipe, spaCy) on the data that the recipes use, one job after the other.

    python -m venv runs/peers-venv && runs/peers-venv/bin/pip install -r ../shared/peers/requirements.txt
    python recipes/peers.py list
    python recipes/peers.py known
    python recipes/peers.py run --python runs/peers-venv/bin/python --data ../shared/data --runs runs
    python recipes/peers.py run --python runs/peers-venv/bin/python --peer crf --folder pos/wo

`run` does every job whose scores `recipes/results/peers.json` does not hold yet, or those of one peer or folder. The
training programs are `../shared/peers/*_peer.py`. A job reads the folder's train and dev files and is scored on all its
test files, from raw text. Figures that `../shared/peers/results.json` already has are taken over from there; `known`
does only that.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutting import write_first_sentences
from scoring import gold_files, score_file, write_json

RESULTS = Path(__file__).parent / "results" / "peers.json"

POS_13 = ("bg", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "id", "it", "sv")
POS_MORE = ("af", "wo", "yo", "no", "ro", "pcm", "ar")
UNER = ("da_ddt", "en_ewt", "hr_set", "pt_bosque", "sk_snk", "sr_set", "sv_talbanken", "zh_gsd")
SIZES = (1000, 3000)
"""Training sentences of the learning curves, besides all."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training of one peer."""

    peer: str
    folder: str
    """Of the data, e.g. pos/en; its first part is the task."""
    sentences: int | None = None
    """Sentences of the training file, from its beginning; all if None."""

    @property
    def name(self) -> str:
        """One word for the folder of its model."""
        size = "" if self.sentences is None else f"-{self.sentences}"
        return f"{self.peer}-{self.folder.replace('/', '-')}{size}"

    @property
    def task(self) -> str:
        """pos or ner."""
        return self.folder.partition("/")[0]

    @property
    def language(self) -> str:
        """ISO 639 code."""
        return "de" if self.folder == "ner/germeval" else self.folder.rpartition("/")[2].partition("_")[0]

    @property
    def budget(self) -> tuple[str, ...]:
        """The training program's options."""
        if self.peer == "crf":
            return ("--task", self.task, "--iterations", "100" if self.task == "ner" else "60")
        if self.peer == "spacy":
            minutes = "10" if self.task == "ner" else "5"
            return ("--task", self.task, "--lang", self.language, "--minutes", minutes, "--clock", "cpu")
        return ()


JOBS = (
    *(Job(peer, f"pos/{name}") for peer in ("crf", "udpipe", "spacy") for name in POS_13),
    *(Job("crf", f"pos/{name}") for name in POS_MORE),
    *(Job(peer, f"ner/conll/{name}") for peer in ("crf", "spacy") for name in ("en", "de", "es", "nl")),
    *(Job(peer, f"ner/uner/{name}") for peer in ("crf", "spacy") for name in UNER),
    *(Job(peer, "ner/germeval") for peer in ("crf", "spacy")),
    *(Job(peer, "ner/conll/en", size) for peer in ("crf", "spacy") for size in SIZES),
    *(Job(peer, "pos/en", size) for peer in ("crf", "udpipe") for size in SIZES),
)

TAKEN_OVER = {
    Job("crf", "ner/conll/en"): ("crf/en", "100 iterations"),
    Job("crf", "ner/conll/de"): ("crf/de", "100 iterations"),
    Job("crf", "ner/conll/es"): ("crf/es", "100 iterations"),
    Job("crf", "ner/conll/nl"): ("crf/nl", "100 iterations"),
    Job("spacy", "ner/conll/en"): ("spacy, 10 CPU minutes/en", "10 CPU minutes"),
    Job("spacy", "ner/conll/es"): ("spacy/es", "6 wall minutes, 250 CPU s: undertrained"),
    Job("crf", "pos/en"): ("crf/en", "60 iterations"),
    Job("udpipe", "pos/en"): ("udpipe/en", "20 epochs, 12 iterations"),
    Job("udpipe", "pos/el"): ("udpipe/el", "20 epochs, 12 iterations"),
    Job("udpipe", "pos/sv"): ("udpipe/sv", "20 epochs, 12 iterations"),
    Job("spacy", "pos/en"): ("spacy/en", "4 wall minutes, 150 CPU s"),
    Job("spacy", "pos/el"): ("spacy/el", "to its end, 117 CPU s"),
    Job("spacy", "pos/sv"): ("spacy/sv", "2.5 wall minutes, 153 CPU s"),
}
"""Job -> its key in `../shared/peers/results.json`, and the budget that `../shared/peers/RESULTS.md` states."""


def read_results() -> dict[Job, dict[str, Any]]:
    """What has been scored so far."""
    entries = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    return {Job(entry["peer"], entry["folder"], entry["sentences"]): entry for entry in entries}


def entry_of(job: Job, **values: object) -> dict[str, Any]:
    """An entry of the result file."""
    return {"peer": job.peer, "folder": job.folder, "task": job.task, "sentences": job.sentences, **values}


def take_over(job: Job, peers: Path) -> dict[str, Any]:
    """The entry of a job that somebody has run before."""
    key, budget = TAKEN_OVER[job]
    known = json.loads((peers / "results.json").read_text(encoding="utf-8"))[job.task][key]
    labels = {label: {"f1": f1} for label, f1 in known.get("raw_by_label", {}).items()}
    suffix = "conllu" if job.task == "pos" else "conll"
    score = {"file": f"{job.folder}/test.{suffix}", **known["raw"], **({"labels": labels} if labels else {})}
    return entry_of(job, budget=budget, source=f"../shared/peers/results.json, {key}", scores=[score])


def train_and_score(job: Job, options: argparse.Namespace) -> dict[str, Any]:
    """Train the peer in its own environment; its entry."""
    program = options.data / ".." / "peers" / f"{job.peer}_peer.py"
    folder, model = options.runs / "peers" / "data" / job.name, options.runs / "peers" / job.name
    suffix = "conllu" if job.task == "pos" else "conll"
    train_file = next((options.data / job.folder).glob(f"train.{suffix}*"))
    write_first_sentences(train_file, folder / f"train.{suffix}", job.sentences)
    write_first_sentences(options.data / job.folder / f"dev.{suffix}", folder / f"dev.{suffix}", None)
    shutil.rmtree(model, ignore_errors=True)
    began_at = time.monotonic()
    call = [options.python, program, "train", folder, model, *job.budget]
    ended = subprocess.run([str(part) for part in call], stdout=subprocess.PIPE, check=True, text=True)
    elapsed_s = time.monotonic() - began_at
    command = (options.python, program, "tag", model)
    scores = [score_file(name, command, data=options.data) for name in gold_files(options.data, job.folder, "test")]
    shutil.rmtree(folder)
    budget = " ".join(job.budget) or "the defaults of udpipe_peer.py"
    return entry_of(
        job,
        budget=budget,
        source="recipes/peers.py",
        cpu_s=cpu_seconds(ended.stdout),
        wall_s=round(elapsed_s),
        scores=scores,
    )


def cpu_seconds(printed: str) -> int | None:
    """The last CPU time among the JSON lines that a training program printed."""
    rows = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return next((row["cpu"] for row in reversed(rows) if "cpu" in row), None)


def run(jobs: list[Job], options: argparse.Namespace) -> None:
    """Do what is not done yet; the result file is written after every job."""
    for job in jobs:
        if job in read_results():
            continue
        taken = job in TAKEN_OVER
        entry = take_over(job, options.data / ".." / "peers") if taken else train_and_score(job, options)
        results = read_results() | {job: entry}
        write_json(RESULTS, [results[known] for known in JOBS if known in results])
        print(f"{job.name}: {show(entry)}", file=sys.stderr, flush=True)


def show(entry: dict[str, Any]) -> str:
    """Its scores on a line."""
    scores = (f"{score['file']} {score.get('upos_f1', score.get('f1')):.2f}" for score in entry["scores"])
    return f"{', '.join(scores)} ({entry['budget']})"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["list", "known", "run"])
    parser.add_argument("--peer", choices=["crf", "udpipe", "spacy"])
    parser.add_argument("--folder", help="of the data, e.g. pos/en")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of the peers' environment")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    jobs = [job for job in JOBS if options.peer in (None, job.peer) and options.folder in (None, job.folder)]
    if options.command != "list":
        run([job for job in jobs if options.command == "run" or job in TAKEN_OVER], options)
        return
    results = read_results()
    for job in jobs:
        print(f"{job.name:32} {show(results[job]) if job in results else '-'}")


if __name__ == "__main__":
    main()

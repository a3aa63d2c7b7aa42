"""bytespan beside the peers: the same English text, raw text to spans, all systems in turn, round by round.

    python bench/compare.py [--python runs/peers-venv/bin/python] [--fp32 MODEL] [--text FILE] [--rounds 4]

Every system runs in a process of its own that stays; a round is one pass over the whole text by each system in turn,
after a warm-up on the first documents. Then whole processes are started, also in turn, to tag one sentence. Peers that
are not installed, or not trained, are named with the command that gets them. Without --text the text comes from the
test files of `../shared/data`. Writes bench/results/compare.json, docs/performance.md and its pictures.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine
from systems import Places, System, find_peers, own_systems, peer_environment
from texts import ENGLISH, count_bytes, count_tokens, read_texts, write_texts

WARM_UP = 20
"""Documents of the first pass, which does not count."""

SENTENCE = b'{"id": 0, "text": "Angela Merkel visited Paris on Monday."}\n'
STARTS = {
    "python": ["-c", "pass"],
    "import bytespan": ["-c", "import bytespan"],
    "bytespan --help": ["-m", "bytespan", "--help"],
}
"""What is started besides the systems: name -> arguments of Python."""


class Worker:
    """A process of `worker.py` with one system in it."""

    def __init__(self, system: System, texts: Path, places: Places) -> None:
        call = system.worker("pass", system.program, system.model, texts, *system.options)
        variables = machine.environment() if system.program == "bytespan" else peer_environment(places)
        self.process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables)
        self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line that it prints; RuntimeError if it has ended instead."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"ended with status {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def tag(self, documents: int | None = None) -> dict[str, Any]:
        """One pass over the first documents, or all."""
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.write("\n" if documents is None else f"{documents}\n")
            self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        """Let it end."""
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


@dataclass(slots=True)
class Measured:
    """What became of one system."""

    system: System
    seconds: list[float] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)
    """Figures of its last pass."""

    def to_json(self) -> dict[str, Any]:
        """A row of the result file."""
        return {
            "name": self.system.name,
            "family": self.system.family,
            "does": self.system.does,
            "cores": self.system.cores,
            "seconds": [round(elapsed_s, 6) for elapsed_s in self.seconds],
            **{key: self.last[key] for key in ("words", "entities", "peak_mb") if key in self.last},
        }


def measure_rates(
    systems: Sequence[System], texts: Path, places: Places, *, rounds: int
) -> tuple[list[Measured], list[str]]:
    """Passes of all systems in turn, and the names of those that failed."""
    workers: dict[str, Worker] = {}
    measured, failed = {system.name: Measured(system) for system in systems}, []
    for number in range(rounds + 1):
        for name, entry in list(measured.items()):
            try:
                if number == 0:
                    workers[name] = Worker(entry.system, texts, places)
                entry.last = workers[name].tag(WARM_UP if number == 0 else None)
            except RuntimeError as error:
                report(f"{name}: {error}")
                failed.append(name)
                del measured[name]
                continue
            if number:
                entry.seconds.append(entry.last["seconds"])
                report(f"round {number}: {name}: {entry.seconds[-1]:.2f} s")
    for worker in workers.values():
        worker.close()
    return list(measured.values()), failed


def measure_starts(commands: dict[str, list[str]], *, repeats: int) -> dict[str, list[float]]:
    """Seconds of whole processes that answer one sentence, in turn; the first of each does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(repeats + 1):
        for name, command in commands.items():
            began_at = time.perf_counter()
            ended = subprocess.run(
                command, input=SENTENCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=machine.environment()
            )
            if number and ended.returncode == 0:
                seconds[name].append(round(time.perf_counter() - began_at, 4))
    return {name: times for name, times in seconds.items() if times}


def weigh(system: System) -> dict[str, Any]:
    """What the system's family has on disk."""
    ended = subprocess.run(
        system.worker("weigh", system.distribution, system.model), stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def measure(
    systems: Sequence[System], texts: Sequence[str], source: str, places: Places, options: argparse.Namespace
) -> dict[str, Any]:
    """The whole result file, but for what is missing."""
    began = machine.describe()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        write_texts(texts, path)
        measured, failed = measure_rates(systems, path, places, rounds=options.rounds)
    families = {entry.system.family: entry.system for entry in measured}
    commands = {name: [sys.executable, *arguments] for name, arguments in STARTS.items()}
    commands |= {family: system.tag(places) for family, system in families.items()}
    starts = measure_starts(commands, repeats=options.starts)
    return {
        "machine": began,
        "text": {"source": source, "documents": len(texts), "bytes": count_bytes(texts), "tokens": count_tokens(texts)},
        "systems": [entry.to_json() for entry in measured],
        "starts": {name: starts[name] for name in STARTS if name in starts},
        "families": {name: {"starts": starts.get(name, []), **weigh(system)} for name, system in families.items()},
        "missing": failed,
    }


def report(line: str) -> None:
    """Say how it goes, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, default=Places().python, help="of the peers; default: %(default)s")
    parser.add_argument("--programs", type=Path, default=Places().programs, help="of the peers; default: %(default)s")
    parser.add_argument("--models", type=Path, default=Places().models, help="of the peers; default: %(default)s")
    parser.add_argument("--data", type=Path, default=Places().data, help="default: %(default)s")
    parser.add_argument("--model", default="packaged", help="of bytespan, in int8; default: the packaged one")
    parser.add_argument("--fp32", metavar="MODEL", help="the same model in fp32, for a row of its own")
    parser.add_argument("--text", type=Path, help="text with one document a line, or annotated file")
    parser.add_argument("--bytes", type=int, default=300_000, help="of the text; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--starts", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--results", type=Path, default=machine.RESULTS, help="folder; default: %(default)s")
    options = parser.parse_args()
    places = Places(options.python, options.programs, options.models, options.data)
    files = [options.text] if options.text else [options.data / name for name in ENGLISH]
    for file in files:
        if not file.exists():
            sys.exit(f"compare: {file} is not there: give --text FILE")
    peers, missing = find_peers(places)
    for line in missing:
        report(f"missing: {line}")
    models = {"int8": options.model} | ({"fp32": options.fp32} if options.fp32 else {})
    texts = read_texts(files, size=options.bytes)
    source = options.text.name if options.text else "English web text and news that no system was trained on"
    result = measure([*own_systems(models), *peers], texts, source, places, options)
    result["missing"] += [line.partition(":")[0] for line in missing]
    machine.write("compare", result, options.results)
    import page

    print("\n".join(page.speed_table(result)))
    if options.results == machine.RESULTS:
        page.publish()


if __name__ == "__main__":
    main()

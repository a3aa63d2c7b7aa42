"""How the cost of tagging grows with the length of the text, of the segments, with labels and with languages.

    python bench/growth.py [--model PATH] [--long] [--only length segments labels languages]

Length: whole processes of `bytespan tag --format jsonl`, fed through standard input with a text of many lines, with one
of a single line, and with lines for two workers, 1 KB to 10 MB, and with one of nothing but marks; `--long` adds 100 MB
of lines and 100 MB on one line, which take ten minutes, and `constancy.py` measures 1 GB. The others tag texts in
memory on one thread, all in turn, three times; labels are those of untrained models, which are made for this and need
the extra `train`. Texts come from `../shared/data`.

What is measured goes to bench/results/growth.json row by row; rows that are there, measured at the same commit, are not
measured again, so that a call that was stopped goes on. Writes docs/performance.md and its pictures too. Linux only.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Any

import machine
from texts import count_bytes, count_tokens, read_texts

from bytespan.config import PRESETS
from bytespan.package import Provenance, read_package
from bytespan.tagger import PACKAGED_MODEL, Tagger

PARTS = ("length", "segments", "labels", "languages")
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
LINES, ONE_LINE, WORKERS = "lines", "one line", "2 workers"
OPTIONS = {LINES: (), ONE_LINE: (), WORKERS: ("--workers", "2")}
"""What a text is and how it is tagged -> options of `bytespan tag`."""

MARKS = "marks alone, one line"
"""Where every byte is a unit of its own, a byte costs the most time and memory."""

MARKS_BYTES = 300_000
LONG_SIZES = ((100_000_000, LINES), (100_000_000, ONE_LINE))

ENGLISH = tuple(f"{name}/{part}" for part in ("train", "dev", "test") for name in ("pos/en", "ner/conll/en"))
SEGMENTS = (256, 512, 1024, 2048, 4096, 8192)
LABELS = (4, 16, 64, 256)
LANGUAGES = {
    name: f"pos/{name}/test.conllu" for name in ("en", "de", "es", "fr", "fi", "el", "bg", "ar", "fa", "id")
} | {"zh": "ner/uner/zh_gsd/test.conll"}
TEXT_BYTES = 100_000
ROUNDS = 3


def stream(options: Sequence[str], text: Iterable[bytes]) -> dict[str, float]:
    """Feed a text to a process of `bytespan tag`: seconds in all and to the first output, and its peak memory.

    Processor seconds are those of its workers, too.
    """
    command = [sys.executable, "-m", "bytespan", "tag", "--format", "jsonl", *options]
    began_at, first_at = time.perf_counter(), list[float]()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=machine.environment())
    assert process.stdin
    assert process.stdout

    def drain(output: IO[bytes]) -> None:
        while output.read(1 << 16):
            if not first_at:
                first_at.append(time.perf_counter() - began_at)

    reader = threading.Thread(target=drain, args=(process.stdout,))
    reader.start()
    for part in text:
        process.stdin.write(part)
    process.stdin.close()
    reader.join()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: ended with status {process.returncode}")
    return {
        "seconds": round(time.perf_counter() - began_at, 3),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "first_output_s": round(first_at[0], 3),
        "peak_mb": round(usage.ru_maxrss / 1024, 1),
    }


def repeated(lines: Sequence[bytes], *, size: int, one_line: bool) -> Iterable[bytes]:
    """The lines again and again, `size` bytes in all, the last one cut; a single line on request."""
    for line in cycle(lines):
        part = (line.rstrip(b"\n") + b" " if one_line else line)[:size]
        size -= len(part)
        yield part
        if not size:
            return


def english_lines(data: Path) -> list[bytes]:
    """The lines of all English texts, with their line ends."""
    texts = read_texts([next(data.glob(f"{name}.conll*")) for name in ENGLISH], size=sys.maxsize)
    return [line.encode() + b"\n" for text in texts for line in text.split("\n") if line]


def measure_length(options: argparse.Namespace, known: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """A row a size and kind; small sizes are the median of several."""
    lines = english_lines(options.data)
    model = ["--model", str(options.model)]
    wanted = [(size, kind) for kind in OPTIONS for size in (0, *options.sizes)]
    for size, kind in [*wanted, (MARKS_BYTES, MARKS), *(LONG_SIZES if options.long else ())]:
        name = f"{size} {kind}"
        if name not in known:
            members = [b".,;:!?-" * 10_000] if kind == MARKS else lines
            rows = [
                stream(
                    [*model, *OPTIONS.get(kind, ())],
                    repeated(members, size=size, one_line=kind in (ONE_LINE, MARKS)) if size else [b"A\n"],
                )
                for _ in range(ROUNDS if size <= 1_000_000 else 1)
            ]
            row = {key: statistics.median(each[key] for each in rows) for key in rows[0]}
            yield name, {"bytes": size, "kind": kind, **row}


def rates(systems: Mapping[str, tuple[Tagger, Sequence[str]]]) -> dict[str, dict[str, Any]]:
    """Name -> seconds of each round over its texts, all in turn after a warm-up, and what the texts hold."""
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(ROUNDS + 1):
        for name, (tagger, texts) in systems.items():
            part = list(islice(texts, 3)) if number == 0 else texts
            began_at = time.perf_counter()
            for document in tagger.pipe(part):
                [(span.start, span.end, span.label) for spans in document.spans.values() for span in spans]
            if number:
                seconds[name].append(round(time.perf_counter() - began_at, 4))
    return {
        name: {
            "seconds": seconds[name],
            "bytes": count_bytes(texts),
            "characters": sum(map(len, texts)),
            "tokens": count_tokens(texts),
        }
        for name, (_, texts) in systems.items()
    }


def measure_segments(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """A row a segment length; the generator's is part of its weights, so a generator has one row."""
    package = read_package(options.model, with_weights=False)
    lengths = SEGMENTS if package.config.decoder == "parallel" else (package.config.segment_length,)
    texts = english(options)
    return rates(
        {
            str(length): (
                Tagger(replace(package, config=replace(package.config, segment_length=length)), threads=1), texts
            )
            for length in lengths
        }
    )  # fmt: skip


def measure_labels(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """A row a number of labels of one task, in int8 models of the preset that were never trained."""
    import torch

    from bytespan.neural.export import export_package
    from bytespan.neural.parallel import Parallel
    from bytespan.vocabulary import Vocabulary

    config, texts = PRESETS["parallel"], english(options)
    systems: dict[str, tuple[Tagger, Sequence[str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in LABELS:
            labels = {"entities": tuple(f"L{number}" for number in range(count))}
            model = Parallel(config, Vocabulary(config.segment_length, labels))
            model.initialize(torch.Generator().manual_seed(1))
            path = Path(folder) / str(count)
            export_package(model, path, provenance=Provenance("labels"), precision="int8", with_weights=False)
            systems[str(count)] = (Tagger(read_package(path), threads=1), texts)
        return rates(systems)


def measure_languages(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """A row a language, of what the data has."""
    tagger = Tagger(read_package(options.model, with_weights=False), threads=1)
    files = {name: options.data / file for name, file in LANGUAGES.items() if (options.data / file).exists()}
    return rates({name: (tagger, read_texts([file], size=options.bytes)) for name, file in files.items()})


def english(options: argparse.Namespace) -> list[str]:
    """English documents."""
    return read_texts([options.data / "pos/en/test.conllu"], size=options.bytes)


IN_MEMORY = {"segments": measure_segments, "labels": measure_labels, "languages": measure_languages}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=PACKAGED_MODEL, help="default: the packaged one")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="default: %(default)s")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--long", action="store_true", help="tag 100 MB too")
    parser.add_argument("--again", action="store_true", help="measure anew what is there")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="bytes of texts; default: 1 KB to 10 MB")
    parser.add_argument("--bytes", type=int, default=TEXT_BYTES, help="of the texts in memory; default: %(default)s")
    parser.add_argument("--results", type=Path, default=machine.RESULTS, help="folder; default: %(default)s")
    options = parser.parse_args()
    if not options.data.exists():
        sys.exit(f"growth: {options.data} is not there: give --data FOLDER")
    here = machine.describe()
    result = machine.read("growth", options.results) or {}
    if options.again or result.get("machine", {}).get("commit") != here["commit"]:
        result = {}
    result = {"machine": here, **{part: {} for part in PARTS}, **result}
    for part in options.only:
        rows = IN_MEMORY[part](options).items() if part != "length" and not result[part] else ()
        for name, row in measure_length(options, result[part]) if part == "length" else rows:
            result[part][name] = row
            print(f"{part} {name}: {row['seconds']} s", file=sys.stderr, flush=True)
            machine.write("growth", result, options.results)
    if options.results == machine.RESULTS:
        import page

        page.publish()


if __name__ == "__main__":
    main()

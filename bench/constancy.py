"""What a byte of a very long text costs beside a byte of 1 MB, one right after the other.

    python bench/constancy.py [--model PATH] [--bytes 1000000000] [--kind "2 workers"] [--threads N] [--runs 5]

Whole processes of `bytespan tag --format jsonl`, fed through standard input, as `growth.py` runs them: some with 1 MB
and some with a single letter, which shows what starting costs; then one with the long text, which takes half an hour
for 1 GB and two idle cores; then those with 1 MB and a letter again, so that a machine that slows down does so on both
sides. Processor seconds, those of the workers included, are counted beside the seconds that pass, since other programs
cost the latter far more than the former. Writes bench/results/constancy.json and docs/performance.md. Linux only.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machine
from growth import ONE_LINE, OPTIONS, WORKERS, english_lines, repeated, stream

from bytespan.tagger import PACKAGED_MODEL

SMALL = 1_000_000
"""Bytes of the text that the long one is compared with."""


def measure(lines: Sequence[bytes], options: Sequence[str], *, size: int, one_line: bool, runs: int) -> dict[str, Any]:
    """Rows of `stream`: of the letter and of the small text, before and after, and of the long text."""
    small = list(repeated(lines, size=SMALL, one_line=one_line))
    rows: dict[str, list[dict[str, float]]] = {"letter": [], "small": []}
    large: dict[str, float] = {}
    for part in ("before", "after"):
        for _ in range(runs):
            for name, text in (("letter", [b"A\n"]), ("small", small)):
                rows[name].append(stream(options, text))
                print(f"{part}: {name}: {rows[name][-1]}", file=sys.stderr, flush=True)
        if not large:
            large = stream(options, repeated(lines, size=size, one_line=one_line))
            print(f"long: {large}", file=sys.stderr, flush=True)
    return {**rows, "large": large}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=PACKAGED_MODEL, help="default: the packaged one")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="default: %(default)s")
    parser.add_argument("--bytes", type=int, default=1_000_000_000, help="of the long text; default: %(default)s")
    parser.add_argument("--kind", choices=list(OPTIONS), default=WORKERS, help="of text; default: %(default)s")
    parser.add_argument("--threads", type=int, help="of a process; default: what bytespan tag takes")
    parser.add_argument("--runs", type=int, default=5, help="with 1 MB before, and as many after; default: %(default)s")
    parser.add_argument("--results", type=Path, default=machine.RESULTS, help="folder; default: %(default)s")
    options = parser.parse_args()
    if not options.data.exists():
        sys.exit(f"constancy: {options.data} is not there: give --data FOLDER")
    began = machine.describe()
    call = ["--model", str(options.model), *OPTIONS[options.kind]]
    call += [] if options.threads is None else ["--threads", str(options.threads)]
    rows = measure(
        english_lines(options.data), call, size=options.bytes, one_line=options.kind == ONE_LINE, runs=options.runs
    )
    result = {
        "machine": began,
        "kind": options.kind,
        "threads": options.threads,
        "bytes": options.bytes,
        "small_bytes": SMALL,
        **rows,
    }
    machine.write("constancy", result, options.results)
    if options.results == machine.RESULTS:
        import page

        page.publish()


if __name__ == "__main__":
    main()

"""Peak resident memory of `bytespan tag` over a large text, and when its first line comes out. Linux only.

    python bench/memory.py [--model PATH] [--megabytes 100] [--one-line] [--text FILE]

The text is FILE again and again, read from standard input. Goals: under 300 MB at 100 MB, and output before the input
ends. Prints a line every 10 MB, so that it may be stopped early.
"""

import argparse
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "languages.txt"


def peak_megabytes(process: "subprocess.Popen[bytes]") -> float:
    """The most memory that the process has held so far."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def main() -> None:
    """Feed the text and print how memory goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model to tag with; the packaged one if not given")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--one-line", action="store_true", help="put the whole text on one line")
    parser.add_argument("--text", type=Path, default=EXAMPLE)
    options = parser.parse_args()
    text = options.text.read_bytes()
    text = text.replace(b"\n", b" ") if options.one_line else text
    arguments = [sys.executable, "-m", "bytespan", "tag", "--format", "jsonl"]
    arguments += ["--model", options.model] if options.model else []
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    started_at = time.perf_counter()
    written, reported, first_output_at = 0, 0, list[float]()
    output = process.stdout

    def drain() -> None:
        while output.read1(1 << 16):
            if not first_output_at:
                first_output_at.append(time.perf_counter() - started_at)

    reader = threading.Thread(target=drain)
    reader.start()
    while written < options.megabytes * 1_000_000:
        process.stdin.write(text)
        written += len(text)
        if written >= reported + 10_000_000:
            reported = written
            print(f"{written / 1e6:6.0f} MB  peak {peak_megabytes(process):6.1f} MB", flush=True)
    elapsed_s = time.perf_counter() - started_at
    print(f"peak {peak_megabytes(process):.1f} MB over {written / 1e6:.0f} MB in {elapsed_s:.1f} s")
    process.stdin.close()
    reader.join()
    print(f"first output after {first_output_at[0]:.2f} s; exit status {process.wait()}")


if __name__ == "__main__":
    main()

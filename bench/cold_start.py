"""Seconds from nothing to the first tagged line, and to the first help: processes of their own, caches warm.

    python bench/cold_start.py [--model PATH] [--repeats 10]

Goals: `import bytespan` under 0.1 s, `echo text | bytespan tag` under 1 s.
"""

import argparse
import statistics
import subprocess
import sys
import time

TEXT = b"Angela Merkel besuchte Paris.\n"


def seconds(arguments: list[str]) -> float:
    """Of one run of Python with these arguments."""
    started_at = time.perf_counter()
    subprocess.run([sys.executable, *arguments], input=TEXT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started_at


def main() -> None:
    """Print a row a command: least, middle and most seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model to tag with; the packaged one if not given")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    model = ["--model", options.model] if options.model else []
    commands = {
        "python": ["-c", "pass"],
        "import bytespan": ["-c", "import bytespan"],
        "bytespan --help": ["-m", "bytespan", "--help"],
        "bytespan tag": ["-m", "bytespan", "tag", *model],
    }
    print(f"{'command':<18}{'least':>8}{'middle':>8}{'most':>8}  seconds")
    for name, arguments in commands.items():
        seconds(arguments)
        times = [seconds(arguments) for _ in range(options.repeats)]
        print(f"{name:<18}{min(times):8.3f}{statistics.median(times):8.3f}{max(times):8.3f}")


if __name__ == "__main__":
    main()

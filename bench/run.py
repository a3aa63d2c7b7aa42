"""Measure everything that docs/performance.md tells of, one after the other.

    python bench/run.py [--python runs/peers-venv/bin/python] [--fp32 MODEL] [--long]

Calls `compare.py`, `growth.py`, `floors.py`, `training_speed.py` and, with `--long`, `constancy.py`, which may be
called by themselves and have more options.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run the command; exits with the status of the first part that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="of the environment that the peers are installed in")
    parser.add_argument("--fp32", metavar="MODEL", help="the packaged model in fp32, for a row of its own")
    parser.add_argument("--long", action="store_true", help="tag 100 MB and 1 GB too, which takes 40 minutes")
    options = parser.parse_args()
    chosen = [f"--{name}={value}" for name, value in vars(options).items() if isinstance(value, str)]
    parts = (
        ["compare.py", *chosen],
        ["growth.py", *(["--long"] if options.long else [])],
        ["floors.py"],
        ["training_speed.py"],
        *([["constancy.py"]] if options.long else []),
    )
    for program, *arguments in parts:
        ended = subprocess.run([sys.executable, str(HERE / program), *arguments])
        if ended.returncode:
            sys.exit(ended.returncode)


if __name__ == "__main__":
    main()

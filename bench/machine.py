"""What every result file says of where and when it was measured; reading and writing of result files."""

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"


def describe() -> dict[str, Any]:
    """The machine, the programs, the commit and the time, as JSON values."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": _first_of("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "numpy": version("numpy"),
        "load": round(os.getloadavg()[0], 2),
    }


def environment(**variables: str) -> dict[str, str]:
    """This process's environment, for a process that is measured: with `variables`, and no PYTHONPATH of ours."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | variables


def _first_of(file: str, key: str) -> str | None:
    path = Path(file)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _commit() -> str | None:
    """The commit of the working tree, with a + if its sources hold changes beside it; None outside of git."""
    calls = (["git", "rev-parse", "--short", "HEAD"], ["git", "status", "--porcelain", "src"])
    ended = [subprocess.run(call, cwd=ROOT, capture_output=True, text=True) for call in calls]
    if any(run.returncode for run in ended):
        return None
    return ended[0].stdout.strip() + ("+" if ended[1].stdout.strip() else "")


def read(name: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """What a result file holds, None if it is not there."""
    path = folder / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found


def write(name: str, value: dict[str, Any], folder: Path = RESULTS) -> None:
    """Write a result file for people to read in a diff, replacing the old one in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.json.new"
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    temporary.replace(folder / f"{name}.json")

"""The programs in recipes/ and bench/, which are no packages."""

import sys
from pathlib import Path
from types import ModuleType


def program_of(folder: Path, name: str) -> ModuleType:
    """A module of the folder: its programs find each other as they do when they are run."""
    sys.path.insert(0, str(folder))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(folder))

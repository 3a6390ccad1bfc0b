"""Networks of the repository, and the program that comes with the package."""

from __future__ import annotations

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: A residual network of three stages of two blocks for images of 1x8x8 and 10 classes.
EXAMPLE = ROOT / "tests/unchanged/residual/model.safetensors"


def run_program(*arguments: object) -> str:
    """Run the program; return what it prints."""
    command = [sys.executable, "-m", "unrolled", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def figures(document: dict) -> dict:
    """Return a JSON document of the program without what says who made it of which files."""
    names = {"version", "command", "target", "data"}
    return {key: value for key, value in document.items() if key not in names}

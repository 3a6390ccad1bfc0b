"""The program `unrolled`: `python -m unrolled`, and the script of that name."""

from __future__ import annotations

import sys

from . import _native


def main() -> int:
    """Run the program with the arguments of this process, and return its exit code."""
    return _native.run_command(["unrolled", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())

"""Kills, faults and damaged files: the program, under fire.

    cargo build --release
    python3 tests/fire/run.py --minutes 30

docs/RELIABILITY.md says what the parts do, what has to hold, and what was found. What a machine lacks (cc, strace, a mount of one's
own) is left out and said. The seed makes the choice of damage repeatable. Findings are copied to `--keep`; the exit code is 1 where
there are any.
"""

import argparse
import pathlib
import random
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import damage
import faults
import kills
from program import Program

PARTS = {"kills": kills.Kills, "faults": faults.Faults, "mutations": damage.Mutations}
ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/unrolled")
    parser.add_argument("--only", default=",".join(PARTS), help="kills, faults, mutations")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, help="a directory for what was found")
    return parser.parse_args()


def main():
    options = arguments()
    if not options.program.is_file():
        sys.exit(f"{options.program}: no such program; build it, or name it by --program")
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="fire-") as home:
        program = Program(options.program.resolve(), pathlib.Path(home), options.keep)
        names = options.only.split(",")
        parts = [PARTS[name](program, random.Random(f"{options.seed} {name}"), ROOT) for name in names]
        # Each part gets a turn of the same length; the last one ends with the time.
        turn = max(5.0, 60 * options.minutes / (6 * len(parts)))
        while time.monotonic() < end:
            for part in parts:
                until = min(end, time.monotonic() + turn)
                while time.monotonic() < until:
                    part.step()
        for part in parts:
            part.close()
        for line in [line for part in parts for line in part.figures()]:
            print(line)
        for finding in program.findings:
            print(f"FOUND {finding}")
        print(f"{len(program.findings)} findings, seed {options.seed}, {options.minutes:g} minutes")
        return 1 if program.findings else 0


if __name__ == "__main__":
    sys.exit(main())

"""Times one process against several with one thread each, in turn: a lesion sweep and training steps of a ResNet-20.

    python3 reference/bench_ranks.py target/release/unrolled [--rounds 5] [--processes 2]

The program has to be built with --features mpi. Samples are the built-in digits; nothing is read from elsewhere. Printed are the
medians of the seconds that commands take beyond the same command with next to no work, their ratio, and the bytes that the first
process sends.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

CONFIG = """
[model]
kind = "resnet"
depth = 20
[data]
source = "digits"
limit = 1408
[train]
epochs = {epochs}
batch = 128
rate = 0.05
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        for name, epochs in [("short", 1), ("long", 9)]:
            pathlib.Path(f"{name}.toml").write_text(CONFIG.format(epochs=epochs))
        run(1, [program, "train", "short.toml", "--out", "net"])
        sweep = [program, "measure", "net", "--only", "lesion", "--null", "none", "--limit"]
        works = {
            "lesion sweep, 1,664 images": ([*sweep, "1797", "--split", "test"], [*sweep, "4", "--split", "test"]),
            "training, 88 steps of 128": ([program, "train", "long.toml"], [program, "train", "short.toml"]),
        }
        for name, commands in works.items():
            times = {1: [], arguments.processes: []}
            for _ in range(arguments.rounds):
                for processes, found in times.items():
                    long, short = (timed(processes, command) for command in commands)
                    found.append(long - short)
            one, several = (statistics.median(found) for found in times.values())
            print(f"{name}: 1 process {one:.2f} s, {arguments.processes} processes {several:.2f} s, {one / several:.2f} times as fast")
        text = run(arguments.processes, [*sweep, "1797"]).stdout
        print("lesion sweep:", re.search(r"processes.*", text + "\nprocesses: not said").group(0))


def timed(processes, command):
    """Runs a command and returns the seconds it takes. Each training goes to a directory of its own."""
    if command[1] == "train":
        command = [*command, "--out", tempfile.mkdtemp(dir=".")]
    begun = time.monotonic()
    run(processes, command)
    return time.monotonic() - begun


def run(processes, command):
    environment = {**os.environ, "RAYON_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    mpirun = ["mpirun", "--oversubscribe", "-n", str(processes)]
    return subprocess.run([*mpirun, *command], env=environment, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    main()

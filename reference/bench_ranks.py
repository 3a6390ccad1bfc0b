"""Times one process against several with one thread each, in turn: a lesion sweep and training steps of a ResNet-20.

    python3 reference/bench_ranks.py target/release/unrolled [--rounds 5] [--processes 2]

The program has to be built with --features mpi. Samples are 1,280 images of random bytes of CIFAR-10's shape. Printed are the medians
of the seconds that commands take beyond the same command with next to no work, their ratio, and the bytes that the first process
sends in a sweep.
"""

import argparse
import os
import pathlib
import random
import re
import struct
import statistics
import subprocess
import tempfile
import time
import zipfile

IMAGES = 1280

CONFIG = """
[model]
kind = "resnet"
depth = 20
[data]
source = "arrays:images.npz"
validation = 128
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
        write_images("images.npz")
        for name, epochs in [("short", 1), ("long", 4)]:
            pathlib.Path(f"{name}.toml").write_text(CONFIG.format(epochs=epochs))
        run(1, [program, "train", "short.toml", "--out", "net"])
        sweep = [program, "measure", "net", "--data", "arrays:images.npz", "--only", "lesion", "--null", "none", "--limit"]
        works = {
            "lesion sweep, 1,280 images": ([*sweep, "0"], [*sweep, "4"]),
            "training, 27 steps of 128": ([program, "train", "long.toml"], [program, "train", "short.toml"]),
        }
        for name, commands in works.items():
            times = {1: [], arguments.processes: []}
            for _ in range(arguments.rounds):
                for processes, found in times.items():
                    long, short = (timed(processes, command) for command in commands)
                    found.append(long - short)
            one, several = (statistics.median(found) for found in times.values())
            print(f"{name}: 1 process {one:.2f} s, {arguments.processes} processes {several:.2f} s, {one / several:.2f} times as fast")
        run(arguments.processes, [*sweep, "0", "--out", "report"])
        page = pathlib.Path("report/report.html").read_text()
        print("lesion sweep:", re.search(r"[0-9]+, of which the first sent [0-9.]+ MB", page).group(0))


def write_images(path):
    """Writes an archive of random images, `[images, 3, 32, 32]`, and random labels."""
    draw = random.Random(0)
    with zipfile.ZipFile(path, "w") as archive:
        for name, shape, values in [
            ("images", (IMAGES, 3, 32, 32), draw.randbytes(IMAGES * 3 * 32 * 32)),
            ("labels", (IMAGES,), bytes(draw.randrange(10) for _ in range(IMAGES))),
        ]:
            header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values)


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

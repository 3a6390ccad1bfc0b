"""Times this project against PyTorch and ONNX Runtime: the same work, the same threads, in turn, in one run.

    .venv/bin/python reference/bench.py                      # everything, with random weights and images
    .venv/bin/python reference/bench.py --weights resnet20.th resnet56.th --data CIFAR10_DIR --write
    python reference/bench.py --ours --only mlp50-train      # ours alone: needs neither PyTorch nor anything else

Every round does each work a few times with every candidate; the figures are medians over the rounds, and the ratio is
ours to the best of the others. PyTorch runs eager, eager with channels last, and compiled; ONNX Runtime runs what it
can, inference. Of a lesion sweep ours is the whole process, the other a loop over a network that is in memory; of an ONNX file
the other is a loop over sessions of ONNX Runtime, one for each file without a block. Of memory both are what training steps add
to the most that a process has held.

All of it takes an hour on a slow machine, and 16 GB of the temporary directory for the files of GPT-2.

Prints the table of `docs/PERFORMANCE.md`; `--write` puts it there, into the place for as many threads (`--threads`).
"""

import argparse
import collections
import datetime
import gc
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import claims
import generated

ROOT = pathlib.Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "PERFORMANCE.md"
# Seconds before each, so that nobody's threads still spin on another's time.
PAUSE = 0.2
# How often each work is done in a row: training and measuring do the same again and again.
TIMES = 5
# What the ratio should not exceed in sweeps, of ONNX files, and in memory.
SWEEP_GOAL, GRAPHS_GOAL, MEMORY_GOAL = 0.08, 0.5, 0.4
# `config` is a model, `shape` a sample's, `batch` how many at once, `goal` what the ratio should not exceed; the same list
# is in `benches/work.rs`.
Work = collections.namedtuple("Work", "name config shape classes batch trains goal")
RESNET = {"kind": "resnet", "depth": 20, "shortcut": "projection"}
CHAR_LM = {"kind": "char-lm", "size": "small", "blocks": [1], "wiring": "highway"}
MLP = {"kind": "mlp", "depth": 50, "width": 64, "wiring": "highway"}
WORK = [
    Work("resnet20-train", RESNET, (3, 32, 32), 10, 128, True, 0.45),
    Work("highway20-train", RESNET | {"wiring": "highway"}, (3, 32, 32), 10, 128, True, 0.4),
    Work("mlp50-train", MLP, (1, 28, 28), 10, 128, True, 0.45),
    Work("char-lm-train", CHAR_LM, (1, 1, 21), 10_000, 700, True, 0.6),
    Work("resnet20-infer", RESNET, (3, 32, 32), 10, 128, False, 0.5),
    Work("resnet50-infer", {"kind": "imagenet", "depth": 50}, (3, 224, 224), 1000, 4, False, 0.75),
]
DEPTHS = [20, 56]


class Ours:
    """The program of `benches/work.rs`, which does what it is told and says how long it took."""

    def __init__(self, program):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([program], stdin=pipe, stdout=pipe, text=True)

    def __call__(self, name):
        return self.ask(f"{name} {TIMES}")

    def ask(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return [float(time) for time in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(step):
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def row(what, ours, others, goal, digits=1):
    """A line of the table; `others` are medians by name."""
    listed = ", ".join(f"{kind} {value:.{digits}f}" for kind, value in others.items())
    best = min(others, key=others.get, default=None)
    ratio = f"{ours / others[best]:.2f} to {best}" if best else ""
    return f"| {what} | {ours:.{digits}f} | {listed} | {ratio} | {goal if best else ''} |"


def works(arguments):
    """A row for each piece of work."""
    ours = Ours(arguments.program)
    for work in WORK:
        if work.name not in arguments.only:
            continue
        others = {}
        if not arguments.ours:
            import candidates

            others = candidates.candidates(work, not arguments.no_compile)
        for step in others.values():
            step(), step()
        kinds = [work.name] + ([f"{work.name}-reference"] if arguments.reference else [])
        times = collections.defaultdict(list)
        for _ in range(arguments.rounds):
            for kind in kinds:
                time.sleep(PAUSE)
                times[kind] += ours(kind)
            for kind, step in others.items():
                time.sleep(PAUSE)
                times[kind] += [timed(step) * 1e3 for _ in range(TIMES)]
        median = {kind: statistics.median(all) for kind, all in times.items()}
        own = median.pop(work.name)
        yield row(f"{work.name}, ms", own, median, work.goal)
        others.clear()
        gc.collect()
    ours.close()


def sweeps(arguments, directory):
    """A row for the lesion sweep of each depth, and one for what depth costs."""
    generated.images(directory, arguments.limit)
    data = arguments.data or directory
    images = [] if arguments.data else ["random images"]
    own, other = {}, {}
    for depth in DEPTHS:
        given = next((path for path in arguments.weights if f"resnet{depth}" in pathlib.Path(path).name), None)
        weights = given or str(pathlib.Path(directory, f"resnet{depth}.safetensors"))
        if not given:
            generated.weights(weights, depth)
        own[depth], others, equal = swept(arguments, weights, data)
        other[depth] = others.get("eager")
        notes = "; ".join(images + ([] if given else ["random weights"]) + equal)
        what = f"lesion sweep, ResNet-{depth}, {arguments.limit:,} images, s" + (f" ({notes})" if notes else "")
        yield row(what, own[depth], others, SWEEP_GOAL)
    first, last = DEPTHS
    times = lambda found: f"{found[last] / found[first]:.1f} times" if found[first] else ""
    blocks = (last - 2) / (first - 2)
    yield f"| the same, ResNet-{last} to ResNet-{first}, {blocks:.1f} times the blocks | {times(own)} | {times(other)} | | |"


def swept(arguments, weights, data):
    """Median seconds of ours and of the others, and whether both found the same."""
    command = [arguments.unrolled, "measure", weights, "--data", f"cifar10:{data}", "--limit", str(arguments.limit)]
    command += ["--only", "lesion", "--json"]
    ours, others, equal = [], [], []
    if not arguments.ours:
        import lesion_sweep

        network = lesion_sweep.trained(weights)
        x, labels = lesion_sweep.images(data, arguments.limit)
    for _ in range(arguments.sweeps):
        time.sleep(PAUSE)
        begun = time.perf_counter()
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["lesion"]
        ours.append(time.perf_counter() - begun)
        if not arguments.ours:
            time.sleep(PAUSE)
            begun = time.perf_counter()
            expected = lesion_sweep.sweep(network, x, labels)
            others.append(time.perf_counter() - begun)
            del expected[""]
            same = sum(found[block]["accuracy_fraction"] == value for block, value in expected.items())
            equal = [f"{same} of {len(expected)} accuracies equal"]
    return statistics.median(ours), {"eager": statistics.median(others)} if others else {}, equal


def graphs(arguments, directory):
    """A row for the lesion sweep of each ONNX file."""
    import graph_sweep

    for name in graph_sweep.NETWORKS:
        sweep = graph_sweep.Sweep(name, directory, arguments.unrolled)
        ours, others = [], []
        for _ in range(arguments.sweeps):
            time.sleep(PAUSE)
            begun = time.perf_counter()
            command = [arguments.unrolled, *sweep.command()]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["lesion"]
            ours.append(time.perf_counter() - begun)
            time.sleep(PAUSE)
            begun = time.perf_counter()
            expected = sweep.run()
            others.append(time.perf_counter() - begun)
        largest = max(abs(found[block]["accuracy_fraction"] - value) for block, value in expected.items())
        notes = f"{len(found)} lesions, of which ONNX Runtime {len(expected)}; agreements differ by at most {largest:.4f}"
        what = f"lesion sweep, ONNX file of {name}, {sweep.samples} samples, s ({notes})"
        yield row(what, statistics.median(ours), {"onnxruntime": statistics.median(others)}, GRAPHS_GOAL)
        shutil.rmtree(sweep.path.parent)


def memory(arguments):
    """A row for the peak memory of each training step."""
    for work in WORK:
        if not work.trains:
            continue
        ours = Ours(arguments.program)
        ours(work.name)
        own = ours.ask("memory")[0] / 1024
        ours.close()
        others = {}
        if not arguments.ours:
            command = [sys.executable, pathlib.Path(__file__).with_name("candidates.py"), work.name]
            others["eager"] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024
        yield row(f"{work.name}, peak memory, MiB", own, others, MEMORY_GOAL, 0)


def built():
    """Has the programs built, and says where they lie."""
    command = ["cargo", "bench", "--bench", "work", "--no-run", "--message-format", "json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    messages = [json.loads(line) for line in lines if line.startswith("{")]
    found = {m["target"]["name"]: m["executable"] for m in messages if m.get("executable")}
    return found["work"], found["unrolled"]


def machine(arguments):
    """The versions, and what they ran on."""
    version = subprocess.run([arguments.unrolled, "--version"], check=True, capture_output=True, text=True).stdout
    facts = [str(datetime.date.today()), version.strip(), claims.processor()]
    if not arguments.ours:
        import candidates

        facts.append(candidates.versions())
    return ", ".join(facts)


def mark():
    """The line before the table of this number of threads in `docs/PERFORMANCE.md`."""
    return f"<!-- bench.py, threads: {os.environ['RAYON_NUM_THREADS']} -->\n"


def write(table):
    """Puts a table into `docs/PERFORMANCE.md`, after its mark."""
    before, rest = DOCUMENT.read_text().split(mark(), 1)
    _, after = rest.split("<!-- end -->\n", 1)
    DOCUMENT.write_text(f"{before}{mark()}{table}<!-- end -->\n{after}")


def set_threads(arguments):
    """Sets the number of threads of all."""
    threads = arguments.threads or os.cpu_count()
    os.environ["RAYON_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    if not arguments.ours:
        import torch

        torch.set_num_threads(threads)


def main():
    names = [work.name for work in WORK] + ["lesion", "graphs", "memory"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", help="of `cargo bench --bench work --no-run`, which is called without it")
    parser.add_argument("--unrolled", help="the program itself, where it does not lie a directory above the other")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="threads of each [default: one for each processor]")
    parser.add_argument("--sweeps", type=int, default=3, help="rounds of the lesion sweep")
    parser.add_argument("--only", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--ours", action="store_true", help="ours alone")
    parser.add_argument("--weights", nargs="*", default=[], help="files whose names begin with resnet20 and resnet56")
    parser.add_argument("--data", help="directory of CIFAR-10")
    parser.add_argument("--limit", type=int, default=2000, help="images of the lesion sweep")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--reference", action="store_true", help="also time the reference kernels (the operations of Burn)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/PERFORMANCE.md")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",")
    if unknown := set(arguments.only) - set(names):
        parser.error(f"--only: no {', '.join(sorted(unknown))}, there are {', '.join(names)}")
    if arguments.program:
        arguments.unrolled = arguments.unrolled or pathlib.Path(arguments.program).parent.parent / "unrolled"
    else:
        arguments.program, arguments.unrolled = built()
    set_threads(arguments)
    if arguments.write and (arguments.ours or set(arguments.only) != set(names)):
        parser.error("--write replaces the whole table: leave out --only and --ours")
    if arguments.write and mark() not in DOCUMENT.read_text():
        parser.error(f"--write: {DOCUMENT.name} has no place for as many threads, a line {mark().strip()}")
    table = f"| {machine(arguments)} | ours | others | ratio | goal |\n|---|---|---|---|---|\n"
    print(table, end="", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        parts = [works(arguments)]
        parts += [sweeps(arguments, directory)] if "lesion" in arguments.only else []
        parts += [graphs(arguments, directory)] if "graphs" in arguments.only and not arguments.ours else []
        parts += [memory(arguments)] if "memory" in arguments.only else []
        for line in (line for part in parts for line in part):
            print(line, flush=True)
            table += line + "\n"
    if arguments.write:
        write(table)


if __name__ == "__main__":
    main()

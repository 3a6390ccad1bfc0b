"""Times this project against PyTorch and ONNX Runtime: the same work, the same threads, in turn, in one run.

    cargo bench --bench work --no-run                       # prints where the program lies
    .venv/bin/python reference/bench.py PROGRAM [--rounds 7] [--only NAME,...] [--no-compile]

    .venv/bin/python reference/bench.py PROGRAM --memory    # peak memory of the training steps instead

Every round does each work a few times with every candidate; the figures are medians over the rounds, and the ratio is ours to
the best of the others. PyTorch runs eager, eager with channels last, and compiled; ONNX Runtime runs what it can,
inference. Prints the tables of `docs/PERFORMANCE.md`; `--write` puts that of the times there. Without PyTorch, `cargo bench --bench work -- NAME...` times ours.
"""

import argparse
import datetime
import gc
import io
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

import networks

# Name, model, shape of a sample, classes, samples at once, whether it trains; the same list is in `benches/work.rs`.
# Seconds before each, so that nobody's threads still spin on another's time.
PAUSE = 0.2
# How often each work is done in a row: training and measuring do the same again and again.
TIMES = 5
RESNET = {"kind": "resnet", "depth": 20, "shortcut": "projection"}
WORK = [
    ("resnet20-train", RESNET, (3, 32, 32), 10, 128, True),
    ("highway20-train", RESNET | {"wiring": "highway"}, (3, 32, 32), 10, 128, True),
    ("resnet20-infer", RESNET, (3, 32, 32), 10, 128, False),
    ("resnet50-infer", {"kind": "imagenet", "depth": 50}, (3, 224, 224), 1000, 4, False),
    ("mlp50-train", {"kind": "mlp", "depth": 50, "width": 64, "wiring": "highway"}, (1, 28, 28), 10, 128, True),
]


def training(network, x, labels):
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()

    return step


def inference(network, x):
    network.eval()

    def step():
        with torch.inference_mode():
            network(x)

    return step


def onnx(network, x, threads):
    import onnxruntime

    file = io.BytesIO()
    torch.onnx.export(network.eval(), (x,), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    name, values = session.get_inputs()[0].name, x.numpy()
    return lambda: session.run(None, {name: values})


def candidates(config, shape, classes, batch, trains, compiles, threads):
    """Every way to do a work that others offer."""
    torch.manual_seed(0)
    x, labels = torch.randn(batch, *shape), torch.randint(0, classes, (batch,))
    build = lambda: networks.build(config, shape, classes)
    work = lambda network, x: training(network, x, labels) if trains else inference(network, x)
    found = {"eager": work(build(), x)}
    if shape[1] > 28:
        last = torch.channels_last
        found["channels_last"] = work(build().to(memory_format=last), x.to(memory_format=last))
    if compiles:
        found["compiled"] = work(torch.compile(build()), x)
    if not trains:
        found["onnxruntime"] = onnx(build(), x, threads)
    return found


class Ours:
    """The program of `benches/work.rs`, which does what it is told and says how long it took."""

    def __init__(self, program, threads):
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([program], stdin=pipe, stdout=pipe, text=True, env=environment)

    def __call__(self, name):
        return self.ask(f"{name} {TIMES}")

    def ask(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return [float(time) for time in self.process.stdout.readline().split()]


def eager_memory(name):
    """Peak memory that five training steps add to a process, KiB; called in a process of its own."""
    config, shape, classes, batch = next(work[1:5] for work in WORK if work[0] == name)
    x, labels = torch.randn(batch, *shape), torch.randint(0, classes, (batch,))
    step = training(networks.build(config, shape, classes), x, labels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def memory(program):
    """The table of peak memory: ours of the whole process, PyTorch's without what importing it takes."""
    print("| peak memory of a training step | ours, whole process | eager | ratio |\n|---|---|---|---|")
    for name in [work[0] for work in WORK if work[5]]:
        ours = Ours(program, torch.get_num_threads())
        ours(name)
        ours = ours.ask("memory")[0] / 1024
        command = [sys.executable, __file__, program, "--eager-memory", name]
        eager = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024
        print(f"| {name} | {ours:.0f} MiB | {eager:.0f} MiB | {ours / eager:.2f} |", flush=True)


def write(table):
    """Puts a table between its marks in `docs/PERFORMANCE.md`."""
    path = pathlib.Path(__file__).parent.parent / "docs" / "PERFORMANCE.md"
    before, rest = path.read_text().split("<!-- bench.py -->\n", 1)
    _, after = rest.split("<!-- end -->\n", 1)
    path.write_text(f"{before}<!-- bench.py -->\n{table}<!-- end -->\n{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default=",".join(work[0] for work in WORK))
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--stock", action="store_true", help="time the engine's operations too")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--eager-memory", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="put the table into docs/PERFORMANCE.md")
    arguments = parser.parse_args()
    if arguments.eager_memory:
        return eager_memory(arguments.eager_memory)
    if arguments.memory:
        return memory(arguments.program)
    threads = torch.get_num_threads()
    ours = Ours(arguments.program, threads)
    processor = next(line.split(": ")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    when = f"{datetime.date.today()}, {threads} threads, {processor}, PyTorch {torch.__version__}"
    table = f"| {when} | ours, ms | others, ms | ratio |\n|---|---|---|---|\n"
    print(table, end="")
    for name, config, shape, classes, batch, trains in WORK:
        if name not in arguments.only.split(","):
            continue
        others = candidates(config, shape, classes, batch, trains, not arguments.no_compile, threads)
        for step in others.values():
            step(), step()
        kinds = [name] + ([f"{name}-stock"] if arguments.stock else [])
        times = {kind: [] for kind in kinds + list(others)}
        for _ in range(arguments.rounds):
            for kind in kinds:
                time.sleep(PAUSE)
                times[kind] += ours(kind)
            for kind, step in others.items():
                time.sleep(PAUSE)
                for _ in range(TIMES):
                    begun = time.perf_counter()
                    step()
                    times[kind].append((time.perf_counter() - begun) * 1e3)
        median = {kind: statistics.median(all) for kind, all in times.items()}
        best = min(others, key=median.get)
        listed = ", ".join(f"{kind} {median[kind]:.1f}" for kind in times if kind != name)
        row = f"| {name} | {median[name]:.1f} | {listed} | {median[name] / median[best]:.2f} to {best} |"
        print(row, flush=True)
        table += row + "\n"
        del others
        gc.collect()
    if arguments.write:
        write(table)


if __name__ == "__main__":
    main()

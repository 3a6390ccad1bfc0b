"""Times this project on a graphics card against PyTorch on the same card, in turn, and against its own kernels on the CPU.

    cargo bench --features wgpu --bench work --no-run
    python reference/bench_gpu.py target/release/deps/work-… --unrolled target/release/unrolled \
        --weights resnet56.th --data CIFAR10_DIR

PyTorch computes as ours does, in f32 (`f32`), as it does by default, with convolutions in TF32 (`tf32`), with channels last
(`channels last`), and with `--compile` compiled (`compiled`). Every round does each work a few times with every candidate;
the figures are medians over the rounds, in milliseconds, and in seconds for the sweep. Of a sweep ours is the whole process,
the other a loop over a network that is on the card. Work that takes longer than `--longest` seconds a step is done once.

Prints a table, a line as soon as it is known.
"""

import argparse
import collections
import contextlib
import json
import statistics
import subprocess
import time

import torch
import torch.nn.functional as F

import bench
import candidates
import char_lm
import lesion_sweep

IMAGENET = {"kind": "imagenet", "depth": 50}
WORK = [work for work in bench.WORK if work.name in ("resnet20-train", "resnet20-infer", "char-lm-train")] + [
    bench.Work("resnet50-train", IMAGENET, (3, 224, 224), 1000, 32, True, None),
    bench.Work("resnet50-infer-32", IMAGENET, (3, 224, 224), 1000, 32, False, None),
]


def synchronize(device):
    if device != "cpu":
        torch.cuda.synchronize()


@contextlib.contextmanager
def precision(allows_tf32):
    torch.backends.cudnn.allow_tf32 = allows_tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = True


def reading(network, words, labels, device):
    """A step of the language model through all words of some streams, which go on where the one before ended."""
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)
    move = lambda states: [tuple(value.detach().to(device) for value in pair) for pair in states]
    states = move(char_lm.start(char_lm.STREAMS_TIMED, char_lm.SIZES["small"]["units"]))

    def step():
        nonlocal states
        optimizer.zero_grad(set_to_none=True)
        logits, states = network(words, states)
        states = move(states)
        F.cross_entropy(logits.flatten(0, 1), labels).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()

    return step


def pytorch(work, device, compiles):
    """Every way of PyTorch to do a piece of work: its name and a function that does it once and waits for the card."""
    torch.manual_seed(0)
    x, labels = (part.to(device) for part in candidates.samples(work))

    def step(network, x):
        if work.config["kind"] == "char-lm":
            return reading(network, x, labels, device)
        return candidates.training(network, x, labels) if work.trains else candidates.inference(network, x)

    def waiting(once, allows_tf32):
        def run():
            with precision(allows_tf32):
                once()
                synchronize(device)

        return run

    network = lambda: candidates.built(work).to(device).train(work.trains)
    found = {"f32": waiting(step(network(), x), False), "tf32": waiting(step(network(), x), True)}
    if work.shape[1] > 28:
        last = torch.channels_last
        found["channels last"] = waiting(step(network().to(memory_format=last), x.to(memory_format=last)), True)
    if compiles and work.config["kind"] != "char-lm":
        found["compiled"] = waiting(step(torch.compile(network()), x), True)
    return found


def works(arguments):
    """A row for each piece of work."""
    for work in WORK:
        if work.name not in arguments.only:
            continue
        # A process of its own for each, so that memory is given back.
        ours = bench.Ours(arguments.program)
        others = pytorch(work, arguments.device, arguments.compile)
        for step in others.values():
            step(), step()
        times, few = collections.defaultdict(list), set()

        def do(kind, run):
            """Runs the work and keeps its times, unless it was found to take long."""
            if kind in few:
                return
            begun = time.perf_counter()
            times[kind] += run(1)
            if time.perf_counter() - begun > arguments.longest:
                few.add(kind)
            else:
                times[kind] += run(bench.TIMES - 1)

        for _ in range(arguments.rounds):
            for kind, name in (("ours", f"{work.name}@{arguments.ours}"), ("CPU", work.name)):
                do(kind, lambda count: asked(ours, name, count))
            for kind, step in others.items():
                do(kind, lambda count: [bench.timed(step) * 1e3 for _ in range(count)])
        ours.close()
        yield line(f"{work.name}, batch {work.batch}, ms", {kind: statistics.median(all) for kind, all in times.items()})
        del others
        torch.cuda.empty_cache() if arguments.device != "cpu" else None


def asked(ours, name, count):
    """The times of `benches/work.rs`."""
    return ours.ask(f"{name} {count}")


def sweep(arguments):
    """A row for the lesion sweep."""
    command = [arguments.unrolled, "measure", arguments.weights, "--data", f"cifar10:{arguments.data}", "--json"]
    command += ["--limit", str(arguments.limit), "--only", "lesion"]
    network = lesion_sweep.trained(arguments.weights).to(arguments.device)
    x, labels = (part.to(arguments.device) for part in lesion_sweep.images(arguments.data, arguments.limit))
    times, found = {}, {}
    # On the card as many images at once as in the other's loop.
    for kind, options in (("ours", ["--device", arguments.ours, "--batch", "250"]), ("CPU", [])):
        begun = time.perf_counter()
        printed = subprocess.run(command + options, check=True, capture_output=True).stdout
        times[kind] = time.perf_counter() - begun
        found[kind] = json.loads(printed)["lesion"]
    for kind, allows_tf32 in (("f32", False), ("tf32", True)):
        with precision(allows_tf32):
            lesion_sweep.accuracy(network, x, labels)
            begun = time.perf_counter()
            expected = lesion_sweep.sweep(network, x, labels)
            synchronize(arguments.device)
            times[kind] = time.perf_counter() - begun
        if kind == "f32":
            equal = sum(found["ours"][block]["accuracy_fraction"] == expected[block] for block in found["ours"])
    yield line(f"lesion sweep, {arguments.limit:,} images, s ({equal} of {len(found['ours'])} accuracies equal)", times, 2)


KINDS = ["ours", "CPU", "f32", "tf32", "channels last", "compiled"]


def line(what, times, digits=1):
    """A line of the table. The ratio is that of ours to PyTorch in f32."""
    cells = [f"{times[kind]:.{digits}f}" if kind in times else "" for kind in KINDS]
    return f"| {what} | " + " | ".join(cells) + f" | {times['ours'] / times['f32']:.2f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="of `cargo bench --features wgpu --bench work --no-run`")
    parser.add_argument("--unrolled", required=True, help="the program itself, built with the feature wgpu")
    parser.add_argument("--weights", help="file of the network that the sweep is made of")
    parser.add_argument("--data", help="directory of CIFAR-10")
    parser.add_argument("--limit", type=int, default=2000, help="images of the lesion sweep")
    parser.add_argument("--only", default=",".join(work.name for work in WORK), help="pieces of work")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=float, default=5.0, help="seconds")
    parser.add_argument("--compile", action="store_true", help="compiled PyTorch too, which takes a minute")
    parser.add_argument("--device", default="cuda", help="PyTorch's device")
    parser.add_argument("--ours", default="wgpu", help="our device")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",")
    card = "CPU" if arguments.device == "cpu" else torch.cuda.get_device_name()
    print(f"| {card}, PyTorch {torch.__version__} | ours | ours on the CPU | " + " | ".join(KINDS[2:]) + " | ratio |")
    print("|---" * (len(KINDS) + 2) + "|", flush=True)
    for row in works(arguments):
        print(row, flush=True)
    for row in sweep(arguments) if arguments.weights else []:
        print(row, flush=True)


if __name__ == "__main__":
    main()

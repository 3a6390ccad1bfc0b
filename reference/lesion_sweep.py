"""Times the lesion sweep of a trained CIFAR ResNet: ours against the PyTorch loop that a user would write.

    .venv/bin/python reference/lesion_sweep.py WEIGHTS.th CIFAR10_DIR [--limit 500] [--runs 3] [--unrolled target/release/unrolled]

Both leave every block out in turn over the same images, on as many threads; they take turns, and medians are compared.
Ours includes the start of the process and the reading of its files.
"""

import argparse
import gzip
import json
import pathlib
import re
import statistics
import subprocess
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Block(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.stride, self.missing = stride, out - channels
        self.left_out = False

    def forward(self, x):
        skip = x[:, :, :: self.stride, :: self.stride]
        if self.missing:
            skip = F.pad(skip, (0, 0, 0, 0, self.missing // 2, self.missing // 2))
        if self.left_out:
            return F.relu(skip)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + skip)


class ResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = 16
        for stage, count in enumerate(blocks):
            out = 16 << stage
            layers = [Block(channels if k == 0 else out, out, 2 if stage and k == 0 else 1) for k in range(count)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
            channels = out
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def images(directory, limit):
    packed = pathlib.Path(directory, "test_batch.bin")
    data = packed.read_bytes() if packed.exists() else gzip.open(f"{packed}.gz").read()
    records = np.frombuffer(data, np.uint8).reshape(-1, 3073)[:limit]
    pixels = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (pixels - mean) / std, torch.from_numpy(records[:, 0].astype(np.int64))


@torch.no_grad()
def accuracy(network, x, labels):
    right = sum((network(x[i : i + 250]).argmax(1) == labels[i : i + 250]).sum().item() for i in range(0, len(x), 250))
    return right / len(x)


def sweep(network, x, labels):
    found = {}
    for stage in range(1, 4):
        for k, block in enumerate(getattr(network, f"layer{stage}"), start=1):
            block.left_out = True
            found[f"stage{stage}.block{k}"] = accuracy(network, x, labels)
            block.left_out = False
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("data")
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--unrolled", default="target/release/unrolled")
    arguments = parser.parse_args()
    state = torch.load(arguments.weights, map_location="cpu", weights_only=True)["state_dict"]
    state = {name.removeprefix("module."): value for name, value in state.items()}
    blocks = 1 + max(int(re.match(r"layer1\.(\d+)", name)[1]) for name in state if name.startswith("layer1."))
    network = ResNet([blocks] * 3)
    network.load_state_dict(state)
    network.eval()
    x, labels = images(arguments.data, arguments.limit)
    command = [arguments.unrolled, "measure", arguments.weights, "--data", f"cifar10:{arguments.data}"]
    command += ["--limit", str(arguments.limit), "--only", "lesion", "--json"]
    ours, theirs = [], []
    for _ in range(arguments.runs):
        begun = time.perf_counter()
        document = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        ours.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        accuracy(network, x, labels)
        expected = sweep(network, x, labels)
        theirs.append(time.perf_counter() - begun)
        differing = sum(document["lesion"][block]["accuracy"] != value for block, value in expected.items())
        print(f"ours {ours[-1]:.1f} s, PyTorch {theirs[-1]:.1f} s, {differing} of {len(expected)} accuracies differ")
    a, b = statistics.median(ours), statistics.median(theirs)
    threads = torch.get_num_threads()
    print(f"{3 * blocks} blocks, {arguments.limit} images, {threads} threads, PyTorch {torch.__version__}:", end=" ")
    print(f"ours {a:.1f} s, PyTorch {b:.1f} s, ratio {a / b:.2f}")


if __name__ == "__main__":
    main()

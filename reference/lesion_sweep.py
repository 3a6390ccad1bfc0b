"""The lesion sweep of a CIFAR ResNet as a user of PyTorch would write it: every block left out in turn.

`bench.py` times it against ours; `slim.py` uses its network.
"""

import gzip
import pathlib
import re

import numpy as np
import torch
from safetensors.torch import load_file
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


def state_of(path):
    """The arrays of a file, PyTorch's or safetensors."""
    if pathlib.Path(path).suffix == ".safetensors":
        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name.removeprefix("module."): value for name, value in state.get("state_dict", state).items()}


def trained(path):
    """The network of a file, whose names say how deep it is."""
    state = state_of(path)
    network = ResNet([1 + max(int(found[1]) for name in state if (found := re.match(r"layer1\.(\d+)", name)))] * 3)
    network.load_state_dict(state)
    return network.eval()


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
    """The accuracy with each block left out, and first that of the whole network, which ours computes too."""
    found = {"": accuracy(network, x, labels)}
    for stage in range(1, 4):
        for k, block in enumerate(getattr(network, f"layer{stage}"), start=1):
            block.left_out = True
            found[f"stage{stage}.block{k}"] = accuracy(network, x, labels)
            block.left_out = False
    return found

"""Files that hold a network in another place than usual, or hold none: for `tests/suite/open.rs`.

`tests/foreign/` gets one file of each kind. Those whose names begin with `same-` hold the network of
`cifar-a.zip.pt`, which `tests/suite/open.rs` compares.
"""

import copy
import pickle
import re
import zipfile
from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from open_fixtures import OUT, Basic, ResNet, renamed, shake

DIR = OUT.parent / "foreign"


def save(name, thing, **options):
    torch.save(thing, DIR / name, **options)


def without_paths(path):
    """Writes an archive again without notes on where the source code lies, which differ from machine to machine."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist() if not name.endswith(".debug_pkl")}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), re.sub(rb'"stack_trace": "(?:[^"\\]|\\.)*"', b'"stack_trace": ""', content))


class Task(nn.Module):
    """A module around a network, as training programs have them."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class Squeeze(Basic):
    """A basic block with squeeze and excitation."""

    def __init__(self, channels, width, stride, skip, pre):
        super().__init__(channels, width, stride, skip, pre)
        self.se = nn.Sequential(nn.Conv2d(width, 2, 1), nn.ReLU(), nn.Conv2d(2, width, 1), nn.Sigmoid())


def networks(whole):
    """Files that hold the network `whole`, whose classifier is `linear`."""
    arrays = whole.state_dict()
    backbone = OrderedDict((k, v) for k, v in arrays.items() if not k.startswith("linear."))
    head = OrderedDict((k.removeprefix("linear."), v) for k, v in arrays.items() if k.startswith("linear."))
    legacy = {"_use_new_zipfile_serialization": False}
    save("same-prefix.pt", {"state_dict": {**renamed(arrays, "model.net.encoder."), "loss.weight": torch.ones(10)}})
    save("same-any-key.pt", {"epoch": 1, "best": arrays, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}})
    save("same-head-outside.pt", {**renamed(backbone, "backbone."), **renamed(head, "head.classify.")})
    save("same-two-parts.pt", {"encoder": backbone, "classifier": head, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}})
    save("same-head-inside.pt", OrderedDict(**backbone, **renamed(head, "logits.")))
    save("same-module.pt", whole)
    save("same-legacy-module.pt", whole, **legacy)
    save("same-legacy-checkpoint.pt", {"epoch": 1, "net": Task(body=whole, loss=nn.Linear(2, 2))}, **legacy)
    save("same-legacy-protocol-4.pt", whole, pickle_protocol=4, **legacy)
    other = shake(ResNet(Basic, [1, 1, 1], 2, 10, head="linear", skip="pad"), 7).state_dict()
    save("same-ema-beside.pt", {"model": arrays, "model_ema": other})
    save("student-and-teacher.pt", {"student": other, "teacher": {"net": arrays}})
    save("teacher-without-head.pt", {"student": backbone, "teacher": arrays})
    heads = {"first.weight": torch.ones(10, 16), "second.weight": torch.ones(10, 16)}
    save("two-heads.pt", {**renamed(backbone, "backbone."), **heads})
    deep = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 10)).state_dict()
    save("deep-head.pt", {**renamed(backbone, "backbone."), **renamed(deep, "head.")})
    save("neck.pt", {**renamed(backbone, "backbone."), **renamed(head, "head."), "neck.weight": torch.ones(16)})
    save("auxiliary.pt", {**arrays, "auxiliary.weight": torch.ones(10, 8)})


def others(whole):
    """Networks of other kinds, and files without any."""
    variant = lambda block, seed: shake(ResNet(block, [1, 1, 1], 4, 10, skip="shortcut"), seed).state_dict()
    save("squeeze.pt", variant(Squeeze, 1))
    save("group-norm.pt", OrderedDict((k, v) for k, v in whole.state_dict().items() if "running" not in k and "num" not in k))
    save("blurred.pt", {**whole.state_dict(), "layer2.0.conv2.filt": torch.ones(8, 1, 3, 3)})
    save("vision-transformer.pt", {"cls_token": torch.ones(1, 1, 4), "blocks.0.attn.qkv.weight": torch.ones(12, 4)})

    pruned = copy.deepcopy(whole)
    prune.l1_unstructured(pruned.conv1, "weight", 0.5)
    save("pruned.pt", pruned.state_dict())
    normalized = copy.deepcopy(whole)
    parametrizations.weight_norm(normalized.conv1)
    save("weight-norm.pt", normalized.state_dict())
    optimizer = torch.optim.Adam(whole.parameters())
    whole(torch.zeros(1, 3, 32, 32)).sum().backward()
    optimizer.step()
    save("optimizer.pt", {"optimizer": {"state": {0: optimizer.state_dict()["state"][0]}}})

    small = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3)).eval()
    example = torch.zeros(1, 1, 8, 8)
    torch.jit.trace(small, example).save(str(DIR / "torchscript.pt"))
    torch.export.save(torch.export.export(small, (example,)), str(DIR / "exported.pt2"))
    without_paths(DIR / "torchscript.pt")
    without_paths(DIR / "exported.pt2")
    save("quantized.pt", {"weight": torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)})
    save("numpy.pt", {"weight": np.ones((2, 2), np.float32)})
    (DIR / "numpy.pkl").write_bytes(pickle.dumps({"conv1": np.ones((2, 2), np.float32)}, protocol=4))
    np.savez(DIR / "numpy.npz", weight=np.ones((2, 2), np.float32))
    with zipfile.ZipFile(DIR / "model.keras", "w") as archive:
        for name in ["metadata.json", "config.json", "model.weights.h5"]:
            archive.writestr(name, "{}")


def main():
    DIR.mkdir(exist_ok=True)
    # In place of the source code of classes, which old files hold with its path.
    torch.serialization.get_source_lines_and_file = lambda *_: (["class Network: ...\n"], 1, "network.py")
    torch.backends.quantized.engine = "fbgemm"
    whole = shake(ResNet(Basic, [1, 1, 1], 4, 10, head="linear", skip="pad"), 0)
    networks(whole)
    others(copy.deepcopy(whole))


if __name__ == "__main__":
    main()

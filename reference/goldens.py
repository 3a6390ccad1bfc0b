"""Writes `tests/goldens/networks.safetensors`: what PyTorch makes of small networks of every sort, in f64.

Usage, in the project's root: `python reference/goldens.py`

For each case: logits, gradients and running statistics of a training pass, and the logits of an inference pass.
Neither parameters nor samples are stored (see `draws.py`). The arrays of one sort follow each other in the order of
their names. The cases themselves are in the metadata, as JSON.
"""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn

import cases
import draws
import networks

FILE = pathlib.Path(__file__).parent.parent / "tests/goldens/networks.safetensors"

# A ReLU or a maximum this close to its kink could fall to the other side in f32.
MARGIN = 1e-4
# What PyTorch itself loses in f32. A case that loses more says more about rounding than about the network.
ROUNDING = 4e-6
# A gradient that is all but zero compares rounding errors.
FAINTEST = 1e-6


def margins(network):
    """A list that every forward pass extends by the distances of its activations from a kink."""
    found = []

    def relu(_, inputs):
        # Exact zeros are zeros in every precision: padding, and units that a ReLU before has closed.
        distances = inputs[0].detach().abs()
        found.append(distances[distances > 0].min())

    def pool(module, inputs):
        windows = F.pad(inputs[0].detach(), [module.padding] * 4, value=-1e9)
        for side in (2, 3):
            windows = windows.unfold(side, module.kernel_size, module.stride)
        best = windows.flatten(4).topk(2).values
        # Units that a ReLU has closed tie at zero, and pass no gradient on.
        distances = (best[..., 0] - best[..., 1])[best[..., 0] > 0]
        found.append(distances.min())

    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(relu)
        if isinstance(module, nn.MaxPool2d):
            module.register_forward_pre_hook(pool)
    return found


def results(case, seed, dtype):
    """Every array of a case by sort and name, and the distance from the nearest kink."""
    network = networks.build(case["config"], case["input"], case["classes"]).to(dtype)
    arrays = networks.arrays(network)
    draws.fill(arrays, seed)
    distances = margins(network)
    x = draws.values(seed, "input", (case["batch"], *case["input"])).to(dtype).requires_grad_()
    labels = draws.labels(seed, "labels", case["batch"], case["classes"])
    found = {"inference": {"logits": network.eval()(x).detach()}}
    distances.clear()
    if case["training"]:
        logits = network.train()(x)
        F.cross_entropy(logits, labels).backward()
        found["training"] = {"logits": logits.detach(), "input": x.grad}
        found["gradients"] = {n: a.grad for n, a in arrays.items() if not networks.is_statistic(a)}
        statistics = {n: a for n, a in arrays.items() if networks.is_statistic(a)}
        if statistics:
            found["statistics"] = statistics
    return found, float(min(distances, default=torch.tensor(1.0)))


def is_usable(found, rounded):
    """Whether f32 tells every array of a case from a wrong one."""
    for sort, arrays in found.items():
        for name, array in arrays.items():
            largest = array.abs().max()
            if largest < FAINTEST or (rounded[sort][name] - array).abs().max() > ROUNDING * largest:
                return False
    return True


def settle(case):
    """The first seed at which f32 is precise enough, and the results there."""
    for seed in range(2000):
        found, distance = results(case, seed, torch.float64)
        if distance > MARGIN and is_usable(found, results(case, seed, torch.float32)[0]):
            return seed, found
    sys.exit(f"{case['name']}: no seed is far enough from every kink")


def main():
    torch.set_num_threads(1)
    stored, listed = {}, []
    for case in cases.everything():
        seed, found = settle(case)
        print(f"{case['name']}: seed {seed}", flush=True)
        for sort, arrays in found.items():
            flat = torch.cat([arrays[name].flatten() for name in sorted(arrays)])
            stored[f"{len(listed)}.{sort}"] = flat.float()
        listed.append(case | {"seed": seed})
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_bytes(save(stored, {"cases": json.dumps(listed)}))
    print(f"{len(listed)} cases, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()

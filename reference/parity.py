"""Writes `tests/goldens/parity.json`: the losses of ten training steps in PyTorch, in f64.

Usage, in the project's root: `python reference/parity.py`

Parameters start as `draws.py` says; step k, counted from 0, trains on the samples drawn as `batchK.input` with the
labels drawn as `batchK.labels`, all from seed 0. A loss is that of the step's batch before the step, the one that
is differentiated. The configurations are `[model]` and `[train]` tables.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

import draws
import networks

FILE = pathlib.Path(__file__).parent.parent / "tests/goldens/parity.json"

STEPS = 10
BATCH = 16
CLASSES = 4
INPUT = [3, 16, 16]

MLP = {"kind": "mlp", "depth": 6, "width": 16}
RESNET = {"kind": "resnet", "depth": 8, "width": 4}
MODELS = {
    "mlp, plain": MLP | {"wiring": "plain"},
    "mlp, residual": MLP | {"wiring": "residual"},
    "mlp, highway": MLP | {"wiring": "highway"},
    "resnet, residual, zero-padding": RESNET | {"wiring": "residual", "shortcut": "zero-padding"},
    "resnet, highway, projection": RESNET | {"wiring": "highway", "shortcut": "projection"},
}

SGD = {"optimizer": "sgd", "rate": 0.05, "momentum": 0.9}
TRAININGS = {
    "nesterov": SGD | {"nesterov": True, "weight_decay": 1e-4},
    "adamw": {"optimizer": "adamw", "rate": 1e-3, "weight_decay": 0.01},
    # Usual decays hardly move ten losses: these do.
    "strong decay": SGD | {"weight_decay": 0.1},
    "adamw, strong decay of all": {"optimizer": "adamw", "rate": 1e-3, "weight_decay": 3.0, "decay": "all"},
    "clipped, smoothed": SGD | {"clip_norm": 1.0, "label_smoothing": 0.1},
}


def optimizer(train, arrays):
    """PyTorch's optimizer; weight decay spares biases and normalizations unless all decays."""
    trained = {name: array for name, array in arrays.items() if not networks.is_statistic(array)}
    decays = [a for name, a in trained.items() if train.get("decay") == "all" or name.endswith(".weight")]
    spared = [a for a in trained.values() if not any(a is other for other in decays)]
    groups = [
        {"params": decays, "weight_decay": train.get("weight_decay", 0.0)},
        {"params": spared, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if train["optimizer"] == "adamw":
        return torch.optim.AdamW(groups, lr=train["rate"])
    return torch.optim.SGD(groups, lr=train["rate"], momentum=train["momentum"], nesterov=train.get("nesterov", False))


def losses(model, train, dtype):
    """The loss of each step, and the norm of each gradient before it was clipped."""
    network = networks.build(model, INPUT, CLASSES).to(dtype).train()
    arrays = networks.arrays(network)
    draws.fill(arrays, 0)
    update = optimizer(train, arrays)
    found, norms = [], []
    for step in range(STEPS):
        x = draws.values(0, f"batch{step}.input", (BATCH, *INPUT)).to(dtype)
        labels = draws.labels(0, f"batch{step}.labels", BATCH, CLASSES)
        loss = F.cross_entropy(network(x), labels, label_smoothing=train.get("label_smoothing", 0.0))
        update.zero_grad()
        loss.backward()
        limit = train.get("clip_norm", float("inf"))
        norms.append(float(torch.nn.utils.clip_grad_norm_(network.parameters(), limit)))
        update.step()
        found.append(loss.item())
    return found, norms


def main():
    torch.set_num_threads(1)
    cases = []
    for model_name, model in MODELS.items():
        for train_name, train in TRAININGS.items():
            name = f"{model_name}: {train_name}"
            found, norms = losses(model, train, torch.float64)
            rounded, _ = losses(model, train, torch.float32)
            lost = max(abs(r / f - 1) for r, f in zip(rounded, found, strict=True))
            print(f"{name}: f32 loses {lost:.1e}, gradient norms {min(norms):.2g} to {max(norms):.2g}", end="; ")
            print(" ".join(f"{loss:.3f}" for loss in found))
            cases.append({"name": name, "model": model, "train": train, "losses": found})
    sample = {"input": INPUT, "classes": CLASSES, "batch": BATCH, "seed": 0}
    FILE.write_text(json.dumps(sample | {"cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()

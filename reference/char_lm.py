"""The character-aware language model (Kim et al. 2015) in PyTorch; writes `tests/goldens/char_lm.json`.

Usage, in the project's root: `python reference/char_lm.py`

The file holds the losses of ten training steps of truncated backpropagation, in f64, for every wiring. Parameters start
as `draws.py` says, but for the embedding of no character, which is zeros and stays so. Batch k of `STEPS` steps of
`STREAMS` streams, step by step, is drawn as `batchK.lengths`, `batchK.characters` and `batchK.labels`.
"""

import json
import pathlib

import torch
import torch.nn.functional as F
from torch import nn

import draws
import networks
import parity

FILE = pathlib.Path(__file__).parent.parent / "tests/goldens/char_lm.json"

BATCHES = 10
STREAMS = 3
STEPS = 4
LENGTH = 9
CHARACTERS = 11
CLASSES = 7
TRAIN = {"optimizer": "sgd", "rate": 0.25, "momentum": 0.0, "clip_norm": 2.0}

SIZES = {
    "small": {"maps": [25, 50, 75, 100, 125, 150], "units": 300},
    "large": {"maps": [50, 100, 150, 200, 200, 200, 200], "units": 650},
}
BLOCKS = {"body": "dense", "norm": False, "order": "post", "gate": "body", "last_relu": "h"}


class Stem(nn.Module):
    """Narrow convolutions over the embedded characters of a word, tanh, and the greatest value over time."""

    def __init__(self, characters, maps):
        super().__init__()
        self.characters = nn.Embedding(characters, 15, padding_idx=0)
        self.count = len(maps)
        for width, out in enumerate(maps, start=1):
            self.add_module(f"filter{width}", nn.Conv1d(15, out, width))

    def forward(self, words):
        x = self.characters(words).transpose(1, 2)
        filters = [getattr(self, f"filter{k}") for k in range(1, self.count + 1)]
        return torch.cat([torch.tanh(each(x)).amax(2) for each in filters], 1)


class Layer(nn.Module):
    """The arrays of an LSTM layer, gates in PyTorch's order, computed by PyTorch's own LSTM."""

    def __init__(self, units, out):
        super().__init__()
        self.input = nn.Linear(units, 4 * out)
        self.recurrent = nn.Linear(out, 4 * out)

    def forward(self, x, state):
        arrays = [self.input.weight, self.recurrent.weight, self.input.bias, self.recurrent.bias]
        y, h, c = torch._VF.lstm(x, state, arrays, True, 1, 0.0, self.training, False, False)
        return y, (h, c)


class Head(nn.Module):
    """Two LSTM layers and a softmax over words, with dropout before the second and behind it."""

    def __init__(self, width, units, classes, dropout):
        super().__init__()
        self.lstm1, self.lstm2 = Layer(width, units), Layer(units, units)
        self.classifier = nn.Linear(units, classes)
        self.dropout = dropout

    def forward(self, x, states):
        x, first = self.lstm1(x, states[0])
        x = F.dropout(x, self.dropout, self.training)
        x, second = self.lstm2(x, states[1])
        x = F.dropout(x, self.dropout, self.training)
        return self.classifier(x), [first, second]


class CharLm(nn.Module):
    """Words to logits over the next word; `states` are carried from batch to batch."""

    def __init__(self, config, characters, classes):
        super().__init__()
        config = BLOCKS | config
        width = sum(config["maps"])
        self.stem = Stem(characters, config["maps"])
        count = config["blocks"][0]
        blocks = [networks.Block(config, width, width, 1, 1.0) for _ in range(count)]
        if blocks:
            self.stage1 = networks.Stage(nn.Identity(), blocks)
        self.head = Head(width, config["units"], classes, config.get("dropout", 0.5))

    def forward(self, words, states):
        """`[steps, streams, characters]` to `[steps, streams, classes]`."""
        steps, streams, _ = words.shape
        x = self.stem(words.flatten(0, 1))
        if hasattr(self, "stage1"):
            x = self.stage1(x)
        return self.head(x.unflatten(0, (steps, streams)), states)


def start(streams, units, dtype=torch.float32):
    """h and c of both layers before the first batch."""
    zeros = lambda: torch.zeros(1, streams, units, dtype=dtype)
    return [(zeros(), zeros()), (zeros(), zeros())]


# What `benches/work.rs` times: twenty streams of made-up words, of which so many are different.
STREAMS_TIMED, CHARACTERS_TIMED, WORDS_TIMED = 20, 51, 380


def words_timed(count, length):
    words = torch.zeros(count, length, dtype=torch.long)
    for i in range(count):
        word = i * 7919 % WORDS_TIMED
        for c in range(3 + word % 8):
            words[i, c] = 1 + (word * 31 + c * 17) % (CHARACTERS_TIMED - 1)
    return words.view(-1, STREAMS_TIMED, length)


def batch(k):
    count = STREAMS * STEPS
    lengths = draws.labels(0, f"batch{k}.lengths", count, LENGTH - 1) + 1
    characters = draws.labels(0, f"batch{k}.characters", count * LENGTH, CHARACTERS - 1).view(count, LENGTH) + 1
    characters[torch.arange(LENGTH) >= lengths[:, None]] = 0
    labels = draws.labels(0, f"batch{k}.labels", count, CLASSES)
    return characters.view(STEPS, STREAMS, LENGTH), labels


def losses(config, dtype):
    network = CharLm(config, CHARACTERS, CLASSES).to(dtype).train()
    draws.fill(networks.arrays(network), 0)
    with torch.no_grad():
        network.stem.characters.weight[0] = 0
    update = parity.optimizer(TRAIN, networks.arrays(network))
    states = start(STREAMS, config["units"], dtype)
    found, norms = [], []
    for k in range(BATCHES):
        words, labels = batch(k)
        logits, states = network(words, states)
        states = [(h.detach(), c.detach()) for h, c in states]
        loss = F.cross_entropy(logits.flatten(0, 1), labels)
        update.zero_grad()
        (loss * STEPS).backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(network.parameters(), TRAIN["clip_norm"])))
        update.step()
        found.append(loss.item())
    return found, norms


def cases():
    tiny = {"kind": "char-lm", "maps": [3, 5, 4], "units": 6, "dropout": [0.0]}
    yield tiny | {"blocks": [0]}
    yield tiny | {"blocks": [1], "wiring": "plain"}
    yield tiny | {"blocks": [4], "wiring": "residual"}
    for wiring in ["highway", "full", "t-only", "c-only"]:
        yield tiny | {"blocks": [2], "wiring": wiring}
    # More units and maps than sixteen.
    yield {"kind": "char-lm", "maps": [7, 20, 9], "units": 21, "dropout": [0.0], "blocks": [1], "wiring": "highway"}


def main():
    torch.set_num_threads(1)
    found = []
    for config in cases():
        python = config | {"dropout": config["dropout"][0]}
        own, norms = losses(python, torch.float64)
        rounded, _ = losses(python, torch.float32)
        lost = max(abs(r / f - 1) for r, f in zip(rounded, own, strict=True))
        print(f"{config}: f32 loses {lost:.1e}, gradient norms {min(norms):.2g} to {max(norms):.2g};", end=" ")
        print(" ".join(f"{loss:.3f}" for loss in own))
        found.append({"model": config, "losses": own})
    sizes = {"streams": STREAMS, "steps": STEPS, "length": LENGTH, "characters": CHARACTERS, "classes": CLASSES}
    counts = []
    for size, blocks, wiring in COUNTED:
        config = SIZES[size] | {"blocks": [blocks], "wiring": wiring}
        with torch.device("meta"):
            count = networks.parameter_count(CharLm(config, 51, 10_000))
        counts.append({"size": size, "blocks": blocks, "wiring": wiring, "parameters": count})
        print(size, blocks, wiring, f"{count:,}")
    document = sizes | {"train": TRAIN, "cases": found, "counts": counts}
    FILE.write_text(json.dumps(document, indent=1) + "\n")


# The rows of Section 5.2.
COUNTED = [
    ("large", 0, "plain"),
    ("large", 1, "plain"),
    ("large", 1, "highway"),
    ("large", 2, "highway"),
    ("large", 2, "t-only"),
    ("large", 2, "c-only"),
    ("large", 4, "residual"),
    ("large", 2, "full"),
    ("small", 1, "highway"),
]


if __name__ == "__main__":
    main()

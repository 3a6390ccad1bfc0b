"""Tiny networks as .onnx files, with what PyTorch computes from them: for `tests/suite/onnx.rs`.

Values are random. `cases.json` lists the files with the stages and blocks that should be found in them;
`goldens.safetensors` has, for each, the inputs, the logits, the estimate after every block, what every block adds, and
the logits with every block left out: its shortcut and what follows the sum stay. A file small enough to be typed about
goes to `tests/cmd/slim-onnx.in`.
"""

import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

OUT = Path(__file__).parent.parent / "tests" / "onnx"


class Block(nn.Module):
    """`after(t·h + c·x)`; what it was made of stays to be looked at, and with `off` only `after(x)` is left."""

    wiring = "residual"
    off = False

    def __init__(self, body, transform=None, carry=None, shortcut=None, before=None, after=None):
        super().__init__()
        self.body, self.transform, self.carry, self.shortcut = body, transform, carry, shortcut
        self.before, self.after = before, after
        if transform is not None:
            self.wiring = {None: "t-only", "coupled": "highway"}.get(carry, "full")
        elif carry is not None:
            self.wiring = "c-only"
        if carry == "coupled":
            del self.carry
            self.carry = None

    def forward(self, x, *sides):
        # Pre-activation projects what is normalized already.
        first = x if self.before is None else self.before(x)
        projected = first if self.before is not None and self.shortcut is not None else x
        x = x if self.shortcut is None else self.shortcut(projected)
        if self.off:
            y = x
        else:
            h = self.body(first, *sides)
            t = None if self.transform is None else self.transform(first)
            c = None if self.carry is None else self.carry(first)
            self.h, self.t, self.c = h, t, c
            if self.wiring == "highway":
                y = t * h + (1 - t) * x
            else:
                y = (h if t is None else t * h) + (x if c is None else c * x)
        self.estimate = y if self.after is None else self.after(y)
        return self.estimate


class Line(nn.Module):
    """Stem, stages of blocks each with what stands before it, head."""

    def __init__(self, stem, stages, head, enters=None, sides=None):
        super().__init__()
        self.stem, self.head = stem, head
        self.stages = nn.ModuleList(nn.ModuleList(stage) for stage in stages)
        self.enters = nn.ModuleList(enters or [nn.Identity() for _ in stages])
        self.sides = sides

    def forward(self, x, mask=None):
        sides = self.sides(x, mask) if self.sides else ()
        x = self.stem(x)
        for enter, stage in zip(self.enters, self.stages):
            x = enter(x)
            for block in stage:
                x = block(x, *sides)
        return self.head(x)


def conv(channels, out, size=3, stride=1, bias=False):
    return nn.Conv2d(channels, out, size, stride, size // 2, bias=bias)


def bn(channels):
    return nn.BatchNorm2d(channels)


class Pad(nn.Module):
    """Every second pixel, and channels of zeros (option A)."""

    def __init__(self, missing):
        super().__init__()
        self.half = missing // 2

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.half, self.half))


class Mean(nn.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.mean(self.axes)


def post(channels, width, stride, pad=False):
    body = nn.Sequential(conv(channels, width, 3, stride), bn(width), nn.ReLU(), conv(width, width), bn(width))
    shortcut = None
    if stride > 1 or channels != width:
        shortcut = Pad(width - channels) if pad else nn.Sequential(conv(channels, width, 1, stride), bn(width))
    return Block(body, shortcut=shortcut, after=nn.ReLU())


def pre(channels, width, stride):
    body = nn.Sequential(conv(channels, width, 3, stride), bn(width), nn.ReLU(), conv(width, width))
    shortcut = conv(channels, width, 1, stride) if stride > 1 or channels != width else None
    return Block(body, shortcut=shortcut, before=nn.Sequential(bn(channels), nn.ReLU()))


def bottleneck(channels, width, stride):
    body = nn.Sequential(
        conv(channels, width, 1), bn(width), nn.ReLU(), conv(width, width, 3, stride), bn(width), nn.ReLU(), conv(width, 4 * width, 1), bn(4 * width)
    )
    shortcut = nn.Sequential(conv(channels, 4 * width, 1, stride), bn(4 * width)) if channels != 4 * width else None
    return Block(body, shortcut=shortcut, after=nn.ReLU())


def gate(layer):
    return nn.Sequential(layer, nn.Sigmoid())


def highway_conv(width):
    return Block(nn.Sequential(conv(width, width, bias=True), nn.ReLU()), gate(conv(width, width, bias=True)), "coupled")


def highway(width, wiring):
    gates = {
        "highway": (gate(nn.Linear(width, width)), "coupled"),
        "full": (gate(nn.Linear(width, width)), gate(nn.Linear(width, width))),
        "t-only": (gate(nn.Linear(width, width)), None),
        "c-only": (None, gate(nn.Linear(width, width))),
    }[wiring]
    return Block(nn.Sequential(nn.Linear(width, width), nn.ReLU()), *gates)


class Attention(nn.Module):
    """Self-attention of several heads; the mask is added to its scores."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, mask):
        batch, positions, width = x.shape
        split = lambda part: part.reshape(batch, positions, self.heads, -1).transpose(1, 2)
        q, k, v = (split(part) for part in self.qkv(x).chunk(3, -1))
        scores = q @ k.transpose(-1, -2) / math.sqrt(width / self.heads) + mask
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, positions, width))


class First(nn.Module):
    """A body whose last layer alone takes the mask; an MLP takes none."""

    def __init__(self, *layers, masked):
        super().__init__()
        self.layers, self.masked = nn.ModuleList(layers), masked

    def forward(self, x, mask):
        for layer in self.layers:
            x = layer(x, mask) if self.masked and isinstance(layer, Attention) else layer(x)
        return x


class Embedding(nn.Module):
    def __init__(self, words, positions, width):
        super().__init__()
        self.words, self.positions = nn.Embedding(words, width), nn.Embedding(positions, width)

    def forward(self, ids):
        return self.words(ids) + self.positions(torch.arange(ids.shape[1]))


class Padding(nn.Module):
    """The mask of an encoder: nothing attends to padding."""

    def forward(self, ids, mask):
        return ((1.0 - mask[:, None, None, :].float()) * -1e4,)


class Causal(nn.Module):
    """The mask of a decoder: nothing attends to what follows."""

    def forward(self, ids, _):
        positions = torch.arange(ids.shape[1])
        return (torch.where(positions[None, :] <= positions[:, None], 0.0, -1e4),)


def transformer(width, layers, norm_last):
    blocks = []
    for _ in range(layers):
        for body, masked in [((Attention(width, 2),), True), ((nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)), False)]:
            if norm_last:
                blocks.append(Block(First(*body, masked=masked), after=nn.LayerNorm(width)))
            else:
                blocks.append(Block(First(nn.LayerNorm(width), *body, masked=masked)))
    return blocks


def head(width, classes=5):
    return nn.Sequential(nn.ReLU(), Mean(2, 3), nn.Linear(width, classes))


def residual(block, pad=False, last=None):
    block = (lambda c, w, s: post(c, w, s, pad)) if pad else block
    stages = [[block(4, 4, 1), block(4, 4, 1)], [block(4, 8, 2), block(8, 8, 1), block(8, 8, 1)]]
    stem = nn.Sequential(conv(3, 4), bn(4), nn.ReLU()) if last is None else conv(3, 4)
    return Line(stem, stages, head(8) if last is None else nn.Sequential(bn(8), head(8)))


def networks():
    """Name, network, samples, whether the batch is free, what a body is to be called, options of the export."""
    image = lambda batch=3, side=8: (torch.randn(batch, 3, side, side),)
    yield "post", residual(post), image(), True
    yield "post-pad", residual(post, pad=True), image(), True
    yield "pre", residual(pre, last=bn), image(), True
    stages = [[bottleneck(4, 2, 1), bottleneck(8, 2, 1)], [bottleneck(8, 4, 2), bottleneck(16, 4, 1)]]
    yield "bottleneck-batch1", Line(nn.Sequential(conv(3, 4), bn(4), nn.ReLU()), stages, nn.Sequential(Mean(2, 3), nn.Linear(16, 5))), image(), False
    pool = lambda: nn.MaxPool2d(2)
    yield "highway-conv", Line(
        nn.Sequential(conv(3, 4, bias=True), nn.ReLU()),
        [[highway_conv(4), highway_conv(4)], [highway_conv(4)]],
        nn.Sequential(pool(), nn.Flatten(), nn.Linear(16, 5)),
        enters=[pool(), nn.Sequential(pool())],
    ), image(side=16), True
    yield "highway-mlp", Line(
        nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.ReLU()),
        [[highway(6, wiring) for wiring in ["highway", "full", "t-only", "c-only", "highway"]]],
        nn.Linear(6, 5),
    ), image(side=4), True
    ids = lambda batch=3: torch.randint(0, 20, (batch, 6))
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 5 + [0]])
    yield "encoder-pre", Line(
        Embedding(20, 6, 8), [transformer(8, 2, False)], nn.Sequential(nn.LayerNorm(8), Mean(1), nn.Linear(8, 5)), sides=Padding()
    ), (ids(), mask), True
    yield "encoder-post", Line(
        nn.Sequential(Embedding(20, 6, 8), nn.LayerNorm(8)), [transformer(8, 2, True)], nn.Sequential(Mean(1), nn.Linear(8, 5)), sides=Padding()
    ), (ids(), mask), True
    yield "decoder", Line(
        Embedding(20, 6, 8), [transformer(8, 2, False)], nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 20)), sides=Causal()
    ), (ids(),), True
    yield "plain", nn.Sequential(conv(3, 4), bn(4), nn.GELU(), conv(4, 4), nn.ReLU(), Mean(2, 3), nn.Linear(4, 5)), image(), True


def shake(network, seed):
    """Random values everywhere, so that nothing that is mixed up computes the same."""
    random = torch.Generator().manual_seed(seed)
    for name, array in network.state_dict().items():
        if not array.is_floating_point():
            continue
        if name.endswith("running_var") or (array.dim() == 1 and name.endswith("weight")):
            array.copy_(0.5 + torch.rand(array.shape, generator=random))
        elif array.dim() == 1:
            array.copy_(0.2 * torch.randn(array.shape, generator=random))
        else:
            fan = array[0].numel()
            array.copy_(torch.randn(array.shape, generator=random) * (2 / fan) ** 0.5)
    return network.eval()


NAMES = {1: ["x"], 2: ["input_ids", "attention_mask"]}


def logits(network, inputs):
    with torch.no_grad():
        y = network(*inputs)
    return (y[:, -1] if y.dim() == 3 else y).contiguous()


def flat(value):
    """Of a sequence the features come first, as our estimates have them."""
    return (value.transpose(1, 2) if value.dim() == 3 else value).contiguous()


def goldens(name, network, inputs):
    names = NAMES[len(inputs)] if name != "decoder" else ["input_ids"]
    found = {f"{name}/input/{key}": value.to(torch.float32) for key, value in zip(names, inputs)}
    found[f"{name}/logits"] = logits(network, inputs)
    stages = []
    for s, stage in enumerate(getattr(network, "stages", [])):
        blocks = []
        for k, block in enumerate(stage):
            at = f"stage{s + 1}.block{k + 1}"
            logits(network, inputs)
            for part, value in [("estimate", block.estimate), ("h", block.h), ("transform", block.t), ("carry", block.c)]:
                if value is not None:
                    found[f"{name}/{part}/{at}"] = flat(value)
            block.off = True
            found[f"{name}/lesion/{at}"] = logits(network, inputs)
            block.off = False
            blocks.append({"wiring": block.wiring, "shortcut": "identity" if block.shortcut is None else "projection"})
        shape = list(flat(stage[-1].estimate).shape[1:])
        stages.append({"shape": shape, "blocks": blocks})
    return found, names, stages


def export(path, network, inputs, names, free, dynamo):
    axes = {0: "batch"}
    if not free:
        inputs = tuple(value[:1] for value in inputs)
    options = {"input_names": names, "output_names": ["logits"], "dynamo": dynamo}
    if dynamo and free:
        batch = torch.export.Dim("batch", min=1, max=4096)
        options["dynamic_shapes"] = ({0: batch},) * len(inputs)
    elif free:
        options["dynamic_axes"] = {name: axes for name in [*names, "logits"]}
    if dynamo:
        options.update(external_data=False, verbose=False)
    torch.onnx.export(network, inputs, path, **options)
    # The exporter's notes on where in Python a node came from are most of a small file.
    model = onnx.load(path)
    for part in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph, model]:
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)


def with_softmax(name, network, inputs, names, free):
    """The same network with probabilities for answers."""
    export(OUT / f"{name}-softmax.onnx", nn.Sequential(network, nn.Softmax(1)), inputs, names, free, True)


def line(directory):
    """Four blocks `x + relu(x·w)` in a file of a few hundred bytes, the same with its arrays beside it, and samples."""
    random = np.random.default_rng(1)
    array = lambda name: numpy_helper.from_array(random.standard_normal((3, 3)).astype(np.float32), name)
    value = lambda name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 3])
    nodes = [helper.make_node("MatMul", ["x", "stem"], ["a0"])]
    for k in range(1, 5):
        nodes.append(helper.make_node("MatMul", [f"a{k - 1}", f"w{k}"], [f"m{k}"]))
        nodes.append(helper.make_node("Relu", [f"m{k}"], [f"h{k}"]))
        nodes.append(helper.make_node("Add", [f"h{k}", f"a{k - 1}"], [f"a{k}"]))
    nodes.append(helper.make_node("MatMul", ["a4", "head"], ["y"]))
    arrays = [array(name) for name in ["stem", "w1", "w2", "w3", "w4", "head"]]
    graph = helper.make_graph(nodes, "line", [value("x")], [value("y")], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, directory / "line.onnx")
    onnx.save(model, directory / "far.onnx", save_as_external_data=True, location="far.data", size_threshold=0)
    np.save(directory / "x.npy", random.standard_normal((40, 3)).astype(np.float32))


def main():
    warnings.filterwarnings("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    cases, arrays = [], {}
    for seed, (name, network, inputs, free) in enumerate(networks()):
        network = shake(network, seed)
        found, names, stages = goldens(name, network, inputs)
        arrays.update(found)
        for way, dynamo in [("", True), (".script", False)]:
            path = OUT / f"{name}{way}.onnx"
            export(path, network, inputs, names, free, dynamo)
            cases.append({"file": path.name, "case": name, "inputs": names, "stages": stages})
            print(f"{path.name:<30} {path.stat().st_size:>8}", file=sys.stderr)
        if name == "highway-mlp":
            with_softmax(name, network, inputs, names, free)
    line(OUT.parent / "cmd" / "slim-onnx.in")
    save_file(arrays, OUT / "goldens.safetensors")
    (OUT / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()

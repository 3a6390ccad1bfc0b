"""The networks of `unrolled`, written a second time in PyTorch, as the papers define them.

`build(config, input, classes)` takes the `[model]` table of an experiment file. Modules have the names that the
arrays of a model file have; `arrays(network)` translates those of `nn.BatchNorm`, the only ones that differ.
"""

import torch.nn.functional as F
from torch import nn

from configs import block_counts, complete

# h, t, c of y = t·h + c·x: which gates each wiring learns.
TRANSFORM = {"highway", "full", "t-only"}
CARRY = {"full", "c-only"}

NORM_NAMES = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "variance"}


class Conv(nn.Conv2d):
    """A convolution that keeps the side at stride 1, with the normalization that belongs to it, if any."""

    def __init__(self, channels, out, size, stride=1, bias=True, norm=None):
        super().__init__(channels, out, size, stride, size // 2, bias=bias)
        self.norm = nn.BatchNorm2d(norm) if norm else nn.Identity()


class Dense(nn.Linear):
    """A fully connected layer with the normalization that belongs to it, if any."""

    def __init__(self, units, out, bias=True, norm=None):
        super().__init__(units, out, bias=bias)
        self.norm = nn.BatchNorm1d(norm) if norm else nn.Identity()


def windows(kind, out, stride):
    """Channels out, kernel size and stride of a body's convolutions."""
    if kind == "conv":
        return [(out, 3, stride)]
    if kind == "basic":
        return [(out, 3, stride), (out, 3, 1)]
    narrow = max(out // 4, 1)
    return [(narrow, 1, 1), (narrow, 3, stride), (out, 1, 1)]


class Layers(nn.Module):
    """H, or a gate: layer-norm-ReLU in `post` order, norm-ReLU-layer in `pre` order."""

    def __init__(self, config, channels, out, stride, end, pointwise=False):
        super().__init__()
        kind, norm = config["body"], config["norm"]
        self.pre = config["order"] == "pre"
        is_gate = isinstance(end, nn.Sigmoid)
        if pointwise:
            # He 2016, Section 3.1: one bare 1x1 convolution on the block's input.
            norm, self.pre = False, False
            shapes = [(out, 1, stride)]
        else:
            shapes = [(out, None, None)] if kind == "dense" else windows(kind, out, stride)
        self.count = len(shapes)
        for k, (width, size, step) in enumerate(shapes, start=1):
            normed = (channels if self.pre else width) if norm else None
            # A normalized layer needs no bias, but a gate must be able to hold one right before the sigmoid.
            bias = not norm or (is_gate and self.pre and k == self.count)
            if kind == "dense":
                layer = Dense(channels, width, bias, normed)
            else:
                layer = Conv(channels, width, size, step, bias, normed)
            self.add_module(f"layer{k}", layer)
            channels = width
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(self.count))
        self.end = end

    def forward(self, x):
        for k in range(1, self.count + 1):
            layer, relu = getattr(self, f"layer{k}"), self.relus[k - 1]
            if self.pre:
                x = layer(relu(layer.norm(x)))
            else:
                x = layer.norm(layer(x))
                x = relu(x) if k < self.count else x
        return self.end(x)


class ZeroPadding(nn.Module):
    """Option A of He 2015: subsampling, and zeros for the new channels, half of them on each side."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.before = (out - channels) // 2
        self.after = out - channels - self.before
        self.stride = stride

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))


class Block(nn.Module):
    """y = t·h + c·x."""

    def __init__(self, config, channels, out, stride, survival):
        super().__init__()
        self.wiring, self.survival = config["wiring"], survival
        self.body = Layers(config, channels, out, stride, nn.ReLU() if config["last_relu"] == "h" else nn.Identity())
        pointwise = config["gate"] == "1x1"
        if self.wiring in TRANSFORM:
            self.transform = Layers(config, channels, out, stride, nn.Sigmoid(), pointwise)
        if self.wiring in CARRY:
            self.carry = Layers(config, channels, out, stride, nn.Sigmoid(), pointwise)
        self.preactivates = False
        if channels == out and stride == 1:
            self.shortcut = nn.Identity()
        elif self.wiring == "plain":
            self.shortcut = None
        elif config["shortcut"] == "zero-padding":
            self.shortcut = ZeroPadding(channels, out, stride)
        else:
            # In `pre` order the projection takes the input of the body's first convolution (He 2016).
            self.preactivates = self.body.pre
            norm = out if config["norm"] and not self.body.pre else None
            self.shortcut = Conv(channels, out, 1, stride, not config["norm"], norm)
        self.last = nn.ReLU() if config["last_relu"] == "sum" else nn.Identity()

    def carried(self, x):
        if self.shortcut is None:
            return None
        if not isinstance(self.shortcut, Conv):
            return self.shortcut(x)
        if self.preactivates:
            first = self.body.layer1.norm
            if isinstance(first, nn.BatchNorm2d):
                # Functional: the statistics of a batch must enter the running ones once, not twice.
                statistics = (None, None) if self.training else (first.running_mean, first.running_var)
                x = F.batch_norm(x, *statistics, first.weight, first.bias, self.training, eps=first.eps)
            x = F.relu(x)
        return self.shortcut.norm(self.shortcut(x))

    def forward(self, x):
        h, carried = self.body(x), self.carried(x)
        t = self.transform(x) if self.wiring in TRANSFORM else 1
        if self.wiring == "plain":
            c = 0
        elif self.wiring == "highway":
            c = 1 - t
        else:
            c = self.carry(x) if self.wiring in CARRY else 1
        y = t * h if carried is None else t * h + c * carried
        if not self.training and self.survival < 1 and carried is not None:
            # The expectation over whether the block was there (Huang 2016).
            y = self.survival * y + (1 - self.survival) * carried
        return self.last(y)


class Stage(nn.Module):
    """Blocks of one dimensionality, and the pooling before them."""

    def __init__(self, pool, blocks):
        super().__init__()
        self.pool = pool
        self.count = len(blocks)
        for k, block in enumerate(blocks, start=1):
            self.add_module(f"block{k}", block)

    def blocks(self):
        return [getattr(self, f"block{k}") for k in range(1, self.count + 1)]

    def forward(self, x):
        x = self.pool(x)
        for block in self.blocks():
            x = block(x)
        return x


class Network(nn.Module):
    """Stem, stages, head."""

    def __init__(self, stem, stem_relu, stages, head, last_relu, last_pool):
        super().__init__()
        self.stem = stem
        self.stem_relu = stem_relu
        self.count = len(stages)
        for s, stage in enumerate(stages, start=1):
            self.add_module(f"stage{s}", stage)
        self.head = head
        self.last_relu = last_relu
        self.last_pool = last_pool

    def stages(self):
        return [getattr(self, f"stage{s}") for s in range(1, self.count + 1)]

    def forward(self, x):
        if isinstance(self.stem, Dense):
            x = x.flatten(1)
        x = self.stem_relu(self.stem.norm(self.stem(x)))
        for stage in self.stages():
            x = stage(x)
        x = self.last_relu(self.head.norm(x))
        return self.head(self.last_pool(x).flatten(1))


def build(config, input, classes):
    """The network of a configuration for samples `[channels, height, width]`."""
    config = complete(config)
    kind, width, norm, pre = config["kind"], config["width"], config["norm"], config["order"] == "pre"
    # The stem of a pre-activation network leaves norm and ReLU to its first block.
    stem_relu = not pre
    stem_norm = width if norm and stem_relu else None
    if kind == "mlp":
        stem = Dense(input[0] * input[1] * input[2], width, not norm, stem_norm)
    else:
        size, stride = {"resnet": (3, 1), "imagenet": (7, 2), "highway-mnist": (5, 1)}[kind]
        stem = Conv(input[0], width, size, stride, not norm, stem_norm)
        if kind == "highway-mnist":
            stem.padding = (0, 0)
    spread = 4 if config["body"] == "bottleneck" else 1
    counts = block_counts(config)
    channels, before, stages = width, 0, []
    for s, count in enumerate(counts):
        grows = kind in ("resnet", "imagenet")
        out = width * 2**s * spread if grows else width
        blocks = []
        for k in range(count):
            before += 1
            survival = 1 - config["layer_dropout"] * before / sum(counts)
            blocks.append(Block(config, channels, out, 2 if grows and s > 0 and k == 0 else 1, survival))
            channels = out
        if config["share_weights"]:
            share(blocks)
        pool = nn.Identity()
        if kind == "imagenet" and s == 0:
            pool = nn.MaxPool2d(3, 2, 1)
        if kind == "highway-mnist" and s > 0:
            pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        stages.append(Stage(pool, blocks))
    head_norm = channels if pre and norm else None
    if kind == "mlp":
        head, last_pool = Dense(channels, classes, True, head_norm), nn.Identity()
    else:
        last_pool = nn.MaxPool2d(2, 2, ceil_mode=True) if kind == "highway-mnist" else nn.AdaptiveAvgPool2d(1)
        head = Dense(channels, classes)
        if kind == "highway-mnist":
            # Caffe's pooling rounds up: 28 pixels become 24, 12, 6 and 3.
            side = pooled(pooled(pooled(input[1] - 4, 3), 3), 2)
            head = Dense(channels * side**2, classes)
        if head_norm:
            head.norm = nn.BatchNorm2d(head_norm)
    relus = [nn.ReLU() if wanted else nn.Identity() for wanted in (stem_relu, pre)]
    return Network(stem, relus[0], stages, head, relus[1], last_pool)


def pooled(side, size):
    """The side that pooling with stride 2 leaves, rounded up."""
    return -(-(side - size) // 2) + 1


def share(blocks):
    """Gives blocks one set of parameters; each keeps its own running statistics, a first one of another shape its own."""
    alike = blocks if isinstance(blocks[0].shortcut, nn.Identity) else blocks[1:]
    for block in alike[1:]:
        for (_, own), (_, first) in zip(block.named_modules(), alike[0].named_modules(), strict=True):
            for name, parameter in first.named_parameters(recurse=False):
                setattr(own, name, parameter)


def arrays(network):
    """Every array once, under its name in a model file: parameters, then running statistics."""
    found = {}
    for path, module in network.named_modules():
        named = list(module.named_parameters(recurse=False)) + list(module.named_buffers(recurse=False))
        for name, tensor in named:
            if name == "num_batches_tracked" or any(tensor is other for other in found.values()):
                continue
            last = NORM_NAMES[name] if isinstance(module, nn.modules.batchnorm._BatchNorm) else name
            found[f"{path}.{last}"] = tensor
    return found


def is_statistic(tensor):
    """Whether an array is a running statistic and not trained."""
    return not isinstance(tensor, nn.Parameter)


def parameter_count(network):
    """The number of trained values, shared ones once."""
    return sum(p.numel() for p in network.parameters())

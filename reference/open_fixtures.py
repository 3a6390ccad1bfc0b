"""Files as others write them, tiny, with what PyTorch computes from them: for `tests/suite/open.rs`.

Every network is PyTorch's own or, where a library is not at hand, the published definition written again; its values
are random, its normalizations have statistics that are not those of a new network. `cases.json` lists the files and
the logits for one deterministic input, `sin(0.37 * i)` over its values.
"""

import json
import sys
from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

OUT = Path(__file__).parent.parent / "tests" / "open"


def conv(channels, out, size, stride=1):
    return nn.Conv2d(channels, out, size, stride, size // 2, bias=False)


class Basic(nn.Module):
    """A basic block in post or pre order; its skip is `downsample`, `shortcut`, or option A's slicing and zeros."""

    spread = 1

    def __init__(self, channels, width, stride, skip, pre):
        super().__init__()
        self.pre, self.skip, self.stride, self.widens = pre, skip, stride, width - channels
        self.layers(channels, width, stride)
        if stride != 1 or channels != width * self.spread:
            if skip == "pad":
                return
            project = conv(channels, width * self.spread, 1, stride)
            setattr(self, skip, nn.Sequential(project, *([] if pre else [nn.BatchNorm2d(width * self.spread)])))

    def layers(self, channels, width, stride):
        self.conv1, self.conv2 = conv(channels, width, 3, stride), conv(width, width, 3)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels if self.pre else width), nn.BatchNorm2d(width)
        self.count = 2

    def forward(self, x):
        layer = lambda n: (getattr(self, f"conv{n}"), getattr(self, f"bn{n}"))
        y, first = x, x
        for n in range(1, self.count + 1):
            convolve, norm = layer(n)
            if self.pre:
                y = F.relu(norm(y))
                first = y if n == 1 else first
                y = convolve(y)
            else:
                y = norm(convolve(y))
                y = F.relu(y) if n < self.count else y
        project = getattr(self, self.skip, None)
        if project is not None:
            skipped = project(first if self.pre else x)
        elif self.stride != 1:
            half = self.widens // 2
            skipped = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
        else:
            skipped = x
        return y + skipped if self.pre else F.relu(y + skipped)


class Bottleneck(Basic):
    """Three layers, the last with four times the channels."""

    spread = 4

    def layers(self, channels, width, stride):
        self.conv1, self.conv2, self.conv3 = conv(channels, width, 1), conv(width, width, 3, stride), conv(width, 4 * width, 1)
        self.bn1 = nn.BatchNorm2d(channels if self.pre else width)
        self.bn2, self.bn3 = nn.BatchNorm2d(width), nn.BatchNorm2d(width if self.pre else 4 * width)
        self.count = 3


class ResNet(nn.Module):
    """conv1, bn1, layer1..., and a classifier of some name."""

    def __init__(self, block, blocks, width, classes, large=False, head="fc", skip="downsample", pre=False, last=None):
        super().__init__()
        self.large, self.head, self.pre, self.last, self.stages = large, head, pre, last, len(blocks)
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False) if large else conv(3, width, 3)
        if not pre:
            self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for s, count in enumerate(blocks):
            stage = []
            for k in range(count):
                stage.append(block(channels, width << s, 2 if s and not k else 1, skip, pre))
                channels = (width << s) * block.spread
            setattr(self, f"layer{s + 1}", nn.Sequential(*stage))
        if last:
            setattr(self, last, nn.BatchNorm2d(channels))
        setattr(self, head, nn.Linear(channels, classes))

    def forward(self, x):
        x = self.conv1(x)
        x = x if self.pre else F.relu(self.bn1(x))
        x = F.max_pool2d(x, 3, 2, 1) if self.large else x
        for s in range(self.stages):
            x = getattr(self, f"layer{s + 1}")(x)
        x = F.relu(getattr(self, self.last)(x)) if self.last else x
        return getattr(self, self.head)(x.mean((2, 3)))


class WideBlock(nn.Module):
    """The block of the widely published Wide ResNet: the projection sees what is normalized."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(channels), conv(channels, out, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(out), conv(out, out, 3)
        self.same = channels == out
        if not self.same:
            self.convShortcut = conv(channels, out, 1, stride)

    def forward(self, x):
        first = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(first))))
        return y + (x if self.same else self.convShortcut(first))


class WideStage(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    """Depth 10 at a quarter of the published width."""

    def __init__(self, width, k, classes):
        super().__init__()
        self.conv1 = conv(3, width, 3)
        channels = width
        for s in range(3):
            out = (width * k) << s
            setattr(self, f"block{s + 1}", WideStage([WideBlock(channels, out, 2 if s else 1)]))
            channels = out
        self.bn1, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


def shake(network, seed):
    """Random values everywhere, so that nothing that is mixed up computes the same."""
    random = torch.Generator().manual_seed(seed)
    for name, array in network.state_dict().items():
        if not array.is_floating_point():
            array.fill_(7)
        elif name.endswith("running_var") or (array.dim() == 1 and name.endswith("weight")):
            array.copy_(0.5 + torch.rand(array.shape, generator=random))
        elif array.dim() == 1:
            array.copy_(0.2 * torch.randn(array.shape, generator=random))
        else:
            fan = array[0].numel()
            array.copy_(torch.randn(array.shape, generator=random) * (2 / fan) ** 0.5)
    return network.eval()


def sine(side):
    count = 2 * 3 * side * side
    # In f64 here and there, rounded once.
    return torch.sin(0.37 * torch.arange(count, dtype=torch.float64)).float().reshape(2, 3, side, side)


def networks():
    """Name, network, side of a sample, outline's name, normalization's first mean.

    `preact-bottleneck.zip` has 21 letters: such archives are misread without `src/open/archive.rs`.
    """
    yield "cifar-a", ResNet(Basic, [1, 1, 1], 4, 10, head="linear", skip="pad"), 32, "resnet-8 residual, width 4", 0.485
    yield "cifar-b", ResNet(Basic, [2, 2, 2], 4, 10, head="linear", skip="shortcut"), 32, "resnet-14 residual, width 4", 0.485
    yield "cifar-18", ResNet(Basic, [2, 1, 1, 1], 2, 10, head="linear", skip="shortcut"), 32, "resnet-blocks-2-1-1-1 residual, width 2", 0.4914
    yield "cifar-preact", ResNet(Basic, [1, 1, 1, 1], 2, 10, head="linear", skip="shortcut", pre=True), 32, "resnet-blocks-1-1-1-1 residual, width 2", 0.4914
    yield "preact-bottleneck", ResNet(Bottleneck, [1, 2, 1], 2, 10, head="fc", skip="shortcut", pre=True, last="bn"), 32, "resnet-blocks-1-2-1 residual, width 2", 125.3 / 255
    yield "wide", WideResNet(2, 3, 10), 32, "resnet-8 residual, width 2 x 3", 125.3 / 255
    yield "large-basic", torchvision_resnet("BasicBlock", [1, 2, 1, 1]), 224, "imagenet-blocks-1-2-1-1 residual, width 2", 0.485
    yield "large-bottleneck", torchvision_resnet("Bottleneck", [1, 1, 2, 1]), 224, "imagenet-blocks-1-1-2-1 residual, width 2", 0.485
    yield "timm-preact", timm_resnetv2(basic=True), 224, "imagenet-blocks-1-2 residual, width 8", 0.485
    yield "timm-preact-bottleneck", timm_resnetv2(basic=False), 224, "imagenet-blocks-1-1 residual, width 8", 0.485
    yield "wide-bottleneck", torchvision_resnet("Bottleneck", [1, 2], width_per_group=128), 224, "imagenet-blocks-1-2 residual, width 2, bottleneck 4", 0.485
    yield "resnext", torchvision_resnet("Bottleneck", [2, 1], groups=2, width_per_group=64), 224, "imagenet-blocks-2-1 residual, width 2, bottleneck 4, groups 2", 0.485
    yield "resnet-c", timm_resnet(avg_down=False), 224, "imagenet-blocks-1-1-1-1 residual, width 4", 0.485
    yield "resnet-d", timm_resnet(avg_down=True), 224, "imagenet-blocks-1-1-1-1 residual, width 4", 0.485


def torchvision_resnet(block, blocks, **widths):
    """torchvision's own class, its channels 2 where they are 64, with as many stages as numbers of blocks."""
    from torchvision.models import resnet

    class Narrow(resnet.ResNet):
        def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
            if blocks == 0:
                return nn.Identity()
            if not hasattr(self, "layer1"):
                self.inplanes = 2
                self.conv1, self.bn1 = nn.Conv2d(3, 2, 7, 2, 3, bias=False), nn.BatchNorm2d(2)
            return super()._make_layer(block, planes // 32, blocks, stride, dilate)

    network = Narrow(getattr(resnet, block), blocks + [0] * (4 - len(blocks)), num_classes=5, **widths)
    network.fc = nn.Linear((1 << len(blocks)) * (4 if block == "Bottleneck" else 1), 5)
    return network


def timm_resnet(avg_down):
    """timm's own class with a deep stem, as in its models `resnet50c` and `resnet50d`, narrow."""
    from timm.models.resnet import BasicBlock, ResNet

    deep = {"stem_width": 2, "stem_type": "deep", "avg_down": avg_down}
    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5, channels=(4, 8, 16, 32), **deep)


def timm_resnetv2(basic):
    """timm's own class, narrow."""
    from timm.layers import BatchNormAct2d, create_conv2d
    from timm.models.resnetv2 import ResNetV2

    blocks = [1, 2] if basic else [1, 1]
    channels = [8, 16] if basic else [32, 64]
    return ResNetV2(
        blocks, channels, num_classes=5, stem_chs=8, basic=basic, bottle_ratio=1.0 if basic else 0.25, conv_layer=create_conv2d, norm_layer=BatchNormAct2d
    )


def renamed(arrays, prefix):
    return OrderedDict((prefix + name, array) for name, array in arrays.items())


def write(name, arrays):
    """The ways of writing: each network in one, the first one in all."""
    every = {
        "zip": lambda path: torch.save(arrays, path),
        "legacy": lambda path: torch.save(
            {"epoch": 3, "state_dict": renamed(arrays, "module.")}, path, _use_new_zipfile_serialization=False
        ),
        "compiled": lambda path: torch.save(
            {
                "net": renamed(arrays, "_orig_mod.module."),
                "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "lr": 0.1},
                "ema": renamed(arrays, ""),
            },
            path,
        ),
        "safetensors": lambda path: save_file({k: v.contiguous() for k, v in arrays.items()}, path),
        "sharded": lambda path: shard(path, arrays),
        "half": lambda path: torch.save(
            OrderedDict((k, v.half() if v.is_floating_point() else v) for k, v in arrays.items()), path
        ),
    }
    suffix = {"zip": "pt", "legacy": "pth.tar", "compiled": "pth", "half": "th", "safetensors": "safetensors", "sharded": "dir"}
    ways = every if name == "cifar-a" else ["legacy" if name in ("cifar-b", "wide") else "safetensors" if "timm" in name else "zip"]
    for way in ways:
        path = OUT / f"{name}.{way}.{suffix[way]}"
        every[way](path)
        yield path.name, way


def shard(path, arrays):
    path.mkdir(exist_ok=True)
    names = list(arrays)
    files = {"one.safetensors": names[: len(names) // 2], "two.safetensors": names[len(names) // 2 :]}
    for file, part in files.items():
        save_file({name: arrays[name].contiguous() for name in part}, path / file)
    index = {"metadata": {}, "weight_map": {name: file for file, part in files.items() for name in part}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def main():
    OUT.mkdir(exist_ok=True)
    cases = []
    for seed, (name, network, side, outline, mean) in enumerate(networks()):
        shake(network, seed)
        for file, way in write(name, network.state_dict()):
            read = network
            if way == "half":
                rounded = {k: v.half().float() if v.is_floating_point() else v for k, v in network.state_dict().items()}
                read.load_state_dict(rounded)
            with torch.no_grad():
                logits = read.double()(sine(side).double()).flatten().tolist()
            read.float()
            cases.append({"file": file, "outline": outline, "side": side, "mean": mean, "logits": logits})
    (OUT / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
    print(len(cases), "files,", sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file()), "bytes", file=sys.stderr)


if __name__ == "__main__":
    main()

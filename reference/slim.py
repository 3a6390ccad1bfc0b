"""Loads a slimmed network into PyTorch's own code and holds it against the whole one with the same blocks left out.

    .venv/bin/python reference/slim.py WHOLE SLIM.safetensors REPORT/slim.json [--data CIFAR10_DIR] [--limit 1000]

WHOLE is a CIFAR ResNet (three stages, option A) or one of torchvision's; slim.json is what `unrolled slim --report`
wrote. Both networks see the same random samples, and every logit has to be the same; loading is strict. With --data the
slimmed network's accuracy and loss are printed, to be compared with `unrolled eval SLIM.safetensors --limit N`.
"""

import argparse
import json
import pathlib
import re

import torch
from lesion_sweep import ResNet, images, state_of
from torch import nn
from torch.nn import functional as F


def counts(state):
    places = {tuple(map(int, found.groups())) for name in state if (found := re.match(r"layer(\d+)\.(\d+)\.", name))}
    stages = max(stage for stage, _ in places)
    return [sum(stage == s for stage, _ in places) for s in range(1, stages + 1)]


def build(state):
    """The usual code, with the depth that the names say."""
    blocks = counts(state)
    if state["conv1.weight"].shape[-1] == 3:
        network = ResNet(blocks)
    else:
        from torchvision.models import resnet

        block = resnet.Bottleneck if "layer1.0.conv3.weight" in state else resnet.BasicBlock
        network = resnet.ResNet(block, layers=blocks, num_classes=state["fc.weight"].shape[0])
        if state["conv1.weight"].shape[0] != 64:
            raise SystemExit("torchvision's constructor has 64 channels in its stem")
    network.load_state_dict(state, strict=True)
    return network.eval(), blocks


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("whole")
    parser.add_argument("slim")
    parser.add_argument("result")
    parser.add_argument("--data")
    parser.add_argument("--limit", type=int, default=1000)
    arguments = parser.parse_args()
    result = json.loads(pathlib.Path(arguments.result).read_text())
    whole, before = build(state_of(arguments.whole))
    slim, after = build(state_of(arguments.slim))
    for name in result["removed"]:
        stage, block = map(int, re.match(r"stage(\d+)\.block(\d+)", name).groups())
        # What is left of it is its skip; what enters went through a ReLU already.
        getattr(whole, f"layer{stage}")[block - 1] = nn.Identity()
    channels, height, width = result["outline"]["input"]
    x = torch.randn(8, channels, height, width, generator=torch.Generator().manual_seed(0))
    if len(result["slimmed"]["versions"]) > 1:
        raise SystemExit("a healed network answers otherwise than the whole one with blocks left out")
    expected, found = whole(x), slim(x)
    print(f"layers {before} to {after}, loaded strictly, {sum(p.numel() for p in slim.parameters())} parameters")
    print(f"logits equal: {torch.equal(expected, found)}, largest difference {(expected - found).abs().max():.1e}")
    if arguments.data:
        x, labels = images(arguments.data, arguments.limit)
        logits = torch.cat([slim(x[i : i + 250]) for i in range(0, len(x), 250)])
        right = (logits.argmax(1) == labels).float().mean().item()
        print(f"{len(x)} images: accuracy {right:.4f}, loss {F.cross_entropy(logits, labels).item():.6f}")
    if not torch.equal(expected, found) or sum(p.numel() for p in slim.parameters()) != result["slimmed"]["after"]["parameters"]:
        raise SystemExit("the slimmed network is another")


if __name__ == "__main__":
    main()

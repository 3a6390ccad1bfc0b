"""Exports a trained ResNet as an ONNX file, for `unrolled measure` and `unrolled slim` on graphs.

    .venv/bin/python reference/onnx_export.py WEIGHTS.th OUT.onnx [--external]

WEIGHTS is a CIFAR ResNet (three stages, option A) or one of torchvision's. The graph takes normalized images, any number
at once: `--mean .485,.456,.406 --std .229,.224,.225` say with what. With --external the arrays lie in OUT.onnx.data.
"""

import argparse

import torch
from slim import build, state_of


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("out")
    parser.add_argument("--external", action="store_true")
    arguments = parser.parse_args()
    state = state_of(arguments.weights)
    network, blocks = build(state)
    side = 32 if state["conv1.weight"].shape[-1] == 3 else 224
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, side, side),),
        arguments.out,
        input_names=["x"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
        external_data=arguments.external,
        dynamo=True,
        verbose=False,
    )
    print(f"{arguments.out}: {blocks} blocks")


if __name__ == "__main__":
    main()

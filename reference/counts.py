"""Prints the parameter counts that `tests/suite/counts.rs` asserts. Usage: `python reference/counts.py`"""

import torch

import networks

if __name__ == "__main__":
    with torch.device("meta"):
        for depth in [20, 32, 44, 56, 110]:
            small = networks.build({"kind": "resnet", "depth": depth}, [3, 32, 32], 10)
            print(f"resnet-{depth}: {networks.parameter_count(small):,}")
        for depth in [18, 34, 50, 101, 152]:
            large = networks.build({"kind": "imagenet", "depth": depth}, [3, 224, 224], 1000)
            print(f"imagenet-{depth}: {networks.parameter_count(large):,}")

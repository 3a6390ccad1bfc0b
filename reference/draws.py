"""Numbers that Python and Rust draw alike, so that no parameter and no sample has to be stored.

Number `i` of an array is SplitMix64 of (FNV-1a of `seed/name`) + (i + 1)·γ; its upper 24 bits give a uniform number
of [-1, 1). The role of the array decides what is made of it. Everything is rounded to f32 once, at the end.
"""

import math

import numpy as np
import torch

GAMMA = 0x9E3779B97F4A7C15


def bits(seed, name, count):
    """24 random bits each."""
    state = 0xCBF29CE484222325
    for byte in f"{seed}/{name}".encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (z ^ (z >> np.uint64(31))) >> np.uint64(40)


def values(seed, name, shape):
    """The values of a parameter, by the last part of its name, or of `input`."""
    uniform = bits(seed, name, math.prod(shape)).astype(np.float64) / 2**23 - 1
    middle, spread = {
        "weight": (0, math.sqrt(6 / math.prod(shape[1:]))),
        "bias": (0, 0.3),
        "scale": (1, 0.3),
        "shift": (0, 0.3),
        "mean": (0, 0.3),
        "variance": (1, 0.5),
        "input": (0, 1.5),
    }[name.rsplit(".", 1)[-1]]
    drawn = (middle + spread * uniform).astype(np.float32)
    return torch.from_numpy(drawn.reshape(shape)).double()


def labels(seed, name, count, classes):
    """Class numbers."""
    return torch.from_numpy((bits(seed, name, count) % np.uint64(classes)).astype(np.int64))


def fill(arrays, seed):
    """Sets every array of a network."""
    with torch.no_grad():
        for name, tensor in arrays.items():
            tensor.copy_(values(seed, name, tuple(tensor.shape)))

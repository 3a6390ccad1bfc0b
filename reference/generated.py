"""A trained network and its images without either: random weights of a CIFAR ResNet and random images, in files.

Speed does not depend on what was learned, so that anyone can time a lesion sweep. Needs nothing but Python.
"""

import array
import json
import math
import pathlib
import random
import struct

WIDTHS = [16, 32, 64]


def layers(blocks):
    """Names and shapes of the arrays of a ResNet of 6n+2 layers whose shortcuts have no parameters."""
    norm = lambda name, width: [(f"{name}.{part}", [width]) for part in ("weight", "bias", "running_mean", "running_var")]
    yield "conv1.weight", [16, 3, 3, 3]
    yield from norm("bn1", 16)
    channels = 16
    for stage, width in enumerate(WIDTHS, start=1):
        for k in range(blocks):
            for place, taken in (1, channels), (2, width):
                yield f"layer{stage}.{k}.conv{place}.weight", [width, taken, 3, 3]
                yield from norm(f"layer{stage}.{k}.bn{place}", width)
            channels = width
    yield "linear.weight", [10, channels]
    yield "linear.bias", [10]


def values(name, shape, draw):
    """Weights that keep the variance and, as those of a filter sum to 0, do not see what all pixels have in common:
    otherwise every picture would be answered alike. The last norm of a block adds a little, so that nothing overflows."""
    if len(shape) > 1:
        size = math.prod(shape[1:])
        filters = [[draw.gauss(0, math.sqrt(2 / size)) for _ in range(size)] for _ in range(shape[0])]
        return [weight - sum(filter) / size for filter in filters for weight in filter]
    scale = 0.3 if name.endswith("bn2.weight") else 1.0
    return [scale if name.endswith(("weight", "running_var")) else draw.gauss(0, 0.1) for _ in range(shape[0])]


def weights(path, depth):
    """Writes random weights as safetensors."""
    draw = random.Random(depth)
    header, data = {}, array.array("f")
    for name, shape in layers((depth - 2) // 6):
        begin = 4 * len(data)
        data.extend(values(name, shape, draw))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, 4 * len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data.tobytes())


def picture(draw):
    """3 x 32 x 32 pixels in fields of one size, so that two pictures differ in more than noise."""
    side = draw.choice([4, 8, 16, 32])
    fields = [draw.randbytes(32 // side) for _ in range(3 * 32 // side)]
    return b"".join(bytes(value for value in row for _ in range(side)) * side for row in fields)


def images(directory, count):
    """Writes a test batch of CIFAR-10 of random pictures."""
    draw = random.Random(0)
    # A label, and the pixels.
    records = [bytes([k % 10]) + picture(draw) for k in range(count)]
    pathlib.Path(directory, "test_batch.bin").write_bytes(b"".join(records))

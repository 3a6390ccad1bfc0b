"""In which order the values of an estimate are read: samples, channels, then the positions of a channel."""

import math
from dataclasses import dataclass

import torch

from .errors import ModuleError
from .trees import is_same, shape_text


@dataclass(frozen=True)
class Layout:
    """The order of an estimate's axes.

    `order` lists the tensor's axes as batch, channels, positions; `shape` is that of one sample in this order.
    """

    order: tuple
    shape: tuple

    @property
    def channels(self):
        """The number of channels."""
        return self.shape[0]

    @property
    def positions(self):
        """The number of units of a channel."""
        return math.prod(self.shape[1:])

    def of(self, tensor, entering):
        """Returns the layout of one estimate of a stage: this one, or that of the estimate that enters, whose sample has the
        shape `entering`.

        Raises ModuleError for other sizes than the example's.
        """
        if tensor.dim() == len(self.order):
            shape = tuple(tensor.shape[axis] for axis in self.order[1:])
            if shape in (self.shape, entering):
                return Layout(self.order, shape)
        raise ModuleError(
            f"an estimate of shape {shape_text(tensor.shape)}, but {shape_text(self.shape)} for a sample of the example (channels first): "
            "all batches need the sizes of the example, apart from the number of samples"
        )

    def values(self, tensor):
        """Returns the values `[batch, units]` in this order: float32, on the CPU."""
        moved = tensor.detach().permute(self.order)
        return moved.reshape(moved.shape[0], -1).to(device="cpu", dtype=torch.float32).contiguous()

    def tensor(self, values, like):
        """Returns a tensor of the type and on the device of `like` from values in this order."""
        shaped = values.reshape(-1, *self.shape)
        inverse = [self.order.index(axis) for axis in range(len(self.order))]
        moved = shaped.permute(inverse).to(device=like.device, dtype=like.dtype)
        return moved.clone(memory_format=torch.contiguous_format)


def find_layout(calls, example, samples):
    """Returns the layout of a stage's estimates `example`, from the calls of its blocks.

    Which axis is the channels is told by the layers that take the estimate: linear layers and layer normalization have them
    last, convolutions and batch or group normalization second. Without such a layer, sequences `[batch, positions, channels]`
    have them last and images `[batch, channels, height, width]` second.
    """
    shape = tuple(example.shape)
    batch = 0 if shape[0] == samples else 1 if len(shape) == 3 and shape[1] == samples else None
    if batch is None:
        raise ModuleError(f"estimates of shape {shape_text(shape)} do not have the {samples} samples as their first dimension")
    if len(shape) == 2:
        return Layout((0, 1), shape[1:])
    if batch == 1:
        return Layout((1, 2, 0), (shape[2], shape[0]))
    channels = _channel_axis(calls, example)
    order = (0, channels, *(axis for axis in range(1, len(shape)) if axis != channels))
    return Layout(order, tuple(shape[axis] for axis in order[1:]))


def _channel_axis(calls, example):
    last = example.dim() - 1
    votes = {1: 0, last: 0}
    for call in calls:
        estimate = call.first_input()[1]
        for inner in call.descendants():
            _, x = inner.first_input()
            if x is None or x.shape != example.shape:
                continue
            axis = _axis_of_layer(inner.module, x, last)
            if axis is not None:
                # A layer that takes the block's own input decides over one inside, which may take a transposed copy.
                votes[axis] += 1000 if is_same(x, estimate) else 1
    if votes[1] == votes[last]:
        return last if example.dim() == 3 else 1
    return max(votes, key=votes.get)


def _axis_of_layer(module, x, last):
    kind = type(module).__name__
    second = ("Conv1d", "Conv2d", "Conv3d", "BatchNorm", "GroupNorm", "InstanceNorm", "2d")
    if any(name in kind for name in second):
        return 1
    weight = getattr(module, "weight", None)
    if not isinstance(weight, torch.Tensor) or not 1 <= weight.dim() <= 2:
        return None
    return last if x.shape[-1] in weight.shape else None

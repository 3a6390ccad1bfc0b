"""Tensors in the nested values that modules take and return: tuples, lists, mappings, and the outputs of Transformers."""

from collections.abc import Mapping

import torch

from .. import _native


def map_tensors(function, value):
    """Returns `value` with every tensor replaced by what `function` returns for it."""
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(function, item) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(map_tensors(function, item) for item in value)
    if isinstance(value, Mapping):
        mapped = {key: map_tensors(function, item) for key, item in value.items()}
        try:
            return type(value)(**mapped) if hasattr(value, "to_tuple") else type(value)(mapped)
        except TypeError:
            return mapped
    return value


def tensors(value):
    """Yields all tensors of a nested value, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors(item)


def is_float(tensor):
    """Returns whether the elements of a tensor are floating-point numbers."""
    return isinstance(tensor, torch.Tensor) and tensor.is_floating_point()


def output_tensor(output):
    """Returns the estimate in what a module returned: the tensor itself, or the first tensor of a tuple, list or mapping."""
    if isinstance(output, torch.Tensor):
        return output
    return next(tensors(output), None)


def with_output(template, tensor):
    """Returns an output of the structure of `template` with `tensor` in the place of its estimate.

    Other tensors stay those of the template: nothing may read them, which the self-check on wrapping proves.
    """
    seen = False

    def replace(old):
        nonlocal seen
        if seen:
            return old
        seen = True
        return tensor

    return map_tensors(replace, template)


def skeleton(value):
    """Returns `value` with every tensor of floating-point numbers replaced by zeros of its shape that take no memory."""
    return map_tensors(lambda t: t.detach().new_zeros(()).expand(t.shape) if is_float(t) else t, value)


def as_bytes(tensor):
    """Returns the bytes of a tensor, uint8 `[bytes]` on the CPU."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def checksum(tensor, start=0):
    """Returns the CRC-32 of a tensor's bytes, continued from `start`."""
    return _native.crc32(as_bytes(tensor), start)


def is_same(one, other):
    """Returns whether two tensors are one array in memory, seen in the same way."""
    if one is other:
        return True
    if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    return one.numel() > 0 and one.data_ptr() == other.data_ptr() and one.stride() == other.stride()


def is_equal(one, other):
    """Returns whether two tensors have the same shape, type and values; NaN equals NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if torch.equal(one, other):
        return True
    return is_float(one) and bool(((one == other) | (one.isnan() & other.isnan())).all())


def shape_text(shape):
    """Returns a text such as `[8, 64, 56, 56]`."""
    return "[" + ", ".join(str(size) for size in shape) + "]"

"""Arrays of any library as the native module takes them, and arrays for the caller."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ArgumentError

__all__ = ["Data", "as_float_array", "as_source"]

#: The name of the labels among the arrays of samples.
LABELS = "labels"
#: What samples are called that have no name of their own.
SAMPLES = "images"


@dataclass(frozen=True)
class Data:
    """A data set by name, for `measure` and `slim` in place of arrays.

    Attributes:
        spec: `"digits"`, `"cifar10:DIR"`, `"folder:DIR"`, `"arrays:FILE.npz"` and the others of the command line.
        split: `"test"`, `"train"`, or `"valid"` of a text.
        limit: the number of samples, the first ones; 0 for all.
        resize: the shorter side of images, pixels.
        crop: the side of the square that is cut from the middle of images after that, pixels.

    >>> Data("digits", limit=100)
    Data(spec='digits', split='test', limit=100, resize=None, crop=None)
    """

    spec: str
    split: str = "test"
    limit: int = 0
    resize: int | None = None
    crop: int | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "resize", "crop"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 0):
                raise ArgumentError(f"{name}: {value!r}, expected a whole number of at least 0")


def as_source(data: Any, labels: Any) -> Any:
    """Return samples as the native module takes them."""
    if isinstance(data, (str, os.PathLike)):
        data = Data(os.fspath(data))
    if isinstance(data, Data):
        if labels is not None:
            raise ArgumentError(f"labels: {data.spec} has its own; give labels with arrays alone")
        return (data.spec, data.split, data.limit, data.resize, data.crop)
    arrays = dict(data) if isinstance(data, Mapping) else {SAMPLES: data}
    if labels is not None:
        if LABELS in arrays:
            raise ArgumentError("labels: given twice, as an argument and among the arrays")
        arrays[LABELS] = labels
    return [(str(name), _exported(str(name), array)) for name, array in arrays.items()]


def _exported(name: str, array: Any) -> Any:
    """Return an array that has `__dlpack__`, or what a `memoryview` says of another one."""
    refused: Exception | None = None
    if hasattr(array, "__dlpack__"):
        try:
            array.__dlpack_device__()
            array.__dlpack__()
            return array
        except (BufferError, TypeError, RuntimeError, AttributeError) as error:
            refused = error
    if name == LABELS and isinstance(array, (list, tuple)):
        array = _integers(array)
    try:
        view = memoryview(array)
    except TypeError:
        why = f"; its __dlpack__ says: {refused}" if refused else ""
        message = f"{name}: {type(array).__name__} is no array; give one with __dlpack__ or a buffer, as of NumPy{why}"
        raise ArgumentError(message) from refused
    return (view.tobytes(), view.format, view.itemsize, list(view.shape or ()))


def _integers(labels: Any) -> Any:
    from array import array

    try:
        return array("q", labels)
    except (TypeError, OverflowError) as error:
        raise ArgumentError(f"labels: a list of something else than integers: {error}") from error


def as_float_array(values: Any) -> Any:
    """Return numbers as a NumPy array of float64; numbers that are missing are NaN."""
    try:
        import numpy as np
    except ImportError as error:
        raise ImportError("NumPy is needed for arrays: pip install unrolled[numpy]") from error
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

"""Samples for a live module, by their index, each with a checksum of what it was when it was first read."""

from array import array
from collections.abc import Mapping

import torch
from torch.utils.data import DataLoader, IterableDataset

from .. import _native
from .errors import ModuleError
from .labels import LabelList, align, check_labels, labels_of
from .loaders import Indexed, Listed, Streamed
from .trees import as_bytes, shape_text, tensors

#: What splits a checksum into halves, which float32 holds exactly.
HALF = 1 << 16


def bind(live, data, labels=None):
    """Returns the source of samples for `data`, a DataLoader or a list of batches; see `Live.bind`."""
    if isinstance(data, DataLoader):
        is_stream = isinstance(data.dataset, IterableDataset) or data.batch_sampler is None
        return Source(live, Streamed(data) if is_stream else Indexed(data), labels)
    if isinstance(data, (torch.Tensor, Mapping)):
        data = [data]
    if isinstance(data, tuple) and data and isinstance(data[0], torch.Tensor):
        data = [data]
    if hasattr(data, "__array_interface__"):
        raise ModuleError(f"images: a {type(data).__name__}, expected tensors for a live module: torch.from_numpy(images)")
    if isinstance(data, (list, tuple)):
        if not data:
            raise ModuleError("data: no batches")
        return Source(live, Listed(live, list(data)), labels)
    if hasattr(data, "__next__"):
        raise ModuleError("data: an iterator can be read once, but every measurement reads again: give a list or a DataLoader")
    if hasattr(data, "__iter__"):
        return Source(live, Streamed(data), labels)
    raise ModuleError(f"data: a {type(data).__name__}, expected a DataLoader or a list of batches as the module takes them")


class Source:
    """Samples by their index. `len` is their number.

    All samples are read once at the beginning: for their labels, for a checksum of each, and to find values that are not finite. What is
    read again from a loader has to have the same checksums.
    """

    def __init__(self, live, batches, labels):
        self._live = live
        self._batches = batches
        self._sums = array("I")
        found = self._read_all(needs_labels=labels is None)
        if labels is None:
            # Labels in batches are where the module's own loss has them; labels that were given are those of the positions.
            self._labels = None if found is None else align(check_labels(found, len(self), live.answer), live.answer)
        else:
            self._labels = check_labels(labels, len(self), live.answer)
        self.batch_size = batches.batch_size

    def __len__(self):
        return len(self._sums)

    def batch(self, indices):
        """Returns the samples of these indices as arguments of the forward, on the module's device.

        Raises ModuleError if they differ from what was read first.
        """
        indices = list(indices)
        caller = self._live.caller
        inputs = caller.read(self._batches.read(indices))
        if self._batches.may_change:
            for index, found in zip(indices, checksums(inputs), strict=True):
                if found != self._sums[index]:
                    raise ModuleError(
                        f"data: sample {index} differs when it is read again, as with shuffling or random augmentation: every pass has to "
                        "give the same samples in the same order"
                    )
        return caller.placed(inputs, move=self._batches.moves)

    def labels(self):
        """Returns the labels, int64 `[n]` or `[n, positions]` on the CPU, or None where there are none.

        Those of a position are aligned with the answers: where the module's own loss compares the answer at a position with the label of
        the next, they are moved by one, and the last position has -100.
        """
        return self._labels

    def checksums(self):
        """Returns a checksum of each sample without its labels, int32 `[n, 2]`: the upper and lower 16 bits."""
        sums = torch.tensor(self._sums, dtype=torch.int64)
        return torch.stack([sums // HALF, sums % HALF], 1).to(torch.int32)

    def _read_all(self, needs_labels):
        """Reads all samples; returns the labels of the batches."""
        answer, found, first_without = self._live.answer, LabelList(), None
        for number, batch in enumerate(self._batches.in_order(), 1):
            inputs = self._live.caller.read(batch)
            self._check(inputs, number)
            self._sums.extend(checksums(inputs))
            labels = labels_of(inputs, answer) if needs_labels else None
            if labels is None:
                first_without = first_without or number
            else:
                found.append(labels, number, inputs.samples)
            if first_without and len(found):
                raise ModuleError(f"labels: batch {first_without} has none, others have")
        if not len(self):
            raise ModuleError("data: no samples")
        return found.stacked() if len(found) else None

    def _check(self, inputs, number):
        """Raises ModuleError if a batch has another form than the example, or values that are not finite."""
        mine, example = (next(tensors([each.args, each.kwargs])) for each in (inputs, self._live.example))
        if mine.dim() != example.dim():
            raise ModuleError(
                f"data: batch {number} is {shape_text(mine.shape)}, the example {shape_text(example.shape)}; the first dimension is the samples, "
                "which a DataLoader with batch_size=None does not add"
            )
        for tensor in tensors([inputs.args, inputs.kwargs]):
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                is_finite = tensor.isfinite().reshape(len(tensor), -1).all(1) if tensor.dim() else tensor.isfinite()[None]
                place = len(self) + int(is_finite.long().argmin()) if len(is_finite) == inputs.samples else len(self)
                raise ModuleError(f"data: sample {place} contains NaN or an infinite value")


def checksums(inputs):
    """Returns a CRC-32 of each sample of a batch. What is not divided between the samples counts for each."""
    sums = [0] * inputs.samples
    for tensor in tensors([inputs.args, [inputs.kwargs[key] for key in sorted(inputs.kwargs)]]):
        of_all = as_bytes(tensor)
        if tensor.dim() and len(tensor) == inputs.samples:
            sums = _native.crc32_rows(of_all, sums)
        else:
            sums = [_native.crc32(of_all, found) for found in sums]
    return sums

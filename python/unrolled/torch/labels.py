"""Labels of samples or of their positions."""

import warnings

import torch

from .errors import ModuleError
from .trees import shape_text

#: The label of a position that does not count, as PyTorch's cross-entropy has it.
IGNORED = -100
#: The number of samples whose labels have room at first.
FIRST_ROOM = 1 << 16


def labels_of(inputs, answer):
    """Returns the labels of a batch as int64 on the CPU, or None.

    A causal language model without labels is asked for its own input: the labels are `input_ids` where `attention_mask` is not 0.
    """
    labels = inputs.labels
    if labels is None and answer.shift and isinstance(inputs.kwargs.get("input_ids"), torch.Tensor):
        labels = inputs.kwargs["input_ids"]
        mask = inputs.attention_mask()
        if mask is not None:
            labels = labels.masked_fill(mask == 0, IGNORED)
    return None if labels is None or not are_used(labels, answer) else as_labels(labels)


def are_used(labels, answer):
    """Returns whether a module's answers are compared with labels. If they are not, class labels are warned of.

    Raises ModuleError for targets that are no classes.
    """
    if answer.kind == "classes":
        return True
    compared = f"the module answers with {answer.described()}, which are compared with those of the whole network"
    is_float = isinstance(labels, torch.Tensor) and labels.is_floating_point()
    if answer.kind == "mse" or is_float:
        raise ModuleError(f"labels: {compared}; targets are not used: give samples alone, x in the place of (x, targets)")
    warnings.warn(f"labels are not used: {compared}", stacklevel=2)
    return False


def as_labels(labels):
    """Returns labels as an int64 tensor on the CPU.

    Raises ModuleError if they are no integers.
    """
    try:
        labels = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise ModuleError(f"labels: a {type(labels).__name__} is no array of integers") from None
    if labels.is_floating_point() or labels.is_complex():
        raise ModuleError(f"labels: {str(labels.dtype).removeprefix('torch.')}, expected integers, the numbers of the classes")
    return labels.to(device="cpu", dtype=torch.int64)


class LabelList:
    """The labels of all batches in one tensor, whose room is doubled when it is full.

    A small array for each batch would be put where a batch was in memory, so that the next batch does not fit there any more, and
    memory would grow by a batch a batch.
    """

    def __init__(self):
        self._all = None
        self._count = 0

    def __len__(self):
        return self._count

    def append(self, labels, number, samples):
        """Adds the labels of the next batch, which has this number and so many samples.

        Raises ModuleError if they are of another number, or have another shape than those before.
        """
        if labels.dim() == 0:
            raise ModuleError("labels: a single number, expected one for each sample of the batch")
        if len(labels) != samples:
            raise ModuleError(f"labels: batch {number} has {len(labels)} for {samples} samples")
        if self._all is None:
            self._all = torch.empty((FIRST_ROOM, *labels.shape[1:]), dtype=torch.int64)
        if labels.shape[1:] != self._all.shape[1:]:
            raise ModuleError("labels: batches have labels of different lengths: pad them to one length, with -100")
        count = self._count + len(labels)
        while count > len(self._all):
            self._all = torch.cat([self._all, torch.empty_like(self._all)])
        self._all[self._count : count] = labels
        self._count = count

    def stacked(self):
        """Returns the labels of all batches."""
        return self._all[: self._count]


def check_labels(labels, samples, answer):
    """Returns labels as int64 `[n]` or `[n, positions]`.

    Raises ModuleError if their number or shape is wrong, or one is out of range.
    """
    if answer.kind != "classes":
        raise ModuleError(f"labels: the module answers with {answer.described()}, which are compared with those of the whole network; leave labels out")
    labels = as_labels(labels)
    if labels.dim() > 2:
        labels = labels.flatten(1)
    if labels.dim() == 2 and labels.shape[1] == 1 and answer.positions == 1:
        labels = labels[:, 0]
    expected = [samples] if answer.positions == 1 or (labels.dim() == 1 and answer.selected != "all") else [samples, answer.positions]
    if list(labels.shape) != expected:
        raise ModuleError(f"labels of shape {shape_text(labels.shape)}, expected {shape_text(expected)}")
    counts = labels if labels.dim() == 1 else labels[labels != IGNORED]
    if counts.numel() and (int(counts.min()) < 0 or int(counts.max()) >= answer.classes):
        wrong = int(counts.min()) if int(counts.min()) < 0 else int(counts.max())
        raise ModuleError(f"labels: {wrong} is out of range, the module answers with {answer.classes} classes")
    if labels.dim() == 2 and answer.classes > 2 and counts.numel() and int(counts.max()) <= 1:
        warnings.warn(
            f"labels: 0 or 1 at each of {answer.positions} positions, of {answer.classes} classes; if this is a mask, give it to the module "
            "by name, as in {'input_ids': ids, 'attention_mask': mask}",
            stacklevel=2,
        )
    return labels


def align(labels, answer):
    """Returns labels at the positions of the answers that they are compared with."""
    if not answer.shift or labels.dim() != 2:
        return labels
    return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], IGNORED)], 1)

"""Samples taken out of batches, and put together to others."""

from collections.abc import Mapping

import torch

from .errors import ModuleError
from .trees import shape_text


def select_rows(batch, rows, samples):
    """Returns some samples of a batch; whatever has `samples` rows is indexed, all else kept."""
    if isinstance(batch, torch.Tensor):
        return batch[torch.as_tensor(rows, device=batch.device)] if batch.dim() and len(batch) == samples else batch
    if isinstance(batch, Mapping):
        return {key: select_rows(value, rows, samples) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        return type(batch)(select_rows(value, rows, samples) for value in batch)
    return batch


def join(parts):
    """Returns one batch of the samples of several.

    Raises ModuleError where tensors have different sizes, such as sentences padded to different lengths.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, torch.Tensor):
        if first.dim() == 0:
            return first
        if any(part.shape[1:] != first.shape[1:] for part in parts):
            shapes = sorted({shape_text(part.shape[1:]) for part in parts})
            raise ModuleError(f"samples of the shapes {' and '.join(shapes)} cannot be put into one batch: pad them to one size")
        return torch.cat(parts)
    if isinstance(first, Mapping):
        return {key: join([part[key] for part in parts]) for key in first}
    if isinstance(first, (tuple, list)):
        return type(first)(join(list(group)) for group in zip(*parts, strict=True))
    return first

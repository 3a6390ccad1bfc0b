"""How a batch is passed to a module: positional and keyword arguments, labels, device."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from .errors import ModuleError
from .trees import map_tensors, shape_text, tensors


@dataclass(eq=False)
class Inputs:
    """The arguments of one forward, and the labels that came with them."""

    args: tuple
    kwargs: dict
    labels: object
    samples: int

    def attention_mask(self, name="attention_mask"):
        """Returns the argument `attention_mask` `[batch, positions]`, or one of another name, or None."""
        mask = self.kwargs.get(name)
        return mask if isinstance(mask, torch.Tensor) and mask.dim() == 2 else None


class Caller:
    """Calls a module with batches as its users have them.

    A batch is a tensor, a tuple `(x, labels)`, or a mapping of keyword arguments that may contain `labels`. Labels are not
    passed on, except to encoder-decoder networks of Transformers, which make their inputs of them.
    """

    def __init__(self, model):
        self.model = model
        try:
            parameters = inspect.signature(model.forward).parameters
        except (TypeError, ValueError):
            parameters = {}
        self.takes_use_cache = "use_cache" in parameters
        #: Whether the forward changes its arguments in place, and so gets copies.
        self.copies = False
        #: Whether blocks were removed from the module.
        self.is_shortened = False
        self.keeps_labels = bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))

    def device(self):
        """Returns the device of the module's first parameter or buffer; None if it has neither."""
        for tensor in [*self.model.parameters(), *self.model.buffers()]:
            return tensor.device
        return None

    def read(self, batch):
        """Returns the arguments of the forward for a batch, on the device where they are.

        Raises ModuleError if the batch is of another kind.
        """
        args, kwargs, labels = split_labels(batch, self.keeps_labels)
        first = next(tensors([args, kwargs]), None)
        if first is None or first.dim() == 0:
            raise no_tensor(batch)
        if self.takes_use_cache:
            kwargs.setdefault("use_cache", False)
        return Inputs(args, kwargs, labels, first.shape[0])

    def inputs(self, batch, *, move=False):
        """Returns `read(batch)` on the module's device; see `placed`."""
        return self.placed(self.read(batch), move=move)

    def placed(self, inputs, *, move=False):
        """Returns the arguments of the forward on the module's device. With `move`, tensors on the CPU are moved there.

        Raises ModuleError if they are on another device than the module.
        """
        device = self.device()

        def place(tensor):
            if device is None or tensor.device == device:
                return tensor
            if move and tensor.device.type == "cpu":
                return tensor.to(device)
            raise ModuleError(f"the batch is on {tensor.device}, the module on {device}: move one of them")

        kwargs = {key: map_tensors(place, value) for key, value in inputs.kwargs.items()}
        return replace(inputs, args=map_tensors(place, inputs.args), kwargs=kwargs)

    def __call__(self, inputs):
        """Runs the module's own forward."""
        args, kwargs = inputs.args, inputs.kwargs
        if self.copies:
            args, kwargs = map_tensors(torch.Tensor.clone, args), map_tensors(torch.Tensor.clone, kwargs)
        return self.model(*args, **kwargs)


def split_labels(batch, keep=False):
    """Returns `(args, kwargs, labels)` of a batch; `labels` is None where the batch has none."""
    if isinstance(batch, torch.Tensor):
        return (batch,), {}, None
    if isinstance(batch, Mapping):
        kwargs = dict(batch)
        if "label" in kwargs and "labels" not in kwargs:
            raise ModuleError("a batch has 'label', expected 'labels'")
        labels = kwargs.get("labels") if keep else kwargs.pop("labels", None)
        return (), kwargs, labels
    if isinstance(batch, (tuple, list)) and len(batch) in (1, 2):
        args, kwargs, _ = split_labels(batch[0], keep) if not isinstance(batch[0], (tuple, list)) else (tuple(batch[0]), {}, None)
        return args, kwargs, batch[1] if len(batch) == 2 else None
    if hasattr(batch, "__array_interface__"):
        raise no_tensor(batch)
    what = f"a {type(batch).__name__}" + (f" of {len(batch)}" if isinstance(batch, (tuple, list)) else "")
    raise ModuleError(
        f"a batch is a tensor, a tuple (x, labels) where x may be a tuple of several inputs, or a dict of keyword arguments; this is {what}"
    )


def encoder_modules(model):
    """Returns the modules that read the source, in an encoder-decoder network as Transformers has them; None for others."""
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return None
    encoder = model.get_encoder() if hasattr(model, "get_encoder") else getattr(model, "encoder", None)
    # One half of such a network has its configuration.
    return None if encoder is None or encoder is model else set(encoder.modules())


def inputs_text(inputs):
    """Returns the arguments of a forward for messages, such as `input_ids [2, 12] int64`."""
    named = [*(("", value) for value in tensors(inputs.args)), *((f"{key} ", value) for key, value in inputs.kwargs.items())]
    shown = [f"{name}{shape_text(v.shape)} {str(v.dtype).removeprefix('torch.')}" for name, v in named if isinstance(v, torch.Tensor)]
    return ", ".join(shown)


def no_tensor(batch):
    """Returns the error for a batch without tensors."""
    values = list(batch.values()) if isinstance(batch, Mapping) else list(batch) if isinstance(batch, (tuple, list)) else [batch]
    other = next((type(value).__name__ for value in values if hasattr(value, "__array_interface__")), None)
    advice = f"; make one of the {other} by torch.from_numpy" if other else ""
    return ModuleError(f"data: a batch contains no tensor whose first dimension is the samples{advice}")


def batch_text(batch):
    """Returns a short description of a batch for messages, such as `input_ids [2, 12]`."""
    if isinstance(batch, Mapping):
        return ", ".join(f"{key} {shape_text(value.shape)}" for key, value in batch.items() if isinstance(value, torch.Tensor))
    return ", ".join(shape_text(tensor.shape) for tensor in tensors(batch))

"""What a module answers with: classes, features or numbers, once a sample or at each position."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from .errors import ModuleError
from .trees import is_float, output_tensor, shape_text

KINDS = ("classes", "cosine", "mse")


@dataclass(frozen=True)
class Answer:
    """Which tensor of the output holds the answers, and how it is read.

    `output` is a key or attribute of what the module returns, or None for the tensor itself or the first one.
    `axis` is the axis of the classes; `selected` is `"all"`, `"last"` or a position. `shift` says that the answer at a position
    is about the next one, as in causal language models.
    """

    kind: str
    output: "str | None"
    axis: int
    positions: int
    classes: int
    selected: "str | int"
    shift: bool

    def outline(self):
        """Returns the answer as the outline has it."""
        selected = {"at": self.selected} if isinstance(self.selected, int) else self.selected
        return {"kind": self.kind, "positions": self.positions, "selected": selected}

    def described(self):
        """Returns what the answers are, for messages."""
        return {"classes": "classes", "cosine": "features", "mse": "values"}[self.kind]

    @property
    def is_one_class(self):
        """Whether a sample has one answer, which is a class."""
        return self.kind == "classes" and (self.positions == 1 or self.selected != "all")

    def logits(self, output):
        """Returns the answers `[batch, positions, classes]` in what the module returned."""
        tensor = answer_tensor(output, self.output)
        if tensor.dim() == 2:
            return tensor[:, None, :]
        rows = tensor.movedim(self.axis, -1).flatten(1, -2)
        if rows.shape[1] != self.positions:
            raise ModuleError(
                f"the module answers at {rows.shape[1]} positions, on the example at {self.positions}: all batches need one length"
            )
        return rows

    def select(self, rows, mask):
        """Returns the answers that count, `[batch, count, classes]`, and their mask."""
        if self.selected == "all" or self.positions == 1:
            return rows, mask
        if isinstance(self.selected, int):
            place = torch.full((len(rows),), self.selected, device=rows.device)
        elif mask is None:
            place = torch.full((len(rows),), rows.shape[1] - 1, device=rows.device)
        else:
            steps = torch.arange(rows.shape[1], device=rows.device)
            place = (mask.bool() * steps).argmax(1)
        return rows[torch.arange(len(rows), device=rows.device), place][:, None], None


def answer_tensor(output, key=None):
    """Returns the tensor of answers in an output; `key` is its name, or None for the logits or the first tensor."""
    if isinstance(key, str) and not isinstance(output, torch.Tensor):
        found = output.get(key) if isinstance(output, Mapping) else getattr(output, key, None)
        if not isinstance(found, torch.Tensor):
            raise ModuleError(f"answer: the module returns no tensor '{key}'")
        return found
    return output_tensor(output)


def find_answer(model, output, inputs, wanted, run_with_labels):
    """Returns the `Answer` for the output on the example; `wanted` is what the caller said: None, a kind, or a mapping with `kind`,
    `output` and `positions`.

    Raises ModuleError if the output cannot be read.
    """
    options = {"kind": wanted} if isinstance(wanted, str) else dict(wanted or {})
    unknown = set(options) - {"kind", "output", "positions"}
    if unknown:
        raise ModuleError(f"answer: unknown key '{min(unknown)}', expected kind, output or positions")
    if options.get("output") and isinstance(output, torch.Tensor):
        raise ModuleError(f"answer: the module returns one tensor, which has no name '{options['output']}': leave 'output' out")
    key = options.get("output") or next((k for k in ("logits", "out") if _has(output, k)), None)
    tensor = answer_tensor(output, key)
    if not is_float(tensor) or tensor.dim() < 2 or tensor.shape[0] != inputs.samples:
        what = "nothing" if tensor is None else shape_text(tensor.shape)
        raise ModuleError(f"the module's output is {what}, expected [batch, classes] or [batch, positions, classes]")
    is_feature = key is None and (isinstance(output, Mapping) or hasattr(output, "last_hidden_state"))
    axis = 1 if tensor.dim() >= 4 else tensor.dim() - 1
    classes = tensor.shape[axis]
    # A single value is no class: every answer would be right.
    guessed = "cosine" if is_feature else "mse" if classes == 1 else "classes"
    kind = options.get("kind") or guessed
    if kind not in KINDS:
        raise ModuleError(f"answer: '{kind}', expected one of {', '.join(KINDS)}")
    if kind == "classes" and classes == 1:
        raise ModuleError("answer: one output is no class, expected 'mse' or 'cosine'")
    positions = 1 if tensor.dim() == 2 else tensor.numel() // (tensor.shape[0] * classes)
    selected = options.get("positions", "all")
    if not (selected in ("all", "last") or (isinstance(selected, int) and 0 <= selected < positions)):
        raise ModuleError(f"answer: positions={selected!r}, expected 'all', 'last' or a number below {positions}")
    shift = kind == "classes" and tensor.dim() == 3 and _predicts_next(model, tensor, inputs, run_with_labels)
    return Answer(kind, key, axis, positions, classes, selected, shift)


def _has(output, key):
    return isinstance(output[key] if isinstance(output, Mapping) and key in output else getattr(output, key, None), torch.Tensor)


def _predicts_next(model, logits, inputs, run_with_labels):
    """Returns whether the labels of a position are about the next one, as the loss of the module's own says; without labels or such
    a loss, whether Transformers computes a causal loss for its class."""
    labels = inputs.labels
    if isinstance(labels, torch.Tensor) and labels.dim() == 2 and inputs.kwargs:
        loss = getattr(run_with_labels(labels), "loss", None)
        if isinstance(loss, torch.Tensor) and loss.dim() == 0:
            labels = labels.to(logits.device)
            own = _cross_entropy(logits, labels)
            shifted = _cross_entropy(logits[:, :-1], labels[:, 1:])
            return bool((shifted - loss).abs() < (own - loss).abs())
    return getattr(model, "loss_type", None) == "ForCausalLM"


def _cross_entropy(logits, labels):
    return functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100)


def unit_loss_gradient(rows, labels):
    """Returns the gradient of each sample's cross-entropy at its logits `[batch, classes]`, scaled to unit length; 0 where it is 0."""
    rows, labels = rows.detach().double(), labels[:, None]
    # The gradient is softmax - one-hot. A common factor drops out, so that a certain answer has an exact direction too.
    others = rows.scatter(1, labels, -torch.inf).softmax(-1)
    gradient = others.scatter(1, labels, -1.0)
    return (gradient / gradient.norm(dim=-1, keepdim=True)).float()

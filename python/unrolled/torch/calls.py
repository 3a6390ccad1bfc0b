"""The calls of all submodules during one forward, as a tree."""

from dataclasses import dataclass, field

import torch

from .intercept import inference, intercepted
from .trees import is_float, is_same, output_tensor


@dataclass(eq=False)
class Call:
    """One call of a submodule: what it was given and what it returned."""

    module: torch.nn.Module
    name: str
    parent: "Call | None"
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    output: object = None
    children: list = field(default_factory=list)

    def inputs(self):
        """Yields `(slot, tensor)` of the floating-point tensors among the arguments; a slot is a position or a keyword."""
        for slot, value in [*enumerate(self.args), *self.kwargs.items()]:
            if is_float(value):
                yield slot, value

    def first_input(self):
        """Returns the first of `inputs`, or `(None, None)`."""
        return next(self.inputs(), (None, None))

    def slot_of(self, tensor):
        """Returns the slot of the argument that is `tensor`, or None."""
        return next((slot for slot, value in self.inputs() if is_same(value, tensor)), None)

    def result(self):
        """Returns the tensor among what the call returned that can be an estimate."""
        return output_tensor(self.output)

    def descendants(self):
        """Yields all calls inside this one, in order."""
        for child in self.children:
            yield child
            yield from child.descendants()

    def ancestors(self):
        """Yields the calls that this one is inside of, from the innermost."""
        call = self.parent
        while call is not None:
            yield call
            call = call.parent


def record_calls(model, run):
    """Runs `run()` and returns the tree of the calls of all submodules of `model`. The root stands for the model itself."""
    names = {module: name for name, module in reversed(list(model.named_modules()))}
    names.pop(model, None)
    root = Call(model, "", None)
    current = root

    def handle(module, forward, args, kwargs):
        nonlocal current
        call = Call(module, names[module], current, args, kwargs)
        current.children.append(call)
        current = call
        try:
            call.output = forward(*args, **kwargs)
        finally:
            current = call.parent
        return call.output

    with intercepted(names, handle), inference(model):
        root.output = run()
    return root

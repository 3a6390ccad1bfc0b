"""The shortcut of a block that changes the shape: what is left of the block without its body."""

import torch

from .intercept import inference, intercepted
from .skips import inputs_of_child, perturbed, with_argument
from .trees import is_equal, map_tensors, output_tensor, skeleton


class ProjectionRun:
    """Calls a block while every layer with parameters returns 0, apart from the projection and what its input comes from.

    So the projection, the sum and an activation after the sum are computed, as in the block itself.
    """

    def __init__(self, module, silenced):
        self.module = module
        self.silenced = silenced

    def __call__(self, *args, **kwargs):
        first = next(value for value in [*args, *kwargs.values()] if isinstance(value, torch.Tensor))

        def handle(module, forward, inner_args, inner_kwargs):
            return map_tensors(lambda old: old.new_zeros((first.shape[0], *old.shape[1:])), self.silenced[module])

        with intercepted(self.silenced, handle):
            return self.module(*args, **kwargs)


class ChildRun:
    """Calls a block up to its projection and returns what this returned."""

    def __init__(self, module, child):
        self.module = module
        self.child = child

    def __call__(self, *args, **kwargs):
        result = None

        def handle(module, forward, inner_args, inner_kwargs):
            nonlocal result
            result = forward(*inner_args, **inner_kwargs)
            return result

        with intercepted([self.child], handle):
            self.module(*args, **kwargs)
        return result


def projection_run(found, model):
    """Returns what computes the shortcut of a block whose skip is `("projection", child name)`.

    Where the output no longer depends on the input once the other layers return 0, as with a normalization after the sum, it is
    the projection alone.
    """
    call = found.call
    child = call.module.get_submodule(found.skip[1])
    kept = {child} | {inner.module for inner in inputs_of_child(call, child)}
    kept |= {module for keep in kept for module in keep.modules()}
    silenced = {}
    for inner in call.descendants():
        owns = any(True for _ in inner.module.parameters(recurse=False))
        if owns and inner.module not in kept and inner.result() is not None:
            silenced[inner.module] = skeleton(inner.output)
    run = ProjectionRun(call.module, silenced)
    x = dict(call.inputs())[found.slot]
    with inference(model):
        results = []
        for value in (x, perturbed(x)):
            args, kwargs = with_argument(call.args, call.kwargs, found.slot, value.clone())
            results.append(output_tensor(run(*args, **kwargs)))
    works = results[0].shape == call.result().shape and not is_equal(*results)
    return run if works else ChildRun(call.module, child)

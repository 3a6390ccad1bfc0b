"""The two halves of a transformer layer: attention and MLP, each with a sum of its own."""

import torch

from .errors import ModuleError
from .intercept import inference, intercepted
from .skips import SkipTest, with_argument
from .trees import is_equal, map_tensors, output_tensor, shape_text, skeleton, with_output


class SilencedRun:
    """Calls a module while some of its submodules return 0, so that the branches they belong to add nothing. Submodules that have a
    skip themselves, as those of T5, return what they were given.

    Submodules whose output has another shape than the estimate are run as usual: what they compute of zeros goes into one that
    is silenced.
    """

    def __init__(self, module, templates):
        self.module = module
        self.templates = templates

    def __call__(self, *args, **kwargs):
        estimate = None

        def handle(module, forward, inner_args, inner_kwargs):
            template, shape, has_skip = self.templates[module]
            if has_skip:
                given = next(value for value in [*inner_args, *inner_kwargs.values()] if isinstance(value, torch.Tensor))
                return with_output(template, given)
            zeros = torch.zeros((estimate.shape[0], *shape[1:]), dtype=estimate.dtype, device=estimate.device)
            return map_tensors(lambda old: zeros if tuple(old.shape) == shape else old[:0], template)

        estimate = next(value for value in [*args, *kwargs.values()] if isinstance(value, torch.Tensor))
        with intercepted(self.templates, handle):
            return self.module(*args, **kwargs)


def find_halves(found, model):
    """Returns `[(name, run, modules)]` of the two halves of a layer.

    The layer's children are called in order; the first ones belong to attention, the others to the MLP. The right place to
    part them is where the two halves, run one after the other, give the layer's own output bit for bit.

    Raises ModuleError if there is no such place, as in layers whose branches are parallel or whose sums are normalized.
    """
    call, test = found.call, SkipTest(model)
    x, out = dict(call.inputs())[found.slot], call.result()
    for count in range(1, len(call.children)):
        first, second = call.children[:count], call.children[count:]
        runs = [_silenced(call, second, x, test), _silenced(call, first, x, test)]
        middle = _run(model, call, found.slot, runs[0], x)
        if is_equal(middle, x) or is_equal(middle, out):
            continue
        if is_equal(_run(model, call, found.slot, runs[1], middle), out):
            return [(_name(group), run, group) for group, run in zip((first, second), runs, strict=True)]
    raise ModuleError(
        f"halves: layer '{call.name}' of {shape_text(x.shape)} is no attention sum followed by an MLP sum "
        "(its branches may be parallel, or its sums normalized); leave halves out"
    )


def _silenced(call, calls, x, test):
    shape = tuple(x.shape)
    fitting = [c for c in calls if c.result() is not None and tuple(c.result().shape) == shape]
    return SilencedRun(call.module, {c.module: (skeleton(c.output), shape, test.kind(c) == "identity") for c in fitting})


def _run(model, call, slot, run, x):
    args, kwargs = with_argument(call.args, call.kwargs, slot, x.clone())
    with inference(model):
        return output_tensor(run(*args, **kwargs))


def _name(calls):
    """Returns the name of the child with the most parameters."""
    return max(calls, key=lambda call: sum(p.numel() for p in call.module.parameters())).name

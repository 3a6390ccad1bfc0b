"""What the package computes, by plain PyTorch hooks on the module itself: written from the definitions, apart from the package."""

import contextlib

import torch


@contextlib.contextmanager
def answered(modules, function):
    """Within the context the forward of each module returns `function(module, x, output)`; x is its first tensor."""

    def hook(module, args, kwargs, output):
        x = args[0] if args else kwargs["hidden_states"]
        changed = function(module, x, output[0] if isinstance(output, tuple) else output)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def without(model, modules, run):
    """Returns the answer of a model in which some modules return their input."""
    with torch.no_grad(), answered(modules, lambda module, x, output: x):
        return run(model)


def estimates(model, modules, run):
    """Returns copies of what enters the first module and of what each module returns."""
    found = []

    def keep(module, x, output):
        if not found:
            found.append(x.clone())
        found.append(output.clone())
        return output

    with torch.no_grad(), answered(modules, keep):
        run(model)
    return found


def estimation_error(values):
    """Returns mean and standard deviation (with n - 1) over the samples of `a_k - A`, averaged over all units, for every block
    of a stage.

    `values` are the outputs of its blocks; the last one stands for the target.
    """
    target = values[-1].double()
    errors = [value.double() - target for value in values]
    return [(float(error.mean(0).mean()), float(error.std(0).mean())) for error in errors]


def influence(values):
    """Returns `1 - E[cos(a_(k-1), a_k)]` for successive estimates `[batch, units]`."""
    pairs = zip(values, values[1:], strict=False)
    return [1 - float(torch.cosine_similarity(a.double(), b.double(), dim=1).mean()) for a, b in pairs]

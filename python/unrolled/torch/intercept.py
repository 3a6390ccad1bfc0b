"""Calls of submodules, answered by somebody else while a forward runs."""

import contextlib
import functools

import torch

_MISSING = object()


@contextlib.contextmanager
def intercepted(modules, handle):
    """Within the context, a call of one of `modules` returns `handle(module, forward, args, kwargs)`.

    `forward` is the module's own. Only the attribute `forward` of the instances is replaced, and put back at the end,
    also after an exception.
    """
    saved = []
    try:
        for module in modules:
            saved.append((module, module.__dict__.get("forward", _MISSING)))
            module.__dict__["forward"] = _replacement(module, module.forward, handle)
        yield
    finally:
        for module, forward in reversed(saved):
            if forward is _MISSING:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = forward


def _replacement(module, forward, handle):
    @functools.wraps(forward)
    def replaced(*args, **kwargs):
        return handle(module, forward, args, kwargs)

    return replaced


@contextlib.contextmanager
def evaluating(model):
    """Puts every submodule in eval mode and restores the mode of each at the end."""
    training = _in_training(model)
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True


def _in_training(model):
    """Returns the submodules in train mode. It is asked at every call of a block, where `Module.modules` takes several times as
    long."""
    found, left = [], [model]
    while left:
        module = left.pop()
        left.extend(child for child in module._modules.values() if child is not None)
        if module.training:
            found.append(module)
    return found


@contextlib.contextmanager
def inference(model):
    """Eval mode, without gradients."""
    with evaluating(model), torch.no_grad():
        yield

"""Wraps a module: its calls are recorded, its blocks found, the plan made and checked."""

import os
from collections.abc import Mapping
from dataclasses import replace

import torch

from .answers import find_answer
from .batches import Caller, batch_text
from .calls import record_calls
from .errors import ModuleError
from .find_blocks import find_blocks, given_blocks
from .halves import find_halves
from .intercept import inference
from .layout import find_layout
from .live import Live
from .outline import body_text
from .plan import Block, Outside, Plan, Site, Stage
from .projection import projection_run
from .self_check import check_answer_shape, check_identity_route, check_state, first_difference
from .skips import with_argument
from .trees import is_equal, is_float, is_same, map_tensors, output_tensor, skeleton, tensors


def wrap(model, example, *, blocks=None, halves=False, answer=None, name=None):
    """Makes of a module a network that can be measured and slimmed.

    The module stays as it is, on its device; it is called in eval mode, and its mode is restored. Its blocks are found by running
    it on the example: the longest chains of submodules in which each takes what the one before returned and gives it
    back in the same shape, and that contain a skip. A last check compares the answer along all blocks with the module's
    own, bit for bit.

    Args:
        model: any `nn.Module`.
        example: a batch as the module takes it: a tensor, a tuple `(x, labels)`, or a dict of keyword arguments that may contain
            `labels`. All later batches need its sizes, apart from the number of samples.
        blocks: the blocks, where they are not to be found: a `ModuleList` or `Sequential`, a list of submodules or of their
            names, or a list of such lists, one for each stage.
        halves: whether each transformer layer is two blocks, attention and MLP.
        answer: what the module answers with: `"classes"`, `"cosine"` (features, compared by their cosine) or `"mse"`; or a dict with
            the keys `kind`, `output` (the name of the output that holds the answers) and `positions` (`"all"`, `"last"` or
            a number). By default logits are classes, and the last hidden state of a network without a head is features.
        name: what reports call the network; by default the name of its class.

    Returns:
        Live: for `unrolled.measure` and `unrolled.slim`.

    Raises:
        ModuleError: no blocks are found, those given do not chain, or the module cannot be run block by block.

    >>> import torch, unrolled
    >>> class Residual(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.linear = torch.nn.Linear(8, 8)
    ...     def forward(self, x):
    ...         return x + self.linear(x).relu()
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), *(Residual() for _ in range(3)), torch.nn.Linear(8, 2))
    >>> live = wrap(model, torch.zeros(2, 4))
    >>> [block.name for block in live.stages[0].blocks]
    ['1', '2', '3']
    """
    model = _plain_module(model)
    caller = Caller(model)
    inputs = caller.inputs(example)
    with torch.inference_mode(False):
        root = _recorded(model, caller, inputs, example)
        found = find_blocks(root, model) if blocks is None else given_blocks(root, model, blocks)
        plan = _plan(root, found, model, inputs.samples, halves)
        own = root.output
        labelled = lambda labels: _with_labels(model, inputs, labels)  # noqa: E731
        found_answer = find_answer(model, own, inputs, answer, labelled)
        check_answer_shape(model, caller, found_answer, inputs, own)
        live = Live(model, caller, plan, found_answer, name or type(model).__name__, _input_shape(example))
        check_identity_route(live, inputs, own)
        live.find_gradients(inputs)
    live.example = inputs
    return live


def _plain_module(model):
    """Returns the module inside of wrappers that only call it: `torch.compile`, DataParallel."""
    if isinstance(model, (str, os.PathLike)):
        raise ModuleError(
            "a path is no torch.nn.Module: load it first, as by transformers.AutoModel.from_pretrained(path); unrolled.open opens files"
        )
    while not isinstance(model, torch.jit.ScriptModule):
        inner = model.__dict__.get("_modules", {}).get("_orig_mod") if isinstance(model, torch.nn.Module) else None
        if inner is None and isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
            inner = model.module
        if inner is None:
            break
        model = inner
    if isinstance(model, torch.jit.ScriptModule):
        raise ModuleError("a scripted module runs outside of Python, where its submodules cannot be reached: wrap the module it was made of")
    if not isinstance(model, torch.nn.Module):
        raise ModuleError(f"a {type(model).__name__} is no torch.nn.Module")
    return model


def _recorded(model, caller, inputs, example):
    """Records the calls of a forward, and checks that a second one gives the same."""
    versions = check_state(model)
    first = replace(inputs, args=map_tensors(torch.Tensor.clone, inputs.args), kwargs=map_tensors(torch.Tensor.clone, inputs.kwargs))
    unchanged = [tensor._version for tensor in tensors([first.args, first.kwargs])]
    try:
        root = record_calls(model, lambda: caller(first))
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        raise ModuleError(f"the module does not run on the example ({batch_text(example)}): {error}") from error
    caller.copies = unchanged != [tensor._version for tensor in tensors([first.args, first.kwargs])]
    again = record_calls(model, lambda: caller(inputs))
    check_state(model, versions)
    mine, other = output_tensor(root.output), output_tensor(again.output)
    if mine is not None and other is not None and not is_equal(mine, other):
        part = first_difference(root, again)
        raise ModuleError(
            f"two runs of the module itself differ, first in {part}: it is random in eval mode (such as F.dropout without "
            "training=self.training) or keeps something between calls; both have to be switched off"
        )
    if is_float(mine) and bool(mine.isnan().any()):
        raise ModuleError("the module's output on the example contains NaN")
    return root


def _plan(root, stages, model, samples, halves):
    found_sites = [(number, found) for number, chain in enumerate(stages) for found in chain]
    order = {call: place for place, call in enumerate(root.descendants())}
    found_sites.sort(key=lambda item: order[item[1].call])
    calls = {found.call: index for index, (_, found) in enumerate(found_sites)}
    containing = {outer for call in calls for outer in call.ancestors()}
    modules = {outer.module for outer in containing}
    beside = [child for outer in containing for child in outer.children if child not in containing and child not in calls]
    beside = sorted((call for call in beside if call.module not in modules), key=order.get)
    outside = [
        Outside(index, call.module, sum(order[site] < order[call] for site in calls)) for index, call in enumerate(beside)
    ]
    found_calls = [found for _, found in found_sites]
    sites = [_site(index, number, found, found_calls[index + 1 :]) for index, (number, found) in enumerate(found_sites)]
    planned = []
    for number, chain in enumerate(stages):
        mine = [(site, found) for site, (stage, found) in zip(sites, found_sites, strict=True) if stage == number]
        planned.append(_stage(mine, planned, found_sites, outside, model, samples, halves))
    return Plan(sites, outside, planned, modules | {model})


def _site(index, stage, found, later):
    call = found.call
    x, out = dict(call.inputs())[found.slot], call.result()
    args, kwargs = with_argument(call.args, call.kwargs, found.slot, None)
    side = not _is_constant([args, kwargs])
    kept = ((), {}) if side else (args, kwargs)
    more = sum(1 for _ in tensors(call.output)) > 1
    feeds = more and _feeds(call, later)
    return Site(index, stage, call.module, call.name, found.slot, skeleton(call.output), x.shape == out.shape, side, more, feeds, *kept)


def _feeds(call, later):
    """Returns whether later blocks take a tensor that a call returns besides the estimate and that it was not given itself."""
    given = list(tensors([call.args, call.kwargs]))
    made = [t for t in tensors(call.output) if not is_same(t, call.result()) and not any(is_same(t, old) for old in given)]
    taken = [t for found in later for t in tensors([found.call.args, found.call.kwargs])]
    return any(is_same(mine, other) for mine in made for other in taken)


def _is_constant(value):
    if isinstance(value, (tuple, list)):
        return all(_is_constant(item) for item in value)
    if isinstance(value, Mapping):
        return all(_is_constant(item) for item in value.values())
    return value is None or isinstance(value, (bool, int, float, str, torch.Size, torch.dtype, torch.device))


def _stage(mine, before, found_sites, outside, model, samples, halves):
    calls = [found.call for _, found in mine]
    first_site, first = mine[0]
    layout = find_layout(calls, first.call.result(), samples)
    entering = dict(first.call.inputs())[first.slot]
    blocks = [block for site, found in mine for block in _blocks(site, found, model, halves)]
    between = any(event.after_sites == first_site.index for event in outside)
    follows = bool(before) and not between and is_same(found_sites[first_site.index - 1][1].call.result(), entering)
    order = layout.order if entering.dim() == len(layout.order) else range(entering.dim())
    return Stage(blocks, layout, tuple(entering.shape[axis] for axis in list(order)[1:]), follows)


def _blocks(site, found, model, halves):
    if halves:
        return [
            Block(site, name, "identity", [call.module for call in group], half=run, body=body_text(found.call, group))
            for name, run, group in find_halves(found, model)
        ]
    block = Block(site, site.name, "identity", [site.module], has_skip=found.skip is not None)
    if isinstance(found.skip, tuple):
        block.shortcut, block.projection = "projection", projection_run(found, model)
    elif not site.keeps_shape:
        block.shortcut, block.has_skip = "none", False
    block.body = body_text(found.call, without=found.skip[1] if block.projection else None)
    return [block]


def _with_labels(model, inputs, labels):
    with inference(model):
        try:
            return model(*inputs.args, **{**inputs.kwargs, "labels": labels})
        except (TypeError, ValueError, RuntimeError, IndexError):
            return None


def _input_shape(example):
    first = next(tensors(list(example.values()) if isinstance(example, Mapping) else example))
    return list(first.shape[1:])

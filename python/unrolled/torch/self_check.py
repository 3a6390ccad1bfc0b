"""Checks on wrapping: the module computes the same each time, and along all its blocks gives its own answer."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from .answers import answer_tensor
from .engine import STAND_INS, Engine
from .errors import InputChanged, ModuleError
from .intercept import inference
from .outline import flops
from .rows import select_rows
from .trees import is_equal, is_float, output_tensor, shape_text


#: Why a block's output differs that has no hook.
MORE = "its output depends on more than its input and the arguments it is called with"


def check_state(model, before=None):
    """Returns the versions of all parameters and buffers; with those from before a forward, raises ModuleError if it changed one."""
    named = [*model.named_parameters(), *model.named_buffers()]
    versions = {name: (id(value), 0 if value.is_inference() else value._version) for name, value in named}
    for name, value in (before or {}).items():
        if versions.get(name) != value:
            raise ModuleError(f"the module keeps something between calls: a forward in eval mode changed '{name}'")
    return versions


def check_answer_shape(model, caller, answer, inputs, own):
    """Runs the module with another number of samples, and raises ModuleError if the shape of an answer follows that number, as that of
    the similarities of each sample with each."""
    rows = [0] if inputs.samples > 1 else [0, 0]
    args, kwargs = select_rows((inputs.args, inputs.kwargs), rows, inputs.samples)
    try:
        with inference(model):
            output = caller(replace(inputs, args=args, kwargs=kwargs, samples=len(rows)))
    except (TypeError, ValueError, IndexError, RuntimeError):
        return  # a module for one number of samples
    mine, found = (answer_tensor(each, answer.output) for each in (own, output))
    if found.shape[:1] == mine.shape[:1] or found.shape[1:] == mine.shape[1:]:
        return
    named = own.items() if isinstance(own, Mapping) else ()
    others = [key for key, value in named if is_float(value) and value.dim() > 1 and value.shape[1:] == output[key].shape[1:]]
    which = f", one of {', '.join(others)}" if others else ""
    raise ModuleError(
        f"the output of {shape_text(mine.shape)} has the shape {shape_text(found.shape)} for {len(rows)} of the samples: it is no answer of each "
        f"sample; name the output that is, as answer={{'output': …}}{which}"
    )


def first_difference(one, other):
    """Returns a text that names the first submodule whose outputs differ in two recorded forwards."""
    for mine, same in zip(_finished(one), _finished(other), strict=False):
        left, right = mine.result(), same.result()
        if mine.module is not same.module or (left is not None and right is not None and not is_equal(left, right)):
            return f"'{mine.name}' ({type(mine.module).__name__})"
    return "the module's own code"


def _finished(call):
    for child in call.children:
        yield from _finished(child)
        yield child


def check_identity_route(live, inputs, own):
    """Runs all blocks in order and compares with the module's own answer `own`, bit for bit.

    Sets the engine that answers what was computed before in the cheapest way that works, which parts get copies of their
    inputs, and the operations of each block.

    Raises ModuleError that names the first block whose output differs.
    """
    problem = None
    for stand_ins in STAND_INS:
        live.engine = Engine(live.model, live.caller, live.plan, stand_ins)
        own_outputs = _own_outputs(live.engine, inputs)
        try:
            problem = _compare(live, inputs, own, own_outputs)
        except RuntimeError as error:
            problem = f"{type(error).__name__}: {error}"
        if problem is None:
            return
    raise ModuleError(f"the blocks, run one by one, do not give the module's own answer: {problem}")


def _own_outputs(engine, inputs):
    """Returns copies of the outputs of all sites in the module's own forward."""
    outputs = []

    def on_site(site, args, kwargs, proceed):
        output = proceed()
        outputs.append(output_tensor(output).clone())
        return output

    with torch.no_grad():
        engine.run(inputs, on_site, lambda outside, proceed: proceed())
    return outputs


def _compare(live, inputs, own, own_outputs):
    """Returns what differs, or None. A part that changes its input in place is given copies from then on."""
    while True:
        try:
            return _compare_once(live, inputs, own, own_outputs)
        except InputChanged as changed:
            live.plan.protected.add(changed.part)


def _compare_once(live, inputs, own, own_outputs):
    samples = inputs.samples
    with torch.no_grad():
        estimate, other = flops(lambda: live.engine.stem(inputs))
        for number, stage in enumerate(live.stages):
            if number > 0:
                estimate, count = flops(lambda e=estimate, s=number: live.engine.enter_stage(s, e))
                other += count
            for place, block in enumerate(stage.blocks):
                estimate, count = flops(lambda e=estimate, b=block: live.run_block(b, e))
                block.flops = count // samples
                is_last = place + 1 == len(stage.blocks) or stage.blocks[place + 1].site is not block.site
                if is_last and not is_equal(estimate.tensor, own_outputs[block.site.index]):
                    hooks = block.site.module._forward_hooks or block.site.module._forward_pre_hooks
                    why = "it has a forward hook, which changes what it returns: remove the hook" if hooks else MORE
                    return f"block '{block.site.name}' differs; {why}"
        output, count = flops(lambda: live.engine.head(estimate))
    live.other_flops = (other + count) // samples
    if not is_equal(live.answer.logits(output), live.answer.logits(own)):
        last = live.plan.sites[-1].name
        return f"every block agrees, but what follows '{last}' reads more than its output, such as what earlier blocks returned"
    return None

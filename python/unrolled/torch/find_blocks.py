"""The blocks of a module: chains of calls in which each takes what the one before returned."""

import difflib
from dataclasses import dataclass

import torch

from .calls import Call
from .errors import ModuleError
from .skips import SkipTest
from .trees import is_float, is_same


@dataclass(eq=False)
class Found:
    """A call that is a block."""

    call: Call
    #: The argument that is the estimate: its position or keyword.
    slot: "int | str"
    #: `"identity"`, `("projection", child name)`, or None where the block has no skip.
    skip: object


def find_blocks(root, model):
    """Returns the stages of a module, lists of `Found`, from the calls of one forward.

    The calls inside every module are searched for chains of blocks. Of two choices, a module or the chain inside it, the chain
    is taken if it has two blocks or more, or if its one block does all that the module does. The parts of a layer, such as
    attention and MLP of T5, are no chain: the layer is the block. A stage begins where a block
    changes the shape, or does not take what the block before returned. A block on its own counts only where its class is
    that of a chain's blocks; so a gate between convolutions is no block.

    Raises ModuleError if there are none.
    """
    test = SkipTest(model)
    chains = _chains(root, test)
    longest = max((len(chain) for chain in chains), default=0)
    if longest == 0:
        raise ModuleError(
            "no blocks found: no submodule returns a tensor of its input's shape that its input comes through with all weights "
            "set to 0; name the blocks, as in blocks=model.layers or blocks=['layers.0', 'layers.1']"
            + (f" (not tested: {test.problem})" if test.problem else "")
        )
    if longest > 1:
        classes = {type(found.call.module) for chain in chains if len(chain) > 1 for found in chain}
        chains = [chain for chain in chains if len(chain) > 1 or type(chain[0].call.module) in classes]
    return chains


def _chains(call, test):
    """Returns the chains of blocks inside a call."""
    chains = []
    for child in call.children:
        for chain in _best(child, test):
            for found in chain:
                _append(chains, found)
    return chains


def _best(call, test):
    """Returns the chains that stand for a call: itself, or what is inside."""
    if not test.weights(call.module):
        return []
    inner = _chains(call, test)
    if any(len(chain) > 1 for chain in inner):
        if len(inner) > 1 or not _are_parts(call, inner[0]) or test.kind(call) != "identity":
            return inner
        return [[Found(call, call.first_input()[0], "identity")]]
    kind = test.kind(call)
    if kind is None:
        return inner
    own = Found(call, call.first_input()[0], kind)
    if len(inner) == 1:
        first = inner[0][0].call
        if first.slot_of(call.first_input()[1]) is not None and call.slot_of(first.first_input()[1]) is not None:
            if first.result() is call.result():
                return inner
    return [[own]]


def _are_parts(call, chain):
    """Returns whether blocks are the parts of one of several layers: entries of a list in it, each of a class of its own. Code calls
    such entries by their place, so that none can be removed."""
    modules = [found.call.module for found in chain]
    lists = [entries for entries in call.module.modules() if isinstance(entries, torch.nn.ModuleList)]
    is_in_list = any(all(any(module is entry for entry in entries) for module in modules) for entries in lists)
    layers = [child for child in call.parent.children if type(child.module) is type(call.module)]
    return is_in_list and len({type(module) for module in modules}) == len(modules) and len(layers) > 1


def _append(chains, found):
    """Adds a block to the last chain if it continues this chain, or begins another."""
    previous = chains[-1][-1].call.result() if chains else None
    # The estimate is the first tensor of a call; what an encoder found is another argument of a decoder's layers.
    if previous is not None and is_same(found.call.first_input()[1], previous) and found.skip == "identity":
        chains[-1].append(found)
    else:
        chains.append([found])


def given_blocks(root, model, blocks):
    """Returns the stages of the blocks that a caller named: modules or names, in one list or a list for each stage.

    Raises ModuleError for a name that is not there, a block that is never called, or blocks of one stage that do not chain.
    """
    groups = _groups(model, blocks)
    listed = [module for group in groups for module in group]
    calls = {}
    for call in root.descendants():
        if call.module in listed:
            inside = next((outer for outer in call.ancestors() if outer.module in listed), None)
            if inside is not None:
                raise ModuleError(f"block '{call.name}' is inside block '{inside.name}'")
            calls.setdefault(call.module, []).append(call)
    names = {module: name for name, module in model.named_modules()}
    for module in listed:
        if module not in calls:
            raise ModuleError(f"block '{names[module]}' is not called when the module runs on the example")
    test, order = SkipTest(model), {call: place for place, call in enumerate(root.descendants())}
    stages = []
    for group in groups:
        found = sorted({call for module in group for call in calls[module]}, key=order.get)
        chain = _linked(found, test)
        explicit = len(groups) > 1
        if explicit and len(chain) > 1:
            before, after = chain[0][-1].call, chain[1][0].call
            raise ModuleError(
                f"blocks do not chain: '{after.name}' does not take the output of '{before.name}' and return its shape; "
                "give each stage as a list of its own"
            )
        stages.extend(chain)
    firsts = [order[stage[0].call] for stage in stages]
    if firsts != sorted(firsts):
        raise ModuleError("the stages are not listed in the order in which they run")
    return stages


def _linked(calls, test):
    chains = []
    for call in calls:
        slot, x = call.first_input()
        out = call.result()
        if x is None or not is_float(out):
            raise ModuleError(f"block '{call.name}' does not take and return a tensor of floating-point numbers")
        skip = test.kind(call)
        previous = chains[-1][-1].call.result() if chains else None
        linked = previous is not None and is_same(x, previous) and x.shape == out.shape
        if linked and not isinstance(skip, tuple):
            chains[-1].append(Found(call, slot, skip))
        else:
            chains.append([Found(call, slot, skip)])
    return chains


def _groups(model, blocks):
    """Returns what the caller gave as lists of modules, one a stage."""
    if isinstance(blocks, (str, torch.nn.Module)) and not _is_container(blocks):
        blocks = [blocks]
    items = list(blocks)
    if not items:
        raise ModuleError("blocks is empty: name at least one")
    # The children of a container are blocks, whatever they are made of; stages are lists of lists.
    if not _is_container(blocks) and all(_is_list(item) for item in items):
        return [[_module(model, block) for block in item] for item in items]
    return [[_module(model, block) for block in items]]


def _is_container(value):
    return isinstance(value, (torch.nn.ModuleList, torch.nn.Sequential))


def _is_list(item):
    return isinstance(item, (list, tuple, torch.nn.ModuleList, torch.nn.Sequential))


def _module(model, block):
    if isinstance(block, torch.nn.Module):
        if not any(module is block for module in model.modules()):
            raise ModuleError(f"a block given as a {type(block).__name__} is no part of the module")
        return block
    if not isinstance(block, str):
        raise ModuleError(f"a block is a submodule or its name, not a {type(block).__name__}")
    try:
        return model.get_submodule(block)
    except AttributeError:
        names = [name for name, _ in model.named_modules() if name]
        near = difflib.get_close_matches(block, names, 5) or [name for name, _ in model.named_children()]
        rest = ", …" if len(near) > 5 else ""
        raise ModuleError(f"no submodule '{block}'; there are {', '.join(near[:5])}{rest}") from None

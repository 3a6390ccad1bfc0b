"""Removes blocks from a module for good: from its lists, its attributes and its configuration, with a proof."""

import torch

from .config_edit import ConfigEdit
from .errors import ModuleError
from .outline import NO_SHORTCUT
from .prove import planned_answer, prove
from .trees import with_output


#: What holds blocks by their number, so that it can be shorter.
LISTS = (torch.nn.ModuleList, torch.nn.Sequential)


class PassThrough(torch.nn.Module):
    """Stands where a block was that has a name of its own: returns the estimate it is given."""

    def __init__(self, slot, template):
        super().__init__()
        self.slot = slot
        self.template = template

    def forward(self, *args, **kwargs):
        """Returns the estimate as the block returned it."""
        estimate = args[self.slot] if isinstance(self.slot, int) else kwargs[self.slot]
        return with_output(self.template, estimate)


def why_not_removable(live, block):
    """Returns why a block cannot be removed from the module, or None if it can."""
    if block.shortcut == "projection":
        return "it changes the shape, so that its shortcut would have to stay"
    if block.shortcut == "none":
        return NO_SHORTCUT
    if block.half is not None:
        return "it is one half of a layer; whole layers can be removed, wrapped without halves"
    if block.site.feeds_later_sites:
        return "later blocks take what it computes besides the estimate, such as a position bias"
    if sum(site.module is block.site.module for site in live.plan.sites) > 1:
        return "the same module computes other blocks too"
    container = live.model.get_submodule(block.site.name.rpartition(".")[0])
    if hasattr(live.model, "save_pretrained") and not isinstance(container, LISTS):
        return "it is a part of a layer, and from_pretrained makes whole layers; wrap the module with blocks=, the list of its layers"
    return None


def apply(live, blocks=(), *, per_layer=(), not_per_layer=()):
    """Removes blocks from the wrapped module itself and from its configuration.

    Lists and Sequential are renumbered, and integers in the remaining blocks that count them, such as `layer_idx`. A block that is
    an attribute of its own is replaced by a module that returns its input. In the configuration of a Transformers
    model the number of layers is lowered, and every list of one entry a layer shortened. What was changed is told by a warning-free
    line for each, in the attribute `unrolled_changes` of the module.

    The proof: a module that has `save_pretrained` is saved to a temporary folder and loaded by `from_pretrained` in a fresh process;
    its answers on the example have to equal those that were planned, bit for bit. For other modules the same is asked of the
    shortened module. If anything fails the module is put back as it was.

    Args:
        blocks: pairs `(stage, block)`, besides those that `without` left out.
        per_layer: keys of the configuration that are lists of one entry a layer, where that is not clear.
        not_per_layer: keys that are not, although they are as long.

    Raises:
        ModuleError: a block cannot be removed, a key of the configuration is ambiguous, or the proof failed.
    """
    if live.is_applied:
        raise ModuleError("the module was shortened already: wrap it again")
    gone = list(dict.fromkeys([*live.removed, *(live.stages[stage].blocks[block] for stage, block in blocks)]))
    if not gone:
        raise ModuleError("apply: no blocks to remove")
    for block in gone:
        why = why_not_removable(live, block)
        if why:
            raise ModuleError(f"block '{block.name}' cannot be removed: {why}")
    planned = planned_answer(live, gone)
    removal = _Removal(live, gone)
    try:
        removal.run(per_layer, not_per_layer)
        prove(live, planned)
    except BaseException:
        removal.undo()
        raise
    live.caller.is_shortened = True
    live.model.unrolled_changes = removal.changes
    return live.model


class _Removal:
    """The changes to a module, with what is needed to undo them."""

    def __init__(self, live, blocks):
        self.model = live.model
        self.sites = [block.site for block in blocks]
        self.all_sites = live.plan.sites
        self.changes = []
        self.undos = []

    def run(self, per_layer, not_per_layer):
        """Removes the blocks' modules from their containers and adjusts what counts them."""
        containers = {}
        for site in self.sites:
            parent, _, key = site.name.rpartition(".")
            containers.setdefault(parent, []).append((key, site))
        for name, items in containers.items():
            container = self.model.get_submodule(name)
            if isinstance(container, LISTS):
                self._shorten(name, container, [int(key) if key.isdigit() else key for key, _ in items], per_layer, not_per_layer)
            else:
                for key, site in items:
                    self._replace(name, container, key, site)

    def _shorten(self, name, container, keys, per_layer, not_per_layer):
        before = dict(container._modules)
        layers = list(before.values())
        numbers = sorted(list(before).index(str(key)) for key in keys)
        kept = [place for place in range(len(layers)) if place not in numbers]
        renumber = all(key.isdigit() for key in before)

        def undo():
            container._modules.clear()
            container._modules.update(before)

        self.undos.append(undo)
        container._modules.clear()
        for place, old in enumerate(kept):
            container._modules[str(place) if renumber else list(before)[old]] = layers[old]
        if not layers or isinstance(container, torch.nn.Sequential) and not kept:
            self.changes.append(f"{name}: empty")
        self.changes.append(f"{name}: {len(layers)} entries, now {len(kept)}")
        self._renumber(name, layers, kept)
        if hasattr(self.model, "config"):
            edit = ConfigEdit(self.model, name, layers, numbers, per_layer, not_per_layer)
            self.undos.append(edit.undo)
            self.changes.extend(edit.run())

    def _renumber(self, name, layers, kept):
        """Lowers integer attributes that number the layers: those that count up by one along the list."""
        for path, key in _numbering(layers):
            for place, old in enumerate(kept):
                module = _descend(layers[old], path)
                if module is None or key not in vars(module):
                    continue
                value = vars(module)[key]
                self.undos.append(lambda module=module, key=key, value=value: setattr(module, key, value))
                setattr(module, key, value - old + place)
            self.changes.append(f"{name}.*.{path + '.' if path else ''}{key}: renumbered")

    def _replace(self, name, container, key, site):
        before = container._modules[key]
        self.undos.append(lambda: container._modules.__setitem__(key, before))
        container._modules[key] = PassThrough(site.slot, site.template)
        self.changes.append(f"{site.name}: replaced by a module that returns its input")

    def undo(self):
        """Puts the module back as it was."""
        for undo in reversed(self.undos):
            undo()


def _numbering(layers):
    """Returns `(path, attribute)` of the integers in the layers that count up by one along the list."""
    found = {}
    for place, layer in enumerate(layers):
        for path, module in layer.named_modules():
            for key, value in vars(module).items():
                if isinstance(value, int) and not isinstance(value, bool):
                    found.setdefault((path, key), {})[place] = value
    counting = []
    for where, values in found.items():
        offsets = {value - place for place, value in values.items()}
        if len(values) > 1 and len(offsets) == 1:
            counting.append(where)
    return counting


def _descend(layer, path):
    try:
        return layer.get_submodule(path)
    except AttributeError:
        return None

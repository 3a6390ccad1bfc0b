"""The configuration of a Transformers model, made fit for fewer layers by the rules that folders are slimmed by."""

import json
from collections.abc import Mapping

from .. import _native
from ..errors import UnsupportedError
from .errors import ModuleError

_MISSING = object()


class ConfigEdit:
    """Lowers the number of layers in a configuration and adjusts all keys that are about single layers.

    The rules are those of the native module. They are asked about the outermost configuration, which is the one that is saved. A
    part of the model may have a copy of it, such as the encoder of T5: the same keys change there.
    """

    def __init__(self, model, container, layers, removed, per_layer, not_per_layer):
        self.container, self.list, self.configs = container, *_configs(model, container)
        self.count = len(layers)
        self.kept = [place for place in range(self.count) if place not in set(removed)]
        self.per_layer, self.not_per_layer = list(per_layer), list(not_per_layer)
        #: Saving a model writes into its configuration too, such as the name of its class.
        self.before = [(vars(config), dict(vars(config))) for config in self.configs]
        self.undos = []

    def run(self):
        """Makes the changes; returns a line about each.

        Raises ModuleError for a key of which it is not clear whether or how it is about layers.
        """
        if not self.configs:
            return []
        config = json.dumps(self.configs[0].to_dict(), default=str)
        choices = [_paths(json.loads(config), names) for names in (self.not_per_layer, self.per_layer)]
        try:
            changes = _native.config_changes(config, self.list, self.count, self.kept, *choices)
        except UnsupportedError as error:
            raise ModuleError(str(error)) from None
        lines = []
        for path, before, after in changes:
            before, after = json.loads(before), json.loads(after)
            self._change(self.configs[0], path, before, after)
            for copy in self.configs[1:]:
                self._change(copy, path[-1:], before, after)
            lines.append(f"config.{'.'.join(path)}: {_short(before)}, now {_short(after)}")
        return lines

    def undo(self):
        """Puts the configurations back."""
        for undo in reversed(self.undos):
            undo()
        for values, before in self.before:
            values.clear()
            values.update(before)

    def _change(self, config, path, before, after):
        """Sets the value that keys lead to, where it is the one that was expected."""
        for key in path[:-1]:
            config = config.get(key) if isinstance(config, Mapping) else getattr(config, key, None)
        values = config if isinstance(config, Mapping) else getattr(config, "__dict__", {})
        key = path[-1]
        value = values.get(key, _MISSING)
        is_list = isinstance(value, (list, tuple))
        if value is _MISSING or (list(value) if is_list else value) != before:
            return
        self.undos.append(lambda: values.__setitem__(key, value))
        values[key] = type(value)(after) if is_list else after


def _configs(model, container):
    """Returns the name of a list of layers below the outermost module with a configuration, and all configurations on the way to the
    list and in it, the outermost first."""
    path = container.split(".")
    modules = [model.get_submodule(".".join(path[:length])) for length in range(len(path) + 1)]
    on_the_way = [(place, module.config) for place, module in enumerate(modules) if hasattr(getattr(module, "config", None), "to_dict")]
    if not on_the_way:
        return container, []
    inside = [module.config for module in modules[-1].modules() if hasattr(getattr(module, "config", None), "to_dict")]
    found = {id(config): config for config in [*(config for _, config in on_the_way), *inside]}
    return ".".join(path[on_the_way[0][0] :]), list(found.values())


def _paths(config, names, before=""):
    """Returns the keys of these names with the objects that they are in; a name may be that of the key alone."""
    found = list(names) if not before else []
    for key, value in config.items():
        path = before + key
        if key in names and path != key:
            found.append(path)
        if isinstance(value, dict):
            found.extend(_paths(value, names, path + "."))
    return found


def _short(value):
    return f"{len(value)} entries" if isinstance(value, list) and len(value) > 4 else json.dumps(value)

"""The configuration of a Transformers model, made fit for fewer layers."""

import copy
import re

from .errors import ModuleError

#: Names of the number of layers, besides `num_hidden_layers`.
DEPTHS = re.compile(r"^(num|n)_?(hidden_|encoder_|decoder_|transformer_|text_)?layers?$|^(encoder|decoder)_layers$|^depth$")

#: Names of lists that have one entry a layer.
PER_LAYER = re.compile(r"layer|block|attention|attn|pattern|types?$|head|intermediate|ffn|mlp|window|spars|expert|ssm|mamba|rope_layers")

#: Names of lists that never have.
OTHER = re.compile(r"token|label|depths|architect|factor|section|scale|bos|eos|pad|vision_feature|out_|stage|image|kernel|mean|std")


#: Numbers of layers at the beginning that differ from the others. Of a number that is not below the depth all do.
FIRST_LAYERS = ("max_window_layers", "first_k_dense_replace")

#: Numbers that say which layers differ by a period. Removal would move the period, unless a list says which layer is what.
PERIODS = re.compile(r"(pattern|period|interval|_freq|every_n_layers|sparse_step)$")


class ConfigEdit:
    """Lowers the number of layers in a configuration and shortens the lists of one entry a layer."""

    def __init__(self, model, container, layers, removed, per_layer, not_per_layer):
        self.config = _config_of(model, container)
        self.container = container
        self.count = len(layers)
        self.removed = set(removed)
        self.per_layer, self.not_per_layer = set(per_layer), set(not_per_layer)
        self.before = copy.deepcopy(self.config.__dict__) if self.config is not None else {}

    def run(self):
        """Makes the changes; returns a line about each.

        Raises ModuleError for a number or list of which it is not clear whether it counts layers.
        """
        if self.config is None:
            return []
        changes = [self._lower_depth(), *self._lower_first_layers()]
        self._check_periods()
        for key, value in list(vars(self.config).items()):
            if isinstance(value, (list, tuple)) and key not in self.not_per_layer and not key.startswith("_"):
                changes.append(self._shorten(key, value))
        return [change for change in changes if change]

    def _lower_first_layers(self):
        for key in FIRST_LAYERS:
            first = vars(self.config).get(key)
            if isinstance(first, int) and not isinstance(first, bool) and first < self.count:
                kept = first - sum(gone < first for gone in self.removed)
                if kept != first:
                    setattr(self.config, key, kept)
                    yield f"config.{key}: {first}, now {kept}"

    def _check_periods(self):
        if isinstance(vars(self.config).get("layer_types"), (list, tuple)):
            return
        for key, value in vars(self.config).items():
            is_number = isinstance(value, int) and not isinstance(value, bool) and value > 1
            if is_number and PERIODS.search(key) and key not in self.not_per_layer:
                raise ModuleError(
                    f"configuration: '{key}' is {value}, a period of layers that removal would move; say not_per_layer=['{key}'] if it is none"
                )

    def undo(self):
        """Puts the configuration back."""
        if self.config is not None:
            self.config.__dict__.clear()
            self.config.__dict__.update(self.before)

    def _lower_depth(self):
        left = self.count - len(self.removed)
        names = getattr(type(self.config), "attribute_map", {})
        main = names.get("num_hidden_layers", "num_hidden_layers")
        if vars(self.config).get(main) == self.count and not self._is_two_sided():
            found = [main]
        else:
            fitting = [key for key, value in vars(self.config).items() if DEPTHS.match(key) and value == self.count]
            side = "decoder" if "decoder" in self.container else "encoder" if "encoder" in self.container else None
            found = [key for key in fitting if side and side in key] or fitting
            if self._is_two_sided() and side == "encoder" and main in vars(self.config) and main in found:
                found = [main]
        if not found and (staged := self._staged_depth()):
            key, place = staged
            depths = list(vars(self.config)[key])
            depths[place] = left
            setattr(self.config, key, type(vars(self.config)[key])(depths))
            return f"config.{key}[{place}]: {self.count}, now {left}"
        if len(found) != 1:
            what = " or ".join(f"'{key}'" for key in found) or f"no key that is {self.count}"
            raise ModuleError(f"configuration: which key is the number of layers of '{self.container}': {what}?")
        setattr(self.config, found[0], left)
        return f"config.{found[0]}: {self.count}, now {left}"

    def _staged_depth(self):
        """Returns `(key, stage)` of a list of depths, one a stage, whose entry for this container is its number of layers."""
        stage = next((int(part) for part in reversed(self.container.split(".")) if part.isdigit()), None)
        for key, value in vars(self.config).items():
            if stage is not None and "depths" in key and isinstance(value, (list, tuple)) and stage < len(value) and value[stage] == self.count:
                return key, stage
        return None

    def _is_two_sided(self):
        return bool(getattr(self.config, "is_encoder_decoder", False))

    def _shorten(self, key, value):
        if len(value) == self.count and self.count > 1 or key in self.per_layer:
            if len(value) != self.count:
                raise ModuleError(f"configuration: '{key}' has {len(value)} entries, there were {self.count} layers")
            if key not in self.per_layer and OTHER.search(key):
                return None
            if key not in self.per_layer and not PER_LAYER.search(key):
                raise ModuleError(
                    f"configuration: '{key}' is a list of {self.count} entries, as many as layers; say per_layer=['{key}'] or not_per_layer=['{key}']"
                )
            kept = [entry for place, entry in enumerate(value) if place not in self.removed]
            setattr(self.config, key, type(value)(kept))
            return f"config.{key}: {self.count} entries, now {len(kept)}"
        if self._numbers_layers(key, value):
            kept = [n - sum(gone < n for gone in self.removed) for n in value if n not in self.removed]
            setattr(self.config, key, type(value)(kept))
            return f"config.{key}: numbers of layers, now {kept}"
        return None

    def _numbers_layers(self, key, value):
        """Returns whether a list names some layers by their number, such as `mlp_only_layers`."""
        is_named = key.endswith(("_layers", "_layer_ids", "_layer_idx", "_layer_indices"))
        numbers = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < self.count for n in value)
        return is_named and bool(value) and numbers and list(value) == sorted(set(value))


def _config_of(model, container):
    """Returns the configuration of the innermost submodule around the container that has one."""
    path = container.split(".")
    for length in range(len(path), -1, -1):
        module = model.get_submodule(".".join(path[:length]))
        config = getattr(module, "config", None)
        if config is not None and hasattr(config, "to_dict"):
            return config
    return None

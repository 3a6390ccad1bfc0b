"""Whether a module is a block with a skip connection, found by running it."""

import re

import torch
from torch.func import functional_call

from .intercept import evaluating
from .trees import is_equal, is_float, is_same, output_tensor

#: Names that authors give to the projection on a skip connection; decides between children that both could be it.
SHORTCUT_NAMES = re.compile(r"short|down|proj|skip|resid|ident", re.IGNORECASE)


class SkipTest:
    """Tells residual blocks from other modules.

    A block with a skip is `out = shortcut(x) + F(x)`. With all weights (parameters of two or more dimensions) set to zero,
    F no longer depends on x: convolutions, linear layers and attention return constants. If the output still depends on x,
    then x comes through on a path of its own, whatever normalization, gate or activation stands around it. And F has to
    depend on x, which a module that only adds a position embedding does not. For this second question parameters that are
    zero, as authors initialize the end of a branch, are replaced by other values, for the call only.
    Results are kept for each module, since shared modules are called more than once.
    """

    def __init__(self, model):
        self.model = model
        self.known = {}
        self.weights_of = {}
        #: Why the last module that could not be tested could not.
        self.problem = None

    def weights(self, module):
        """Returns the names of a module's weights."""
        if module not in self.weights_of:
            self.weights_of[module] = weights(module)
        return self.weights_of[module]

    def kind(self, call):
        """Returns `"identity"`, `("projection", child name)`, or None for a call that is no block."""
        if call.module not in self.known:
            try:
                self.known[call.module] = self._kind(call)
            except Exception as error:  # a module that cannot be run apart from its network can still be named
                self.known[call.module] = None
                self.problem = f"{call.name}: {type(error).__name__}: {error}"
        return self.known[call.module]

    def _kind(self, call):
        slot, x = call.first_input()
        out = call.result()
        if x is None or x.dim() < 2 or not is_float(out) or out.dtype != x.dtype or out.dim() != x.dim() or x.shape[0] != out.shape[0]:
            return None
        if not self.weights(call.module) or _is_layer(call.module):
            return None
        pair = (x, perturbed(x))
        if x.shape == out.shape and self._keeps_skip(call, slot, pair):
            return "identity"
        child = self._projection(call, slot, pair, out)
        return ("projection", child) if child else None

    def _keeps_skip(self, call, slot, pair):
        zeroed = dict.fromkeys(self.weights(call.module))
        skip = [self.run(call, slot, value, zeroed) for value in pair]
        if is_equal(*skip):
            return False
        real = [self.run(call, slot, value, {}) for value in pair]
        return not is_equal(real[1] - real[0], skip[1] - skip[0])

    def _projection(self, call, slot, pair, out):
        """Returns the name of the child whose weights alone let x through, next to a body that does so without them."""
        children = [name for name, child in call.module.named_children() if self.weights(child)]
        if len(children) < 2:
            return None
        results = {child.module: child.result() for child in call.descendants()}
        found = []
        for name in children:
            result = results.get(call.module.get_submodule(name))
            if result is None or result.shape != out.shape:
                continue
            inside = {key for key in self.weights(call.module) if key.startswith(name + ".")}
            others = set(self.weights(call.module)) - inside
            if self.depends(call, slot, pair, others) and self.depends(call, slot, pair, inside):
                found.append(name)
        size = lambda name: sum(p.numel() for p in call.module.get_submodule(name).parameters())  # noqa: E731
        return min(found, key=lambda name: (not SHORTCUT_NAMES.search(name), size(name)), default=None)

    def depends(self, call, slot, pair, zeroed):
        """Returns whether the output depends on x where the parameters `zeroed` are 0."""
        return not is_equal(*(self.run(call, slot, value, zeroed) for value in pair))

    def run(self, call, slot, x, zeroed):
        """Runs a call again with another estimate and some parameters set to 0."""
        args, kwargs = with_argument(call.args, call.kwargs, slot, x.clone())
        parameters = {}
        for name, value in call.module.named_parameters():
            if name in zeroed:
                parameters[name] = torch.zeros_like(value)
            elif is_float(value) and not value.any():
                parameters[name] = _other_than_zero(value)
        with evaluating(self.model), torch.no_grad():
            return output_tensor(functional_call(call.module, parameters, args, kwargs))


def _is_layer(module):
    """Returns whether a module is one of PyTorch's own layers, which are no blocks."""
    return type(module).__module__.startswith("torch.nn.modules.") and not isinstance(
        module, (torch.nn.Sequential, torch.nn.TransformerEncoderLayer, torch.nn.TransformerDecoderLayer)
    )


def _other_than_zero(value):
    generator = torch.Generator().manual_seed(value.numel())
    noise = torch.randn(value.shape, generator=generator) / max(value.shape[-1] if value.dim() else 1, 1) ** 0.5
    return noise.to(device=value.device, dtype=value.dtype)


def weights(module):
    """Returns the names of the floating-point parameters of two or more dimensions."""
    return [name for name, value in module.named_parameters() if value.dim() >= 2 and is_float(value)]


def perturbed(x):
    """Returns x with a little noise, the same each time and without use of the global random numbers."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    scale = 0.1 * x.detach().float().std().item() or 0.1
    return x + (scale * noise).to(device=x.device, dtype=x.dtype)


def with_argument(args, kwargs, slot, value):
    """Returns `(args, kwargs)` with `value` in a slot."""
    if isinstance(slot, int):
        return (*args[:slot], value, *args[slot + 1 :]), kwargs
    return args, {**kwargs, slot: value}


def inputs_of_child(call, child):
    """Returns the calls inside `call` on which the input of its child `child` depends, apart from the block's own input."""
    _, x = call.first_input()
    inner = [c for c in call.descendants() if c.module is child]
    needed, wanted = [], [c.first_input()[1] for c in inner]
    while wanted:
        tensor = wanted.pop()
        if tensor is None or is_same(tensor, x):
            continue
        source = next((c for c in call.children if is_same(c.result(), tensor) and c not in needed), None)
        if source is not None:
            needed.append(source)
            wanted.extend(value for _, value in source.inputs())
    return needed

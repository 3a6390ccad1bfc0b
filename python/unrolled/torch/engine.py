"""Runs the parts of a module: from its input to the first block, from stage to stage, and from the last block to its output."""

import torch

from .errors import InputChanged, ModuleError
from .intercept import evaluating, intercepted
from .skips import with_argument
from .trees import map_tensors, output_tensor, skeleton, with_output

#: How calls that were made already are answered when the forward runs again: by zeros that take no memory, by zeros, or by
#: the values they returned. The first with which the identity route gives the module's own answer is used.
STAND_INS = ("shapes", "zeros", "values")


class Stop(BaseException):
    """Ends a forward once what was wanted of it is known. No `except Exception` in a module catches it."""


class Context:
    """What a forward was given and what is known of it up to a stage. Estimates refer to it, and it goes with them."""

    __slots__ = ("arguments", "finals", "inputs", "outside")

    def __init__(self, inputs, finals=(), outside=None):
        self.inputs = inputs
        #: The last estimate of each stage before.
        self.finals = finals
        #: Answers of the calls between blocks, by index.
        self.outside = outside or {}
        #: Arguments of the sites of this stage, by index.
        self.arguments = {}


class Estimate:
    """The value that passes from block to block, with the batch that it belongs to."""

    __slots__ = ("context", "tensor")

    def __init__(self, tensor, context):
        self.tensor = tensor
        self.context = context


class Engine:
    """Runs the stem, the parts between stages, blocks and the head of a planned module."""

    def __init__(self, model, caller, plan, stand_ins):
        self.model = model
        self.caller = caller
        self.plan = plan
        self.stand_ins = stand_ins
        self.site_modules = {site.module for site in plan.sites}
        self.modules = list(dict.fromkeys([*(s.module for s in plan.sites), *(o.module for o in plan.outside)]))

    def run(self, inputs, on_site, on_outside):
        """Runs the module's own forward. Calls of sites return `on_site(site, args, kwargs, proceed)`, calls between them
        `on_outside(outside, proceed)`, where `proceed()` makes the call."""
        place, depth = [0, 0], 0
        plan = self.plan

        def handle(module, forward, args, kwargs):
            nonlocal depth
            if depth:
                return forward(*args, **kwargs)

            def proceed():
                nonlocal depth
                depth += 1
                try:
                    return forward(*args, **kwargs)
                finally:
                    depth -= 1

            if module in self.site_modules:
                site = _next(plan.sites, place, 0, module)
                return on_site(site, args, kwargs, proceed)
            return on_outside(_next(plan.outside, place, 1, module), proceed)

        with intercepted(self.modules, handle), evaluating(self.model):
            return self.caller(inputs)

    def stem(self, inputs):
        """Returns the estimate that enters the first block."""
        return self._enter(0, Context(inputs), None)

    def enter_stage(self, stage, estimate):
        """Returns the estimate that enters the first block of a stage, from the last one of the stage before."""
        if stage == 0:
            return estimate
        before = estimate.context
        context = Context(before.inputs, (*before.finals, estimate.tensor), before.outside)
        if self.plan.stages[stage].follows_directly:
            return Estimate(estimate.tensor, context)
        return self._enter(stage, context, ("enter", stage))

    def _enter(self, stage, context, part):
        entered = None
        outside = dict(context.outside)
        first, last = self.plan.first_site(stage), self.plan.last_site(stage)
        finals, check = self._guarded(context.finals, part)

        def on_outside(event, proceed):
            if event.index in context.outside:
                return self._restore(context.outside[event.index])
            output = proceed()
            outside[event.index] = self._store(output)
            return output

        def on_site(site, args, kwargs, proceed):
            nonlocal entered
            if site.stage < stage:
                return with_output(site.template, finals[site.stage])
            if site is first:
                entered = argument(site, args, kwargs)
            arguments[site.index] = without_estimate(site, args, kwargs)
            if site is last or not site.keeps_shape:
                raise Stop
            return _answer(site, argument(site, args, kwargs), proceed)

        arguments = {}
        self._until_stop(context.inputs, on_site, on_outside)
        check()
        entering = Context(context.inputs, context.finals, outside)
        entering.arguments = arguments
        return Estimate(entered, entering)

    def head(self, estimate):
        """Returns what the module returns when all its blocks have been run, the last with `estimate`."""
        context = estimate.context
        finals, check = self._guarded((*context.finals, estimate.tensor), ("head",))

        def on_outside(event, proceed):
            known = context.outside.get(event.index)
            return self._restore(known) if known is not None else proceed()

        output = self.run(context.inputs, lambda site, *_: with_output(site.template, finals[site.stage]), on_outside)
        check()
        return output

    def arguments(self, site, estimate):
        """Returns the arguments of a site for a batch, without the estimate."""
        if not site.has_side_arguments:
            return site.args, site.kwargs
        known = estimate.context.arguments
        if site.index not in known:
            self._find_arguments(site, estimate)
        return known[site.index]

    def _find_arguments(self, wanted, estimate):
        context = estimate.context
        last = self.plan.last_site(wanted.stage)

        def on_outside(event, proceed):
            known = context.outside.get(event.index)
            return self._restore(known) if known is not None else proceed()

        def on_site(site, args, kwargs, proceed):
            if site.stage < wanted.stage:
                return with_output(site.template, context.finals[site.stage])
            if site.index >= wanted.index:
                context.arguments[site.index] = without_estimate(site, args, kwargs)
                if site is last or not site.keeps_shape:
                    raise Stop
            return _answer(site, estimate.tensor, proceed)

        with torch.no_grad():
            self._until_stop(context.inputs, on_site, on_outside)

    def call(self, site, estimate, run=None):
        """Calls a site's module with an estimate; returns the next one's tensor. `run` replaces the call of the module."""
        args, kwargs = self.arguments(site, estimate)
        part = ("site", site.index)
        x = estimate.tensor
        # A leaf that requires gradients must not be changed in place, but a copy may be.
        given = x.clone() if part in self.plan.protected or x.requires_grad else x
        before = version(given)
        args, kwargs = with_argument(args, kwargs, site.slot, given)
        with evaluating(self.model):
            output = (run or site.module)(*args, **kwargs)
        if given is x and version(given) != before:
            raise InputChanged(part)
        return output_tensor(output)

    def _until_stop(self, inputs, on_site, on_outside):
        try:
            self.run(inputs, on_site, on_outside)
        except Stop:
            return
        raise ModuleError("the module returned before all of its blocks were called: another path than on the example")

    def _guarded(self, tensors, part):
        """Returns tensors for a part of the module to read, copies if it changes them; and a check that it did not."""
        if part in self.plan.protected:
            return tuple(tensor.clone() for tensor in tensors), lambda: None
        versions = [version(tensor) for tensor in tensors]

        def check():
            if [version(tensor) for tensor in tensors] != versions:
                raise InputChanged(part)

        return tensors, check

    def _store(self, output):
        if self.stand_ins == "values":
            return map_tensors(lambda tensor: tensor.clone(), output)
        return skeleton(output)

    def _restore(self, stored):
        if self.stand_ins == "shapes":
            return stored
        keep = torch.contiguous_format if self.stand_ins == "zeros" else torch.preserve_format
        return map_tensors(lambda tensor: tensor.clone(memory_format=keep), stored)


def _next(planned, place, which, module):
    """Returns the next planned call and moves on; the forward must make its calls in the order of the example."""
    index = place[which]
    if index >= len(planned) or planned[index].module is not module:
        kind = type(module).__name__
        raise ModuleError(f"the module called a submodule {kind} in another order than on the example: its path depends on the batch")
    place[which] += 1
    return planned[index]


def _answer(site, tensor, proceed):
    """Returns an output of a site with `tensor` as its estimate.

    A site that returns other tensors besides is run for them, since the arguments of later ones may be among them, such as the
    position bias of T5.
    """
    return with_output(proceed() if site.has_more_outputs else site.template, tensor)


def argument(site, args, kwargs):
    """Returns the estimate among the arguments of a site."""
    try:
        return args[site.slot] if isinstance(site.slot, int) else kwargs[site.slot]
    except (IndexError, KeyError):
        raise ModuleError(f"block '{site.name}' was called without its argument {site.slot!r}") from None


def without_estimate(site, args, kwargs):
    """Returns the arguments of a site with None in the place of the estimate, which so is not kept in memory."""
    return with_argument(args, kwargs, site.slot, None)


def version(tensor):
    """Returns a number that changes when a tensor is changed in place."""
    return 0 if tensor.is_inference() else tensor._version

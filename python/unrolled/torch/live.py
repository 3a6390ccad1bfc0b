"""A module that runs block by block."""

import torch

from ..errors import UnsupportedError
from . import outline as outlines
from .answers import unit_loss_gradient
from .batches import encoder_modules, inputs_text
from .engine import Estimate
from .errors import ModuleError
from .source import bind
from .trees import checksum, tensors


class Live:
    """A wrapped module: stem, stages of blocks, and head; what `unrolled.torch.wrap` returns.

    Estimates are objects that hold a tensor and the batch that it belongs to; they stay on the module's device.
    Blocks are addressed by their stage and their place there, both counted from 0. `repr` shows what was found.

    Attributes:
        model: the module.
        stages: the stages with their blocks; each block has a `name`, that of the submodule.
        answer: what the module answers with.
    """

    def __init__(self, model, caller, plan, answer, name, input_shape):
        self.model = model
        self.caller = caller
        self.plan = plan
        self.stages = plan.stages
        self.answer = answer
        self.name = name
        self.input_shape = input_shape
        #: The modules that read the source, in an encoder-decoder network; None in others.
        self.encoder = encoder_modules(model)
        self.engine = None
        self.example = None
        self.other_flops = 0
        self.has_gradients = False
        self.removed = []

    @property
    def is_applied(self):
        """Whether `apply` shortened the module: neither this nor what `without` returned describes it any more."""
        return self.caller.is_shortened

    def __repr__(self):
        if self.is_applied:
            return f"{self.name}, shortened by apply: wrap the module again"
        return outlines.to_text(outlines.outline(self))

    def outline_json(self):
        """Returns the outline as JSON, as the program writes it."""
        return outlines.to_json(outlines.outline(self))

    def fingerprint(self):
        """Returns a checksum of all parameters, buffers and the outline."""
        found = 0
        for tensor in self._tensors():
            found = checksum(tensor, found)
        return checksum(torch.frombuffer(bytearray(self.outline_json().encode()), dtype=torch.uint8), found)

    def bind(self, data, labels=None):
        """Returns the samples of `data` for this module.

        Args:
            data: a DataLoader, or a list of batches as the module takes them. Samples of a map-style loader are those of its
                data set in the order there, so that shuffling does not matter; a sampler, and `drop_last`, are asked once which they
                give. `collate_fn` makes the batches, and its workers read ahead where the loader does not shuffle. A loader is read again
                for every pass, and has to give the same samples each time: each is compared with a checksum. CPU batches of a
                loader are moved to the module's device; other batches have to be there.
            labels: the classes `[n]`, or the class that is right at each position, `[n, positions]`, with -100 where a position
                does not count; otherwise those of the batches, which are read once. In the batches of causal language models of
                Transformers labels stand where their own loss has them: equal to `input_ids`, compared with the answer one
                position before. Batches without labels have these.

        Raises:
            ModuleError: the data cannot be read, a sample is not finite, or labels do not fit.
        """
        if self.is_applied:
            raise ModuleError("the module was shortened by apply: wrap it again")
        present = set(self.model.modules())
        for site in self.plan.sites:
            if site.module not in present:
                raise ModuleError(f"block '{site.name}' was replaced in the module after it was wrapped: wrap it again")
        return bind(self, data, labels)

    def stem(self, batch):
        """Returns the estimate that enters the first stage, for a batch of `bind(...)`, or one as the module takes it."""
        inputs = batch if hasattr(batch, "samples") else self.caller.inputs(batch)
        with _plain(), torch.no_grad():
            try:
                return self.engine.stem(inputs)
            except torch.OutOfMemoryError:
                raise
            except (TypeError, RuntimeError, IndexError) as error:
                given, example = (inputs_text(each) for each in (inputs, self.example))
                raise ModuleError(f"the module does not run on a batch of {given}, as on the example of {example}: {error}") from error

    def enter_stage(self, stage, estimate):
        """Computes what stands between two stages."""
        with _plain(), torch.no_grad():
            return self.engine.enter_stage(stage, estimate)

    def block(self, stage, block, estimate):
        """Runs a block."""
        with _plain(), torch.no_grad():
            return self.run_block(self.stages[stage].blocks[block], estimate)

    def block_activations(self, stage, block, estimate):
        """Runs a block; returns `(h, None, None, estimate)`, where h is what the block adds to its shortcut."""
        found = self.stages[stage].blocks[block]
        after = self.block(stage, block, estimate)
        base = None if found.shortcut == "none" else self.shortcut(stage, block, estimate).tensor
        h = after.tensor if base is None else after.tensor - base
        return Estimate(h, estimate.context), None, None, after

    def shortcut(self, stage, block, estimate):
        """Computes what is left of a block without its body: the estimate itself, or its projection.

        Raises:
            ModuleError: the block changes the shape and has no shortcut.
        """
        with _plain(), torch.no_grad():
            return self._run_shortcut(self.stages[stage].blocks[block], estimate)

    def head(self, estimate):
        """Returns the answers, float32 `[batch, positions, classes]` on the CPU, and which of them count, or None."""
        with _plain(), torch.no_grad():
            rows = self.answer.logits(self.engine.head(estimate))
            rows, mask = self.answer.select(rows, self._answer_mask(rows, estimate))
            values = rows.to(device="cpu", dtype=torch.float32).contiguous()
        return values, None if mask is None else (mask != 0).to(device="cpu", dtype=torch.uint8).contiguous()

    def values(self, estimate):
        """Returns the values, float32 `[batch, units]` on the CPU with the units of a channel side by side, and the number of channels."""
        layout = self._layout(estimate)
        return layout.values(estimate.tensor), layout.channels

    def position_mask(self, estimate):
        """Returns which positions count, uint8 `[batch, positions]`, and their number; None where the batch has no mask, or the
        positions of the estimate are others."""
        mask = self._mask(estimate, self.stages[len(estimate.context.finals)])
        positions = self._layout(estimate).positions
        if mask is None or mask.shape[1] != positions:
            return None
        return (mask != 0).to(device="cpu", dtype=torch.uint8).contiguous(), positions

    def rebuild(self, like, values):
        """Returns an estimate of the shape of `like` from values in the order of `values`."""
        if not isinstance(values, torch.Tensor):
            values = torch.frombuffer(values, dtype=torch.float32)
        return Estimate(self._layout(like).tensor(values, like.tensor), like.context)

    def head_gradient(self, estimate, labels):
        """Returns the gradient of every sample's cross-entropy at the estimate that enters the head, scaled to unit length at
        the logits; None if there are no gradients."""
        if not self.has_gradients:
            return None
        with _plain(), torch.enable_grad():
            x = estimate.tensor.detach().requires_grad_()
            rows = self.answer.logits(self.engine.head(Estimate(x, estimate.context)))
            rows = self.answer.select(rows, self._answer_mask(rows, estimate))[0][:, 0]
            wanted = torch.as_tensor(labels, dtype=torch.int64, device=rows.device)
            direction = unit_loss_gradient(rows, wanted).to(rows.dtype)
            (gradient,) = torch.autograd.grad(rows, x, direction)
        return Estimate(gradient, estimate.context)

    def backward_step(self, kind, stage, block, entering, gradient):
        """Returns the gradient at what entered a step, `"enter"`, `"run"`, `"shortcut"` or `"repeat"`, from that at what left it."""
        if not self.has_gradients:
            return None
        with _plain(), torch.enable_grad():
            x = entering.tensor.detach().requires_grad_()
            before = Estimate(x, entering.context)
            if kind == "enter":
                after = self.engine.enter_stage(stage, before)
            elif kind == "shortcut":
                after = self._run_shortcut(self.stages[stage].blocks[block], before)
            else:
                after = self.run_block(self.stages[stage].blocks[block], before)
            found = torch.autograd.grad(after.tensor, x, gradient.tensor, allow_unused=True)[0]
        return Estimate(torch.zeros_like(x) if found is None else found, entering.context)

    def without(self, blocks):
        """Returns the same network with some blocks left out: names such as `"stage1.block2"`, or `(stage, block)` from 0. It shares
        all parameters, and the module stays as it is; `apply` removes blocks from the module.

        Raises:
            ModuleError: for a block that is not there, or where none would be left.
        """
        from .plan import Stage

        gone = {self._block(block) for block in ([blocks] if isinstance(blocks, str) else blocks)}
        if gone and gone == {block for stage in self.stages for block in stage.blocks}:
            raise ModuleError("blocks: all of them would be left out; one has to stay")
        short = Live.__new__(Live)
        short.__dict__.update(self.__dict__)
        short.stages = [
            Stage([b for b in stage.blocks if b not in gone], stage.layout, stage.entering, stage.follows_directly) for stage in self.stages
        ]
        short.removed = [*self.removed, *gone]
        return short

    def _block(self, wanted):
        """Returns the block of a name such as `stage1.block2`, or of its place `(stage, block)` from 0."""
        names = {f"stage{s + 1}.block{b + 1}": block for s, stage in enumerate(self.stages) for b, block in enumerate(stage.blocks)}
        if isinstance(wanted, tuple) and len(wanted) == 2 and all(isinstance(number, int) for number in wanted):
            wanted = f"stage{wanted[0] + 1}.block{wanted[1] + 1}"
        if not isinstance(wanted, str) or wanted not in names:
            raise ModuleError(f"blocks: no block {wanted!r}; there are {', '.join(list(names)[:4])}{', …' if len(names) > 4 else ''}")
        return names[wanted]

    def why_not_removable(self, stage, block):
        """Returns why a block cannot be removed from the module, or None if it can."""
        from .remove import why_not_removable

        return why_not_removable(self, self.stages[stage].blocks[block])

    def apply(self, blocks=(), **options):
        """Removes blocks `(stage, block)` from the module itself, for good, with those that `without` left out.

        See `unrolled.torch.remove.apply`.

        Returns:
            nn.Module: the module, shorter.
        """
        from .remove import apply

        return apply(self, blocks, **options)

    def save(self, *_, **__):
        """Raises UnsupportedError: a module is saved by its own code."""
        raise UnsupportedError(f"{self.name}: a live module is saved by its own code, as by torch.save, after apply() shortened it")

    def state_bytes(self):
        """Returns the number of bytes of all parameters and buffers."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors())

    def kept_parameters(self):
        """Returns the parameters of the module without those that only blocks left out have."""
        kept = {p for stage in self.stages for b in stage.blocks for m in b.modules for p in m.parameters()}
        gone = {p for b in self.removed for m in b.modules for p in m.parameters()} - kept
        return [p for p in self.model.parameters() if p not in gone]

    def run_block(self, block, estimate):
        """Runs a block, with gradients where they are enabled."""
        return Estimate(self.engine.call(block.site, estimate, block.half), estimate.context)

    def find_gradients(self, inputs):
        """Finds out whether gradients can be computed: one answer of classes, and a head that autograd sees through."""
        self.has_gradients = self.answer.is_one_class and not self.answer.shift
        if not self.has_gradients:
            return
        estimate = self.stem(inputs)
        try:
            for number, stage in enumerate(self.stages):
                estimate = self.enter_stage(number, estimate)
                for place in range(len(stage.blocks)):
                    before, estimate = estimate, self.block(number, place, estimate)
            gradient = self.head_gradient(estimate, [0] * inputs.samples)
            self.backward_step("run", len(self.stages) - 1, len(self.stages[-1].blocks) - 1, before, gradient)
        except RuntimeError:
            self.has_gradients = False

    def _run_shortcut(self, block, estimate):
        if block.shortcut == "none":
            raise ModuleError(f"block '{block.name}' cannot be left out: {outlines.NO_SHORTCUT}")
        if block.projection is None:
            return estimate
        return Estimate(self.engine.call(block.site, estimate, block.projection), estimate.context)

    def _mask(self, estimate, stage):
        """Returns the mask of the positions of a stage, or None."""
        is_source = self.encoder is None or stage.blocks[0].site.module in self.encoder
        return estimate.context.inputs.attention_mask("attention_mask" if is_source else "decoder_attention_mask")

    def _answer_mask(self, rows, estimate):
        """Returns the mask of the answers `[batch, positions, classes]`, which is that of the last stage, or None where it does not fit."""
        mask = self._mask(estimate, self.stages[-1])
        return mask if mask is not None and mask.shape == rows.shape[:2] else None

    def _layout(self, estimate):
        stage = self.stages[len(estimate.context.finals)]
        return stage.layout.of(estimate.tensor, stage.entering)

    def _tensors(self):
        gone = {id(t) for b in self.removed for m in b.modules for t in [*m.parameters(), *m.buffers()]}
        gone -= {id(t) for s in self.stages for b in s.blocks for m in b.modules for t in [*m.parameters(), *m.buffers()]}
        seen = set()
        for tensor in tensors([*self.model.parameters(), *self.model.buffers()]):
            if id(tensor) not in gone and id(tensor) not in seen:
                seen.add(id(tensor))
                yield tensor


def _plain():
    """Leaves inference mode, whose tensors cannot be differentiated or checked for changes in place."""
    return torch.inference_mode(False)

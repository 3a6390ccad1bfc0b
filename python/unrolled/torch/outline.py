"""The outline of a wrapped module: its stages and blocks, as the program describes a network."""

import json

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

#: Why a block that changes the shape and has no projection beside its body cannot be left out.
NO_SHORTCUT = "it changes the shape and has no shortcut"


def outline(live):
    """Returns the outline as a mapping, with the keys of the Rust type `Outline`."""
    plan, model, answer = live.plan, live.model, live.answer
    counted = set()
    before = [p for call in plan.outside if call.after_sites == 0 for p in call.module.parameters()]
    own = [p for module in plan.containing for p in module.parameters(recurse=False)]
    stem = _count([*before, *own], counted)
    stages = []
    for number, stage in enumerate(live.stages):
        blocks = [_block(number, place, block, counted) for place, block in enumerate(stage.blocks)]
        stages.append({"name": f"stage{number + 1}", "shape": list(stage.layout.shape), "blocks": blocks})
    after = [p for call in plan.outside if call.after_sites == len(plan.sites) for p in call.module.parameters()]
    head = _count(after, counted)
    found = {
        "name": live.name,
        "input": live.input_shape,
        "classes": answer.classes,
        "parameters": sum(p.numel() for p in live.kept_parameters()),
        "flops": live.other_flops + sum(block["flops"] for stage in stages for block in stage["blocks"]),
        "stem_parameters": stem,
        "head_parameters": head,
        "is_language_model": False,
        "stages": stages,
    }
    if answer.outline() != {"kind": "classes", "positions": 1, "selected": "all"}:
        found["answer"] = answer.outline()
    return found


def _block(stage, place, block, counted):
    found = {
        "name": f"stage{stage + 1}.block{place + 1}",
        "source_name": block.name,
        "wiring": "residual" if block.has_skip else "plain",
        "body": block.body,
        "shortcut": block.shortcut,
        "parameters": _count((p for module in block.modules for p in module.parameters()), counted),
        "flops": block.flops,
    }
    if block.shortcut == "none":
        found["fixed"] = NO_SHORTCUT
    return found


def _count(parameters, counted):
    """Counts the parameters that are not among `counted`, and adds them there."""
    new = set(parameters) - counted
    counted |= new
    return sum(p.numel() for p in new)


class _FlopCounter(TorchDispatchMode):
    """Counts operations as they run. PyTorch's `FlopCounterMode` also follows modules, by hooks that not every module bears."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        output = function(*args, **(kwargs or {}))
        count = flop_registry.get(function._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=output)
        return output


def flops(run):
    """Runs `run()`; returns its result and the number of its floating-point operations, two for each multiply-add.

    Counted are convolutions, matrix products and attention. A fused transformer layer of PyTorch is run once more as its parts, to be
    counted; recurrent layers count as none.
    """
    with _FlopCounter() as counter:
        result = run()
    if not counter.total and torch.backends.mha.get_fastpath_enabled():
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with _FlopCounter() as counter:
                run()
        finally:
            torch.backends.mha.set_fastpath_enabled(True)
    return result, counter.total


def body_text(call, calls=None, without=None):
    """Returns the layers of a block in the order they run, such as `1x1 64 · 3x3 64 · 1x1 256`.

    With `calls` those of some children, `without` a child of this name.
    """
    parts, left_out = [], set() if without is None else set(call.module.get_submodule(without).modules())
    for inner in call.descendants() if calls is None else (d for c in calls for d in [c, *c.descendants()]):
        if inner.module in left_out:
            continue
        weight = getattr(inner.module, "weight", None)
        if isinstance(inner.module, torch.nn.modules.conv._ConvNd):
            stride = inner.module.stride[0]
            size = "x".join(str(k) for k in inner.module.kernel_size)
            parts.append(f"{size}{f'/{stride}' if stride > 1 else ''} {inner.module.out_channels}")
        elif isinstance(inner.module, torch.nn.MultiheadAttention):
            parts.append(f"attention {inner.module.embed_dim}")
        elif isinstance(weight, torch.Tensor) and weight.dim() == 2 and inner.result() is not None:
            parts.append(str(inner.result().shape[-1]))
    return " · ".join(parts)


def to_json(found):
    """Returns the outline as JSON."""
    return json.dumps(found, ensure_ascii=False)


def to_text(found):
    """Returns the table that `repr` of a wrapped module shows."""
    blocks = [block for stage in found["stages"] for block in stage["blocks"]]
    sizes = "×".join(str(size) for size in found["input"])
    answer = found.get("answer")
    where = f" at each of {answer['positions']} positions" if answer and answer["positions"] > 1 else ""
    lines = [
        found["name"],
        f"input {sizes}, {found['classes']} {_what(answer)}{where}, {_counted(len(found['stages']), 'stage')}, {_counted(len(blocks), 'block')}, "
        f"{found['parameters']:,} parameters, {found['flops']:,} FLOPs a sample",
        "",
    ]
    rows = [("", "name in the module", "shape", "body", "skip", "parameters"), ("stem", "", "", "", "", f"{found['stem_parameters']:,}")]
    for stage in found["stages"]:
        total = sum(block["parameters"] for block in stage["blocks"])
        rows.append((stage["name"], "", "×".join(map(str, stage["shape"])), "", "", f"{total:,}"))
        for block in stage["blocks"]:
            name, body = f"  {block['name']}", block["body"]
            body = body if len(body) <= 40 else body[:39] + "…"
            skip = block["shortcut"] if block["wiring"] != "plain" else "none"
            rows.append((name, block["source_name"], "", body, skip, f"{block['parameters']:,}"))
    rows.append(("head", "", "", "", "", f"{found['head_parameters']:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for place, row in enumerate(rows):
        cells = [cell.ljust(width) if column < 5 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
        if place == 0:
            lines.append("  ".join("─" * width for width in widths))
    return "\n".join(lines)


def _counted(number, what):
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _what(answer):
    return "classes" if answer is None or answer["kind"] == "classes" else f"values ({answer['kind']})"

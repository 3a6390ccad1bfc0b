"""The proof that a shortened module is what was planned: its answers on the example, bit for bit."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from .engine import Estimate
from .errors import ModuleError
from .intercept import inference
from .trees import is_equal

#: What the fresh process runs: a model is loaded by the public function of its class, and answers on stored inputs.
LOADER = """
import importlib, json, sys
import torch
from safetensors.torch import load_file, save_file
folder = sys.argv[1]
job = json.load(open(folder + "/job.json"))
torch.set_num_threads(job["threads"])
cls = getattr(importlib.import_module(job["module"]), job["class"])
options = {"dtype": "auto"}
if job["attention"]:
    options["attn_implementation"] = job["attention"]
model, info = cls.from_pretrained(folder + "/model", output_loading_info=True, **options)
for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
    if info[key]:
        sys.exit(f"{key.replace('_', ' ')}: {sorted(map(str, info[key]))[:3]}")
model = model.eval().to(job["device"])
arrays = {name: array.to(job["device"]) for name, array in load_file(folder + "/inputs.safetensors").items()}
args = [arrays[name] for name in job["args"]]
kwargs = {**job["constants"], **{name: arrays["kwarg." + name] for name in job["kwargs"]}}
with torch.no_grad():
    output = model(*args, **kwargs)
key = job["output"]
if key is None:
    output = output if isinstance(output, torch.Tensor) else output[0]
else:
    output = output[key] if isinstance(output, dict) else getattr(output, key)
save_file({"answer": output.contiguous().cpu()}, folder + "/answer.safetensors")
"""


def planned_answer(live, gone):
    """Returns the answers on the example along the route without some blocks."""
    with torch.inference_mode(False), torch.no_grad():
        estimate = live.engine.stem(live.example)
        for number, stage in enumerate(live.plan.stages):
            estimate = live.engine.enter_stage(number, estimate)
            for block in stage.blocks:
                if block not in gone:
                    estimate = live.run_block(block, estimate)
        return live.answer.logits(live.engine.head(Estimate(estimate.tensor, estimate.context)))


def prove(live, planned):
    """Raises ModuleError unless the shortened module gives the planned answers, also saved and loaded where it can be."""
    with torch.inference_mode(False), inference(live.model):
        try:
            answer = live.answer.logits(live.caller(live.example))
        except (RuntimeError, IndexError, KeyError, AttributeError, TypeError, ValueError) as error:
            raise ModuleError(f"apply: the shortened module does not run ({error}); it was put back as it was") from error
    _compare(answer, planned, "the shortened module")
    if hasattr(live.model, "save_pretrained"):
        with tempfile.TemporaryDirectory() as folder:
            _compare(_reloaded(live, Path(folder)), planned, "the module that was saved and loaded again")


def _compare(answer, planned, what):
    if is_equal(answer.cpu(), planned.cpu()):
        return
    largest = float((answer.cpu().float() - planned.cpu().float()).abs().max()) if answer.shape == planned.shape else None
    by = "has another shape" if largest is None else f"differs from what was planned by up to {largest:.3g}"
    raise ModuleError(f"apply: {what} {by}; the module was put back as it was")


def _reloaded(live, folder):
    """Returns the answers of the saved module in a fresh process."""
    from safetensors.torch import load_file, save_file

    model, inputs = live.model, live.example
    live.model.save_pretrained(folder / "model")
    arrays = {f"arg.{place}": value for place, value in enumerate(inputs.args)}
    kwargs = {name: value for name, value in inputs.kwargs.items() if isinstance(value, torch.Tensor)}
    arrays.update({f"kwarg.{name}": value for name, value in kwargs.items()})
    if not all(isinstance(value, torch.Tensor) for value in arrays.values()):
        raise ModuleError("apply: the example has arguments that are no tensors, which cannot be passed to a fresh process")
    save_file({name: value.detach().cpu().clone().contiguous() for name, value in arrays.items()}, folder / "inputs.safetensors")
    job = {
        "module": type(model).__module__,
        "class": type(model).__qualname__,
        "threads": torch.get_num_threads(),
        "device": str(live.caller.device()),
        "attention": getattr(model.config, "_attn_implementation", None),
        "args": [f"arg.{place}" for place in range(len(inputs.args))],
        "kwargs": list(kwargs),
        "constants": {name: value for name, value in inputs.kwargs.items() if name not in kwargs},
        "output": live.answer.output,
    }
    (folder / "job.json").write_text(json.dumps(job))
    done = subprocess.run([sys.executable, "-c", LOADER, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = (done.stderr.strip() or "no message").splitlines()[-1]
        raise ModuleError(f"apply: the saved module cannot be loaded by {type(model).__name__}.from_pretrained: {why}; the module was put back as it was")
    output = load_file(folder / "answer.safetensors")["answer"]
    return live.answer.logits(output)

"""Compares what the program measures in ONNX graphs with PyTorch, and the files that it slims with ONNX Runtime.

    .venv/bin/python reference/onnx_measures.py DIR [--program target/release/unrolled] [--only NAME]

Needs torch, torchvision, timm, transformers, onnx, onnxruntime, onnxscript. Networks with random weights are exported to DIR
and measured by `unrolled measure --only lesion,influence,estimation`. PyTorch computes the same figures from their
definitions: hooks on the modules of the network read the estimates, or replace what a branch computes by zeros. Two blocks
are then left out with `unrolled slim`; ONNX Runtime runs the written file, PyTorch the network with zeros in these branches.

Prints a Markdown table of the largest errors, relative to the value where that is above 1; that of the slimmed file is
relative to the largest logit. The lowest accuracy and the median loss of the lesions show that the blocks matter. Exit code
1 where an accuracy differs or an error is above 1e-4.
"""

import argparse
import collections
import copy
import json
import logging
import pathlib
import statistics
import subprocess
import sys
import warnings

import numpy as np
import onnxruntime
import torch

SAMPLES = 12
# Figures are accumulated over batches, of which the last is not full.
BATCH = 5
TOLERANCE = 1e-4
ROUNDING = 1e-12
FIGURES = ("accuracy", "loss", "influence", "l2 ratio", "estimation mean", "estimation std")

# `stages` lists the blocks of each stage; `removed` are the blocks to leave out of the file, counted from 1.
Network = collections.namedtuple("Network", "name make inputs stages removed exporters")
# `branch` is the last module of the branch. `before` and `after` say where the values that enter and leave the block are
# read: ("in" or "out", module). `before` is None where the block changes the shape.
Block = collections.namedtuple("Block", "branch before after")
# Exporters: "script" is dynamo=False, "dynamo" is dynamo=True. All others leave the batch free.
FIXED = f"script, batch of {BATCH}"
SCRIPT, BOTH = ("script",), ("script", "dynamo")


def images(side):
    """Smooth patterns of several contrasts, with noise."""

    def make():
        coarse = torch.randn(SAMPLES, 3, 4, 4) * torch.linspace(0.5, 2, SAMPLES)[:, None, None, None]
        smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
        return {"image": smooth + 0.3 * torch.randn(SAMPLES, 3, side, side)}

    return make


def words(masked=None, length=12):
    """Random words, with a mask whose padding is on the "right", on the "left" or on "both" sides."""

    def make():
        inputs = {"input_ids": torch.randint(1, 60, (SAMPLES, length))}
        if masked:
            mask = torch.ones_like(inputs["input_ids"])
            for sample in range(SAMPLES):
                padding = sample % 6
                if padding and (masked == "left" or masked == "both" and sample % 2):
                    mask[sample, :padding] = 0
                elif padding:
                    mask[sample, -padding:] = 0
            inputs["attention_mask"] = mask
        return inputs

    return make


def chain(points, branches):
    """Blocks behind one another, with the points around them."""
    return [Block(branch, before, after) for branch, before, after in zip(branches, points, points[1:])]


def whole_module(name, branch, changes_shape=False):
    return Block(branch, None if changes_shape else ("in", name), ("out", name))


def torchvision_networks():
    import torchvision.models as models

    def row(name, stages, removed, **options):
        make = lambda: getattr(models, name)(num_classes=10, **options)
        return Network(f"torchvision {name}", make, images(64), stages, removed, BOTH)

    def basic(name, changes_shape):
        return whole_module(name, f"{name}.bn2", changes_shape)

    resnet = [[basic(f"layer{s}.{b}", s > 1 and b == 0) for b in (0, 1)] for s in (1, 2, 3, 4)]
    yield row("resnet18", resnet, ("2.1", "3.2"))
    numbers = ([3], [5, 6], [8, 9, 10], [12, 13], [15, 16])
    mobile = [[whole_module(f"features.{i}", f"features.{i}.conv") for i in stage] for stage in numbers]
    yield row("mobilenet_v2", mobile, ("2.1", "3.2"), width_mult=0.5)


def timm_networks():
    import timm

    def row(name, side, stages, removed, exporters=SCRIPT, **options):
        make = lambda: timm.create_model(name, num_classes=10, **options)
        return Network(f"timm {name}", make, images(side), stages, removed, exporters)

    def blocks(name, numbers, changes_shape=False):
        names = [f"{name}.{b}" for b in numbers]
        return [whole_module(block, f"{block}.drop_path", changes_shape and b == 0) for b, block in zip(numbers, names)]

    convnext = [blocks(f"stages.{s}.blocks", range(depth)) for s, depth in enumerate((2, 2, 6, 2))]
    yield row("convnext_atto", 64, convnext, ("1.1", "3.4"), BOTH)

    def two_branches(name, depth, first, second):
        """Blocks of two branches, of which the second begins with norm2."""
        for b in range(depth):
            block, between = f"{name}.{b}", ("in", f"{name}.{b}.norm2")
            yield Block(f"{block}.{first}", ("in", block), between)
            yield Block(f"{block}.{second}", between, ("out", block))

    vit = [list(two_branches("blocks", 4, "drop_path1", "drop_path2"))]
    yield row("vit_tiny_patch16_224", 64, vit, ("1.1", "1.6"), BOTH, img_size=64, depth=4)
    swin = [list(two_branches(f"layers.{s}.blocks", 2, "drop_path1", "drop_path2")) for s in range(4)]
    options = {"img_size": 56, "embed_dim": 24, "num_heads": (1, 2, 4, 8), "depths": (2, 2, 2, 2)}
    yield row("swin_tiny_patch4_window7_224", 56, swin, ("1.3", "3.2"), **options)
    scales = ("layer_scale1", "layer_scale2")
    pool = [list(two_branches(f"stages.{s}.blocks", depth, *scales)) for s, depth in enumerate((2, 2, 6, 2))]
    yield row("poolformer_s12", 64, pool, ("1.1", "3.4"))
    resnet = [blocks(f"stages.{s}.blocks", range(2), changes_shape=True) for s in range(4)]
    options = {"layers": (2, 2, 2, 2), "channels": (64, 128, 256, 512)}
    yield row("resnetv2_50", 64, resnet, ("2.1", "3.2"), ("script", FIXED), **options)
    numbers = ([1], [1], [1, 2], [1, 2], [1, 2, 3])
    efficient = [blocks(f"blocks.{s}", stage) for s, stage in enumerate(numbers, 1)]
    yield row("efficientnet_b0", 64, efficient, ("3.2", "5.1"))


class Answers(torch.nn.Module):
    """A text network that takes its inputs in order and returns logits alone, of a head where it has none."""

    def __init__(self, network, features=None, **options):
        super().__init__()
        self.network, self.options = network, options
        self.answer_head = torch.nn.Linear(features, 8) if features else torch.nn.Identity()

    def forward(self, input_ids, attention_mask=None):
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        answers = self.network(input_ids, attention_mask=attention_mask, return_dict=False, **self.options)[0]
        return self.answer_head(answers)


def transformers_networks():
    import transformers as hub

    eager = {"vocab_size": 64, "attn_implementation": "eager"}
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4}

    def row(name, network, config, inputs, stage, removed, exporters, settings, **options):
        def make():
            return Answers(getattr(hub, network)(getattr(hub, config)(**eager, **settings)), **options)

        return Network(f"transformers {name}", make, inputs, [stage], removed, exporters)

    def modules(layers, *names):
        """Modules of all layers, in the order of the blocks."""
        return [f"network.{layers}.{layer}.{name}" for layer in range(4) for name in names]

    # Normalizations behind the sums: their outputs are the values between the blocks.
    layers = "bert.encoder.layer"
    norms = modules(layers, "attention.output.LayerNorm", "output.LayerNorm")
    points = [("out", name) for name in ("network.bert.embeddings.LayerNorm", *norms)]
    stage = chain(points, modules(layers, "attention.output.dropout", "output.dropout"))
    network = ("BERT, classes", "BertForSequenceClassification", "BertConfig")
    yield row(*network, words("both"), stage, ("1.3", "1.6"), BOTH, {**size, "num_labels": 5})

    layers = "distilbert.transformer.layer"
    norms = modules(layers, "sa_layer_norm", "output_layer_norm")
    points = [("out", name) for name in ("network.distilbert.embeddings.LayerNorm", *norms)]
    stage = chain(points, modules(layers, "attention.out_lin", "ffn"))
    settings = {"dim": 32, "hidden_dim": 48, "n_layers": 4, "n_heads": 4, "num_labels": 5}
    network = ("DistilBERT, labels of words", "DistilBertForTokenClassification", "DistilBertConfig")
    yield row(*network, words("right"), stage, ("1.1", "1.8"), SCRIPT, settings)

    # Normalizations at the beginning of the branches: their inputs are these values.
    layers = "transformer.h"
    points = [("in", name) for name in (*modules(layers, "ln_1", "ln_2"), "network.transformer.ln_f")]
    stage = chain(points, modules(layers, "attn.resid_dropout", "mlp"))
    settings = {"n_embd": 32, "n_layer": 4, "n_head": 4}
    network = ("GPT-2", "GPT2LMHeadModel", "GPT2Config")
    yield row(*network, words(), stage, ("1.2", "1.5"), BOTH, settings, use_cache=False)

    layers = "model.layers"
    norms = modules(layers, "input_layernorm", "post_attention_layernorm")
    points = [("in", name) for name in (*norms, "network.model.norm")]
    stage = chain(points, modules(layers, "self_attn.o_proj", "mlp"))
    settings = {**size, "num_key_value_heads": 2}
    network = ("Llama", "LlamaForCausalLM", "LlamaConfig")
    yield row(*network, words("left"), stage, ("1.3", "1.8"), BOTH, settings, use_cache=False)

    layers = "encoder.block"
    norms = modules(layers, "layer.0.layer_norm", "layer.1.layer_norm")
    points = [("in", name) for name in (*norms, "network.encoder.final_layer_norm")]
    stage = chain(points, modules(layers, "layer.0.dropout", "layer.1.dropout"))
    settings = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 4, "num_heads": 4}
    network = ("T5 encoder", "T5EncoderModel", "T5Config")
    yield row(*network, words("right"), stage, ("1.2", "1.5"), ("script", FIXED), settings, features=32)


def draw_weights(module, inputs):
    """Draws all weights such that every block matters, and takes the statistics of batch normalizations from the samples."""
    for parameter in module.parameters():
        if parameter.dim() == 1:
            parameter.copy_(torch.empty_like(parameter).uniform_(-0.2, 0.2) + (1.0 if (parameter != 0).any() else 0.0))
        else:
            fan_in = parameter[0].numel() if parameter.dim() > 2 else parameter.shape[-1]
            parameter.copy_(torch.randn_like(parameter) * 1.2 / fan_in**0.5)
    normalizations = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for normalization in normalizations:
        normalization.momentum = None
        normalization.train()
    if normalizations:
        module(*inputs.values())
    module.eval()


def export(module, inputs, path, exporter):
    names = {"input_names": list(inputs), "output_names": ["logits"]}
    example = tuple(value[:BATCH] for value in inputs.values())
    if exporter == "dynamo":
        batch = torch.export.Dim("batch", min=2, max=64)
        shapes = tuple({0: batch} for _ in inputs)
        options = {"dynamo": True, "external_data": False, "verbose": False}
        if isinstance(module, Answers):
            shapes = dict(zip(inputs, shapes))
        torch.onnx.export(module, example, str(path), dynamic_shapes=shapes, **names, **options)
    else:
        axes = {} if exporter == FIXED else {name: {0: "batch"} for name in (*inputs, "logits")}
        torch.onnx.export(module, example, str(path), dynamo=False, dynamic_axes=axes, **names)


class Reference:
    """The figures of a network, computed by PyTorch."""

    def __init__(self, module, inputs, stages):
        self.module, self.inputs, self.stages = module, inputs, stages
        self.values = {}
        self.mask = inputs["attention_mask"].bool() if "attention_mask" in inputs else None
        handles = []
        for block in (block for stage in stages for block in stage):
            for point in (block.before, block.after, ("out", block.branch)):
                if point and point not in self.values:
                    self.values[point] = None
                    handles.append(self.hook(point))
        self.logits = self.run()
        for handle in handles:
            handle.remove()

    def hook(self, point):
        """Keeps the value at a point when the network runs."""
        side, name = point
        module = self.module.get_submodule(name)

        def keep(value):
            # Views of one value, with sides [height, width, channels] and [positions, channels], become alike.
            self.values[point] = value.double().flatten(1) if self.mask is None else value.double()

        if side == "in":
            return module.register_forward_pre_hook(lambda _, given: keep(given[0]))
        return module.register_forward_hook(lambda _, given, value: keep(value))

    def run(self, removed=()):
        """The logits, with zeros in the place of what some branches compute."""
        zero = lambda _, given, value: torch.zeros_like(value)
        handles = [self.module.get_submodule(block.branch).register_forward_hook(zero) for block in removed]
        logits = self.module(*self.inputs.values())
        for handle in handles:
            handle.remove()
        return logits

    def answers(self, logits):
        """A row for each answer that counts."""
        logits = logits.double()
        if logits.dim() == 3:
            logits = logits.flatten(0, 1) if self.mask is None else logits[self.mask]
        return logits

    def lesion(self, block):
        whole, lesioned = self.answers(self.logits), self.answers(self.run([block]))
        agreement = (whole.argmax(-1) == lesioned.argmax(-1)).double().mean()
        before, after = whole.log_softmax(-1), lesioned.log_softmax(-1)
        divergence = (before.exp() * (before - after)).sum(-1).mean()
        return {"accuracy": agreement.item(), "loss": divergence.item()}

    def samples(self, point):
        """What counts of the value at a point, sample by sample."""
        value = self.values[point]
        return list(value) if self.mask is None else [sample[mask] for sample, mask in zip(value, self.mask)]

    def influence(self, block):
        pairs = list(zip(self.samples(block.before), self.samples(block.after), self.samples(("out", block.branch))))
        cosine = [torch.dot(a.flatten(), b.flatten()) / (a.norm() * b.norm()) for a, b, _ in pairs]
        ratio = [added.norm() / a.norm() for a, _, added in pairs]
        return {"influence": 1 - statistics.fmean(map(float, cosine)), "l2 ratio": statistics.fmean(map(float, ratio))}

    def estimation(self, block, last):
        errors = self.values[block.after] - self.values[last.after]
        if self.mask is None:
            return {"estimation mean": errors.mean(0).mean().item(), "estimation std": errors.std(0).mean().item()}
        # Every error counts once; a position that one sample has has no deviation.
        columns = [errors[self.mask[:, position], position] for position in range(self.mask.shape[1])]
        several = [column for column in columns if len(column) > 1]
        mean = torch.cat(columns).mean()
        std = sum(len(column) * column.std(0).mean() for column in several) / sum(map(len, several))
        return {"estimation mean": mean.item(), "estimation std": std.item()}

    def figures(self):
        """All figures of every block, by its name and that of the figure."""
        found = {}
        for s, stage in enumerate(self.stages, 1):
            for b, block in enumerate(stage, 1):
                figures = self.lesion(block) | self.estimation(block, stage[-1])
                if block.before:
                    figures |= self.influence(block)
                found |= {(f"stage{s}.block{b}", figure): value for figure, value in figures.items()}
        return found


def program_figures(document):
    names = {
        "lesion": {"accuracy": "accuracy_fraction", "loss": "loss_nats"},
        "influence": {"influence": "block_influence", "l2 ratio": "l2_ratio"},
        "estimation": {"estimation mean": "mean", "estimation std": "std"},
    }
    found = {}
    for measurement, figures in names.items():
        blocks = document[measurement]
        for block, values in blocks.get("influence", blocks).items():
            for figure, name in figures.items():
                value = values[name]
                found[block, figure] = value["value"] if isinstance(value, dict) else value
    return found


def call(program, *arguments):
    run = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=600)
    if run.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {run.stderr.strip()}")
    return run.stdout


def runtime_logits(path, inputs):
    """The logits of ONNX Runtime, in batches of a size that every file takes; the last one is filled up."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rows = []
    for first in range(0, SAMPLES, BATCH):
        taken = np.arange(first, first + BATCH) % SAMPLES
        given = {value.name: inputs[value.name].numpy()[taken] for value in session.get_inputs()}
        rows.append(session.run(None, given)[0])
    return np.concatenate(rows)[:SAMPLES]


def compare(network, exporter, directory, program):
    """Exports one network and returns the cells of its row, and whether everything agrees."""
    torch.manual_seed(0)
    module, inputs = network.make().eval(), network.inputs()
    draw_weights(module, inputs)
    stem = f"{network.name}-{exporter}".replace(",", "").replace(" ", "-")
    path, samples, slimmed = (directory / f"{stem}{ending}" for ending in (".onnx", ".npz", ".slim.onnx"))
    np.savez(samples, **{name: value.numpy() for name, value in inputs.items()})
    reference = Reference(module, inputs, network.stages)
    export(copy.deepcopy(module), inputs, path, exporter)

    options = ("--data", f"arrays:{samples}")
    measurements = ("--only", "lesion,influence,estimation", "--batch", BATCH, "--json")
    document = json.loads(call(program, "measure", path, *options, *measurements))
    found, expected = program_figures(document), reference.figures()
    shape = [len(stage["blocks"]) for stage in document["outline"]["stages"]]
    if found.keys() != expected.keys():
        stages = [len(stage) for stage in network.stages]
        raise RuntimeError(f"{shape} blocks in the stages, not {stages}, or other figures")
    errors, agrees = collections.defaultdict(float), True
    for (block, figure), value in expected.items():
        error = abs(found[block, figure] - value) / max(1.0, abs(value))
        errors[figure] = max(errors[figure], error)
        # Not a number is an error too.
        if not error <= (ROUNDING if figure == "accuracy" else TOLERANCE):
            print(f"{stem}: {block}, {figure}: {found[block, figure]}, PyTorch {value}", file=sys.stderr)
            agrees = False
    losses = [value for (_, figure), value in expected.items() if figure == "loss"]
    agreements = [value for (_, figure), value in expected.items() if figure == "accuracy"]

    names = [tuple(map(int, name.split("."))) for name in network.removed]
    removed = [f"stage{s}.block{b}" for s, b in names]
    slimmed.unlink(missing_ok=True)
    call(program, "slim", path, *options, "--blocks", ",".join(removed), "--out", slimmed)
    logits = reference.run([network.stages[s - 1][b - 1] for s, b in names]).numpy()
    slim_error = np.abs(runtime_logits(slimmed, inputs) - logits).max() / np.abs(logits).max()

    if not slim_error <= TOLERANCE:
        print(f"{stem}: ONNX Runtime and PyTorch differ without {', '.join(removed)}: {slim_error}", file=sys.stderr)
        agrees = False
    # Shares of counts that are equal differ by rounding alone.
    errors["accuracy"] = 0 if errors["accuracy"] <= ROUNDING else errors["accuracy"]
    cells = [f"{error:.0e}" if error else "0" for error in (*(errors[figure] for figure in FIGURES), slim_error)]
    matter = [f"{min(agreements):.0%}".replace("%", " %"), f"{statistics.median(losses):.2g}"]
    return [network.name, exporter, sum(shape), *matter, *cells[:-1], ", ".join(removed), cells[-1]], agrees


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--program", default="target/release/unrolled")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    arguments.directory.mkdir(parents=True, exist_ok=True)
    headings = ("network", "exporter", "blocks", "lowest accuracy", "median loss", *FIGURES, "left out", "slimmed file")
    print("| " + " | ".join(headings) + " |")
    print("|---|---|--:|--:|--:|" + "--:|" * len(FIGURES) + "---|--:|")
    failed = False
    for network in [*torchvision_networks(), *timm_networks(), *transformers_networks()]:
        if arguments.only not in network.name:
            continue
        for exporter in network.exporters:
            try:
                row, agrees = compare(network, exporter, arguments.directory, arguments.program)
            except Exception as error:
                print(f"{network.name}, {exporter}: {type(error).__name__}: {error}", file=sys.stderr)
                failed = True
                continue
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
            failed |= not agrees
    sys.exit(failed)


if __name__ == "__main__":
    main()

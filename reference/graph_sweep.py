"""Lesion sweeps of ONNX files, for `bench.py`: a loop over ONNX Runtime sessions, one for each file without a block.

Networks have random weights in the sizes of ResNet-50 (images of 224), of BERT with six layers, and of GPT-2 (sentences of 32
words). The files without a block are written beforehand, by `unrolled slim`; what is timed is to open each and to run it.
"""

import json
import pathlib
import subprocess

import numpy as np
import onnxruntime
import torch

import onnx_measures

LENGTH = 32
# Samples of a run of ONNX Runtime, the default of `unrolled measure`.
BATCH = 64


def resnet50(samples):
    import torchvision.models as models

    return models.resnet50(num_classes=1000), {"image": torch.randn(samples, 3, 224, 224)}


def text(network, config, samples, words, **settings):
    import transformers as hub

    size = {"vocab_size": words, "attn_implementation": "eager"} | settings
    answers = onnx_measures.Answers(getattr(hub, network)(getattr(hub, config)(**size)))
    return answers, {"input_ids": torch.randint(1, words, (samples, LENGTH))}


# The number of samples, and what makes the network and them.
NETWORKS = {
    "ResNet-50": (64, resnet50),
    "BERT of six layers": (256, lambda n: text("BertForSequenceClassification", "BertConfig", n, 30522, num_hidden_layers=6)),
    "GPT-2": (32, lambda n: text("GPT2LMHeadModel", "GPT2Config", n, 50257, use_cache=False)),
}


class Sweep:
    """An exported network, its samples, and a file without each block that can be left out."""

    def __init__(self, name, directory, program):
        torch.manual_seed(0)
        self.samples, make = NETWORKS[name]
        module, inputs = make(self.samples)
        module.eval()
        with torch.no_grad():
            onnx_measures.draw_weights(module, inputs)
        directory = pathlib.Path(directory, name.replace(" ", "-"))
        directory.mkdir()
        self.path, self.data = directory / "whole.onnx", directory / "samples.npz"
        with torch.no_grad():
            onnx_measures.export(module, inputs, self.path, "script")
        self.inputs = {name: value.numpy() for name, value in inputs.items()}
        np.savez(self.data, **self.inputs)
        shown = subprocess.run([program, "show", self.path, "--json"], check=True, capture_output=True, text=True)
        stages = json.loads(shown.stdout)["stages"]
        self.files = {}
        for block in (block["name"] for stage in stages for block in stage["blocks"]):
            file = directory / f"{block}.onnx"
            command = [program, "slim", self.path, "--data", f"arrays:{self.data}", "--limit", "2", "--blocks", block]
            done = subprocess.run([*command, "--out", file], capture_output=True, text=True)
            if done.returncode == 0:
                self.files[block] = file
            elif not any(why in done.stderr for why in ["cannot be left out", "would be left without blocks"]):
                raise RuntimeError(done.stderr)

    def command(self):
        """The arguments of the program that measures the same."""
        return ["measure", self.path, "--data", f"arrays:{self.data}", "--only", "lesion", "--json"]

    def classes(self, file):
        """The classes that a file answers for every sample."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        rows = []
        for first in range(0, self.samples, BATCH):
            given = {name: value[first : first + BATCH] for name, value in self.inputs.items()}
            rows.append(session.run(None, given)[0].argmax(-1))
        return np.concatenate(rows)

    def run(self):
        """The agreement of each file with the whole network."""
        whole = self.classes(self.path)
        return {block: float((self.classes(file) == whole).mean()) for block, file in self.files.items()}

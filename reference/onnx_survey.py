"""Exports networks whose number of blocks is known, and compares it with the blocks that the program finds.

    .venv/bin/python reference/onnx_survey.py DIR [--program target/release/unrolled] [--only NAME] [--no-export]

Needs torch, torchvision, timm, transformers, onnx, onnxruntime, onnxscript. All weights are random: only the graphs matter.
Each network is exported by both exporters of PyTorch ("script" is dynamo=False, "dynamo" is dynamo=True); some of the files
are converted further: f16 weights ("f16"), static quantization in QDQ form ("qdq"), and dynamic quantization ("dynamic"). Files that exist in DIR are not exported again. The table that is printed is the one in
docs/FORMATS.md: a row for each network, or several where its forms differ.
"""

import argparse
import collections
import json
import logging
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import onnx
import torch

Network = collections.namedtuple("Network", "name make inputs blocks forms")
BOTH = ("script", "dynamo")
QUANTIZED = (*BOTH, "script f16", "script qdq", "script dynamic")


# Why a number differs from the number of blocks.
NOTES = {
    "torchvision densenet121": "concatenates, adds nothing",
    "torchvision squeezenet1_1": "concatenates, adds nothing",
    "timm tiny_vit_5m_224": "a convolution stands between attention and MLP",
    "timm mobilevit_xxs": "18 have patches folded into the batch and a path around them: left out",
    "timm cait_xxs24_224": "4 of class attention: the patches go around",
    "timm xcit_nano_12_p16_224": "2 of class attention are alone in their stages",
    "timm repvit_m0_9": "squeeze and excitation stands between token mixer and MLP",
    "transformers opt": "4 MLPs have positions folded into the batch: left out, the others stand alone",
    "transformers t5": "script: the first block computes what the others take",
}


def image(side):
    return lambda: (torch.randn(2, 3, side, side),)


def words(length=12):
    return lambda: (torch.randint(1, 50, (2, length)),)


def torchvision_networks():
    """Blocks: the sums with a skip in the definition of each network."""
    import torchvision.models as models

    def row(name, blocks, side=64, forms=BOTH, **options):
        return Network(f"torchvision {name}", lambda: getattr(models, name)(weights=None, **options), image(side), blocks, forms)

    yield row("resnet18", 8, forms=QUANTIZED)
    yield row("resnet50", 16)
    yield row("resnext50_32x4d", 16)
    yield row("mobilenet_v2", 10, forms=QUANTIZED)
    yield row("mobilenet_v3_small", 6, forms=QUANTIZED)
    yield row("efficientnet_b0", 9, forms=QUANTIZED)
    yield row("mnasnet0_5", 10)
    yield row("regnet_y_400mf", 16, forms=QUANTIZED)
    yield row("convnext_tiny", 18, forms=QUANTIZED)
    yield row("swin_t", 24)
    yield row("swin_v2_t", 24)
    yield row("densenet121", 0, forms=("script",))
    yield row("squeezenet1_1", 0, forms=("script",))


def timm_networks():
    import timm

    def row(name, blocks, side=64, forms=("script",), **options):
        return Network(f"timm {name}", lambda: timm.create_model(name, **options), image(side), blocks, forms)

    yield row("vit_tiny_patch16_224", 24, forms=QUANTIZED, img_size=64)
    yield row("swin_tiny_patch4_window7_224", 24, 224, BOTH)
    yield row("swinv2_cr_tiny_ns_224", 24, 224, BOTH)
    yield row("davit_tiny", 48, 64, BOTH)
    yield row("tiny_vit_5m_224", 22, 224, BOTH)
    yield row("inception_resnet_v2", 40, 128)
    yield row("poolformer_s12", 24, forms=(*BOTH, "script qdq"))
    yield row("efficientformer_l1", 30, 224, BOTH)
    yield row("mobilevit_xxs", 21, 128, BOTH)
    yield row("resnetv2_50", 16)
    yield row("seresnet50", 16)
    yield row("mixer_s32_224", 16, img_size=64)
    yield row("resmlp_12_224", 24, img_size=64)
    yield row("xcit_nano_12_p16_224", 40)
    yield row("cait_xxs24_224", 52, img_size=64)
    yield row("pvt_v2_b0", 16)
    yield row("convnextv2_atto", 12)
    yield row("edgenext_xx_small", 12, 128)
    yield row("caformer_s18", 36)
    yield row("focalnet_tiny_srf", 24)
    yield row("maxvit_pico_rw_256", 55, 256)
    yield row("mobilenetv4_conv_small", 10)
    yield row("ghostnet_100", 16)
    yield row("levit_128s", 20, 224)
    yield row("repvit_m0_9", 49)


def transformers_networks():
    import transformers as hub

    small = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4, "max_position_embeddings": 64}
    small["attn_implementation"] = "eager"

    class Only(torch.nn.Module):
        """The first output alone, without a cache."""

        def __init__(self, network, options):
            super().__init__()
            self.network, self.options = network, options

        def forward(self, *inputs):
            # Without a mask decoders look for several texts in one row, which the older exporter cannot write.
            mask = {"attention_mask": torch.ones_like(inputs[0])} if self.options else {}
            return self.network(*inputs, return_dict=False, **mask, **self.options)[0]

    def row(name, config, network, blocks, inputs=words(), forms=BOTH, cache=True, **options):
        def make():
            settings = getattr(hub, config)(**{**small, **options})
            return Only(getattr(hub, network)(settings), {"use_cache": False} if cache else {})

        return Network(f"transformers {name}", make, inputs, blocks, forms)

    yield row("llama", "LlamaConfig", "LlamaForCausalLM", 8, num_key_value_heads=2, forms=(*BOTH, "script f16", "script dynamic"))
    yield row("mistral", "MistralConfig", "MistralForCausalLM", 8, num_key_value_heads=2)
    yield row("qwen2", "Qwen2Config", "Qwen2ForCausalLM", 8, num_key_value_heads=2)
    yield row("gemma", "GemmaConfig", "GemmaForCausalLM", 8, num_key_value_heads=2, head_dim=8)
    yield row("phi", "PhiConfig", "PhiForCausalLM", 4)
    yield row("gpt_neox", "GPTNeoXConfig", "GPTNeoXForCausalLM", 4)
    yield row("gpt2", "GPT2Config", "GPT2LMHeadModel", 8, n_embd=32, n_layer=4, n_head=4)
    yield row("opt", "OPTConfig", "OPTForCausalLM", 8, ffn_dim=48, word_embed_proj_dim=32)
    yield row("bert", "BertConfig", "BertForSequenceClassification", 8, forms=QUANTIZED, cache=False)
    yield row("distilbert", "DistilBertConfig", "DistilBertForSequenceClassification", 8, cache=False, dim=32, hidden_dim=48, n_layers=4, n_heads=4)
    yield row("albert", "AlbertConfig", "AlbertForSequenceClassification", 8, cache=False, embedding_size=16)
    yield row("t5", "T5Config", "T5EncoderModel", 8, cache=False, d_model=32, d_kv=8, d_ff=48, num_layers=4, num_heads=4)
    vit = {"image_size": 32, "patch_size": 8}
    yield row("vit", "ViTConfig", "ViTForImageClassification", 8, image(32), cache=False, **vit)


def export(network, path, exporter):
    torch.manual_seed(0)
    module, inputs = network.make().eval(), network.inputs()
    options = {"input_names": ["x"], "output_names": ["y"], "dynamo": exporter == "dynamo"}
    if exporter == "dynamo":
        options.update(external_data=False, verbose=False)
        inputs = tuple(value[:1] for value in inputs)
    else:
        options["dynamic_axes"] = {"x": {0: "batch"}, "y": {0: "batch"}}
    with torch.no_grad():
        torch.onnx.export(module, inputs, str(path), **options)


def convert(source, path, form, inputs):
    from onnxruntime import quantization

    if form == "f16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), path)
        return
    if form == "dynamic":
        quantization.quantize_dynamic(source, path)
        return

    class Samples(quantization.CalibrationDataReader):
        rows = iter([{"x": inputs[0].numpy()}])

        def get_next(self):
            return next(self.rows, None)

    quantization.quantize_static(source, path, Samples(), quant_format=quantization.QuantFormat.QDQ)


def write(network, path, form, directory):
    """Exports or converts a network, where there is no file yet. A form that cannot be written is noted as such."""
    exporter, _, converted = form.partition(" ")
    failed = path.with_suffix(".failed")
    if path.exists() or failed.exists():
        return
    try:
        if converted:
            torch.manual_seed(0)
            convert(directory / f"{network.name} {exporter}.onnx".replace(" ", "-"), path, converted, network.inputs())
        else:
            export(network, path, exporter)
    except Exception as error:
        path.unlink(missing_ok=True)
        failed.write_text(str(error))


def show(program, path):
    """Blocks, stages and removable blocks that the program finds, or what it says instead."""
    run = subprocess.run([program, "show", path, "--json"], capture_output=True, text=True, timeout=300)
    if run.returncode:
        return 0, 0, 0, run.stderr.strip().removeprefix("error: ").removeprefix(f"{path}: ")
    stages = json.loads(run.stdout)["stages"]
    blocks = [block for stage in stages for block in stage["blocks"]]
    return len(blocks), len(stages), sum("fixed" not in block for block in blocks), ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--program", default="target/release/unrolled")
    parser.add_argument("--only", default="")
    parser.add_argument("--no-export", action="store_true")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    arguments.directory.mkdir(parents=True, exist_ok=True)
    print("| network | forms | blocks | found | stages | removable | |\n|---|---|--:|--:|--:|--:|---|")
    for network in [*torchvision_networks(), *timm_networks(), *transformers_networks()]:
        if arguments.only not in network.name:
            continue
        rows = {}
        for form in network.forms:
            path = arguments.directory / f"{network.name} {form}.onnx".replace(" ", "-")
            if not arguments.no_export:
                write(network, path, form, arguments.directory)
            if not path.exists():
                print(f"{path.name}: not exported", file=sys.stderr)
                continue
            found = show(arguments.program, path)
            rows.setdefault(found[:3], []).append(form)
            if found[3]:
                print(f"{path.name}: {found[3]}", file=sys.stderr)
        for (found, stages, removable), forms in rows.items():
            note = NOTES.get(network.name, "")
            row = [network.name, ", ".join(forms), network.blocks, found, stages, removable, note]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()

"""Slims folders of Transformers with `unrolled slim`, and compares what from_pretrained makes of them with the module whose
layers were removed by hand: no missing or unexpected keys, and the same outputs bit for bit.

Run: python reference/check_folders.py target/release/unrolled
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers as tf
from folder_fixtures import NETWORKS

VOCABULARY = {"vocab_size": 11, "max_position_embeddings": 16}
SEED = 17


def qwen() -> torch.nn.Module:
    """The layers from the third on attend to a window."""
    return tf.Qwen2ForCausalLM(tf.Qwen2Config(
        **VOCABULARY, hidden_size=8, intermediate_size=12, num_hidden_layers=5, num_attention_heads=2, num_key_value_heads=1,
        use_sliding_window=True, sliding_window=3, max_window_layers=2))


def t5() -> torch.nn.Module:
    return tf.T5ForConditionalGeneration(tf.T5Config(
        vocab_size=11, d_model=8, d_kv=4, d_ff=12, num_layers=3, num_decoder_layers=3, num_heads=2, decoder_start_token_id=0))


def clip() -> torch.nn.Module:
    part = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 3, "num_attention_heads": 2}
    return tf.CLIPModel(tf.CLIPConfig(
        text_config={**part, **VOCABULARY, "bos_token_id": 1, "eos_token_id": 2},
        vision_config={**part, "image_size": 8, "patch_size": 4}, projection_dim=4))


def vit() -> torch.nn.Module:
    return tf.ViTForImageClassification(tf.ViTConfig(
        hidden_size=8, intermediate_size=12, num_hidden_layers=4, num_attention_heads=2, image_size=8, patch_size=4))


def hybrid() -> torch.nn.Module:
    """Layers of linear and of full attention, whose arrays differ."""
    return tf.Qwen3NextForCausalLM(tf.Qwen3NextConfig(
        **VOCABULARY, hidden_size=16, intermediate_size=16, num_hidden_layers=5, num_attention_heads=2, num_key_value_heads=1,
        head_dim=8, linear_key_head_dim=4, linear_value_head_dim=4, linear_num_key_heads=2, linear_num_value_heads=2,
        num_experts=2, num_experts_per_tok=1, moe_intermediate_size=8, shared_expert_intermediate_size=8,
        layer_types=["linear_attention", "full_attention", "linear_attention", "linear_attention", "full_attention"]))


# The network, its list of layers in the module and in the file, the keys of its depth, more options, and sets of layers.
CASES = [
    ("llama", NETWORKS["llama"], "model.layers", "model.layers", ["num_hidden_layers"], [], [[1], [0, 3], [0, 1, 2]]),
    ("gpt2", NETWORKS["gpt2"], "transformer.h", "transformer.h", ["n_layer"], [], [[0], [1, 2]]),
    ("gemma", NETWORKS["gemma"], "model.layers", "model.layers", ["num_hidden_layers"], [], [[0], [2], [1, 3]]),
    ("bert", NETWORKS["bert"], "bert.encoder.layer", "bert.encoder.layer", ["num_hidden_layers"], [], [[0], [2]]),
    ("bart", NETWORKS["bart"], "model.decoder.layers", "model.decoder.layers", ["decoder_layers"], [], [[0], [1]]),
    ("bart", NETWORKS["bart"], "model.encoder.layers", "model.encoder.layers", ["encoder_layers"], [], [[0]]),
    ("experts", NETWORKS["experts"], "model.layers", "model.layers", ["num_hidden_layers"],
     ["--keep-key", "num_nextn_predict_layers"], [[0], [1], [2, 3]]),
    ("qwen", (qwen, "2KB"), "model.layers", "model.layers", ["num_hidden_layers"], [], [[0], [1, 3], [4]]),
    ("t5", (t5, "5GB"), "decoder.block", "decoder.block", ["num_decoder_layers"], [], [[1], [1, 2]]),
    ("clip", (clip, "5GB"), "text_model.encoder.layers", "text_model.encoder.layers", ["text_config.num_hidden_layers"], [],
     [[0], [1, 2]]),
    ("vit", (vit, "5GB"), "vit.layers", "vit.encoder.layer", ["num_hidden_layers"], [], [[0], [1, 3]]),
    ("hybrid", (hybrid, "5GB"), "model.layers", "model.layers", ["num_hidden_layers"], [], [[0], [1, 2], [4]]),
]


def inputs(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    torch.manual_seed(SEED)
    tokens = torch.randint(3, 11, (2, 9))
    pixels = torch.randn(2, 3, 8, 8)
    if isinstance(model, tf.CLIPModel):
        return {"input_ids": tokens, "pixel_values": pixels}
    if isinstance(model, tf.ViTForImageClassification):
        return {"pixel_values": pixels}
    if model.config.is_encoder_decoder:
        return {"input_ids": tokens, "decoder_input_ids": tokens.flip(0), "use_cache": False}
    if isinstance(model, tf.BertForSequenceClassification):
        return {"input_ids": tokens}
    return {"input_ids": tokens, "use_cache": False}


def outputs(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        result = model(**inputs(model))
    return result.logits_per_text if isinstance(model, tf.CLIPModel) else result.logits


def remove(model: torch.nn.Module, path: str, depth_keys: list[str], removed: list[int]) -> None:
    """Removes layers from the module by hand, and from what of its configuration its code reads."""
    parent, name = path.rsplit(".", 1)
    parent = model.get_submodule(parent)
    layers = getattr(parent, name)
    kept = [number for number in range(len(layers)) if number not in removed]
    setattr(parent, name, torch.nn.ModuleList(layers[number] for number in kept))
    for number, layer in enumerate(getattr(parent, name)):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number
    for key in depth_keys:
        *within, last = key.split(".")
        config = model.config
        for part in within:
            config = getattr(config, part)
        setattr(config, last, len(kept))
    configs = {id(config): config for config in [model.config, getattr(parent, "config", model.config)]}.values()
    for config in configs:
        for key in ["layer_types", "mlp_layer_types"]:
            types = getattr(config, key, None)
            if isinstance(types, list) and len(types) == len(layers):
                setattr(config, key, [types[number] for number in kept])


def main() -> None:
    program = pathlib.Path(sys.argv[1]).resolve()
    failures = 0
    for name, (build, shard), in_module, in_file, depth_keys, options, sets in CASES:
        for removed in sets:
            with tempfile.TemporaryDirectory() as directory:
                whole, slim = pathlib.Path(directory, "whole"), pathlib.Path(directory, "slim")
                torch.manual_seed(SEED)
                model = build().eval()
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.add_(0.1 * torch.randn_like(parameter))
                model.save_pretrained(whole, max_shard_size=shard)
                blocks = ",".join(f"{in_file}.{number}" for number in removed)
                command = [program, "slim", whole, "--blocks", blocks, "--out", slim, *options]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    failures += 1
                    print(f"{name} without {removed}: {done.stderr.strip()}")
                    continue
                before = outputs(model)
                remove(model, in_module, depth_keys, removed)
                loaded, info = type(model).from_pretrained(slim, output_loading_info=True)
                keys = {kind: sorted(found) for kind, found in info.items() if found}
                same = torch.equal(outputs(loaded.eval()), outputs(model))
                changed = not torch.equal(before, outputs(model))
                failures += bool(keys) or not same or not changed
                print(f"{name} without {blocks}: {'bit for bit' if same else 'OTHER OUTPUTS'}, "
                      f"{'keys ' + str(keys) if keys else 'all keys'}{'' if changed else ', AND AS BEFORE'}")
    print("failures:", failures)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

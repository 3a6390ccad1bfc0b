"""Writes tests/folders/: tiny networks with random weights, as transformers saves them.

Run: python reference/folder_fixtures.py
"""

import json
import pathlib
import shutil

import torch
import transformers as tf

FOLDERS = pathlib.Path(__file__).parent.parent / "tests" / "folders"
SMALL = {"vocab_size": 11, "max_position_embeddings": 16}


def llama() -> torch.nn.Module:
    config = tf.LlamaConfig(
        **SMALL, hidden_size=8, intermediate_size=12, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1,
        pad_token_id=None, bos_token_id=1, eos_token_id=2, dtype="bfloat16")
    return tf.LlamaForCausalLM(config).to(torch.bfloat16)


def gpt2() -> torch.nn.Module:
    config = tf.GPT2Config(
        vocab_size=11, n_positions=16, n_embd=8, n_layer=3, n_head=2, bos_token_id=1, eos_token_id=2)
    return tf.GPT2LMHeadModel(config)


def gemma() -> torch.nn.Module:
    config = tf.Gemma3TextConfig(
        **SMALL, hidden_size=8, intermediate_size=12, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1,
        head_dim=4, sliding_window=4, layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"])
    return tf.Gemma3ForCausalLM(config)


def bert() -> torch.nn.Module:
    config = tf.BertConfig(
        **SMALL, hidden_size=8, intermediate_size=12, num_hidden_layers=3, num_attention_heads=2, num_labels=3)
    return tf.BertForSequenceClassification(config)


def bart() -> torch.nn.Module:
    config = tf.BartConfig(
        **SMALL, d_model=8, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=8, decoder_ffn_dim=8, pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2,
        forced_eos_token_id=None)
    return tf.BartForConditionalGeneration(config)


def experts() -> torch.nn.Module:
    """A network whose layers differ: the first one is dense, the others have experts."""
    config = tf.DeepseekV3Config(
        **SMALL, hidden_size=8, intermediate_size=12, moe_intermediate_size=4, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=2, n_routed_experts=2, n_group=1, topk_group=1, num_experts_per_tok=1, n_shared_experts=1,
        first_k_dense_replace=1, kv_lora_rank=4, q_lora_rank=4, qk_rope_head_dim=4, v_head_dim=4, qk_nope_head_dim=4)
    return tf.DeepseekV3ForCausalLM(config)


# With the size of its shards: the first network is in several files.
NETWORKS = {
    "llama": (llama, "2KB"), "gpt2": (gpt2, "5GB"), "gemma": (gemma, "5GB"), "bert": (bert, "5GB"), "bart": (bart, "5GB"),
    "experts": (experts, "5GB"),
}


def main() -> None:
    for name, (build, size) in NETWORKS.items():
        torch.manual_seed(17)
        model = build().eval()
        # Biases and scales that begin as zeros and ones would hide that an array went to another place.
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        folder = FOLDERS / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder, max_shard_size=size)
        # The version of transformers that wrote the files does not matter, and would change them with each release.
        for path in [folder / "config.json", folder / "generation_config.json"]:
            if path.exists():
                content = json.loads(path.read_text())
                content.pop("transformers_version", None)
                path.write_text(json.dumps(content, indent=2) + "\n")
        print(name, sum(path.stat().st_size for path in folder.iterdir()), sorted(path.name for path in folder.iterdir()))


if __name__ == "__main__":
    main()

"""Small networks with random weights of a fixed seed, and batches for them."""

import timm
import torch
import torchvision
import transformers

LAYERS = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
DECODER = {**LAYERS, "num_key_value_heads": 2}
HYBRID = ["sliding_attention", "full_attention"] * 2


def text():
    """A batch of three sentences of up to 12 words; the first and last end earlier."""
    ids = torch.randint(3, 100, (3, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, 12, dtype=torch.long)
    mask[0, 8:] = 0
    mask[2, 11:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def images(size=32, count=3):
    """A batch of images."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def build(make):
    """Builds a network with the weights of seed 0, in eval mode; biases and gains differ from layer to layer."""
    torch.manual_seed(0)
    model = make()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def llama(layers=4):
    """A small Llama."""
    return build(lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**DECODER, "num_hidden_layers": layers})))


def gpt2():
    """A small GPT-2."""
    sizes = {"vocab_size": 100, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64, "bos_token_id": 0, "eos_token_id": 1}
    return build(lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)))


def bert():
    """A small BERT with three classes."""
    return build(lambda: transformers.BertForSequenceClassification(transformers.BertConfig(**LAYERS, num_labels=3)))


def qwen2():
    """A small Qwen2."""
    return build(lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**DECODER)))


def qwen3():
    """A small Qwen3 whose layers see a window of 4 words or all, in turn."""
    config = {**DECODER, "head_dim": 8, "use_sliding_window": True, "sliding_window": 4, "layer_types": HYBRID}
    return build(lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**config)))


def gemma3():
    """A small Gemma 3 whose layers see a window of 4 words or all, in turn."""
    config = {**DECODER, "head_dim": 8, "sliding_window": 4, "layer_types": HYBRID}
    return build(lambda: transformers.Gemma3ForCausalLM(transformers.Gemma3TextConfig(**config)))


def t5():
    """The encoder of a small T5, whose first layer computes a position bias for all."""
    sizes = {"vocab_size": 100, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 4, "num_heads": 4}
    return build(lambda: transformers.T5EncoderModel(transformers.T5Config(**sizes)))


def t5_pair():
    """A small T5 with an encoder and a decoder of other depths, and a batch for it."""
    sizes = {"vocab_size": 100, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 4, "num_decoder_layers": 3, "num_heads": 4}
    model = build(lambda: transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, decoder_start_token_id=0)))
    return model, {**text(), "labels": text()["input_ids"][:, :6].contiguous()}


def resnet50():
    """torchvision's ResNet-50."""
    return build(torchvision.models.resnet50)


def convnext():
    """torchvision's ConvNeXt-T."""
    return build(torchvision.models.convnext_tiny)


def vit():
    """torchvision's vision transformer, small."""
    sizes = {"image_size": 32, "patch_size": 8, "num_layers": 4, "num_heads": 2, "hidden_dim": 64, "mlp_dim": 128, "num_classes": 10}
    model = build(lambda: torchvision.models.VisionTransformer(**sizes))
    torch.nn.init.normal_(model.heads.head.weight)  # zero by default
    return model


def swin():
    """torchvision's Swin-T."""
    return build(torchvision.models.swin_t)


def resnetv2():
    """timm's ResNetV2-50."""
    return build(lambda: timm.create_model("resnetv2_50", num_classes=10))


def toy(blocks=3, width=8):
    """A linear layer, residual blocks, and a linear layer."""
    return build(lambda: torch.nn.Sequential(torch.nn.Linear(4, width), *(Residual(width) for _ in range(blocks)), torch.nn.Linear(width, 5)))


class Residual(torch.nn.Module):
    """`x + relu(linear(x))`."""

    def __init__(self, width):
        super().__init__()
        self.linear = torch.nn.Linear(width, width)

    def forward(self, x):
        """Returns the next estimate."""
        return x + self.linear(x).relu()

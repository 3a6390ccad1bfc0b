"""Blocks removed from a module for good: lists, numbers, configuration, the proof, and what happens where it fails."""

import driver
import networks
import pytest
import torch
import transformers
import unrolled as un
from unrolled.torch import ModuleError, wrap

MODELS = ["gpt2", "llama", "bert", "qwen2", "qwen3", "gemma3"]


BIAS = "later blocks take what it computes besides the estimate, such as a position bias"


@pytest.mark.parametrize("name", MODELS)
def test_a_shortened_transformer_is_the_one_planned(name, tmp_path):
    model = getattr(networks, name)()
    live = wrap(model, networks.text())
    planned = driver.answers(live, networks.text(), skip=[(0, 1), (0, 2)])
    assert live.apply([(0, 2), (0, 1)]) is model
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        found = again(**networks.text()).logits
    assert torch.equal(found if found.dim() == 3 else found[:, None], planned)
    assert again.config.num_hidden_layers == 2
    if name in ("qwen3", "gemma3"):
        assert again.config.layer_types == ["sliding_attention", "full_attention"]
        assert any("layer_types" in change for change in model.unrolled_changes)
    if name != "bert":
        numbers = [m.layer_idx for m in model.modules() if hasattr(m, "layer_idx")]
        assert sorted(set(numbers)) == [0, 1], numbers
    with pytest.raises(ModuleError, match="wrap it again"):
        live.apply([(0, 0)])
    assert len(wrap(model, networks.text()).stages[0].blocks) == 2


def test_layers_of_two_kinds_keep_their_kind():
    model = networks.gemma3()
    wrap(model, networks.text()).apply([(0, 0)])
    assert model.config.layer_types == ["full_attention", "sliding_attention", "full_attention"]


def test_t5_keeps_the_layer_that_computes_the_bias_of_all(tmp_path):
    model, batch = networks.t5(), networks.text()
    live = wrap(model, batch)
    assert [live.why_not_removable(0, block) for block in range(4)] == [BIAS, None, None, None]
    with pytest.raises(ModuleError, match=r"'encoder.block.0' cannot be removed: later blocks take"):
        live.apply([(0, 0)])
    planned = driver.answers(live, batch, skip=[(0, 1), (0, 3)])
    live.apply([(0, 1), (0, 3)])
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(**batch).last_hidden_state, planned)
    assert again.config.num_layers == 2 and len(again.encoder.block) == 2


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_each_side_of_t5_has_a_number_of_layers(side):
    """Both sides have a copy of the configuration; the one of the whole model is saved."""
    model, batch = networks.t5_pair()
    live = wrap(model, batch, blocks=getattr(model, side).block)
    assert live.why_not_removable(0, 0) == BIAS
    live.apply([(0, 1)])
    depths = (model.config.num_layers, model.config.num_decoder_layers)
    assert depths == ((3, 3) if side == "encoder" else (4, 2))
    assert len(getattr(model, side).block) == depths[side == "decoder"]


def test_a_stage_of_swin_is_shortened_with_its_entry_of_depths():
    sizes = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 4], "num_heads": [2, 4], "window_size": 4}
    model = networks.build(lambda: transformers.SwinForImageClassification(transformers.SwinConfig(**sizes, num_labels=3)))
    live = wrap(model, {"pixel_values": networks.images()})
    live.apply([(1, 2), (1, 3)])
    assert list(model.config.depths) == [2, 2]


def test_plain_modules_are_shortened():
    model, batch = networks.toy(4), torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    live = wrap(model, batch)
    planned = driver.answers(live, batch, skip=[(0, 0), (0, 3)])[:, 0]
    short = live.without([(0, 3)])
    assert [block.name for block in short.stages[0].blocks] == ["1", "2", "3"]
    short.apply([(0, 0)])
    assert len(model) == 4 and [name for name, _ in model.named_children()] == ["0", "1", "2", "3"]
    with torch.no_grad():
        assert torch.equal(model(batch), planned)


def test_a_stage_of_a_resnet_is_shortened():
    model, batch = networks.resnet50(), networks.images()
    live = wrap(model, batch)
    planned = driver.answers(live, batch, skip=[(2, 3), (2, 4), (0, 1)])[:, 0]
    live.apply([(0, 1), (2, 4), (2, 3)])
    assert [len(layer) for layer in (model.layer1, model.layer2, model.layer3, model.layer4)] == [2, 4, 4, 3]
    with torch.no_grad():
        assert torch.equal(model(batch), planned)


class Named(torch.nn.Module):
    """Blocks that are attributes of their own."""

    def __init__(self):
        super().__init__()
        self.first, self.second = networks.Residual(4), networks.Residual(4)
        self.out = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.second(self.first(x)))


def test_named_blocks_are_replaced():
    model, batch = networks.build(Named), torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    live = wrap(model, batch)
    planned = driver.answers(live, batch, skip=[(0, 1)])[:, 0]
    live.apply([(0, 1)])
    with torch.no_grad():
        assert torch.equal(model(batch), planned)
    assert sum(p.numel() for p in model.parameters()) == 4 * 4 + 4 + 4 * 3 + 3


class ByNumber(transformers.GPT2LMHeadModel):
    """A class that a fresh process cannot import."""


def state(model):
    return ({k: v.clone() for k, v in model.state_dict().items()}, model.config.to_dict(), [m.layer_idx for m in model.modules() if hasattr(m, "layer_idx")])


def same(one, other):
    return one[1:] == other[1:] and one[0].keys() == other[0].keys() and all(torch.equal(one[0][k], other[0][k]) for k in one[0])


def test_a_failed_proof_puts_the_module_back():
    """A layer that scales by its number computes something else when it is renumbered."""
    sizes = {"vocab_size": 100, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64, "bos_token_id": 0, "eos_token_id": 1}
    config = transformers.GPT2Config(**sizes, scale_attn_by_inverse_layer_idx=True)
    model = networks.build(lambda: transformers.GPT2LMHeadModel(config))
    before = state(model)
    live = wrap(model, networks.text())
    # The configuration tells, and whoever keeps the key learns it from the proof.
    with pytest.raises(ModuleError, match=r"scale_attn_by_inverse_layer_idx: .*not_per_layer=\['scale_attn_by_inverse_layer_idx'\]"):
        live.apply([(0, 1)])
    assert same(state(model), before)
    with pytest.raises(ModuleError, match=r"saved and loaded|put back"):
        live.apply([(0, 1)], not_per_layer=["scale_attn_by_inverse_layer_idx"])
    assert same(state(model), before)
    with torch.no_grad():
        assert torch.equal(driver.answers(live, networks.text()), model(**networks.text()).logits)


def test_what_cannot_be_loaded_is_put_back():
    model = networks.build(lambda: ByNumber(networks.gpt2().config))
    before = state(model)
    with pytest.raises(ModuleError, match="cannot be loaded by ByNumber.from_pretrained"):
        wrap(model, networks.text()).apply([(0, 1)])
    assert same(state(model), before)


def test_an_ambiguous_list_is_an_error_that_names_its_key():
    model = networks.llama()
    model.config.magnitudes = [1.0, 2.0, 3.0, 4.0]
    before = state(model)
    live = wrap(model, networks.text())
    with pytest.raises(ModuleError, match=r"magnitudes: its 4 entries may be one for each layer.*not_per_layer=\['magnitudes'\].*per_layer=\['magnitudes'\]"):
        live.apply([(0, 1)])
    assert same(state(model), before)
    live.apply([(0, 1)], not_per_layer=["magnitudes"])
    assert model.config.magnitudes == [1.0, 2.0, 3.0, 4.0] and model.config.num_hidden_layers == 3
    wrap(model, networks.text()).apply([(0, 1)], not_per_layer=["magnitudes"])
    model.config.magnitudes = [1.0, 2.0]
    wrap(model, networks.text()).apply([(0, 1)], per_layer=["magnitudes"])
    assert model.config.magnitudes == [1.0] and model.config.num_hidden_layers == 1


def test_blocks_that_change_the_shape_stay():
    live = wrap(networks.resnet50(), networks.images())
    assert "shortcut would have to stay" in live.why_not_removable(1, 0)
    assert live.why_not_removable(1, 1) is None
    with pytest.raises(ModuleError, match=r"'layer2.0' cannot be removed: it changes the shape"):
        live.apply([(1, 0)])
    with pytest.raises(ModuleError, match="no blocks to remove"):
        live.apply()


def test_without_leaves_the_module_as_it_is():
    model = networks.llama()
    live = wrap(model, networks.text())
    short = live.without([(0, 1)])
    planned = driver.answers(live, networks.text(), skip=[(0, 1)])
    assert torch.equal(driver.answers(short, networks.text()), planned)
    assert len(model.model.layers) == 4 and len(live.stages[0].blocks) == 4
    layer = sum(p.numel() for p in model.model.layers[1].parameters())
    assert live.state_bytes() - short.state_bytes() == 4 * layer
    assert live.fingerprint() != short.fingerprint()


def test_parts_of_layers_of_transformers_stay():
    """The blocks of XLNet are the parts of its layers, which its configuration cannot leave out; its layers can be named."""
    sizes = {"vocab_size": 100, "d_model": 32, "n_layer": 4, "n_head": 4, "d_inner": 48}
    model = networks.build(lambda: transformers.XLNetForSequenceClassification(transformers.XLNetConfig(**sizes)))
    batch = {"input_ids": networks.text()["input_ids"]}
    with pytest.raises(un.UnsupportedError, match=r"none of its blocks can be left out for good; stage1.block1: it is a part of a layer"):
        un.slim(wrap(model, batch), [batch], remove=1, progress=False)
    with pytest.raises(ModuleError, match="'transformer.layer.0.ff' cannot be removed: it is a part of a layer"):
        wrap(model, batch).apply([(0, 1)])
    assert len(wrap(model, batch, blocks=model.transformer.layer).apply([(0, 1)]).transformer.layer) == 3

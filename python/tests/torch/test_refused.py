"""Modules and requests that are refused, each with one line that says why."""

import pathlib

import driver
import networks
import pytest
import torch
import torchvision
from torch import nn
from unrolled.errors import UnsupportedError
from unrolled.torch import ModuleError, wrap

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


class Stack(nn.Module):
    """Four blocks of a class and a head; `between` is called before each block with its number and the estimate."""

    def __init__(self, block, between=lambda number, x: x, end=lambda xs: xs[-1]):
        super().__init__()
        self.blocks = nn.ModuleList(block() for _ in range(4))
        self.out = nn.Linear(4, 3)
        self.between, self.end = between, end

    def forward(self, x):
        seen = []
        for number, block in enumerate(self.blocks):
            x = block(self.between(number, x))
            seen.append(x)
        return self.out(self.end(seen))


class Changed(networks.Residual):
    """A residual block with another forward."""

    def __init__(self):
        super().__init__(4)


class Dropping(Changed):
    def forward(self, x):
        return x + nn.functional.dropout(self.linear(x))


class Counting(Changed):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x + self.linear(x) * 0.5


class InPlace(Changed):
    def forward(self, x):
        x += self.linear(x).relu()
        return x


class Pair(Changed):
    def forward(self, x, scale=1.0):
        return x + scale * self.linear(x).relu(), {"unused": scale}


class PairStack(Stack):
    def forward(self, x):
        for block in self.blocks:
            x = block(x=x, scale=x.new_tensor(2.0))[0]
        return self.out(x)


def test_blocks_that_change_their_input_get_a_copy():
    model = networks.build(lambda: Stack(InPlace))
    live = wrap(model, X)
    with torch.no_grad():
        assert torch.equal(driver.answers(live, X)[:, 0], model(X.clone()))
    before = driver.route(live, X, last=(0, 0))
    kept = before.tensor.clone()
    live.block(0, 1, before)
    assert torch.equal(before.tensor, kept)


def test_heads_that_change_their_input_get_a_copy():
    model = networks.build(lambda: Stack(Changed, end=lambda xs: xs[-1].relu_()))
    live = wrap(model, X)
    estimate = driver.route(live, X)
    assert torch.equal(live.head(estimate)[0], live.head(estimate)[0])
    assert bool((estimate.tensor < 0).any())


def test_blocks_may_return_tuples_and_take_keywords():
    model = networks.build(lambda: PairStack(Pair))
    live = wrap(model, X)
    assert [block.name for block in live.stages[0].blocks] == [f"blocks.{n}" for n in range(4)]
    with torch.no_grad():
        assert torch.equal(driver.answers(live, X)[:, 0], model(X))


def test_a_module_in_train_mode_is_called_in_eval_mode_and_restored():
    model = networks.build(lambda: nn.Sequential(nn.Linear(4, 4), *(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True) for _ in range(3))))
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(x)
    model.train()
    model[2].eval()
    modes = [module.training for module in model.modules()]
    live = wrap(model, x)
    # A fused kernel of eval mode adds in another order than the layers.
    assert torch.allclose(driver.answers(live, x), expected, atol=1e-6)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stack(Dropping), r"two runs of the module itself differ, first in 'blocks.0'"),
        (lambda: Stack(Counting), r"keeps something between calls.*'blocks.0.calls'"),
        (lambda: Stack(Changed, end=sum), r"reads more than its output, such as what earlier blocks returned"),
        (lambda: torchvision.models.vgg11().features[:6], r"no blocks found.*name the blocks"),
        (lambda: torch.jit.script(networks.toy()), r"a scripted module runs outside of Python"),
    ],
)
def test_modules_that_are_refused(make, message):
    model = networks.build(make) if not isinstance(make(), torch.jit.ScriptModule) else make()
    example = torch.randn(2, 3, 16, 16) if "no blocks" in message else X
    with pytest.raises(ModuleError, match=message):
        wrap(model, example)


def test_blocks_that_are_given():
    model = networks.resnet50()
    x = networks.images()
    names = [["layer1.1", "layer1.2"], ["layer3.2", "layer3.3", "layer3.4"]]
    live = wrap(model, x, blocks=names)
    assert [[block.name for block in stage.blocks] for stage in live.stages] == names
    with torch.no_grad():
        assert torch.equal(driver.answers(live, x)[:, 0], model(x))
    as_modules = wrap(model, x, blocks=[model.layer1, model.layer2])
    assert [len(stage.blocks) for stage in as_modules.stages] == [3, 4]
    flat = wrap(model, x, blocks=[*model.layer3, *model.layer4])
    assert [len(stage.blocks) for stage in flat.stages] == [6, 3]
    llama = networks.llama()
    assert len(wrap(llama, networks.text(), blocks=llama.model.layers).stages[0].blocks) == 4


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "blocks is empty"),
        (["layer9.0"], r"no submodule 'layer9.0'; there are"),
        (["layer1.0", "layer1"], r"block 'layer1.0' is inside block 'layer1'"),
        ([["layer1.1", "layer1.2"], ["layer3.1", "layer3.3"]], r"'layer3.3' does not take the output of 'layer3.1'"),
        ([["layer3.1", "layer3.2"], ["layer1.1", "layer1.2"]], r"not listed in the order in which they run"),
        ([nn.Linear(1, 1)], r"a Linear is no part of the module"),
        ([3], r"a block is a submodule or its name, not a int"),
    ],
)
def test_blocks_that_do_not_fit(blocks, message):
    with pytest.raises(ModuleError, match=message):
        wrap(networks.resnet50(), networks.images(), blocks=blocks)


def test_a_block_that_is_never_called():
    model = networks.toy()
    model.spare = networks.Residual(8)
    model.forward = lambda x: nn.Sequential(*list(model)[:-1])(x)
    with pytest.raises(ModuleError, match="'spare' is not called"):
        wrap(model, X, blocks=["1", "spare"])


def test_another_device_is_an_error_that_names_both():
    model = networks.toy()
    with pytest.raises(ModuleError, match=r"the batch is on meta, the module on cpu"):
        wrap(model, X.to("meta"))


def test_an_example_that_does_not_run():
    with pytest.raises(ModuleError, match=r"does not run on the example \(\[3, 7\]\)"):
        wrap(networks.toy(), torch.zeros(3, 7))
    with pytest.raises(ModuleError, match="contains NaN"):
        wrap(networks.toy(), X * torch.nan)


def test_answers_that_do_not_fit():
    with pytest.raises(ModuleError, match="'angle', expected one of classes, cosine, mse"):
        wrap(networks.toy(), X, answer="angle")
    with pytest.raises(ModuleError, match="unknown key 'kinds'"):
        wrap(networks.toy(), X, answer={"kinds": "mse"})
    with pytest.raises(ModuleError, match="returns no tensor 'hidden'"):
        wrap(networks.llama(), networks.text(), answer={"output": "hidden"})
    with pytest.raises(ModuleError, match="returns one tensor, which has no name 'logits': leave 'output' out"):
        wrap(networks.toy(), X, answer={"output": "logits"})


def test_the_last_position_alone():
    model = networks.llama()
    live = wrap(model, networks.text(), answer={"positions": "last"})
    answers, mask = live.head(driver.route(live, networks.text()))
    with torch.no_grad():
        logits = model(**networks.text()).logits
    assert mask is None and torch.equal(answers[:, 0], logits[torch.arange(3), torch.tensor([7, 11, 10])])


def test_what_was_found_is_shown():
    text = repr(wrap(networks.toy(), X, name="a toy"))
    lines = text.splitlines()
    assert lines[0] == "a toy" and "5 classes, 1 stage, 3 blocks, 301 parameters" in lines[1]
    assert any("stage1.block2" in line and " 2 " in line and "identity" in line for line in lines)
    assert hasattr(text, "splitlines") and len({len(line) for line in lines if "block" in line and "stage1." in line}) == 1


def test_a_single_output_is_no_class():
    model = networks.toy(3)
    model[-1] = torch.nn.Linear(model[-1].in_features, 1)
    x = torch.randn(4, 4)
    assert wrap(model, x).answer.kind == "mse"
    with pytest.raises(ModuleError, match="one output is no class"):
        wrap(model, x, answer="classes")


def test_blocks_are_left_out_by_name_or_place():
    live = wrap(networks.toy(3), torch.randn(4, 4))
    assert [b.name for b in live.without(["stage1.block2"]).stages[0].blocks] == [b.name for b in live.without([(0, 1)]).stages[0].blocks]
    for blocks in ["stage1.block9", [(0, 9)], [(0, 1, 2)], [3]]:
        with pytest.raises(ModuleError, match="no block .*; there are stage1.block1, stage1.block2, stage1.block3"):
            live.without(blocks)
    with pytest.raises(ModuleError, match="one has to stay"):
        live.without([(0, 0), (0, 1), (0, 2)])


def test_the_children_of_a_container_are_the_blocks():
    """Blocks that are containers themselves are no stages."""

    class Outer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = torch.nn.ModuleList(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()) for _ in range(3))

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    model = Outer()
    live = wrap(model, torch.randn(3, 4), blocks=model.blocks)
    assert [block.name for stage in live.stages for block in stage.blocks] == ["blocks.0", "blocks.1", "blocks.2"]
    assert "identity" not in repr(live)


def test_fused_transformer_layers_are_counted():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), nn.Flatten(), nn.Linear(40, 3)).eval()
    live = wrap(model, torch.randn(2, 5, 8))
    blocks = [block for stage in live.stages for block in stage.blocks]
    # Projections in and out, and the two layers of the MLP, at each of 5 positions; products of attention besides.
    assert len(blocks) == 3 and all(block.flops >= 2 * 5 * (4 * 8 * 8 + 2 * 8 * 16) for block in blocks)


@pytest.mark.parametrize(
    ("value", "message"),
    [("folder", "a path is no torch.nn.Module: load it first"), (pathlib.Path("folder"), "a path is no"), ([1], "a list is no torch.nn.Module")],
)
def test_what_is_no_module_is_told(value, message):
    with pytest.raises(ModuleError, match=message):
        wrap(value, X)


@pytest.mark.parametrize("samples", [1, 3])
def test_similarities_of_each_sample_with_each_are_no_answers(samples):
    """As of CLIP, whose first output is `[images, texts]`."""

    class Contrastive(Stack):
        def forward(self, x):
            features = super().forward(x)
            return {"similarity": features @ features.T, "transposed": features @ features.T, "embeds": features}

    model = networks.build(lambda: Contrastive(Changed))
    with pytest.raises(ModuleError, match=rf"output of \[{samples}, {samples}\] has the shape .*answer={{'output': …}}, one of embeds$"):
        wrap(model, X[:samples])
    assert wrap(model, X[:samples], answer={"output": "embeds"}).answer.classes == 3


def test_a_hook_on_a_block_is_told():
    model = networks.toy()
    model[2].register_forward_hook(lambda module, args, output: 0.5 * output)
    with pytest.raises(ModuleError, match="block '2' differs; it has a forward hook, which changes what it returns: remove the hook"):
        wrap(model, X)


def test_a_block_that_was_replaced_is_told():
    model = networks.toy()
    live = wrap(model, X)
    model[2] = nn.Identity()
    with pytest.raises(ModuleError, match="block '2' was replaced in the module after it was wrapped: wrap it again"):
        live.bind([X])


def test_a_live_network_is_not_saved_to_a_file():
    with pytest.raises(UnsupportedError, match=r"saved by its own code, as by torch.save, after apply\(\)"):
        wrap(networks.toy(), X).without("stage1.block2").save("slim.safetensors")

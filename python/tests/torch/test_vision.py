"""Image networks: their blocks are found, and lesions and read-outs equal those by plain hooks."""

import driver
import networks
import plain
import pytest
import torch
from unrolled.torch import wrap

#: Names of the blocks of each stage, as files of these networks have them.
STAGES = {
    "resnet50": [[f"layer{s}.{b}" for b in range(n)] for s, n in ((1, 3), (2, 4), (3, 6), (4, 3))],
    "convnext": [[f"features.{s}.{b}" for b in range(n)] for s, n in ((1, 3), (3, 3), (5, 9), (7, 3))],
    "vit": [[f"encoder.layers.encoder_layer_{b}" for b in range(4)]],
    "swin": [[f"features.{s}.{b}" for b in range(n)] for s, n in ((1, 2), (3, 2), (5, 6), (7, 2))],
    "resnetv2": [[f"stages.{s}.blocks.{b}" for b in range(n)] for s, n in ((0, 3), (1, 4), (2, 6), (3, 3))],
}
SHAPES = {
    "resnet50": [[256, 8, 8], [512, 4, 4], [1024, 2, 2], [2048, 1, 1]],
    "convnext": [[96, 8, 8], [192, 4, 4], [384, 2, 2], [768, 1, 1]],
    "vit": [[64, 17]],
    "swin": [[96, 8, 8], [192, 4, 4], [384, 2, 2], [768, 1, 1]],
    "resnetv2": [[256, 8, 8], [512, 4, 4], [1024, 2, 2], [2048, 1, 1]],
}


@pytest.fixture(scope="module", params=list(STAGES))
def wrapped(request):
    """A network, its name, a batch, and the wrapped network."""
    model, batch = getattr(networks, request.param)(), networks.images()
    return request.param, model, batch, wrap(model, batch)


def lesioned(name, model, block, batch):
    """Returns the answer without a block, by hooks: its input, or what its projection makes of it."""
    module = model.get_submodule(block)

    def shortcut(module, x, output):
        if name == "resnet50" and module.downsample is not None:
            return module.downsample(x).relu()
        if name == "resnetv2" and module.downsample is not None:
            return module.downsample(module.norm1(x))
        return x

    with torch.no_grad(), plain.answered([module], shortcut):
        return model(batch)


def test_stages_and_shapes(wrapped):
    name, _, _, live = wrapped
    assert [[block.name for block in stage.blocks] for stage in live.stages] == STAGES[name]
    assert [list(stage.layout.shape) for stage in live.stages] == SHAPES[name]


def test_the_identity_route_is_the_module(wrapped):
    _, model, batch, live = wrapped
    with torch.no_grad():
        assert torch.equal(driver.answers(live, batch)[:, 0], model(batch))


def test_lesions_equal_hooks(wrapped):
    name, model, batch, live = wrapped
    for stage, block in driver.ids(live):
        expected = lesioned(name, model, STAGES[name][stage][block], batch)
        assert torch.equal(driver.answers(live, batch, skip=[(stage, block)])[:, 0], expected), (stage, block)


def test_read_outs_equal_hooks(wrapped):
    name, model, batch, live = wrapped
    last = len(live.stages) - 1
    names = STAGES[name][last]
    for block in range(len(names)):
        after = [model.get_submodule(module) for module in names[block + 1 :]]
        expected = plain.without(model, after, lambda model: model(batch))
        assert torch.equal(driver.answers(live, batch, last=(last, block))[:, 0], expected), block


def test_values_are_those_of_the_estimates(wrapped):
    name, model, batch, live = wrapped
    for stage, names in enumerate(STAGES[name]):
        modules = [model.get_submodule(module) for module in names]
        expected = plain.estimates(model, modules, lambda model: model(batch))[1:]
        for found, tensor in zip(driver.estimates(live, batch)[stage][1:], expected, strict=True):
            # Channels first; Swin and the vision transformer have them last.
            first = tensor.movedim(-1, 1) if name in ("swin", "vit") else tensor
            assert torch.equal(found, first.flatten(1))


def test_values_come_back(wrapped):
    _, _, batch, live = wrapped
    estimate = driver.route(live, batch)
    values, _ = live.values(estimate)
    again = live.rebuild(estimate, memoryview(bytearray(values.numpy().tobytes())).cast("f"))
    assert torch.equal(again.tensor, estimate.tensor) and torch.equal(live.values(again)[0], values)


def test_block_activations_add_up(wrapped):
    _, _, batch, live = wrapped
    estimate = live.stem(batch)
    for stage in range(len(live.stages)):
        estimate = live.enter_stage(stage, estimate)
        for block in range(len(live.stages[stage].blocks)):
            h, transform, carry, after = live.block_activations(stage, block, estimate)
            base = live.shortcut(stage, block, estimate)
            assert transform is None and carry is None
            assert torch.equal(h.tensor, after.tensor - base.tensor)
            estimate = after

"""Gradients equal those of autograd through the module as a whole."""

import driver
import networks
import pytest
import torch
from unrolled.torch import wrap

#: Two orders of float32 sums through a few layers.
TOLERANCE = 1e-5


def own_gradients(model, modules, run, labels):
    """Returns the gradients at the inputs of some modules, of the cross-entropy whose gradient at the logits has length 1."""
    inputs, handles = [], []

    def keep(module, args, kwargs):
        x = args[0] if args else kwargs["hidden_states"]
        if not x.requires_grad:
            x = x.clone().requires_grad_()
        x.retain_grad()
        inputs.append(x)
        return ((x, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": x})

    handles = [module.register_forward_pre_hook(keep, with_kwargs=True) for module in modules]
    logits = run(model)
    probabilities = logits.detach().softmax(-1)
    direction = probabilities - torch.nn.functional.one_hot(labels, logits.shape[1])
    logits.backward(direction / direction.norm(dim=1, keepdim=True))
    for handle in handles:
        handle.remove()
    return [x.grad for x in inputs]


@pytest.mark.parametrize("name", ["vit", "bert", "toy", "resnetv2"])
def test_gradients_equal_autograd(name):
    model = getattr(networks, name)()
    batch = {"vit": networks.images, "resnetv2": networks.images, "bert": networks.text}.get(name, lambda: torch.ones(3, 4))()
    live = wrap(model, batch)
    assert live.has_gradients
    labels = torch.tensor([0, 2, 1])
    run = (lambda model: model(**batch).logits) if name == "bert" else (lambda model: model(batch))
    modules = [block.site.module for stage in live.stages for block in stage.blocks]
    expected = own_gradients(model, modules, run, labels)

    entering, estimate = [], live.stem(batch)
    for stage in range(len(live.stages)):
        entering.append((("enter", stage, 0), estimate))
        estimate = live.enter_stage(stage, estimate)
        for block in range(len(live.stages[stage].blocks)):
            entering.append((("run", stage, block), estimate))
            estimate = live.block(stage, block, estimate)
    gradient, found = live.head_gradient(estimate, labels.tolist()), []
    for step, before in reversed(entering):
        gradient = live.backward_step(*step, before, gradient)
        if step[0] == "run":
            found.insert(0, gradient.tensor)
    for mine, other in zip(found, expected, strict=True):
        assert float((mine - other).abs().max()) <= TOLERANCE * float(other.abs().max())


def test_the_gradient_of_a_certain_answer_has_a_direction():
    from unrolled.torch.answers import unit_loss_gradient

    gradient = unit_loss_gradient(torch.tensor([[60.0, torch.tensor(3.0).log().item(), 0.0]]), torch.tensor([0]))
    length = (16 + 9 + 1) ** 0.5
    #: The rounding of float32 logits.
    assert torch.allclose(gradient, torch.tensor([[-4.0, 3.0, 1.0]]) / length, atol=1e-6)


def test_shortcuts_have_gradients():
    live = wrap(networks.resnet50(), networks.images())
    estimate = live.stem(networks.images())
    after = live.shortcut(0, 0, estimate)
    gradient = live.backward_step("shortcut", 0, 0, estimate, after)
    assert gradient.tensor.shape == estimate.tensor.shape and bool(gradient.tensor.any())


def test_answers_at_positions_have_none():
    live = wrap(networks.llama(), networks.text())
    assert not live.has_gradients
    assert live.head_gradient(driver.route(live, networks.text()), [0, 0, 0]) is None

"""What `unrolled.measure` and `unrolled.slim` give for live modules equals plain PyTorch with hooks, from the definitions."""

import networks
import plain
import pytest
import torch
import unrolled as un
from torch.utils.data import DataLoader, TensorDataset

#: The answers are equal bit for bit; losses and statistics are sums in f64 here and there, of f32 terms in other orders.
RELATIVE, ABSOLUTE = 1e-5, 1e-7
#: A loss difference is smaller than the losses it comes from, whose f32 softmax is computed in two ways.
LOSS = 2e-6


def close(found, expected, absolute=ABSOLUTE):
    assert found == pytest.approx(expected, rel=RELATIVE, abs=absolute)


def score(logits, labels):
    """Returns accuracy and loss over all labels that count."""
    rows, labels = logits.flatten(0, -2).double(), labels.flatten()
    counts = labels != -100
    rows, labels = rows[counts], labels[counts]
    loss = torch.nn.functional.cross_entropy(rows, labels)
    return float((rows.argmax(1) == labels).double().mean()), float(loss)


@pytest.fixture(scope="module", params=["resnet50", "convnext", "vit", "swin", "resnetv2"])
def vision(request):
    """An image network, its wrapped form, its samples, and what was measured in batches of 4."""
    model = getattr(networks, request.param)()
    images = networks.images(count=10)
    labels = torch.arange(10) % 7
    live = un.torch.wrap(model, images[:2])
    loader = DataLoader(TensorDataset(images, labels), batch_size=4)
    return request.param, model, live, images, labels, un.measure(live, loader, only=["lesion", "estimation", "influence", "readouts"], progress=False)


def stages(live):
    return [[block.site.module for block in stage.blocks] for stage in live.stages]


def answers(model, images):
    """The answers of all samples, in batches of 4 as they were measured."""
    with torch.no_grad():
        return torch.cat([model(part) for part in images.split(4)])


def test_lesions_of_image_networks(vision):
    name, model, live, images, labels, results = vision
    close(results.baseline.loss, score(answers(model, images), labels)[1], LOSS)
    for stage, modules in enumerate(stages(live)):
        for block, module in enumerate(modules):
            if getattr(module, "downsample", None) is not None:
                continue  # a projection; its lesion is compared in test_vision.py
            with plain.answered([module], lambda module, x, output: x):
                accuracy, loss = score(answers(model, images), labels)
            found = results.lesion[f"stage{stage + 1}.block{block + 1}"]
            close(found.accuracy, accuracy)
            close(found.loss, loss, LOSS)


def test_estimates_of_image_networks(vision):
    name, model, live, images, labels, results = vision
    for stage, modules in enumerate(stages(live)):
        parts = [plain.estimates(model, modules, lambda model, part=part: model(part)) for part in images.split(4)]
        values = [torch.cat([part[k] for part in parts]).flatten(1) for k in range(len(modules) + 1)]
        for block, (mean, deviation) in enumerate(plain.estimation_error(values[1:])):
            found = results.estimation[f"stage{stage + 1}.block{block + 1}"]
            close(found.mean, mean)
            close(found.std, deviation)
        for block in range(len(modules)):
            if live.stages[stage].blocks[block].shortcut == "identity":
                (expected,) = plain.influence(values[block : block + 2])
                close(results.influence[f"stage{stage + 1}.block{block + 1}"].block_influence, expected)


def test_read_outs_of_image_networks(vision):
    name, model, live, images, labels, results = vision
    last = stages(live)[-1]
    for block in range(len(last)):
        with plain.answered(last[block + 1 :], lambda module, x, output: x):
            _, loss = score(answers(model, images), labels)
        close(results.readouts[f"stage{len(live.stages)}.block{block + 1}"].head.loss, loss, LOSS)


@pytest.fixture(scope="module", params=["gpt2", "llama", "bert", "qwen2", "qwen3", "gemma3"])
def text(request):
    """A transformer, its wrapped form, its batch with labels, and what was measured."""
    model, batch = getattr(networks, request.param)(), networks.text()
    labels = torch.tensor([0, 2, 1]) if request.param == "bert" else batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    batch["labels"] = labels
    live = un.torch.wrap(model, batch)
    results = un.measure(live, [batch], only=["lesion", "estimation", "influence", "readouts"], progress=False)
    aligned = labels if labels.dim() == 1 else torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], -100)], 1)
    return model, live, aligned, results


def logits(model):
    return model(**networks.text()).logits


def test_lesions_and_read_outs_of_transformers(text):
    model, live, labels, results = text
    (layers,) = stages(live)
    for block, layer in enumerate(layers):
        accuracy, loss = score(plain.without(model, [layer], logits), labels)
        found = results.lesion[f"stage1.block{block + 1}"]
        close(found.accuracy, accuracy)
        close(found.loss, loss, LOSS)
        _, loss = score(plain.without(model, layers[block + 1 :], logits), labels)
        close(results.readouts[f"stage1.block{block + 1}"].head.loss, loss, LOSS)


def test_estimates_of_transformers_skip_masked_positions(text):
    """Deviations are over the samples that have the position; cosines are of a sample's positions that count."""
    model, live, _, results = text
    (layers,) = stages(live)
    mask = networks.text()["attention_mask"].bool()
    values = plain.estimates(model, layers, logits)
    for block in range(len(layers)):
        errors = values[block + 1].double() - values[-1].double()
        units = [errors[mask[:, p], p] for p in range(mask.shape[1]) if mask[:, p].any()]
        found = results.estimation[f"stage1.block{block + 1}"]
        # Every error counts once; a position that one sample has has no deviation.
        close(found.mean, float(torch.cat(units).mean()))
        several = [unit for unit in units if len(unit) > 1]
        deviations = sum(len(unit) * unit.std(0).mean() for unit in several) / sum(map(len, several))
        close(found.std, float(deviations))
        (expected,) = plain.influence([(value * mask[..., None]).flatten(1) for value in values[block : block + 2]])
        close(results.influence[f"stage1.block{block + 1}"].block_influence, expected)


def test_all_measurements_run_on_a_live_module():
    model, x = networks.toy(4), torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    live = un.torch.wrap(model, x[:2])
    results = un.measure(live, [(x, torch.arange(40) % 5)], progress=False)
    expected = {"estimation", "lesion", "shuffle", "influence", "readouts", "ablation", "pairs", "repeats", "iteration", "gradients"}
    assert expected <= set(results.measurements)
    # The cosine of a residual with the negative gradient, averaged over the samples that have both.
    h = model[0](x)
    for block in (1, 2, 3, 4):
        entering = h.detach().requires_grad_()
        h = model[block](entering)
        loss = torch.nn.functional.cross_entropy(model[block:](entering), torch.arange(40) % 5, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, entering)
        residual = (h - entering).detach()
        has_both = residual.any(1) & gradient.any(1)
        cosine = torch.cosine_similarity(residual.double(), -gradient.double(), dim=1)[has_both].mean()
        close(results.gradients[f"stage1.block{block}"], float(cosine), LOSS)


def test_halves_are_measured_as_blocks():
    live = un.torch.wrap(networks.llama(), networks.text(), halves=True)
    results = un.measure(live, [networks.text()], only=["lesion", "influence"], progress=False)
    assert len(results.lesion) == 8


@pytest.mark.parametrize("name", ["llama", "gemma3", "resnet50"])
def test_a_slimmed_module_is_shorter(name):
    model = getattr(networks, name)()
    if name == "resnet50":
        data = [(networks.images(count=12), torch.arange(12))]
    else:
        data = [{key: value.repeat(4, 1) for key, value in networks.text().items()}]
    live = un.torch.wrap(model, data[0] if name == "resnet50" else networks.text())
    before = sum(p.numel() for p in model.parameters())
    slimmed = un.slim(live, data, remove=2, progress=False)
    removed = slimmed.proof.removed
    short = slimmed.apply()
    assert short is model and len(removed) == 2
    again = un.torch.wrap(model, networks.images() if name == "resnet50" else networks.text())
    assert sum(len(stage.blocks) for stage in again.stages) == sum(len(stage.blocks) for stage in live.stages) - 2
    assert sum(p.numel() for p in model.parameters()) < before


class Failing(torch.nn.Module):
    """A block that fails after some calls."""

    def __init__(self):
        super().__init__()
        self.linear, self.left = torch.nn.Linear(8, 8), 10**9

    def forward(self, x):
        self.left -= 1
        if self.left < 0:
            raise LookupError("no more calls")
        return x + self.linear(x).relu()


def test_an_exception_of_the_module_comes_through():
    model = networks.build(lambda: torch.nn.Sequential(torch.nn.Linear(4, 8), Failing(), Failing(), torch.nn.Linear(8, 3)))
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    live = un.torch.wrap(model, x)
    model[2].left = 3
    with pytest.raises(LookupError, match="no more calls"):
        un.measure(live, [x], progress=False)

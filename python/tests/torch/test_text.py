"""Transformers: their layers are found, and lesions, read-outs, errors and influence equal those by plain hooks."""

import driver
import networks
import plain
import pytest
import torch
from unrolled.torch import ModuleError, wrap

LAYERS = {
    "gpt2": "transformer.h",
    "llama": "model.layers",
    "bert": "bert.encoder.layer",
    "qwen2": "model.layers",
    "qwen3": "model.layers",
    "gemma3": "model.layers",
}


@pytest.fixture(scope="module", params=list(LAYERS))
def wrapped(request):
    """A network, its layers, and the wrapped network."""
    model = getattr(networks, request.param)()
    return model, model.get_submodule(LAYERS[request.param]), wrap(model, networks.text())


def logits(model):
    return model(**networks.text()).logits


def rows(answers):
    """The answers as the module has them: without the axis of positions where there is one."""
    return answers[:, 0] if answers.shape[1] == 1 else answers


def test_layers_are_one_stage(wrapped):
    _, layers, live = wrapped
    assert [block.site.module for block in live.stages[0].blocks] == list(layers)
    assert list(live.stages[0].layout.shape) == [32, 12]


def test_lesions_equal_hooks(wrapped):
    model, layers, live = wrapped
    for block, layer in enumerate(layers):
        expected = plain.without(model, [layer], logits)
        assert torch.equal(rows(driver.answers(live, networks.text(), skip=[(0, block)])), expected), block


def test_two_lesions_and_read_outs_equal_hooks(wrapped):
    model, layers, live = wrapped
    two = plain.without(model, [layers[0], layers[2]], logits)
    assert torch.equal(rows(driver.answers(live, networks.text(), skip=[(0, 0), (0, 2)])), two)
    for block in range(len(layers)):
        expected = plain.without(model, list(layers[block + 1 :]), logits)
        assert torch.equal(rows(driver.answers(live, networks.text(), last=(0, block))), expected), block


def test_values_are_channels_then_positions(wrapped):
    model, layers, live = wrapped
    expected = plain.estimates(model, layers, logits)
    for found, tensor in zip(driver.estimates(live, networks.text())[0], expected, strict=True):
        assert torch.equal(found, tensor.transpose(1, 2).flatten(1))


def test_the_mask_is_that_of_the_batch(wrapped):
    _, _, live = wrapped
    mask = networks.text()["attention_mask"]
    estimate = driver.route(live, networks.text())
    found, positions = live.position_mask(estimate)
    assert positions == 12 and torch.equal(found.long(), mask)
    of_answers = live.head(estimate)[1]
    assert (of_answers is None) == (live.answer.positions == 1)
    if of_answers is not None:
        assert torch.equal(of_answers.long(), mask)


def test_other_sizes_of_batches(wrapped):
    """One sample, and the samples in another order: arguments are found anew for each batch."""
    model, layers, live = wrapped
    for order in ([2], [1, 0], [2, 1, 0, 0]):
        batch = {key: value[order] for key, value in networks.text().items()}
        expected = plain.without(model, [layers[1]], lambda model, batch=batch: model(**batch).logits)
        assert torch.equal(rows(driver.answers(live, batch, skip=[(0, 1)])), expected)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3", "qwen3"])
def test_halves_equal_hooks(name):
    """Without its attention half a layer is `x + mlp(norm(x))`; without the other, `x + attention(norm(x))`."""
    model = getattr(networks, name)()
    live = wrap(model, networks.text(), halves=True)
    layers = model.get_submodule(LAYERS[name])
    assert len(live.stages[0].blocks) == 2 * len(layers)
    for place, layer in enumerate(layers):
        branches = {
            "llama": (["self_attn"], ["mlp"]),
            "qwen3": (["self_attn"], ["mlp"]),
            "gpt2": (["attn"], ["mlp"]),
            "gemma3": (["post_attention_layernorm"], ["post_feedforward_layernorm"]),
        }[name]
        for half, names in enumerate(branches):
            modules = [layer.get_submodule(module) for module in names]
            with torch.no_grad(), plain.answered(modules, lambda module, x, output: torch.zeros_like(output)):
                expected = logits(model)
            assert torch.equal(driver.answers(live, networks.text(), skip=[(0, 2 * place + half)]), expected)


def test_layers_of_t5_are_blocks_and_its_sublayers_halves():
    """The sublayers have their own sums; the bias that the first computes stays for the others, also where its sum is left out."""
    model, batch = networks.t5(), networks.text()
    layers = model.encoder.block
    live = wrap(model, batch)
    assert [block.site.module for block in live.stages[0].blocks] == list(layers)
    halves = wrap(model, batch, halves=True)
    sublayers = [sublayer for layer in layers for sublayer in layer.layer]
    assert [block.modules for block in halves.stages[0].blocks] == [[sublayer] for sublayer in sublayers]

    def hidden(model):
        return model(**batch).last_hidden_state

    for wrapped, modules in ((live, layers), (halves, sublayers)):
        for place, module in enumerate(modules):
            expected = plain.without(model, [module], hidden)
            assert torch.equal(driver.answers(wrapped, batch, skip=[(0, place)]), expected), module


def test_halves_of_normalized_sums_are_refused():
    with pytest.raises(ModuleError, match=r"halves: layer 'bert.encoder.layer.0'.*normalized"):
        wrap(networks.bert(), networks.text(), halves=True)


def test_causal_labels_follow_the_loss_of_the_module():
    """The mean cross-entropy at the aligned labels is the loss that the module computes itself."""
    model, batch = networks.llama(), networks.text()
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    live = wrap(model, {**batch, "labels": labels})
    source = live.bind([{**batch, "labels": labels}])
    with torch.no_grad():
        own = model(**batch, labels=labels).loss
    answers = driver.answers(live, source.batch([0, 1, 2]))
    found = torch.nn.functional.cross_entropy(answers.flatten(0, 1), source.labels().flatten(), ignore_index=-100)
    #: Two orders of the same sum of 28 terms in float32.
    assert abs(float(found - own)) < 1e-6
    # The same labels are taken where the batch has none.
    assert torch.equal(wrap(model, batch).bind([batch]).labels(), source.labels())


def test_a_network_without_a_head_answers_with_features():
    import transformers

    model = networks.build(lambda: transformers.BertModel(transformers.BertConfig(**networks.LAYERS)))
    live = wrap(model, networks.text())
    assert (live.answer.kind, live.answer.positions, live.answer.classes) == ("cosine", 12, 32)
    with torch.no_grad():
        assert torch.equal(driver.answers(live, networks.text()), model(**networks.text()).last_hidden_state)
    assert live.bind([networks.text()]).labels() is None


def test_shared_layers_are_blocks_of_their_own():
    import transformers

    model = networks.build(lambda: transformers.AlbertForMaskedLM(transformers.AlbertConfig(**networks.LAYERS, embedding_size=16)))
    live = wrap(model, networks.text())
    assert len(live.stages[0].blocks) == 4 and len({block.site.module for block in live.stages[0].blocks}) == 1
    assert "computes other blocks" in live.why_not_removable(0, 1)
    seen = []

    def second_call(module, x, output):
        seen.append(x)
        return x if len(seen) == 2 else output

    with torch.no_grad(), plain.answered([live.stages[0].blocks[0].site.module], second_call):
        expected = logits(model)
    assert torch.equal(driver.answers(live, networks.text(), skip=[(0, 1)]), expected)

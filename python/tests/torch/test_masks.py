"""Encoder-decoder networks: the mask of the source is none of the target, also where both have one length."""

import networks
import pytest
import torch
import transformers
import unrolled as un
from torch.nn import functional

SAMPLES, LENGTH = 6, 9


def pair(name):
    """A small network, with the stages of encoder and decoder."""
    if name == "t5":
        sizes = {"vocab_size": 100, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_decoder_layers": 2, "num_heads": 4}
        return networks.build(lambda: transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, decoder_start_token_id=0)))
    names = ("layers", "attention_heads", "ffn_dim")
    sizes = {f"{half}_{key}": value for half in ("encoder", "decoder") for key, value in zip(names, (2, 4, 48), strict=True)}
    return networks.build(lambda: transformers.BartForConditionalGeneration(transformers.BartConfig(vocab_size=100, d_model=32, **sizes)))


def batch():
    random = torch.Generator().manual_seed(2)
    ids, labels = (torch.randint(3, 100, (SAMPLES, LENGTH), generator=random) for _ in range(2))
    mask = torch.ones(SAMPLES, LENGTH, dtype=torch.long)
    mask[:, 5:] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def influence(states, mask):
    """The mean of `1 - cos` between two estimates, over the positions that count."""
    first, second = ((state * mask[..., None]).flatten(1).double() for state in states)
    return float((1 - torch.cosine_similarity(first, second)).mean())


@pytest.mark.parametrize("name", ["t5", "bart"])
@pytest.mark.parametrize("has_target_mask", [False, True])
def test_source_and_target_have_masks_of_their_own(name, has_target_mask):
    model, given = pair(name), batch()
    target = torch.ones(SAMPLES, LENGTH, dtype=torch.long)
    if has_target_mask:
        target[:, 7:] = 0
        given["decoder_attention_mask"] = target
    results = un.measure(un.torch.wrap(model, given), [given], only=["lesion", "influence"], progress=False)
    with torch.no_grad():
        output = model(**given, output_hidden_states=True)
    counts = target.bool()
    expected = functional.cross_entropy(output.logits[counts], given["labels"][counts])
    assert results.baseline.loss == pytest.approx(float(expected), rel=1e-6)
    assert results.baseline.positions == int(counts.sum())
    found = [results.influence[f"stage{stage}.block1"].block_influence for stage in (1, 2)]
    wanted = [
        influence(output.encoder_hidden_states[:2], given["attention_mask"]),
        influence(output.decoder_hidden_states[:2], target),
    ]
    # The last digits of cosines near 1 are lost where they are subtracted from it in float32.
    assert found == pytest.approx(wanted, rel=1e-3)


def test_one_half_of_a_pair_has_the_mask_of_its_input():
    encoder = pair("bart").model.encoder
    given = {key: value for key, value in batch().items() if key != "labels"}
    live = un.torch.wrap(encoder, given)
    results = un.measure(live, [given], only="influence", progress=False)
    with torch.no_grad():
        states = encoder(**given, output_hidden_states=True).hidden_states
    wanted = influence(states[:2], given["attention_mask"])
    assert results.influence["stage1.block1"].block_influence == pytest.approx(wanted, rel=1e-3)

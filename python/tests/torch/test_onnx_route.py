"""A live module and the ONNX file that is exported from it are one network: the same blocks, the same figures."""

import warnings

import networks
import pytest
import torch
import unrolled as un

#: Two engines sum in other orders: largest difference of a loss, nats, and of a share of the positions.
CLOSE = 1e-5


class Answers(torch.nn.Module):
    """The logits of a language model, from positional arguments."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits


@pytest.fixture(scope="module")
def llama():
    """A small Llama, its samples, and a label for each position."""
    batch = networks.text()
    labels = torch.randint(0, 100, batch["input_ids"].shape, generator=torch.Generator().manual_seed(3))
    return networks.llama(), batch, labels.masked_fill(batch["attention_mask"] == 0, -100)


def test_lesions_of_a_llama_are_those_of_its_onnx_file(llama, tmp_path):
    model, batch, labels = llama
    path = tmp_path / "llama.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Answers(model),
            (batch["input_ids"], batch["attention_mask"]),
            str(path),
            dynamo=False,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={name: {0: "batch"} for name in ("input_ids", "attention_mask", "logits")},
        )
    arrays = {name: value.numpy() for name, value in batch.items()}
    graph = un.measure(un.open(path, positions="all"), arrays, labels.numpy(), only="lesion", progress=False)
    # The halves of a layer, attention and MLP, are the blocks of the graph.
    live = un.torch.wrap(model, batch, halves=True)
    module = un.measure(live, [batch], labels, only="lesion", progress=False)
    assert list(module.lesion) == list(graph.lesion) and len(graph.lesion) == 8
    assert module.baseline.loss == pytest.approx(graph.baseline.loss, abs=CLOSE)
    for block, lesion in graph.lesion.items():
        found = module.lesion[block]
        assert found.loss == pytest.approx(lesion.loss, abs=CLOSE), block
        assert found.accuracy == pytest.approx(lesion.accuracy, abs=CLOSE), block
    losses = [lesion.loss for lesion in graph.lesion.values()]
    assert max(losses) - min(losses) > 100 * CLOSE, "lesions of different blocks are told apart"

"""Tiny ONNX files whose answers are not one class a sample, with what NumPy computes from them: for `tests/suite/answers.rs`.

`tagger.onnx` answers with classes at every position of a padded sentence, and has an embedding of the sentence as its second
output. `segmenter.onnx` answers with classes at every pixel. Weights are random. `goldens.json` has accuracy and loss of the
whole network and with every block left out, and block influences, all computed here from their definitions.

    python reference/answer_fixtures.py
"""

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

OUT = Path(__file__).parent.parent / "tests" / "answers"
IGNORED = -100
WORDS, WIDTH, CLASSES, LAYERS = 20, 8, 5, 2
POINTWISE = {"kernel_shape": [1, 1], "strides": [1, 1], "dilations": [1, 1], "pads": [0] * 4}


class Graph:
    """Collects the nodes and arrays of a graph."""

    def __init__(self):
        self.nodes, self.arrays = [], []

    def array(self, values, name):
        self.arrays.append(numpy_helper.from_array(values, name))
        return name

    def add(self, op, *inputs, name=None, **attributes):
        output = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def save(self, path, inputs, outputs):
        value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
        graph = helper.make_graph(
            self.nodes, path.stem, [value(*i) for i in inputs], [value(*o) for o in outputs], self.arrays
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        checker.check_model(model)
        save(model, path)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def score(logits, labels):
    """Accuracy and loss over the positions whose label is not -100."""
    counted = labels != IGNORED
    rows, labels = logits[counted], labels[counted]
    chosen = softmax(rows)[np.arange(len(labels)), labels]
    return {"accuracy": float((rows.argmax(-1) == labels).mean()), "loss": float(-np.log(chosen).mean())}


def cosine_distance(estimates, counted):
    """The mean over samples of 1 minus the cosine of neighbouring estimates, over the positions that count."""
    found = []
    for before, after in zip(estimates, estimates[1:]):
        pairs = [(b[c].ravel(), a[c].ravel()) for b, a, c in zip(before, after, counted)]
        found.append(float(np.mean([1 - b @ a / np.sqrt((b @ b) * (a @ a)) for b, a in pairs])))
    return found


def tagger(rng):
    words = rng.normal(size=(WORDS, WIDTH)).astype(np.float32)
    weights = [
        [rng.normal(size=(WIDTH, WIDTH), scale=0.4).astype(np.float32) for _ in range(3)] for _ in range(LAYERS)
    ]
    head = rng.normal(size=(WIDTH, CLASSES)).astype(np.float32)

    graph = Graph()
    x = graph.add("Gather", graph.array(words, "words"), "tokens")
    mask = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    column = graph.add("Unsqueeze", mask, graph.array(np.array([2]), "axis2"))
    row = graph.add("Unsqueeze", mask, graph.array(np.array([1]), "axis1"))
    hidden = graph.add("Sub", graph.array(np.float32(1), "one"), row)
    bias = graph.add("Mul", hidden, graph.array(np.float32(-1e9), "far"))
    for layer, (mix, expand, contract) in enumerate(weights):
        scores = graph.add("Add", graph.add("MatMul", x, graph.add("Transpose", x, perm=[0, 2, 1])), bias)
        mixed = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), x)
        x = graph.add("Add", x, graph.add("MatMul", mixed, graph.array(mix, f"mix{layer}")))
        wide = graph.add("Relu", graph.add("MatMul", x, graph.array(expand, f"expand{layer}")))
        x = graph.add("Add", x, graph.add("MatMul", wide, graph.array(contract, f"contract{layer}")))
    graph.add("MatMul", x, graph.array(head, "head"), name="logits")
    total = graph.add("ReduceSum", graph.add("Mul", x, column), "axis1", keepdims=0)
    norm = graph.add("ReduceL2", total, axes=[1], keepdims=1)
    graph.add("Div", total, norm, name="sentence_embedding")
    free = ["batch", "positions"]
    graph.save(
        OUT / "tagger.onnx",
        [("tokens", TensorProto.INT64, free), ("attention_mask", TensorProto.INT64, free)],
        [
            ("logits", TensorProto.FLOAT, [*free, CLASSES]),
            ("sentence_embedding", TensorProto.FLOAT, ["batch", WIDTH]),
        ],
    )

    def run(tokens, mask, without=None):
        x = words[tokens].astype(np.float64)
        bias = (1.0 - mask[:, None, :]) * -1e9
        estimates = [x]
        for layer, (mix, expand, contract) in enumerate(weights):
            if without != 2 * layer:
                x = x + softmax(x @ x.transpose(0, 2, 1) + bias) @ x @ mix
            estimates.append(x)
            if without != 2 * layer + 1:
                x = x + np.maximum(x @ expand, 0) @ contract
            estimates.append(x)
        pooled = (x * mask[..., None]).sum(1)
        return x @ head, estimates, pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    count, length = 12, 6
    lengths = rng.integers(2, length + 1, size=count)
    mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
    tokens = rng.integers(1, WORDS, size=(count, length))
    logits, estimates, embedding = run(tokens, mask)
    # Mostly what the network says, so that blocks cost something; every fifth label is drawn, and some are ignored.
    labels = logits.argmax(-1)
    drawn = rng.random(labels.shape) < 0.2
    labels[drawn] = rng.integers(0, CLASSES, size=drawn.sum())
    labels[rng.random(labels.shape) < 0.1] = IGNORED
    labels[mask == 0] = IGNORED
    np.savez(OUT / "tagger.npz", tokens=tokens, attention_mask=mask, labels=labels)
    padding = ((0, 0), (0, 4))
    np.savez(
        OUT / "tagger-padded.npz",
        tokens=np.pad(tokens, padding, constant_values=7),
        attention_mask=np.pad(mask, padding),
        labels=np.pad(labels, padding, constant_values=IGNORED),
    )
    np.savez(OUT / "tagger-unlabelled.npz", tokens=tokens, attention_mask=mask)
    # One label a sentence: that of its last word.
    last = labels[np.arange(count), lengths - 1]
    last[last == IGNORED] = 0
    np.savez(OUT / "tagger-last.npz", tokens=tokens, attention_mask=mask, labels=last)
    at_last = lambda logits: logits[np.arange(count), lengths - 1]
    without = [run(tokens, mask, block) for block in range(2 * LAYERS)]
    return {
        "whole": score(logits, labels),
        "lesions": [score(logits, labels) for logits, _, _ in without],
        "influence": cosine_distance(estimates, mask == 1),
        "last": score(at_last(logits), last),
        "second": score(logits[:, 1], labels[:, 1]),
        "embedding_lesions": [
            float(np.mean(1 - (embedding * other).sum(1))) for _, _, other in without
        ],
        "positions": int((labels != IGNORED).sum()),
    }


def segmenter(rng):
    first = rng.normal(size=(4, 1, 1, 1)).astype(np.float32)
    blocks = [rng.normal(size=(4, 4, 1, 1), scale=0.5).astype(np.float32) for _ in range(3)]
    last = rng.normal(size=(3, 4, 1, 1)).astype(np.float32)
    graph = Graph()
    x = graph.add("Conv", "image", graph.array(first, "first"), **POINTWISE)
    for place, weight in enumerate(blocks):
        body = graph.add("Relu", graph.add("Conv", x, graph.array(weight, f"block{place}"), **POINTWISE))
        x = graph.add("Add", x, body)
    graph.add("Conv", x, graph.array(last, "last"), name="classes", **POINTWISE)
    graph.save(
        OUT / "segmenter.onnx",
        [("image", TensorProto.FLOAT, ["batch", 1, 4, 4])],
        [("classes", TensorProto.FLOAT, ["batch", 3, 4, 4])],
    )

    def run(image, without=None):
        product = lambda weight, x: np.einsum("oi,bihw->bohw", weight[:, :, 0, 0].astype(np.float64), x)
        x = product(first, image)
        for place, weight in enumerate(blocks):
            if place != without:
                x = x + np.maximum(product(weight, x), 0)
        return product(last, x).transpose(0, 2, 3, 1)

    image = rng.normal(size=(5, 1, 4, 4)).astype(np.float32)
    labels = run(image).argmax(-1)
    drawn = rng.random(labels.shape) < 0.3
    labels[drawn] = rng.integers(0, 3, size=drawn.sum())
    np.savez(OUT / "segmenter.npz", image=image, labels=labels)
    return {
        "whole": score(run(image), labels),
        "lesions": [score(run(image, block), labels) for block in range(3)],
    }


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(16)
    goldens = {"tagger": tagger(rng), "segmenter": segmenter(rng)}
    (OUT / "goldens.json").write_text(json.dumps(goldens, indent=1) + "\n")


if __name__ == "__main__":
    main()

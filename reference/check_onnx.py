"""Checks ONNX files as others read them: `onnx.checker`, and ONNX Runtime's answers against ours.

    .venv/bin/python reference/check_onnx.py FILE.onnx... [--data CIFAR10_DIR] [--limit 1000]

Where FILE.npz lies beside FILE.onnx, its arrays are the inputs, and `logits` what this program computes from them: ONNX
Runtime has to answer so too, up to rounding. Without it random samples have to run. With --data accuracy and loss over
normalized CIFAR-10 images are printed, to be compared with `unrolled eval FILE.onnx --limit N`.
"""

import argparse
import pathlib

import numpy as np
import onnx
import onnxruntime

# Of the largest value: others add in another order.
TOLERANCE = 1e-5


def answers(session, inputs, is_probability):
    """Logits of all samples, in the batches that the file takes."""
    given = session.get_inputs()
    count = len(next(iter(inputs.values())))
    batch = given[0].shape[0] if isinstance(given[0].shape[0], int) else count
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
    rows = []
    for first in range(0, count, batch):
        piece = {g.name: inputs[g.name][first : first + batch].astype(types[g.type]) for g in given}
        y = session.run(None, piece)[0]
        rows.append(y)
    y = np.concatenate(rows)
    return np.log(y) if is_probability else y


def drawn(session):
    """Three samples of every input; free sides are those of an image or a short text."""
    random = np.random.default_rng(0)
    found = {}
    for given in session.get_inputs():
        sides = [side if isinstance(side, int) else 16 for side in given.shape[1:]]
        found[given.name] = random.standard_normal([3, *sides]) if given.type == "tensor(float)" else np.ones([3, *sides])
    return found


def check(path, data, limit):
    # By its path, so that the checker finds arrays beside it.
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path, load_external_data=False)
    is_probability = any(n.op_type == "Softmax" and model.graph.output[0].name in n.output for n in model.graph.node)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    said = f"{path.name}: {len(model.graph.node)} nodes, checked"
    samples = path.with_suffix(".npz")
    if samples.exists():
        arrays = dict(np.load(samples))
        expected = arrays.pop("logits")
        found = answers(session, arrays, is_probability)
        apart = np.abs(found - expected).max() / np.abs(expected).max()
        said += f", {len(expected)} samples answered, largest difference {apart:.1e} of the largest value"
        if not apart <= TOLERANCE:
            raise SystemExit(f"{said}: more than {TOLERANCE:.0e}")
    else:
        answers(session, drawn(session), is_probability)
        said += ", runs"
    print(said)
    if data:
        from lesion_sweep import images

        x, labels = images(data, limit)
        logits = answers(session, {session.get_inputs()[0].name: x.numpy()}, is_probability).astype(np.float64)
        labels = labels.numpy()
        loss = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
        print(f"{len(labels)} images: accuracy {(logits.argmax(1) == labels).mean():.4f}, loss {loss.mean():.6f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--data")
    parser.add_argument("--limit", type=int, default=1000)
    arguments = parser.parse_args()
    for path in arguments.files:
        check(path, arguments.data, arguments.limit)


if __name__ == "__main__":
    main()

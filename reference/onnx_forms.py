"""Writes tests/onnx/forms: small graphs in the forms in which exporters and converters write networks.

    .venv/bin/python reference/onnx_forms.py

Needs numpy, onnx and onnxruntime. The weights are random. `forms.json` says of each file what has to be found in it: the
number of blocks of each stage and how many of them can be left out for good, or the error.
"""

import json
import logging
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

OUT = pathlib.Path(__file__).parent.parent / "tests" / "onnx" / "forms"
random = np.random.default_rng(0)


class Builder:
    """Adds nodes one by one; every method returns the name of the value that the node gives."""

    def __init__(self, shape, inputs=(("x", None),)):
        self.nodes, self.arrays, self.count = [], [], 0
        self.inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape if sides is None else sides) for name, sides in inputs]

    def array(self, values, name=None):
        self.count += 1
        name = name or f"w{self.count}"
        self.arrays.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, *sides):
        return self.array((random.standard_normal(sides) / np.sqrt(np.prod(sides[1:]) + sides[0])).astype(np.float32))

    def node(self, op, *inputs, outputs=1, **attributes):
        self.count += 1
        names = [f"v{self.count}"] if outputs == 1 else [f"v{self.count}.{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def linear(self, x, into, out):
        return self.node("MatMul", x, self.weight(into, out))

    def conv(self, x, into, out, window=3, **attributes):
        attributes = attributes or {"kernel_shape": [window] * 2, "strides": [1, 1], "dilations": [1, 1], "pads": [window // 2] * 4}
        return self.node("Conv", x, self.weight(out, into, window, window), **attributes)

    def mlp(self, x, width=8):
        return self.linear(self.node("Relu", self.linear(x, width, width)), width, width)

    def reshape(self, x, *sides):
        return self.node("Reshape", x, self.array(np.array(sides, np.int64)))

    def model(self, y, shape=("n", 5)):
        self.nodes.append(helper.make_node("Identity", [y], ["y"]))
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "forms", self.inputs, [output], self.arrays)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


EXPECTED = {}


def write(name, model, stages=None, removable=None, error=None, check=True):
    """Writes a file and notes what has to be found in it."""
    if check:
        onnx.checker.check_model(model, full_check=True)
    onnx.save(model, OUT / f"{name}.onnx")
    EXPECTED[name] = {"error": error} if error else {"stages": stages, "removable": sum(stages) if removable is None else removable}


def views():
    """Views between a sum and the next block, on its way to both branches, and on the skip alone."""
    b = Builder(["n", "s", 8])
    a = b.node("Cast", b.linear("x", 8, 8), to=1)
    for _ in range(4):
        a = b.node("Cast", b.node("Add", a, b.mlp(a)), to=1)
    write("cast_between", b.model(b.linear(a, 8, 5), ("n", "s", 5)), [4])

    b = Builder(["n", 16, 8])
    a = b.linear("x", 8, 8)
    for k in range(4):
        a = b.reshape(b.node("Add", a, b.mlp(a)), *([-1, 4, 4, 8] if k % 2 == 0 else [-1, 16, 8]))
    write("reshape_between", b.model(b.linear(a, 8, 5), ("n", 16, 5)), [4])

    b = Builder(["n", 16, 8])
    a = b.linear("x", 8, 8)
    for _ in range(3):
        skip = b.node("Cast", a, to=1)
        a = b.node("Add", b.mlp(b.node("Cast", a, to=1)), skip)
    write("view_on_skip", b.model(b.linear(a, 8, 5), ("n", 16, 5)), [3])


def layouts():
    """The same four blocks twice: with all channels last, and every second one a convolution with the channels first."""
    weights = [[random.standard_normal((8, 8)).astype(np.float32) / 3 for _ in range(2)] for _ in range(4)]
    stem, head = [random.standard_normal((8, n)).astype(np.float32) / 3 for n in (8, 5)]
    for name, mixed in [("channels_last", False), ("channels_mixed", True)]:
        b = Builder(["n", 16, 8])
        a = b.node("MatMul", "x", b.array(stem))
        for k, (one, two) in enumerate(weights):
            convolves = mixed and k % 2 == 1
            if convolves:
                a = b.reshape(b.node("Transpose", a, perm=[0, 2, 1]), -1, 8, 4, 4)
                layer = lambda x, w: b.node("Conv", x, b.array(w.T[:, :, None, None].copy()), kernel_shape=[1, 1])
            else:
                layer = lambda x, w: b.node("MatMul", x, b.array(w))
            a = b.node("Add", a, layer(b.node("Relu", layer(a, one)), two))
            if convolves:
                a = b.node("Transpose", b.reshape(a, -1, 8, 16), perm=[0, 2, 1])
        write(name, b.model(b.node("MatMul", a, b.array(head)), ("n", 16, 5)), [4])


def sums():
    """What follows a sum, bodies without weights, and sums that are no blocks."""
    b = Builder(["n", 8])
    a = b.node("Relu", b.linear("x", 8, 8))
    for k in range(4):
        a = b.node("Add", a, b.mlp(a))
        a = b.node("Relu", a) if k < 3 else a
    write("last_without_relu", b.model(b.linear(a, 8, 5)), [4])

    b = Builder(["n", 3, 8, 8])
    a = b.conv("x", 3, 4)
    for k in range(4):
        pooled = lambda x: b.node("Sub", b.node("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4), x)
        body = pooled(a) if k % 2 == 0 else b.conv(b.node("Relu", b.conv(a, 4, 4, 1)), 4, 4, 1)
        a = b.node("Add", a, body)
    write("pool_mixer", b.model(b.linear(b.node("Flatten", b.node("GlobalAveragePool", a)), 4, 5)), [4])

    # An activation that adds its input to a power of it is no block.
    b = Builder(["n", 8])
    a = b.linear("x", 8, 8)
    a = b.node("Add", a, b.node("Mul", a, b.node("Mul", a, a)))
    for _ in range(3):
        a = b.node("Add", a, b.mlp(a))
    write("cubic_activation", b.model(b.linear(a, 8, 5)), [3])

    b = Builder(["n", 3, 8, 8])
    first, second = b.node("Split", b.conv("x", 3, 8), outputs=2, axis=1)
    a = b.node("Add", second, b.conv(b.node("Relu", b.conv(second, 4, 4)), 4, 4))
    joined = b.node("Concat", first, second, a, axis=1)
    name = f"Concat '{joined}'"
    write("c2f", b.model(b.linear(b.node("Flatten", b.node("GlobalAveragePool", joined)), 12, 5)), error=f"1 sum with a skip, bypassed by {name}")

    # Between the second and the third block the positions are folded into the batch.
    b = Builder(["n", 16, 8])
    a = b.linear("x", 8, 8)
    for k in range(6):
        a = b.node("Add", a, b.mlp(a))
        a = b.reshape(a, -1, 4, 8) if k == 1 else b.reshape(a, -1, 16, 8) if k == 3 else a
    write("batch_folded", b.model(b.linear(a, 8, 5), ("n", 16, 5)), [2, 2])


def quantized():
    """One network with a projection in floats, and as ONNX Runtime quantizes it."""
    b = Builder(["n", 16])
    a = b.node("Relu", b.linear("x", 16, 16))
    for k in range(4):
        skip = b.linear(a, 16, 16) if k == 2 else a
        body = b.linear(b.node("Relu", b.linear(a, 16, 16)), 16, 16)
        a = b.node("Add", skip, body)
    write("float", b.model(b.linear(a, 16, 5)), [4])

    class Samples(quantization.CalibrationDataReader):
        def __init__(self):
            self.rows = iter([{"x": random.standard_normal((32, 16)).astype(np.float32)}])

        def get_next(self):
            return next(self.rows, None)

    source = OUT / "float.onnx"
    for name, kind in [("qdq", quantization.QuantFormat.QDQ), ("qoperator", quantization.QuantFormat.QOperator)]:
        quantization.quantize_static(source, OUT / "made.onnx", Samples(), quant_format=kind)
        error = "QLinear" if name == "qoperator" else None
        write(name, onnx.load(OUT / "made.onnx"), [4], error=error, check=False)
    options = {"DedicatedQDQPair": True}
    quantization.quantize_static(source, OUT / "made.onnx", Samples(), per_channel=True, extra_options=options)
    write("qdq_pairs", onnx.load(OUT / "made.onnx"), [4], check=False)
    quantization.quantize_dynamic(source, OUT / "made.onnx", per_channel=True)
    write("dynamic", onnx.load(OUT / "made.onnx"), [4], check=False)
    (OUT / "made.onnx").unlink()


def weights():
    """Weights in Constant nodes, in float16, and behind conversions; nodes in another order."""
    def mlps():
        b = Builder(["n", 8])
        a = b.linear("x", 8, 8)
        for _ in range(3):
            a = b.node("Add", a, b.mlp(a))
        return b.model(b.linear(a, 8, 5))

    write("initializers", mlps(), [3])
    model = mlps()
    constants = [helper.make_node("Constant", [], [array.name], value=array) for array in model.graph.initializer]
    nodes = constants + list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend(nodes)
    write("constant_weights", model, [3])

    def halves(model):
        for array in model.graph.initializer:
            array.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(array).astype(np.float16), array.name))

    model = mlps()
    halves(model)
    nodes = list(model.graph.node)
    nodes[0].input[0], nodes[-1].output[0] = "x16", "y16"
    nodes = [helper.make_node("Cast", ["x"], ["x16"], to=TensorProto.FLOAT16), *nodes, helper.make_node("Cast", ["y16"], ["y"], to=TensorProto.FLOAT)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    write("f16_weights", model, [3])

    model = mlps()
    halves(model)
    casts = []
    for array in model.graph.initializer:
        casts.append(helper.make_node("Cast", [f"{array.name}.half"], [array.name], to=TensorProto.FLOAT))
        array.name += ".half"
    nodes = casts + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    write("cast_weights", model, [3])

    model = mlps()
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[1:] + nodes[:1])
    write("unsorted", model, [3], check=False)


def attributes():
    """Convolutions and poolings without the attributes that have a default."""
    for name, attributes in [("conv_defaults", {"pads": [1] * 4}), ("conv_strides", {"pads": [1] * 4, "strides": [1, 1]}), ("conv_all", None)]:
        b = Builder(["n", 3, 8, 8])
        a = b.conv("x", 3, 4, **(attributes or {}))
        for _ in range(3):
            a = b.node("Add", a, b.node("Relu", b.conv(a, 4, 4, **(attributes or {}))))
        pooled = b.node("MaxPool", a, kernel_shape=[2, 2])
        write(name, b.model(b.linear(b.node("Flatten", b.node("GlobalAveragePool", pooled)), 4, 5)), [3])


def sides():
    """Sides that depend on one another, and samples of two sides."""
    for name, total in [("linked_sides", "t"), ("linked_sides_named", "past + new")]:
        b = Builder(None, [("x", ["n", "new", 8]), ("past", ["n", "past", 8]), ("mask", ["n", total, 8])])
        a = b.linear(b.node("Add", b.node("Concat", "past", "x", axis=1), "mask"), 8, 8)
        for _ in range(3):
            a = b.node("Add", a, b.mlp(a))
        write(name, b.model(b.linear(a, 8, 5), ("n", "t", 5)), [3])
    b = Builder(["n", 4, 16])
    conv = lambda x: b.node("Conv", x, b.weight(4, 4, 3), kernel_shape=[3], pads=[1, 1])
    a = conv("x")
    for _ in range(3):
        a = b.node("Add", a, b.node("Relu", conv(a)))
    write("two_sided_samples", b.model(b.linear(b.node("ReduceMean", a, axes=[2], keepdims=0), 4, 5)), [3])


def nested():
    """A network one of whose bodies lies in a graph of a node."""
    b = Builder(["n", 8])
    a = b.linear("x", 8, 8)
    for k in range(3):
        body = b.mlp(a)
        if k == 1:
            branch = lambda name: helper.make_graph(
                [helper.make_node("MatMul", [body, b.weight(8, 8)], [name])], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8])]
            )
            body = b.node("If", b.array(np.array(True)), then_branch=branch("one"), else_branch=branch("other"))
        a = b.node("Add", a, body)
    write("nested_layers", b.model(b.linear(a, 8, 5)), [3])


def fused():
    """A bias of one value, on which the engine fails where it fuses product and sum."""
    b = Builder(["n", 8])
    a = b.linear("x", 8, 8)
    for _ in range(3):
        a = b.node("Add", a, b.node("Add", b.mlp(a), b.array(np.ones(1, np.float32))))
    write("bias_of_one_value", b.model(b.linear(a, 8, 5)), [3])


def lines():
    """An image of any width, whose height has to be 48."""
    b = Builder(["n", 1, "height", "width"])
    rows = b.node("ReduceMean", b.reshape("x", 0, 1, 48, -1), axes=[1, 3], keepdims=0)
    a = b.linear(rows, 48, 8)
    for _ in range(3):
        a = b.node("Add", a, b.mlp(a))
    write("lines_of_text", b.model(b.linear(a, 8, 5)), [3])


def main():
    logging.disable(logging.WARNING)
    OUT.mkdir(parents=True, exist_ok=True)
    for part in (views, layouts, sums, quantized, weights, attributes, sides, nested, fused, lines):
        part()
    (OUT / "forms.json").write_text(json.dumps(EXPECTED, indent=1) + "\n")


if __name__ == "__main__":
    main()

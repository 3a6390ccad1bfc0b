"""What others offer for the pieces of work of `bench.py`: PyTorch and ONNX Runtime, the same threads."""

import io
import sys

import torch
import torch.nn.functional as F

import networks


def training(network, x, labels):
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()

    return step


def inference(network, x):
    network.eval()

    def step():
        with torch.inference_mode():
            network(x)

    return step


def onnx(network, x):
    import onnxruntime

    file = io.BytesIO()
    torch.onnx.export(network.eval(), (x,), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    name, values = session.get_inputs()[0].name, x.numpy()
    return lambda: session.run(None, {name: values})


def candidates(work, compiles):
    """Every way to do a piece of work: its name and a function that does it once."""
    torch.manual_seed(0)
    x, labels = samples(work)
    build = lambda: networks.build(work.config, work.shape, work.classes)
    step = lambda network, x: training(network, x, labels) if work.trains else inference(network, x)
    found = {"eager": step(build(), x)}
    if work.shape[1] > 28:
        last = torch.channels_last
        found["channels_last"] = step(build().to(memory_format=last), x.to(memory_format=last))
    if compiles:
        found["compiled"] = step(torch.compile(build()), x)
    if not work.trains:
        found["onnxruntime"] = onnx(build(), x)
    return found


def samples(work):
    return torch.randn(work.batch, *work.shape), torch.randint(0, work.classes, (work.batch,))


def peak():
    """The most memory that this process has held, KiB. What `resource` says begins with that of the parent."""
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    return int(line.split()[1])


def memory(work, times):
    """Peak memory that so many training steps add to this process, KiB; for a process of its own."""
    step = training(networks.build(work.config, work.shape, work.classes), *samples(work))
    before = peak()
    for _ in range(times):
        step()
    return peak() - before


def versions():
    import onnxruntime

    return f"PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}"


if __name__ == "__main__":
    import bench

    print(memory(next(work for work in bench.WORK if work.name == sys.argv[1]), bench.TIMES))

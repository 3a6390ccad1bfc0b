"""What others offer for the pieces of work of `bench.py`: PyTorch and ONNX Runtime, the same threads."""

import io
import sys

import torch
import torch.nn.functional as F

import char_lm
import networks


def training(network, x, labels):
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()

    return step


def reading(network, words, labels):
    """A step through all words of some streams, which go on where the one before ended."""
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)
    states = char_lm.start(char_lm.STREAMS_TIMED, char_lm.SIZES["small"]["units"])

    def step():
        nonlocal states
        optimizer.zero_grad(set_to_none=True)
        logits, states = network(words, states)
        states = [(h.detach(), c.detach()) for h, c in states]
        F.cross_entropy(logits.flatten(0, 1), labels).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
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
    build = lambda: built(work)
    step = stepping(work, labels)
    found = {"eager": step(build(), x)}
    if work.shape[1] > 28:
        last = torch.channels_last
        found["channels_last"] = step(build().to(memory_format=last), x.to(memory_format=last))
    if compiles:
        found["compiled"] = step(torch.compile(build()), x)
    if not work.trains:
        found["onnxruntime"] = onnx(build(), x)
    return found


def built(work):
    if work.config["kind"] == "char-lm":
        return char_lm.CharLm(char_lm.SIZES[work.config["size"]] | work.config, char_lm.CHARACTERS_TIMED, work.classes)
    return networks.build(work.config, work.shape, work.classes)


def stepping(work, labels):
    """From a network and its samples to what does the work once."""
    if work.config["kind"] == "char-lm":
        return lambda network, x: reading(network, x, labels)
    return lambda network, x: training(network, x, labels) if work.trains else inference(network, x)


def samples(work):
    if work.config["kind"] == "char-lm":
        return char_lm.words_timed(work.batch, work.shape[2]), torch.randint(0, work.classes, (work.batch,))
    return torch.randn(work.batch, *work.shape), torch.randint(0, work.classes, (work.batch,))


def peak():
    """The most memory that this process has held, KiB. What `resource` says begins with that of the parent."""
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    return int(line.split()[1])


def memory(work, times):
    """Peak memory that so many training steps add to this process, KiB; for a process of its own."""
    x, labels = samples(work)
    step = stepping(work, labels)(built(work), x)
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

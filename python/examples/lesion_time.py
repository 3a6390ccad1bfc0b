"""Wall time of a lesion of every block: by `unrolled.measure`, and by the plain loop of a forward with a hook for each block.

Networks have random weights, so that only time and the equality of the losses mean something. Prints a table: medians of rounds in
which both run in turn, and the floor of the ratio. A sweep shares the beginnings of routes: it runs the first block once and the
last one for every lesion, so that the floor is high where the last blocks take most of the time.
"""

import argparse
import statistics
import time

import torch
import torchvision
import transformers
import unrolled as un
from torch.utils.data import DataLoader, TensorDataset


def plain_loop(model, modules, batches, answer):
    """Returns the loss without each module, and of the whole model first."""

    def shortcut(module, args, output):
        downsample = getattr(module, "downsample", None)
        return args[0] if downsample is None else downsample(args[0]).relu()

    losses = []
    for module in [None, *modules]:
        hook = module and module.register_forward_hook(shortcut)
        total = count = 0
        with torch.no_grad():
            for batch in batches:
                loss, rows = answer(model, batch)
                total, count = total + float(loss) * rows, count + rows
        losses.append(total / count)
        if hook:
            hook.remove()
    return losses


def floor(model, modules, batches, answer):
    """Returns the least share of the plain loop's time: blocks run once and again for every lesion before them, what comes before the
    first block once, and all else for every lesion."""
    times, ends, begins = [0.0] * len(modules), [0.0] * len(modules), [0.0] * len(modules)
    hooks = []
    for place, module in enumerate(modules):

        def begin(module, args, place=place):
            begins[place] = time.perf_counter()

        def end(module, args, output, place=place):
            ends[place] = time.perf_counter()
            times[place] += ends[place] - begins[place]

        hooks += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
    stem = whole = 0.0
    with torch.no_grad():
        for batch in batches:
            start = time.perf_counter()
            answer(model, batch)
            whole, stem = whole + time.perf_counter() - start, stem + begins[0] - start
    for hook in hooks:
        hook.remove()
    passes = len(modules) + 1
    shared = stem + sum(spent * (1 + place) for place, spent in enumerate(times)) + passes * (whole - stem - sum(times))
    return shared / (passes * whole)


def image_network(name, samples, size):
    """Returns a torchvision network, its batches and the loss of a batch."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)().eval()
    loader = DataLoader(TensorDataset(torch.randn(samples, 3, size, size), torch.randint(0, 1000, (samples,))), batch_size=8)
    return model, loader, lambda model, batch: (torch.nn.functional.cross_entropy(model(batch[0]), batch[1]), len(batch[1]))


def llama(samples, words):
    """Returns a Llama of 12 layers, its batches and the loss of a batch."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=2000, hidden_size=256, intermediate_size=704, num_hidden_layers=12, num_attention_heads=8, num_key_value_heads=8
    )
    model = transformers.LlamaForCausalLM(config).eval()
    ids = torch.randint(0, 2000, (samples, words))
    batches = [{"input_ids": part, "labels": part} for part in ids.split(8)]

    def answer(model, batch):
        return model(**batch, use_cache=False).loss, len(batch["input_ids"])

    return model, batches, answer


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    networks = {
        "ResNet-50": image_network("resnet50", options.samples, options.size),
        "ConvNeXt-T": image_network("convnext_tiny", options.samples, options.size),
        "Swin-T": image_network("swin_t", options.samples, options.size),
        "Llama, 12 layers of 256": llama(options.samples, 64),
    }
    print(f"{'network':<24} {'blocks':>6} {'plain loop, s':>14} {'unrolled, s':>12} {'ratio':>6} {'floor':>6}")
    for name, (model, batches, answer) in networks.items():
        first = next(iter(batches))
        live = un.torch.wrap(model, first)
        modules = [block.site.module for stage in live.stages for block in stage.blocks]
        answer(model, first)
        times = []
        for _ in range(options.rounds):
            start = time.perf_counter()
            plain = plain_loop(model, modules, batches, answer)
            middle = time.perf_counter()
            results = un.measure(live, batches, only=["lesion"], progress=False)
            times.append((middle - start, time.perf_counter() - middle, floor(model, modules, batches, answer)))
        loop, sweep, least = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(ours / theirs for theirs, ours, _ in times)
        found = [results.baseline.loss]
        for number, stage in enumerate(live.stages):
            found.extend(results.lesion[f"stage{number + 1}.block{place + 1}"].loss for place in range(len(stage.blocks)))
        difference = max(abs(a - b) for a, b in zip(plain, found, strict=True))
        assert difference < 1e-4, f"{name}: losses differ by {difference}"
        blocks = sum(len(stage.blocks) for stage in live.stages)
        print(f"{name:<24} {blocks:>6} {loop:>14.2f} {sweep:>12.2f} {ratio:>6.2f} {least:>6.2f}", flush=True)


if __name__ == "__main__":
    main()

"""Compares what `unrolled measure --json` says of a network in two forms, such as a state dict and the ONNX file of it.

    .venv/bin/python reference/compare.py ONE.json OTHER.json [--samples 2]

Every figure of every block is compared. Accuracies may differ by so many samples: other orders of adding decide ties.
"""

import argparse
import json
import pathlib


def figures(value, path=()):
    """All numbers of a document, each with where it stands."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from figures(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from figures(inner, (*path, place))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, float(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("one")
    parser.add_argument("other")
    parser.add_argument("--samples", type=float, default=2)
    arguments = parser.parse_args()
    one, other = (json.loads(pathlib.Path(path).read_text()) for path in (arguments.one, arguments.other))
    count = one["baseline"]["samples"]
    accuracies, largest = [], {}
    theirs = dict(figures(other))
    for path, value in figures(one):
        if path[0] in ("outline", "seed", "target", "training") or path not in theirs:
            continue
        apart = abs(value - theirs[path])
        if path[-1] == "accuracy_fraction":
            accuracies.append((apart * count, path))
        elif not any("accuracy" in str(part) or "ci95" in str(part) for part in path):
            of_largest = apart / max(abs(value), 1.0)
            largest[path[0]] = max(largest.get(path[0], (0.0, 0.0)), (of_largest, apart))
    if not accuracies:
        raise SystemExit("nothing in common that could be compared")
    worst = max(accuracies)
    differing = sum(apart > 1e-6 for apart, _ in accuracies)
    print(f"{count} samples, {len(accuracies)} accuracies: {differing} differ, by at most {worst[0]:.0f} samples")
    for name, (relative, apart) in sorted(largest.items()):
        print(f"{name}: largest difference {apart:.1e}, or {relative:.1e} of a figure above 1")
    if worst[0] > arguments.samples + 1e-6:
        raise SystemExit(f"{'.'.join(map(str, worst[1]))}: {worst[0]:.0f} samples apart")


if __name__ == "__main__":
    main()

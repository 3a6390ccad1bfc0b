"""Figures of the networks that configs/claims/*.sh train for docs/CLAIMS.md.

    python3 reference/claims.py                       prints a table of the arms: means over the seeds with 95 % intervals by t,
                                                      and the figures of every seed; where there are figures of the same
                                                      architecture with initial weights, "untrained", also the differences
    python3 reference/claims.py compare ARM1 ARM2     prints ARM1 - ARM2: means of the differences of the seeds that both have,
                                                      with 95 % intervals by t, and the differences
    python3 reference/claims.py record RUNS NAME      adds the run RUNS/NAME and its measurement RUNS/NAME-measured
    python3 reference/claims.py best-rate NAME        prints the rate of the runs NAME-rateR with the highest held-out accuracy

Figures are kept in the file FIGURES, by default docs/claims.jsonl, a line for each network: seed N of an arm is NAME-seedN. Only
Python's standard library is needed.
"""

import csv
import datetime
import json
import math
import os
import platform
import re
import statistics
import sys
from pathlib import Path

FIGURES = Path(os.environ.get("FIGURES", Path(__file__).parent.parent / "docs" / "claims.jsonl"))

HELD_OUT = "held-out accuracy, %"

# The end of the name of a figure of the same architecture with initial weights.
UNTRAINED = ", untrained"

# 97.5 % quantiles of Student's t distribution for 1 to 19 degrees of freedom.
T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]
T += [2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093]


def table(directory, name):
    path = directory / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def mean_of(rows, column):
    values = [float(row[column]) for row in rows if row[column] not in ("", "NaN")]
    return statistics.fmean(values) if values else float("nan")


def rows_by(directory, name, column):
    """The rows of a table, by their value in a column."""
    found = {}
    for row in table(directory, name):
        found.setdefault(row[column], []).append(row)
    return found


def last_that_differs(rows):
    """The last block whose lesion cost differs from zero by Holm's procedure, counted from 1; 0 where none does."""
    return max((place for place, row in enumerate(rows, 1) if row["differs_from_zero"] == "yes"), default=0)


def bias_fall(biases):
    """The share of a stage after which its unsigned bias, linear between blocks, has fallen by a tenth of that of block 1.

    `biases` has the blocks in order; that of the last block is 0, since its estimate is the target."""
    goal = 0.9 * biases[0]
    for place, (before, after) in enumerate(zip(biases, biases[1:])):
        if after <= goal:
            return (place + (before - goal) / (before - after)) / (len(biases) - 1)
    raise ValueError("the last bias is not 0")


def is_first_of_later_stage(block):
    """Whether a block, by its name, is the first of a stage other than the first one: there it changes the shape."""
    stage, _, place = block.partition(".")
    return place == "block1" and stage != "stage1"


def estimation(directory):
    """Figures of estimation.csv: of all blocks but the last ones of their stages, and of the bias within the last stage."""
    rows = table(directory, "estimation")
    if not rows:
        return {}
    blocks = [row for row in rows if float(row["std"]) > 0]
    last_stage = rows[-1]["block"].partition(".")[0]
    bias = lambda suffix: [
        # There is no null for the last block.
        float(row["unsigned_bias_over_std_of_a" + suffix] or 0) for row in rows if row["block"].startswith(last_stage + ".")
    ]
    return {
        "std of E over std of A": mean_of(blocks, "std_over_std_of_a"),
        "std of E over std of A, untrained": mean_of(blocks, "std_over_std_of_a_untrained"),
        "share of last stage until bias falls": bias_fall(bias("")),
        "share of last stage until bias falls, untrained": bias_fall(bias("_untrained")),
    }


def figures(run, directory):
    """The figures of one trained network and, where there are any, of its measurements, by name."""
    if not (run / "model.safetensors").exists():
        # The loss was not finite.
        return {"training loss": None, HELD_OUT: None}
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = {"training loss": history[-1]["train_loss_nats"]}
    if 'kind = "char-lm"' in (run / "config.toml").read_text():
        found["training perplexity"] = math.exp(history[-1]["train_loss_nats"])
        found["validation perplexity, best epoch"] = math.exp(min(epoch["evaluation_loss_nats"] for epoch in history))
        return found
    found[HELD_OUT] = 100 * history[-1]["evaluation_accuracy_fraction"]
    if not (directory / "report.html").exists():
        return found
    accuracy = json.loads((directory / "measurements.json").read_text())["baseline"]["accuracy_fraction"]
    found["test accuracy, %"] = 100 * accuracy
    if rows := table(directory, "lesion"):
        found["last layer that matters"] = last_that_differs(rows)
        found["layers that matter"] = sum(row["differs_from_zero"] == "yes" for row in rows)
        found["mean lesion cost, points"] = 100 * mean_of(rows, "accuracy_cost_fraction")
        # Those that plain networks can lose too.
        keep_shape = [row for row in rows if not is_first_of_later_stage(row["block"])]
        found["mean lesion cost, same shape, points"] = 100 * mean_of(keep_shape, "accuracy_cost_fraction")
    transform = [row for row in table(directory, "gates") if row["gate"] == "transform"]
    if transform:
        sparsity = lambda kind: mean_of(transform, f"hoyer_sparsity_{kind}")
        found["sparsity gap"] = sparsity("per_sample") - sparsity("of_average")
        found["sparsity gap, untrained"] = sparsity("per_sample_untrained") - sparsity("of_average_untrained")
        found["sparsity gap, units permuted"] = sparsity("per_sample") - sparsity("of_average_permuted")
        bins = [row for row in table(directory, "gate-histograms") if row["gate"] == "transform"]
        found["share of T below .1"] = sum(float(row["share_fraction"]) for row in bins if float(row["high"]) <= 0.1)
    for name, column, what in [("several", "removed", "without {} blocks"), ("shuffle", "swaps", "after {} swaps")]:
        for count, rows in rows_by(directory, name, column).items():
            found[f"accuracy {what.format(count)}, %"] = 100 * mean_of(rows, "accuracy_fraction")
    found |= estimation(directory)
    if rows := table(directory, "theory"):
        # Of a stage's last block, whose estimate is the target, there is no slope.
        found["slope of logit T"] = mean_of(rows, "logit_slope")
        found["slope of logit T, untrained"] = mean_of(rows, "logit_slope_untrained")
    return found


def interval(values):
    """The mean of the values with its 95 % interval by t. Beside it, how many seeds have none, as their loss was not finite."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) > len(T) + 1:
        sys.exit(f"{len(known)} seeds: intervals are known for up to {len(T) + 1}")
    missing = f", {len(values) - len(known)} not finite" if len(known) < len(values) else ""
    if len(known) < 2:
        return f"{known[0]:.4g}{missing}" if known else "not finite"
    half = T[len(known) - 2] * statistics.stdev(known) / len(known) ** 0.5
    return f"{statistics.fmean(known):.4g} ± {half:.2g}{missing}"


def processor():
    """The name of the processor, its instruction set, and the number of threads of a training."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    vectors = [f" with {name}" for flag, name in [("avx512f", "AVX-512"), ("avx2", "AVX2")] if flag in flags]
    name = names[0] if names else platform.machine()
    return f"{name}{''.join(vectors[:1])}, threads: {os.environ.get('RAYON_NUM_THREADS', os.cpu_count())}"


def record(runs, name):
    directory = Path(runs)
    history = [json.loads(line) for line in (directory / name / "metrics.jsonl").read_text().splitlines()]
    line = {
        "network": name,
        "date": datetime.date.today().isoformat(),
        "machine": processor(),
        "epochs": len(history),
        "seconds": round(sum(epoch["seconds"] for epoch in history)),
        "figures": figures(directory / name, directory / f"{name}-measured"),
    }
    with FIGURES.open("a") as file:
        file.write(json.dumps(line) + "\n")


def recorded():
    if not FIGURES.exists():
        return []
    return [json.loads(line) for line in FIGURES.read_text().splitlines()]


def best_rate(name):
    prefix = f"{name}-rate"
    found = [line for line in recorded() if line["network"].startswith(prefix)]
    found = [line for line in found if line["figures"][HELD_OUT] is not None]
    if not found:
        sys.exit(f"{prefix}: no rate has been tried with which the loss stayed finite")
    best = max(found, key=lambda line: line["figures"][HELD_OUT])
    print(best["network"].removeprefix(prefix))


def arms():
    """The figures of the trained networks: by arm, then by seed."""
    found = {}
    for line in recorded():
        if match := re.fullmatch(r"(.*)-seed(\d+)", line["network"]):
            found.setdefault(match[1], {})[int(match[2])] = line["figures"]
    return found


def print_figures(seeds):
    """Prints the figures of seeds, `{seed: {name: value}}`: mean, interval, and the value of each seed."""
    print(f"seeds {', '.join(map(str, sorted(seeds)))}")

    def values(name):
        found = [seeds[seed].get(name) for seed in sorted(seeds)]
        return [float("nan") if value is None else value for value in found]

    def line(name, values):
        print(f"  {name:48} {interval(values):20} ({', '.join(f'{value:.4g}' for value in values)})")

    for name in dict.fromkeys(name for figures in seeds.values() for name in figures):
        line(name, values(name))
        if name.endswith(UNTRAINED):
            trained = values(name.removesuffix(UNTRAINED))
            line("    trained minus untrained", [a - b for a, b in zip(trained, values(name))])


def print_table():
    if not FIGURES.exists():
        print("no network has been trained to its end yet")
    for arm, seeds in sorted(arms().items()):
        print(f"\n{arm}: ", end="")
        print_figures(seeds)


def compare(arm, other):
    trained = arms()
    for name in (arm, other):
        if name not in trained:
            sys.exit(f"{name}: no such arm in {FIGURES.name}; there are {', '.join(sorted(trained))}")
    arm, other = trained[arm], trained[other]
    common = arm.keys() & other.keys()
    if not common:
        sys.exit("the two arms have no seed in common")
    print_figures({
        seed: {
            name: value - other[seed][name]
            for name, value in arm[seed].items()
            if value is not None and other[seed].get(name) is not None
        }
        for seed in common
    })


def main():
    match sys.argv[1:]:
        case []:
            print_table()
        case ["compare", arm, other]:
            compare(arm, other)
        case ["record", runs, name]:
            record(runs, name)
        case ["best-rate", name]:
            best_rate(name)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

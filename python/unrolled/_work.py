"""Measuring and slimming."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from . import _arguments, _native, _progress
from ._arrays import Data, as_source
from .errors import ArgumentError, Interrupted
from .network import Network, Slimmed
from .results import Proof, Results

__all__ = ["load", "measure", "measure_shard", "merge", "slim"]

#: The number of samples at once, where nobody says otherwise.
BATCH = 64


def measure(
    network: Network | Any,
    images: Any,
    labels: Any = None,
    *,
    only: Sequence[str] | str | None = None,
    seed: int = 0,
    memory: int | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    batch: int | None = None,
    null_seeds: int = 3,
    progress: bool | _progress.Callback | None = None,
) -> Results:
    """Measure how the blocks of a network refine its estimate.

    Args:
        network: what `open` or `slim` returned, or a live module of `unrolled.torch.wrap`.
        images: the samples. An array of shape `[samples, channels, height, width]`, or of what else the network takes a
            sample; a dictionary with an array for each input of an ONNX network; `Data`, or a text such as `"digits"`
            or `"arrays:FILE.npz"`. Arrays have `__dlpack__` or the buffer protocol, any integer or float type and any
            strides. The network takes their values as they are, as those of a `.npz` file: normalize them, or open the
            network with `mean` and `std`, which are applied to them. For a live module a `DataLoader`, or a list of
            batches.
        labels: a class for each sample, integers of shape `[samples]` from 0, or `[samples, positions]` with -100 for
            positions that do not count. Without labels accuracy is agreement with the whole network, 100 % for the whole
            network itself.
        only: the names of the measurements to take, such as `["lesion", "estimation"]`; by default all that fit.
        seed: the seed of all random choices.
        memory: the bytes that measuring may take beside the network and the samples; by default a quarter of the machine's. No result depends on it.
        out: a directory that keeps every measurement as soon as it is finished, and gets the report.
        resume: continue a measurement in `out` that was stopped. It ends with the same numbers, to the bit.
        batch: the number of samples at once; 64, or that of the `DataLoader`. No result depends on it, but for a live module
            that mixes the samples of a batch, as a normalization over the batch does.
        null_seeds: how many networks with initial weights are measured beside figures that can arise without learning; 0
            for none. A network that cannot be initialized, such as an ONNX file or a live module, has none.
        progress: `False` for none, a function that is called with the finished work, all there is, and the name of what is
            under way; by default a bar in terminals and notebooks where tqdm is installed.

    Raises:
        Interrupted: after Ctrl-C, with what is finished in `results`.
        MismatchError: where the samples do not fit the network, are not finite or have labels that are no classes.
        NonFiniteError: where the loss of the whole network is not finite; `out` keeps what was measured.
        ArgumentError: for other wrong values.

    >>> import unrolled as un
    >>> from array import array
    >>> net = un.open(EXAMPLE)
    >>> images = memoryview(array("f", [0.01 * (i % 97) for i in range(4 * 64)])).cast("B").cast("f", (4, 1, 8, 8))
    >>> results = un.measure(net, images, [3, 1, 4, 1], only="lesion")
    >>> list(results.lesion)[:2]
    ['stage1.block1', 'stage1.block2']
    """
    options = {"only": only, "seed": seed, "memory": memory, "out": out, "resume": resume, "null_seeds": null_seeds, "shard": None}
    measured = _measure(network, images, labels, options, batch, progress)
    assert measured is not None
    return measured


def measure_shard(
    network: Network | Any,
    images: Any,
    labels: Any = None,
    *,
    shard: str,
    out: str | os.PathLike[str],
    only: Sequence[str] | str | None = None,
    seed: int = 0,
    memory: int | None = None,
    resume: bool = False,
    batch: int | None = None,
    null_seeds: int = 3,
    progress: bool | _progress.Callback | None = None,
) -> None:
    """Observe one part of the samples, in a process or on a machine of its own; `merge` makes the results of all parts.

    Args:
        network: as for `measure`.
        images: all samples, the same for every part; as for `measure`.
        labels: as for `measure`.
        shard: which part of how many, the text `"2/8"` for instance.
        out: the directory that keeps what is observed.
        only: as for `measure`; the same for every part, as `seed`.
        seed: as for `measure`.
        memory: as for `measure`.
        resume: as for `measure`.
        batch: as for `measure`.
        null_seeds: as for `measure`; the first part has these networks for all.
        progress: as for `measure`.

    Raises:
        Interrupted: after Ctrl-C; `resume` goes on.
        ArgumentError: for wrong values.
    """
    options = {"only": only, "seed": seed, "memory": memory, "out": out, "resume": resume, "null_seeds": null_seeds, "shard": shard}
    _measure(network, images, labels, options, batch, progress)


def merge(shards: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] | None = None) -> Results:
    """Put the parts of a measurement together.

    What is a mean over samples that were predicted, such as the figures of lesions, equals that of `measure` to the bit.
    What is a statistic of estimates, such as influence, is added up in another order, and is equal to about 1e-12 of its
    value.

    Args:
        shards: the directories of all parts, in any order.
        out: a directory that gets the report and the results.

    Raises:
        FileError: names the directory that is of another measurement, is missing, unfinished, or there twice.

    >>> import tempfile, unrolled as un
    >>> directory = tempfile.mkdtemp()
    >>> for part in (1, 2):
    ...     un.measure_shard(un.open(EXAMPLE), un.Data("digits", limit=60), shard=f"{part}/2", out=f"{directory}/{part}", only="lesion")
    >>> merged = un.merge([f"{directory}/1", f"{directory}/2"])
    >>> merged.lesion == un.measure(un.open(EXAMPLE), un.Data("digits", limit=60), only="lesion").lesion
    True
    """
    if isinstance(shards, (str, os.PathLike)) or not hasattr(shards, "__iter__"):
        raise ArgumentError(f"shards: {shards!r}, expected a list of directories")
    return Results(_native.merge_shards([_arguments.path("shards", shard) for shard in shards], _arguments.optional_path("out", out)))


def _measure(
    network: Any, images: Any, labels: Any, given: dict[str, Any], batch: int | None, progress: bool | _progress.Callback | None
) -> Results | None:
    options: dict[str, Any] = {
        "only": _arguments.measurements(given["only"]),
        "seed": _arguments.whole("seed", given["seed"], 0),
        "memory": _arguments.whole("memory", given["memory"], 1),
        "out": _arguments.optional_path("out", given["out"]),
        "resume": bool(given["resume"]),
        "batch": _arguments.whole("batch", batch, 1) or BATCH,
        "null_seeds": _arguments.whole("null_seeds", given["null_seeds"], 0) or 0,
        "shard": None if given["shard"] is None else _arguments.one_name("shard", given["shard"], 'a text such as "1/2"'),
    }
    with _progress.callback(progress) as options["progress"]:
        try:
            if isinstance(network, Network):
                native = _native.measure(network._native, as_source(images, labels), options)
            else:
                source = _bound(network, images, labels)
                options["batch"] = batch or source.batch_size
                native = _native.measure_live(network, source, options)
        except Interrupted as interrupted:
            finished: Any = interrupted.results
            interrupted.results = None if finished is None else Results(finished)
            raise
        except KeyboardInterrupt as stopped:
            raise Interrupted("interrupted before anything was measured") from stopped
    return None if native is None else Results(native)


def slim(
    network: Network | Any,
    images: Any,
    labels: Any = None,
    *,
    remove: int | None = None,
    keep_accuracy: float | None = None,
    keep_loss: float | None = None,
    params: int | None = None,
    latency: float | None = None,
    blocks: Sequence[str] | None = None,
    plan: str | os.PathLike[str] | None = None,
    by: str = "greedy",
    seed: int | None = None,
    memory: int | None = None,
    batch: int | None = None,
    progress: bool | _progress.Callback | None = None,
) -> Slimmed:
    """Remove blocks of a network for good, and prove what is left.

    One half of the samples selects the blocks, the other gives the scores. What is left answers as the whole network along
    the route without the blocks, bit for bit. Nothing is written: `small.save` does that, `apply` changes a live module.

    Args:
        network: as for `measure`.
        images: as for `measure`.
        labels: as for `measure`.
        remove: remove so many blocks.
        keep_accuracy: remove blocks as long as at most so many percentage points of accuracy are lost.
        keep_loss: remove blocks as long as the loss grows by at most so many nats.
        params: remove blocks until at most so many parameters remain.
        latency: remove blocks until one sample takes at most so many milliseconds here.
        blocks: remove these blocks, such as `["stage3.block2"]` or, by their names in the file, `["layer3.1"]`. All samples give the scores.
        plan: remove the blocks that a plan file names.
        by: what ranks the blocks: `"lesion"`, `"influence"`, `"angle"`, `"l2-ratio"`, `"readout-gain"`, `"gate"`,
            `"greedy"`, `"deepest"` or `"random"`.
        seed: the seed of the halves and of the random ranking; that of the plan, otherwise 0.
        memory: as for `measure`.
        batch: as for `measure`.
        progress: as for `measure`.

    Returns:
        The network that is left and the proof, as `small, proof`.

    Raises:
        ArgumentError: for a goal that cannot be reached, none, or several.
        Interrupted: after Ctrl-C.

    >>> import unrolled as un
    >>> small, proof = un.slim(un.open(EXAMPLE), un.Data("digits", limit=60), remove=1)
    >>> len(small.blocks), len(proof.removed)
    (5, 1)
    """
    options: dict[str, Any] = {
        "remove": _arguments.whole("remove", remove, 0),
        "keep_accuracy": _arguments.number("keep_accuracy", keep_accuracy),
        "keep_loss": _arguments.number("keep_loss", keep_loss),
        "params": _arguments.whole("params", params, 1),
        "latency": _arguments.number("latency", latency),
        "blocks": _arguments.names("blocks", blocks),
        "plan": _arguments.optional_path("plan", plan),
        "by": _arguments.one_name("by", by),
        "seed": _arguments.whole("seed", seed, 0),
        "memory": _arguments.whole("memory", memory, 1),
        "batch": _arguments.whole("batch", batch, 1) or BATCH,
    }
    with _progress.callback(progress) as options["progress"]:
        try:
            if isinstance(network, Network):
                small, proof = _native.slim(network._native, as_source(images, labels), options)
                return Slimmed(Network(small), Proof(proof))
            source = _bound(network, images, labels)
            options["batch"] = batch or source.batch_size
            native = _native.slim_live(network, source, options)
            return Slimmed(network.without(native.removed), Proof(native), network)
        except Interrupted:
            raise
        except KeyboardInterrupt as stopped:
            raise Interrupted("interrupted; nothing is removed or written") from stopped


def load(path: str | os.PathLike[str]) -> Results | list[Results]:
    """Read what was measured: a directory of a measurement, or its `measurements.json`.

    Returns:
        The results; a list where several networks were compared.

    Raises:
        FileError: where there is none.
    """
    loaded = [Results(native) for native in _native.load_results(_arguments.path("path", path))]
    return loaded[0] if len(loaded) == 1 else loaded


def _bound(network: Any, data: Any, labels: Any) -> Any:
    """Return the samples that a live module is bound to."""
    if not hasattr(network, "bind"):
        kind = type(network).__name__
        raise ArgumentError(f"network: {kind} is none; open a file with unrolled.open, or wrap a module with unrolled.torch.wrap")
    if isinstance(data, (str, Data)):
        raise ArgumentError("images: a live module takes a DataLoader or a list of batches, no data set by name")
    return network.bind(data, labels)

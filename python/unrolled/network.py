"""A network that was opened, or what slimming left of one."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _arguments, _native, _progress
from ._records import Record, of_json
from .errors import ArgumentError, UnsupportedError

if TYPE_CHECKING:
    from .results import Proof

__all__ = ["Network", "Slimmed", "open"]


class Network:
    """A network on the CPU: `open` makes one of a file, `slim` of another network.

    >>> import unrolled as un
    >>> net = un.open(EXAMPLE)
    >>> net.outline.stages[0].shape
    [4, 8, 8]
    >>> net.blocks[:2]
    ('stage1.block1', 'stage1.block2')
    """

    def __init__(self, native: _native.NativeNetwork) -> None:
        self._native = native

    @property
    def target(self) -> str:
        """The path that it was opened from, as reports name it."""
        return self._native.target

    @property
    def outline(self) -> Record:
        """Stages and blocks with shapes (`[channels, height, width]`), numbers of parameters, and FLOPs of one sample.

        A block whose `fixed` says why cannot be left out for good.
        """
        outline: Record = of_json(json.loads(self._native.outline_json))
        return outline

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of all blocks, in the order in which they run."""
        return tuple(block["name"] for stage in self.outline.stages for block in stage.blocks)

    def __repr__(self) -> str:
        return self._native.text.rstrip("\n")

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: bool | _progress.Callback | None = None,
    ) -> None:
        """Write a slimmed network to a file in the format of the whole one: `.safetensors` or `.onnx`.

        The file is opened again, and has to answer all samples as the network in memory, bit for bit. Otherwise no file is
        left.

        Args:
            path: the file.
            overwrite: replace a file that is there.
            progress: as for `measure`.

        Raises:
            FileError: where the file cannot be written, is there already, or answers differently.
            UnsupportedError: where nothing was removed from the network.
        """
        with _progress.callback(progress) as call:
            self._native.save(os.fspath(path), overwrite, call)


class Slimmed:
    """What `slim` returns: `small, proof = un.slim(…)`, or for a live module `un.slim(…).apply()`.

    Attributes:
        small: the network that is left.
        proof: how blocks were selected, and what is left answers.
    """

    def __init__(self, small: Any, proof: Proof, live: Any = None) -> None:
        self.small = small
        self.proof = proof
        self._live = live

    def __iter__(self) -> Any:
        return iter((self.small, self.proof))

    def __repr__(self) -> str:
        return repr(self.proof)

    def _repr_html_(self) -> str:
        return self.proof._repr_html_()

    def apply(self, **options: Any) -> Any:
        """Remove the blocks from the live module itself, and return it.

        The module has to answer its example as it was planned, bit for bit; otherwise it is put back. One that has
        `save_pretrained` is saved to a temporary folder and loaded again by a fresh process, which takes some seconds.

        Args:
            options: passed on to `unrolled.torch`: `per_layer` and `not_per_layer`, keys of the configuration.

        Raises:
            UnsupportedError: where the network is no live module; `small.save` writes it then.
        """
        if self._live is None:
            raise UnsupportedError(f"{self.small.target}: no live module; write it with small.save(path)")
        return self._live.apply(self.proof._inner.removed, **options)


def open(
    path: str | os.PathLike[str],
    *,
    arch: str | os.PathLike[str] | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    key: str | None = None,
    partial: bool = False,
    output: str | None = None,
    answer: str | None = None,
    positions: str | int | None = None,
    mask: str | None = None,
    cut: Sequence[Sequence[tuple[str, str]]] | str | os.PathLike[str] | None = None,
    device: str = "cpu",
) -> Network:
    """Open a network: a run directory, a model file, or a PyTorch, safetensors or ONNX file.

    Nothing in a file is executed. The keywords are the options of the command line.

    Args:
        path: the file or directory.
        arch: what network a PyTorch or safetensors file holds, where it leaves that open: a name such as `"highway-110"`,
            or an experiment file.
        mean: what is subtracted from each channel of the samples, one number or one a channel. Without `mean` and `std`
            arrays are taken as they are.
        std: what each channel is divided by after that.
        labels: the names of the classes, or a file with one a line.
        key: the key of the network in a file that holds several, such as `"model.ema"`.
        partial: leave out arrays that the network has no place for; never those of blocks.
        output: the output of an ONNX network that holds its answers; the first one by default.
        answer: what the answers of an ONNX network are: `"classes"`, `"cosine"` or `"mse"`.
        positions: which positions of a sample count: `"all"`, `"last"`, or a number from 0.
        mask: the input of an ONNX network that is 0 at positions which do not count.
        cut: the blocks of every stage of an ONNX network, as pairs of the names of the values that enter and leave each,
            or a file that names them.
        device: where a network of layers is computed.

    Raises:
        FileError: for a file that is missing or not valid.
        ArgumentError: for options that do not fit the network.

    >>> import unrolled as un
    >>> len(un.open(EXAMPLE).blocks)
    6
    """

    def path_or_names(value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    options = {
        "arch": path_or_names(arch),
        "mean": _numbers("mean", mean),
        "std": _numbers("std", std),
        "labels": path_or_names(labels),
        "key": key,
        "partial": partial,
        "output": output,
        "answer": answer,
        "positions": None if positions is None else str(positions),
        "mask": mask,
        "cut": path_or_names(cut),
        "device": device,
    }
    return Network(_native.open_network(_arguments.path("path", path), options))


def _numbers(name: str, values: Sequence[float] | float | None) -> list[float] | None:
    if values is None:
        return None
    if isinstance(values, (int, float)):
        return [float(values)]
    if isinstance(values, str) or not hasattr(values, "__iter__") or not all(hasattr(value, "__float__") for value in values):
        raise ArgumentError(f"{name}: {values!r}, expected a number, or a list of one for each channel")
    return [float(value) for value in values]

"""How the blocks of a network refine one estimate, and which it can do without.

    import unrolled as un

    net = un.open("resnet56.th")                     # anything that the program opens
    results = un.measure(net, images, labels)        # NumPy arrays, or anything with __dlpack__
    results.table("lesion").to_pandas()
    small, proof = un.slim(net, images, labels, remove=3)
    small.save("slim.safetensors")

    live = un.torch.wrap(model, example=batch)       # any torch.nn.Module
    results = un.measure(live, loader)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._arrays import Data
from ._native import __version__
from ._records import Figure, Record
from ._work import load, measure, measure_shard, merge, slim
from .errors import (
    ArgumentError,
    Error,
    FileError,
    InternalError,
    Interrupted,
    MismatchError,
    NonFiniteError,
    UnsupportedError,
)
from .network import Network, Slimmed, open
from .results import Proof, Results, Table

if TYPE_CHECKING:
    from . import torch

__all__ = [
    "ArgumentError",
    "Data",
    "Error",
    "Figure",
    "FileError",
    "InternalError",
    "Interrupted",
    "MismatchError",
    "Network",
    "NonFiniteError",
    "Proof",
    "Record",
    "Results",
    "Slimmed",
    "Table",
    "UnsupportedError",
    "__version__",
    "load",
    "measure",
    "measure_shard",
    "merge",
    "open",
    "slim",
    "torch",
]


def __getattr__(name: str) -> Any:
    # Nothing but live modules needs PyTorch.
    if name == "torch":
        import importlib

        return importlib.import_module(".torch", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

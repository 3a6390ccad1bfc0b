"""The exceptions of the package. The message is the line that the program `unrolled` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .results import Results

__all__ = [
    "ArgumentError",
    "Error",
    "FileError",
    "InternalError",
    "Interrupted",
    "MismatchError",
    "NonFiniteError",
    "UnsupportedError",
]


class Error(Exception):
    """What every error of this package is."""


class FileError(Error, OSError):
    """A file is missing, cannot be read or written, or its content is not valid."""


class ArgumentError(Error, ValueError):
    """The value of an argument is not possible."""


class MismatchError(Error, ValueError):
    """Two things do not fit together, such as a network and samples."""


class UnsupportedError(Error):
    """Something cannot do what it is asked for."""


class NonFiniteError(Error, ArithmeticError):
    """A loss or an estimate is not finite."""


class InternalError(Error, RuntimeError):
    """A fault of this package."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C stopped the work.

    Attributes:
        results: what was measured until then; `None` where no measurement was finished.
    """

    results: Results | None = None

"""Values of arguments, checked before the native module takes them."""

from __future__ import annotations

import operator
import os
from typing import Any

from .errors import ArgumentError

__all__ = ["measurements", "names", "number", "one_name", "optional_path", "path", "whole"]

#: The largest whole number that the native module takes.
MOST = 2**64 - 1


def whole(name: str, value: Any, least: int) -> Any:
    """Return a whole number of at least `least`, or None."""
    if value is None:
        return None
    try:
        found = operator.index(value)
    except TypeError:
        raise ArgumentError(f"{name}: {value!r}, expected a whole number") from None
    if found < least:
        raise ArgumentError(f"{name}: {found}, expected at least {least}")
    if found > MOST:
        raise ArgumentError(f"{name}: {found}, expected at most {MOST}")
    return found


def number(name: str, value: Any) -> float | None:
    """Return a number, or None."""
    if value is None:
        return None
    if isinstance(value, str) or not hasattr(value, "__float__"):
        raise ArgumentError(f"{name}: {value!r}, expected a number")
    return float(value)


def names(name: str, value: Any) -> list[str] | None:
    """Return names as a list; one name may stand alone."""
    if value is None:
        return None
    found = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    if not all(isinstance(item, str) for item in found):
        raise ArgumentError(f"{name}: {value!r}, expected names")
    return found


def measurements(value: Any) -> list[str] | None:
    """Return the names of measurements, or None for all."""
    found = names("only", value)
    if found == []:
        raise ArgumentError("only: no measurement is named; leave it out for all that fit")
    return found


def one_name(name: str, value: Any, expected: str = "a name") -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise ArgumentError(f"{name}: {value!r}, expected {expected}")
    return value


def path(name: str, value: Any) -> str:
    """Return a path as text."""
    if not isinstance(value, (str, os.PathLike)):
        raise ArgumentError(f"{name}: {value!r}, expected a path")
    found: str = os.fspath(value)
    if not found:
        raise ArgumentError(f"{name}: '' is no path")
    return found


def optional_path(name: str, value: Any) -> str | None:
    """Return a path as text, or None."""
    return None if value is None else path(name, value)

"""JSON objects with attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Units that may be left out of the name of a figure: `accuracy_cost` is `accuracy_cost_fraction`.
_UNITS = ("fraction", "nats")
_NOT_FINITE = {"NaN": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


class Figure(float):
    """A number with the half width of its 95 % interval, in the unit of the number.

    >>> cost = Figure(0.25, 0.04)
    >>> cost * 100, cost.ci95
    (25.0, 0.04)
    >>> cost
    0.25 ± 0.04
    """

    ci95: float

    def __new__(cls, value: float, ci95: float) -> Figure:
        figure = super().__new__(cls, value)
        figure.ci95 = ci95
        return figure

    def __reduce__(self) -> Any:
        return (Figure, (float(self), self.ci95))

    def __repr__(self) -> str:
        return f"{float(self):.6g} ± {self.ci95:.2g}"


class Record(Mapping[str, Any]):
    """A JSON object. Keys are attributes too, with or without their unit (`_fraction`, `_nats`).

    >>> lesion = Record({"loss_nats": 0.5, "accuracy_cost_fraction": {"value": 0.25, "ci95": 0.04}})
    >>> lesion.loss, lesion["loss_nats"]
    (0.5, 0.5)
    >>> lesion.accuracy_cost
    0.25 ± 0.04
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = {key: of_json(value) for key, value in fields.items()}

    def __getitem__(self, key: str) -> Any:
        return self._fields[key]

    def __iter__(self) -> Any:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_fields":
            raise AttributeError(name)
        if name in self._fields:
            return self._fields[name]
        for key in self._fields:
            if _without_unit(key) == name:
                return self._fields[key]
        raise AttributeError(f"no '{name}' here; there is {', '.join(self._fields)}")

    def __dir__(self) -> list[str]:
        short = [_without_unit(key) for key in self._fields]
        return sorted({*super().__dir__(), *filter(str.isidentifier, [*self._fields, *short])})

    def __reduce__(self) -> Any:
        return (_restored, (self._fields,))

    def __repr__(self) -> str:
        return f"Record({self._fields!r})"


def _restored(fields: dict[str, Any]) -> Record:
    record = Record({})
    record._fields = fields
    return record


def _without_unit(key: str) -> str:
    return "_".join(part for part in key.split("_") if part not in _UNITS)


def of_json(value: Any) -> Any:
    """Return a JSON value with records for objects, figures for numbers with an interval, and numbers that are not finite."""
    if isinstance(value, dict):
        if value.keys() == {"value", "ci95"}:
            return Figure(of_json(value["value"]), of_json(value["ci95"]))
        return Record(value)
    if isinstance(value, list):
        return [of_json(item) for item in value]
    if isinstance(value, str):
        return _NOT_FINITE.get(value, value)
    return value

"""What was measured: figures by block, tables, and the report."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _native
from ._arrays import as_float_array
from ._records import Record, of_json
from .errors import ArgumentError

if TYPE_CHECKING:
    import numpy as _numpy
    import pandas as _pandas

__all__ = ["Proof", "Results", "Table"]

#: The height of a report in a notebook, pixels.
HEIGHT = 600
#: The width of a report as text, columns.
WIDTH = 100


class Table:
    """A table of a report: one value in every column, as in its CSV file.

    The half width of the 95 % interval of `NAME` is in the column `NAME_ci95`, its ends are in `NAME_low` and `NAME_high`.
    The names of columns end with the unit.

    Attributes:
        name: the name of the table, and of its CSV file.
        title: what the table holds.
        columns: the names of the columns.
        rows: the values: `str`, `float`, `int`, or `None` where there is no figure.
    """

    def __init__(self, name: str, title: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], csv: str) -> None:
        self.name = name
        self.title = title
        self.columns = tuple(columns)
        self.rows = tuple(rows)
        self._csv = csv

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Table '{self.name}': {len(self.rows)} rows of {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        def cells(tag: str, values: Sequence[Any]) -> str:
            return "".join(f"<{tag}>{html.escape(_shown(value))}</{tag}>" for value in values)

        rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in self.rows)
        caption = html.escape(self.title)
        return f"<table><caption>{caption}</caption><tr>{cells('th', self.columns)}</tr>{rows}</table>"

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the values of every column by its name."""
        return {name: [row[place] for row in self.rows] for place, name in enumerate(self.columns)}

    def to_numpy(self, column: str) -> _numpy.ndarray[Any, Any]:
        """Return a column of numbers as float64 of shape `[rows]`; missing figures are NaN. Needs NumPy."""
        if column not in self.columns:
            raise ArgumentError(f"column: no '{column}', expected one of {', '.join(self.columns)}")
        values: _numpy.ndarray[Any, Any] = as_float_array(self.to_dict()[column])
        return values

    def to_pandas(self) -> _pandas.DataFrame:
        """Return a data frame. Needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("pandas is needed for data frames: pip install unrolled[pandas]") from error
        return pandas.DataFrame(self.to_dict())

    def to_csv(self) -> str:
        """Return the text of the CSV file, with numbers in full precision."""
        return self._csv


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class _Reported:
    """What has a report."""

    _inner: _native.NativeResults | _native.NativeProof

    def to_json_str(self) -> str:
        """Return the results as JSON text, with the keys of the program's `--json`."""
        return self._inner.json()

    def json(self) -> dict[str, Any]:
        """Return the results as JSON values. Numbers that are not finite are `"NaN"`, `"inf"` and `"-inf"`."""
        loaded: dict[str, Any] = json.loads(self._inner.json())
        return loaded

    def html(self) -> str:
        """Return the report as an HTML document without external requests."""
        return self._inner.html()

    def text(self, width: int = WIDTH) -> str:
        """Return the report as text, `width` columns wide."""
        return self._inner.text(width)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the report, the results and a CSV file for each table to a directory, as the program's `--out` does.

        Raises:
            FileError: where a file is there that belongs to no earlier report.
        """
        self._inner.save(os.fspath(directory))

    @property
    def tables(self) -> dict[str, Table]:
        """All tables of the report by their names."""
        return {table.name: table for _, table in self._tables()}

    def table(self, name: str) -> Table:
        """Return the table of this name, or the first one of the measurement of this name.

        Raises:
            ArgumentError: where there is none.
        """
        tables = self._tables()
        for section, table in tables:
            if table.name == name:
                return table
        for section, table in tables:
            if section == name:
                return table
        known = ", ".join(table.name for _, table in tables)
        raise ArgumentError(f"name: no table '{name}', expected one of {known}")

    def _tables(self) -> list[tuple[str, Table]]:
        return [(section, Table(*table)) for section, table in ((found[0], found[1:]) for found in self._inner.tables())]

    def _repr_html_(self) -> str:
        page = html.escape(self.html(), quote=True)
        style = f"width:100%;height:{HEIGHT}px;border:1px solid #ccc"
        return f'<iframe srcdoc="{page}" style="{style}" sandbox="allow-scripts allow-downloads"></iframe>'

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._record(), name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._record()})

    def _record(self) -> Record:
        if "_fields" not in self.__dict__:
            self.__dict__["_fields"] = of_json(self.json())
        record: Record = self.__dict__["_fields"]
        return record


class Results(_Reported):
    """What was measured of one network. In a notebook it shows itself as the report.

    The results of a measurement are an attribute of its name, with the blocks as keys: `results.lesion["stage1.block2"]`.
    The names of figures are those of the program's JSON, whose units (`_fraction`, `_nats`) may be left out:
    `accuracy_cost` is `accuracy_cost_fraction`, a share of 1. A figure with an interval is a `float` with the half width
    `ci95`.

    >>> import unrolled as un
    >>> results = un.measure(un.open(EXAMPLE), un.Data("digits", limit=60), only=["lesion"])
    >>> results.baseline.samples
    60
    >>> results.lesion["stage1.block2"].accuracy_cost > 0
    True
    >>> results.table("lesion").columns[:2]
    ('block', 'accuracy_fraction')
    """

    def __init__(self, native: _native.NativeResults) -> None:
        self._inner = native

    @property
    def measurements(self) -> tuple[str, ...]:
        """The names of what was measured, the keys of the JSON."""
        known = {"version", "target", "data", "preprocessing", "device", "seed", "outline", "baseline"}
        known |= {"training", "untrained"}
        return tuple(key for key in self._record() if key not in known)

    def __repr__(self) -> str:
        record = self._record()
        score = record.baseline
        figures = [f"{score.samples} samples"]
        # Answers that are no classes are compared with themselves.
        if _has_classes(record):
            figures = [f"accuracy {100 * score.accuracy:.2f} %", f"loss {score.loss:.4f} nats", *figures]
        return f"<Results of {record.target} ({record.data}): {', '.join(figures)}; {', '.join(self.measurements)}>"


class Proof(_Reported):
    """How blocks were selected, and what the network without them answers. In a notebook it shows itself as the report.

    The keys of `json()` are attributes: `removed` are the names of the blocks, `slimmed.before` and `slimmed.after` the
    sizes, `slimmed.versions[0]` the score of the slimmed network and what it costs.
    """

    _inner: _native.NativeProof

    def __init__(self, native: _native.NativeProof) -> None:
        self._inner = native

    @property
    def plan(self) -> str:
        """The text of a plan file, to be edited and applied with `plan=`."""
        return self._inner.plan

    def __repr__(self) -> str:
        record = self._record()
        version, whole = record.slimmed.versions[0], record.slimmed.whole
        if _has_classes(record):
            score = f"accuracy {100 * version.accuracy:.2f} %, was {100 * whole.accuracy:.2f} %"
        else:
            score = f"distance {version.loss:.4g} from the whole network"
        return f"<Proof of {record.target} without {', '.join(record.removed)} ({record.data}): {score}>"


def _has_classes(record: Record) -> bool:
    answer = record.outline.get("answer")
    return answer is None or bool(answer.kind == "classes")

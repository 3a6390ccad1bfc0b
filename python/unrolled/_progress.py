"""Progress on the screen, by tqdm where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Called with the finished work, all there is, and what is under way.
Callback = Callable[[int, int, str], Any]


@contextmanager
def callback(progress: bool | Callback | None) -> Iterator[Callback | None]:
    """Yield what to call: `progress` itself, a bar for `None` and `True` where one can be shown, or nothing."""
    if callable(progress):
        yield progress
        return
    bar = _bar(progress) if progress is not False else None
    try:
        yield bar.update_to if bar else None
    finally:
        if bar:
            bar.close()


def _bar(progress: bool | None) -> _Bar | None:
    if progress is None and not (_is_notebook() or sys.stderr is not None and sys.stderr.isatty()):
        return None
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    return _Bar(tqdm)


def _is_notebook() -> bool:
    return "ipykernel" in sys.modules


class _Bar:
    """A bar of one percent steps: work is counted in operations, which tell nobody anything."""

    def __init__(self, tqdm: Any) -> None:
        self._bar = tqdm(total=100, leave=False, bar_format="{desc} {bar} {percentage:3.0f} % {remaining} left")

    def update_to(self, done: int, total: int, name: str) -> None:
        self._bar.set_description_str(name, refresh=False)
        percent = 100 * done / max(total, 1)
        # A second piece of work begins at 0 again.
        self._bar.update(percent - self._bar.n)

    def close(self) -> None:
        self._bar.close()

"""Every example in a docstring runs."""

from __future__ import annotations

import doctest
import importlib
import pathlib
import pkgutil

import pytest

import unrolled

#: Its modules are tested where PyTorch is.
OTHERS = ("unrolled.torch", "unrolled.__main__")
MODULES = [
    module.name
    for module in pkgutil.walk_packages(unrolled.__path__, "unrolled.")
    if not module.name.startswith(OTHERS)
]


@pytest.mark.parametrize("name", ["unrolled", *MODULES])
def test_examples_run(name: str, example: pathlib.Path) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), extraglobs={"EXAMPLE": example})
    assert failed == 0


def test_there_are_examples() -> None:
    found = [doctest.DocTestFinder().find(importlib.import_module(name)) for name in MODULES]
    assert sum(bool(test.examples) for tests in found for test in tests) >= 8


def test_every_public_name_is_explained() -> None:
    for name in unrolled.__all__:
        if name not in ("__version__", "torch"):
            assert getattr(unrolled, name).__doc__, name

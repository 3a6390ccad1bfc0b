"""What the tests share."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
import pytest
from repository import EXAMPLE, run_program

import unrolled as un

# The tests of the repository run side by side on small machines.
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session")
def example() -> pathlib.Path:
    return EXAMPLE


@pytest.fixture(scope="session")
def net() -> un.Network:
    return un.open(EXAMPLE)


@pytest.fixture(scope="session")
def samples() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    return random.normal(size=(40, 1, 8, 8)).astype(np.float32), random.integers(0, 10, size=40)


@pytest.fixture(scope="session")
def program_json():
    """Run the program; return the JSON that it prints."""
    return lambda *arguments: json.loads(run_program(*arguments))

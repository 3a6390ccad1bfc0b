"""What comes with the package, and what it does not need."""

from __future__ import annotations

import os
import pathlib
import pickle
import subprocess
import sys

import pytest
from repository import ROOT

import unrolled as un

BLOCKED = """
import sys
for name in ("numpy", "pandas", "torch", "tqdm"):
    sys.modules[name] = None
import unrolled as un
net = un.open({example!r})
results = un.measure(net, un.Data("digits", limit=10), only=["lesion"])
table = results.table("lesion")
print(len(table), len(repr(net)) > 0)
for call in (table.to_pandas, lambda: table.to_numpy("loss_nats")):
    try:
        call()
    except ImportError as error:
        print(error)
"""


def test_no_other_package_is_needed(example) -> None:
    script = BLOCKED.format(example=str(example))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "6 True",
        "pandas is needed for data frames: pip install unrolled[pandas]",
        "NumPy is needed for arrays: pip install unrolled[numpy]",
    ]


def test_types_come_with_the_package() -> None:
    package = pathlib.Path(un.__file__).parent
    assert (package / "py.typed").exists() and (package / "_native.pyi").exists()


def test_errors_are_a_hierarchy() -> None:
    kinds = [un.ArgumentError, un.FileError, un.InternalError, un.MismatchError, un.NonFiniteError, un.UnsupportedError]
    assert all(issubclass(kind, un.Error) for kind in kinds)
    assert issubclass(un.Interrupted, KeyboardInterrupt) and not issubclass(un.Interrupted, un.Error)


def test_figures_can_be_pickled() -> None:
    record = un.Record({"accuracy_cost_fraction": {"value": 0.5, "ci95": 0.1}, "loss_nats": "inf"})
    again = pickle.loads(pickle.dumps(record))
    assert again == record and again.accuracy_cost.ci95 == 0.1 and again.loss == float("inf")


def test_what_there_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        un.mesure


def test_a_folder_of_transformers_says_how_to_load_it() -> None:
    with pytest.raises(un.UnsupportedError) as error:
        un.open(ROOT / "tests/folders/llama")
    for part in ("a Transformers folder", "unrolled show", "transformers.LlamaForCausalLM.from_pretrained", "unrolled.torch.wrap"):
        assert part in str(error.value), part


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("UNROLLED_INSTRUCTION_SET", "none", "UnsupportedError UNROLLED_INSTRUCTION_SET: 'none' is none that this processor has"),
        # Bytes that are no UTF-8, as Python writes them in a text.
        ("UNROLLED_FILE_MEMORY", "8\udcffG", "ArgumentError UNROLLED_FILE_MEMORY: "),
    ],
)
def test_variables_are_checked_as_in_the_program(variable, value, says) -> None:
    script = f"""
import unrolled as un
try:
    un.open({str(ROOT / "tests/onnx/pre.onnx")!r})
except un.Error as error:
    print(type(error).__name__, error)
"""
    environment = {**os.environ, variable: value}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith(says), done.stdout

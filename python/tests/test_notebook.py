"""A real kernel: Ctrl-C in a notebook, and what a notebook shows."""

from __future__ import annotations

import queue
import time

import nbformat
import pytest
from repository import EXAMPLE
from jupyter_client.manager import start_new_kernel
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor

#: The longest time from the interruption to the end of the cell, seconds.
SOON = 0.5

OPEN = f"""
import unrolled as un
net = un.open({str(EXAMPLE)!r})
"""
MEASURE = """
def progress(done, total, name):
    if name == "shuffle" and not told:
        told.append(1)
        print("shuffle", flush=True)
told = []
try:
    un.measure(net, un.Data("digits", split="train"), progress=progress)
except un.Interrupted as stopped:
    kept = stopped.results
"""


@pytest.fixture
def kernel():
    manager, client = start_new_kernel()
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def printed(client, code: str, timeout: float = 60) -> str:
    found: list[str] = []

    def hook(message):
        if message["msg_type"] == "stream":
            found.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=timeout, output_hook=hook)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(found)


def test_ctrl_c_in_a_notebook_keeps_what_is_finished(kernel) -> None:
    manager, client = kernel
    printed(client, OPEN)
    request = client.execute(MEASURE)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if message["msg_type"] == "stream" and "shuffle" in message["content"]["text"]:
            break
    begun = time.monotonic()
    manager.interrupt_kernel()
    while client.get_shell_msg(timeout=30)["parent_header"]["msg_id"] != request:
        pass
    assert time.monotonic() - begun < SOON
    # The kernel goes on.
    assert "lesion" in printed(client, "print(kept.measurements)")


def test_a_converted_notebook_holds_the_report() -> None:
    notebook = nbformat.v4.new_notebook()
    show = OPEN + "un.measure(net, un.Data('digits', limit=30), only=['lesion'])"
    notebook.cells = [nbformat.v4.new_code_cell(show)]
    ExecutePreprocessor(timeout=120).preprocess(notebook)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "<iframe " in page and " srcdoc=" in page and "refines its estimates" in page

"""Processes that are forked from one that has computed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from repository import EXAMPLE, ROOT

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")

#: Without threads of its own a child waits for ever.
SECONDS = 120

SCRIPT = """
import multiprocessing, os, sys, threading
import unrolled as un

GRAPH = {graph!r}

def loss(part):
    return un.measure(un.open({path!r}), "digits", only="lesion", progress=False).baseline.loss

def in_threads(_):
    found = []
    threads = [threading.Thread(target=lambda: found.append(loss(0))) for _ in range(2)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    return found

def refused(work):
    try:
        work()
    except un.UnsupportedError as error:
        return str(error)

def graph(_):
    return refused(lambda: un.open(GRAPH))

def fork_again(_):
    loss(0)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(inner, [0])[0]

def inner(_):
    return refused(lambda: loss(0))

if __name__ == "__main__":
    mine = loss(0)
    un.open(GRAPH)
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        print({{"loss": list(pool.map(loss, [1, 2])) == [mine, mine], "threads": list(pool.map(in_threads, [0]))[0] == [mine, mine],
               "graph": list(pool.map(graph, [0]))[0], "again": list(pool.map(fork_again, [0]))[0]}})
"""


def test_a_fork_computes_with_threads_of_its_own(tmp_path) -> None:
    graph = ROOT / "tests" / "onnx" / "encoder-pre.onnx"
    script = tmp_path / "forking.py"
    script.write_text(SCRIPT.format(path=str(EXAMPLE), graph=str(graph)))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=SECONDS, check=True)
    found = eval(done.stdout)  # noqa: S307
    assert found["loss"] and found["threads"]
    for refusal, why in [(found["graph"], "had run an ONNX file"), (found["again"], "was forked itself")]:
        assert why in refusal and 'get_context("spawn")' in refusal

"""Ctrl-C: a real signal to a real process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from repository import EXAMPLE

import unrolled as un

#: The longest time from Ctrl-C to the exception, seconds.
SOON = 0.5

SCRIPT = """
import json, sys, time
import unrolled as un

net = un.open({example!r})
finished = []
def progress(done, total, name):
    if name not in finished:
        finished.append(name)
        print(name, flush=True)
    if {after!r} in finished:
        time.sleep(0.01)  # the measurement is not over before the signal comes
try:
    un.measure(net, un.Data("digits", split="train"), out={out!r}, progress=progress)
except KeyboardInterrupt as stopped:
    at = time.time()
    kept = stopped.results
    print(json.dumps([at, type(stopped).__name__, list(kept.measurements) if kept else [], str(stopped)]))
"""


def interrupted(out: str | None, after: str) -> tuple[float, str, list[str], str]:
    """Interrupt a measurement as soon as it comes to a measurement. Return the seconds until it stopped, and what it says."""
    script = SCRIPT.format(example=str(EXAMPLE), out=out, after=after)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.strip() == after:
            break
    sent = time.time()
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    at, *rest = json.loads(printed.splitlines()[-1])
    return at - sent, *rest


def test_what_is_finished_is_in_the_exception() -> None:
    seconds, kind, kept, message = interrupted(None, "shuffle")
    assert kind == "Interrupted" and seconds < SOON
    assert kept[:2] == ["estimation", "patches"] and "lesion" in kept
    assert "results" in message


def test_a_directory_is_gone_on_with(tmp_path) -> None:
    out = tmp_path / "out"
    seconds, _, kept, message = interrupted(str(out), "shuffle")
    assert seconds < SOON and "lesion" in kept and "resume=True" in message
    assert list(un.load(out).measurements) == kept
    data = un.Data("digits", split="train")
    net = un.open(EXAMPLE)
    only = ["lesion", "shuffle", "estimation"]
    resumed = un.measure(net, data, out=out, resume=True, only=only).json()
    whole = un.measure(net, data, only=only).json()
    for name in ("lesion", "shuffle", "estimation", "baseline"):
        assert resumed[name] == whole[name]


def test_an_exception_of_a_signal_handler_is_raised_unchanged(net) -> None:
    class Told(Exception):
        pass

    def handler(*_):
        raise Told("by the handler")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        begun = time.monotonic()
        with pytest.raises(Told, match="by the handler"):
            un.measure(net, un.Data("digits", split="train"))
        assert time.monotonic() - begun < 0.2 + SOON
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    # The network can be used again.
    assert un.measure(net, un.Data("digits", limit=10), only="lesion").baseline.samples == 10


def test_other_threads_run_meanwhile(net) -> None:
    import threading

    count = 0
    running = True

    def work():
        nonlocal count
        while running:
            count += 1
            time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    begun = time.monotonic()
    un.measure(net, un.Data("digits", limit=200), only=["lesion"])
    seconds, running = time.monotonic() - begun, False
    thread.join()
    # A thread that had to wait for the work would count once.
    assert count > 20 * seconds


def test_a_network_in_use_is_told(net) -> None:
    told = []

    def again(*_):
        if not told:
            with pytest.raises(un.UnsupportedError, match="in use by another thread") as caught:
                un.measure(net, un.Data("digits", limit=10))
            told.append(str(caught.value))

    un.measure(net, un.Data("digits", limit=10), only="lesion", progress=again)
    assert told

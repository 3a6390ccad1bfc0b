"""The program that comes with the package."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time

from repository import EXAMPLE, run_program

import unrolled as un


def test_the_program_runs() -> None:
    assert run_program("--version") == f"unrolled {un.__version__}\n"
    shown = json.loads(run_program("show", EXAMPLE, "--json"))
    assert shown["command"] == f"unrolled show {EXAMPLE} --json"
    assert repr(un.open(EXAMPLE)) + "\n" == run_program("show", EXAMPLE)


def test_the_script_is_the_program() -> None:
    script = os.path.join(sysconfig.get_path("scripts"), "unrolled")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == run_program("--version")


def test_errors_are_those_of_the_command_line() -> None:
    command = [sys.executable, "-m", "unrolled", "measure", EXAMPLE, "--data", "digits", "--only", "gates"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --only: gates: nothing to measure") and done.stderr.count("\n") == 1


def test_ctrl_c_ends_the_program(tmp_path) -> None:
    command = [sys.executable, "-m", "unrolled", "measure", EXAMPLE, "--data", "digits", "--out", tmp_path / "out"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out/plan.json").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in printed

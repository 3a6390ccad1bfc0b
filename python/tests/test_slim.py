"""Networks without blocks, the proof, and the file."""

from __future__ import annotations

import fcntl
import json

import numpy as np
import pytest
from repository import EXAMPLE, ROOT, figures, run_program

import unrolled as un

DATA = un.Data("digits", limit=80)


def comparable(proof: dict) -> dict:
    """Return the JSON of a slimming without times and names of files."""
    proof = figures(proof)
    for sizes in (proof["slimmed"]["before"], proof["slimmed"]["after"]):
        sizes.pop("latency_ms")
    proof["slimmed"].pop("file", None)
    return proof


def test_every_figure_is_that_of_the_program(net, samples, program_json, tmp_path) -> None:
    images, labels = samples
    file = tmp_path / "samples.npz"
    np.savez(file, images=images, labels=labels)
    options = ["--data", f"arrays:{file}", "--remove", 2, "--dry-run", "--seed", 4, "--json"]
    expected = program_json("slim", EXAMPLE, *options)
    small, proof = un.slim(net, images, labels, remove=2, seed=4)
    assert comparable(proof.json()) == comparable(expected)
    assert len(small.blocks) == 4
    assert proof.slimmed.after.blocks == 4 and proof.removed == expected["removed"]


def test_the_file_is_the_network_in_memory(net, tmp_path) -> None:
    small, proof = un.slim(net, DATA, remove=1, by="lesion")
    small.save(tmp_path / "slim.safetensors")
    again = un.open(tmp_path / "slim.safetensors")
    assert again.blocks == small.blocks
    expected, found = (un.measure(n, DATA, only="lesion").json() for n in (small, again))
    assert found["lesion"] == expected["lesion"] and found["baseline"] == expected["baseline"]
    assert "slimmed" in proof.text() and proof.removed[0] in proof.html()
    proof.save(tmp_path / "report")
    assert json.loads((tmp_path / "report/slim.json").read_text())["removed"] == proof.removed


def test_a_plan_is_applied_again(net, tmp_path) -> None:
    small, proof = un.slim(net, DATA, remove=2)
    (tmp_path / "plan.toml").write_text(proof.plan)
    again, _ = un.slim(net, DATA, plan=tmp_path / "plan.toml")
    assert again.outline == small.outline
    run_program("slim", EXAMPLE, "--data", "digits", "--limit", 80, "--plan", tmp_path / "plan.toml", "--dry-run")


def test_a_slimmed_network_is_slimmed_again(net, tmp_path) -> None:
    small, _ = un.slim(net, DATA, blocks=["stage1.block2"])
    smaller, _ = un.slim(small, DATA, blocks=["stage2.block2"])
    smaller.save(tmp_path / "smaller.safetensors")
    assert len(un.open(tmp_path / "smaller.safetensors").blocks) == 4


def test_graphs_are_slimmed_to_graphs(tmp_path) -> None:
    net = un.open(ROOT / "tests/onnx/pre.onnx")
    images = np.random.default_rng(2).normal(size=(20, *net.outline.input)).astype("f4")
    small, proof = un.slim(net, images, remove=1)
    with pytest.raises(un.FileError, match="what is written is ONNX; end the name in .onnx"):
        small.save(tmp_path / "slim.safetensors")
    small.save(tmp_path / "slim.onnx")
    assert un.open(tmp_path / "slim.onnx").blocks == small.blocks
    assert [path.name for path in tmp_path.iterdir()] == ["slim.onnx"]


def test_a_file_is_reserved_while_it_is_verified(net, tmp_path) -> None:
    small, _ = un.slim(net, DATA, remove=1)
    path, lock, seen = tmp_path / "slim.safetensors", tmp_path / ".whole-slim.safetensors.output.lock", []

    def look(*_):
        with lock.open("w") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(True)

    small.save(path, progress=look)
    assert seen
    written = path.read_bytes()
    # As a process leaves it that is killed when the file is in its place.
    lock.write_text("locked\n")
    small.save(path)
    assert [path.name for path in tmp_path.iterdir()] == ["slim.safetensors"]
    assert path.read_bytes() == written
    path.write_text("of another")
    lock.write_text("locked\n")
    with pytest.raises(un.FileError, match="is there already, with other content"):
        small.save(path)
    assert path.read_text() == "of another"


def test_nothing_is_replaced_or_left(net, tmp_path) -> None:
    small, _ = un.slim(net, DATA, remove=1)
    path = tmp_path / "slim.safetensors"
    path.write_text("mine")
    with pytest.raises(un.FileError, match="there already; name another file, or pass overwrite=True"):
        small.save(path)
    assert path.read_text() == "mine"
    small.save(path, overwrite=True)
    assert len(un.open(path).blocks) == 5
    with pytest.raises(un.FileError, match="end the name in .safetensors"):
        small.save(tmp_path / "slim.pt")
    with pytest.raises(un.FileError, match="never overwritten"):
        small.save(EXAMPLE, overwrite=True)
    with pytest.raises(un.FileError, match="a directory; name a file"):
        small.save(tmp_path)

    def stop(*_):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        small.save(tmp_path / "stopped.safetensors", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["slim.safetensors"]
    with pytest.raises(un.UnsupportedError, match="nothing is removed"):
        net.save(tmp_path / "whole.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "goal: none is given, expected one of remove, keep_accuracy"),
        ({"remove": 1, "params": 5}, "goal: 2 are given, expected one of remove"),
        ({"remove": 0}, "remove: expected a whole number of at least 1"),
        ({"remove": 9}, "remove: 9: at most 3 blocks can be left out for good"),
        ({"keep_loss": float("nan")}, "keep_loss: expected a number of at least 0"),
        ({"remove": 1, "by": "leson"}, "leson"),
        ({"blocks": ["stage1.blok2"]}, "unknown block 'stage1.blok2', did you mean 'stage1.block2'"),
        ({"blocks": []}, "blocks: no block is named"),
    ],
)
def test_wrong_goals_are_one_clear_line(net, options, message) -> None:
    with pytest.raises(un.ArgumentError, match=message):
        un.slim(net, DATA, **options)


def test_a_file_is_not_applied(net) -> None:
    with pytest.raises(un.UnsupportedError, match="no live module; write it with small.save"):
        un.slim(net, DATA, remove=1).apply()

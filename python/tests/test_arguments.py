"""Values of arguments that are not possible: one line that names the argument and what is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import unrolled as un

LARGE = 2**70


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": LARGE}, f"seed: {LARGE}, expected at most {2**64 - 1}"),
        ({"batch": LARGE}, f"batch: {LARGE}, expected at most"),
        ({"only": 3}, "only: 3, expected names"),
        ({"only": []}, "only: no measurement is named"),
        ({"out": 3}, "out: 3, expected a path"),
    ],
)
def test_measure(net, samples, options, message) -> None:
    with pytest.raises(un.ArgumentError, match=message):
        un.measure(net, *samples, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_accuracy": "1"}, "keep_accuracy: '1', expected a number"),
        ({"latency": [1]}, r"latency: \[1\], expected a number"),
        ({"params": 1.5}, "params: 1.5, expected a whole number"),
        ({"blocks": 3}, "blocks: 3, expected names"),
    ],
)
def test_slim(net, samples, options, message) -> None:
    with pytest.raises(un.ArgumentError, match=message):
        un.slim(net, *samples, **options)


@pytest.mark.parametrize("shard", [1, (1, 2)])
def test_measure_shard(net, samples, tmp_path, shard) -> None:
    with pytest.raises(un.ArgumentError, match=r'shard: .*, expected a text such as "1/2"'):
        un.measure_shard(net, *samples, shard=shard, out=tmp_path)


@pytest.mark.parametrize("shards", [None, 3, [None], [3]])
def test_merge(shards) -> None:
    with pytest.raises(un.ArgumentError, match="shards: (None|3), expected a (list of directories|path)"):
        un.merge(shards)


@pytest.mark.parametrize("mean", [".1,.2,.3", ["a"]])
def test_open(example, mean) -> None:
    with pytest.raises(un.ArgumentError, match="mean: .*, expected a number, or a list of one for each channel"):
        un.open(example, mean=mean)
    with pytest.raises(un.ArgumentError, match="path: 3, expected a path"):
        un.open(3)  # type: ignore[arg-type]
    with pytest.raises(un.ArgumentError, match="path: None, expected a path"):
        un.load(None)  # type: ignore[arg-type]


def test_a_shard_that_is_there_is_not_called_unfinished(net, samples, tmp_path) -> None:
    def observe(**options) -> None:
        un.measure_shard(net, *samples, shard="1/2", out=tmp_path / "1", only="lesion", progress=False, **options)

    observe()
    with pytest.raises(un.FileError, match="holds what this shard observed; resume it, which ends at once where it is finished"):
        observe()
    observe(resume=True)


def test_what_a_score_is_compared_with_is_shown(net, samples) -> None:
    assert "with labels): accuracy" in repr(un.measure(net, *samples, only="lesion", progress=False))
    without = repr(un.measure(net, samples[0], only="lesion", progress=False))
    assert "without labels: accuracy is agreement with the whole network" in without
    assert "without labels" in repr(un.slim(net, samples[0], remove=1, progress=False).proof)


@pytest.mark.parametrize("images", [np.zeros((2, 3, 32, 32), np.uint8), memoryview(np.zeros((2, 3, 32, 32), np.uint8))])
def test_bytes_of_images(images) -> None:
    """A network of another program takes floats. One that was trained here may have been trained with bytes."""
    net = un.open(Path(__file__).parents[2] / "tests/open/cifar-a.zip.pt")
    with pytest.raises(un.Error, match=r"uint8\): pass what the network takes"):
        un.measure(net, images)

"""Arrays of any kind, and input that is wrong."""

from __future__ import annotations

import array
import zlib

import numpy as np
import pytest

import unrolled as un
from unrolled import _native

ONLY = ["lesion"]


def measured(net, images, labels=None):
    return un.measure(net, images, labels, only=ONLY).json()["lesion"]


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
def test_every_element_type(net, kind) -> None:
    images = np.random.default_rng(0).integers(0, 2, size=(6, 1, 8, 8))
    assert measured(net, images.astype(kind)) == measured(net, images.astype("f4"))


def test_halves_are_exact(net) -> None:
    images = np.random.default_rng(1).normal(size=(6, 1, 8, 8)).astype("f2")
    images[0, 0, 0, :3] = [6e-8, -65504, 6.1e-5]
    assert measured(net, images) == measured(net, images.astype("f4"))


@pytest.mark.parametrize(
    "strided",
    [lambda x: x[::2], lambda x: x[:, :, ::-1], lambda x: x.transpose(0, 1, 3, 2), lambda x: np.asfortranarray(x)],
)
def test_any_strides(net, samples, strided) -> None:
    view = strided(samples[0])
    assert measured(net, view) == measured(net, np.ascontiguousarray(view))


def test_a_buffer_without_numpy(net, samples) -> None:
    images, labels = samples
    buffer = memoryview(array.array("f", images.ravel().tolist())).cast("B").cast("f", images.shape)
    assert measured(net, buffer, labels.tolist()) == measured(net, images, labels)


def test_arrays_that_may_not_be_written(net, samples) -> None:
    images = samples[0].copy()
    images.flags.writeable = False
    assert measured(net, images) == measured(net, samples[0])


class Exported:
    """An array of another library, which knows the protocol of before versions only."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device = array, device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()


def test_the_protocol_without_versions(net, samples) -> None:
    assert measured(net, Exported(samples[0])) == measured(net, samples[0])


def test_labels_decide(net, samples) -> None:
    images, labels = samples
    assert measured(net, images, labels) != measured(net, images, (labels + 1) % 10)
    assert measured(net, images, labels) == measured(net, {"images": images, "labels": labels.astype("i2")})


@pytest.mark.parametrize(
    ("images", "labels", "kind", "message"),
    [
        (np.zeros((4, 1, 8, 9)), None, un.MismatchError, r"\[1, 8, 9\], expected \[1, 8, 8\]"),
        (np.zeros((4, 64)), None, un.MismatchError, r"\[1, 1, 64\], expected \[1, 8, 8\]"),
        (np.zeros((0, 1, 8, 8)), None, un.MismatchError, "'images' has no samples"),
        (np.float32(1), None, un.Error, "images"),
        (np.zeros((4, 1, 8, 8)), [1, 2, 3], un.MismatchError, "'images' has 4 rows, 'labels' has 3|'labels' has 3 rows"),
        (np.zeros((4, 1, 8, 8)), [1, 2, 3, 10], un.MismatchError, "label 10: there are 10 classes"),
        (np.zeros((4, 1, 8, 8)), [1, 2, 3, -1], un.MismatchError, "label -1, expected a number from 0"),
        (np.zeros((4, 1, 8, 8)), [1, 2, 3, 0.5], un.ArgumentError, "labels: a list of something else than integers"),
        (np.zeros((4, 1, 8, 8), complex), None, un.ArgumentError, "images: holds values that are no integers"),
        (np.full((4, 1, 8, 8), 2**24 + 1), None, un.ArgumentError, "beyond 16,777,216"),
        ("abcd", None, un.Error, "abcd"),
        (None, None, un.ArgumentError, "images: NoneType is no array"),
        ([[1.0]], None, un.ArgumentError, "images: list is no array"),
        (Exported(np.zeros((4, 1, 8, 8)), (2, 0)), None, un.ArgumentError, "not in the memory of the CPU"),
        ({"images": np.zeros((4, 1, 8, 8)), "masks": np.zeros((4, 3))}, None, un.MismatchError, "expected"),
        (un.Data("digits", split="tests"), None, un.ArgumentError, "unknown split 'tests', did you mean 'test'"),
        (un.Data("digits"), [1], un.ArgumentError, "labels: digits has its own"),
    ],
)
def test_wrong_samples_are_one_clear_line(net, images, labels, kind, message) -> None:
    with pytest.raises(kind, match=message) as caught:
        un.measure(net, images, labels, only=ONLY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_first_sample_that_is_not_finite_is_named(net, samples, value) -> None:
    images = samples[0].copy()
    images[17, 0, 3, 3] = images[30, 0, 0, 0] = value
    with pytest.raises(un.MismatchError, match="in row 17, expected finite numbers"):
        un.measure(net, images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ["leson"]}, "unknown measurement 'leson', did you mean 'lesion'"),
        ({"only": ["gates"]}, "only: gates: nothing to measure"),
        ({"batch": 0}, "batch: 0, expected at least 1"),
        ({"resume": True}, "resume: needs out"),
        ({"memory": 1}, "memory"),
    ],
)
def test_wrong_options_are_one_clear_line(net, samples, options, message) -> None:
    with pytest.raises(un.ArgumentError, match=message):
        un.measure(net, *samples, **options)


def test_networks_that_cannot_be_opened(tmp_path, example) -> None:
    with pytest.raises(un.FileError, match="nowhere.pt: no such file"):
        un.open(tmp_path / "nowhere.pt")
    with pytest.raises(OSError, match="nowhere.pt"):
        un.open(tmp_path / "nowhere.pt")
    (tmp_path / "text.safetensors").write_text("no network")
    with pytest.raises(un.FileError, match="text.safetensors"):
        un.open(tmp_path / "text.safetensors")
    with pytest.raises(un.ArgumentError, match="cut: for ONNX files alone"):
        un.open(example, cut="blocks.toml")
    with pytest.raises(un.ArgumentError, match="arch: for PyTorch and safetensors files that others wrote"):
        un.open(example, arch="resnet-20")
    with pytest.raises(un.ArgumentError, match="mean: 2 values"):
        un.open(example, mean=[1.0, 2.0], std=[1.0])
    with pytest.raises(un.ArgumentError, match="std: give both mean and std"):
        un.open(example, mean=[1.0])
    with pytest.raises(un.ArgumentError, match="network: str is none"):
        un.measure("net.pt", np.zeros((4, 1, 8, 8)))


def test_the_checksum_of_bytes_is_the_usual_one() -> None:
    data = np.random.default_rng(2).integers(0, 256, size=10_001).astype("u1")
    first = _native.crc32(data[:4000], 0)
    assert first == zlib.crc32(data[:4000].tobytes())
    assert _native.crc32(data[4000:], first) == zlib.crc32(data.tobytes())
    assert _native.crc32(data[:0], 7) == 7
    for wrong in (data[::2], data.astype("f4")):
        with pytest.raises(un.ArgumentError, match="array: holds no bytes side by side"):
            _native.crc32(wrong, 0)

"""What the native module asks of a live module, by one of NumPy: `x + tanh(x W)` for every block."""

from __future__ import annotations

import json

import numpy as np
import pytest

import unrolled as un

UNITS, CLASSES, BLOCKS, SAMPLES = 6, 3, 4, 30
#: Sums in another order differ by a few units of the last place of float32.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


class Source:
    batch_size = 8

    def __init__(self, data, labels):
        self.data, self._labels = data, labels

    def __len__(self):
        return len(self.data)

    def labels(self):
        return self._labels

    def checksums(self):
        return np.zeros((len(self.data), 2), np.int32)

    def batch(self, indices):
        return self.data[indices]


class Live:
    has_gradients = False

    def __init__(self, weights, head):
        self.weights, self.last, self.applied = weights, head, None

    def outline_json(self):
        block = {"wiring": "residual", "body": "tanh", "shortcut": "identity", "parameters": UNITS**2, "flops": 72}
        blocks = [{"name": f"stage1.block{k + 1}", **block} for k in range(len(self.weights))]
        parameters = sum(w.size for w in self.weights) + self.last.size
        return json.dumps(
            {
                "name": "toy",
                "input": [UNITS, 2, 2],
                "classes": CLASSES,
                "parameters": parameters,
                "flops": 2 * parameters,
                "stem_parameters": 0,
                "head_parameters": self.last.size,
                "stages": [{"name": "stage1", "shape": [UNITS, 1, 1], "blocks": blocks}],
            }
        )

    def fingerprint(self):
        return 3_000_000_000

    def bind(self, data, labels=None):
        return Source(data, labels)

    def stem(self, batch):
        return batch

    def enter_stage(self, stage, estimate):
        return estimate

    def block(self, stage, block, estimate):
        return self.block_activations(stage, block, estimate)[3]

    def block_activations(self, stage, block, estimate):
        h = np.tanh(estimate @ self.weights[block])
        return h, None, None, estimate + h

    def shortcut(self, stage, block, estimate):
        return estimate

    def head(self, estimate):
        return np.ascontiguousarray((estimate @ self.last)[:, None]), None

    def values(self, estimate):
        return estimate, UNITS

    def position_mask(self, estimate):
        return None

    def rebuild(self, like, values):
        return np.frombuffer(values, dtype=np.float32).reshape(like.shape)

    def without(self, blocks):
        gone = {block for _, block in blocks}
        return Live([w for k, w in enumerate(self.weights) if k not in gone], self.last)

    def why_not_removable(self, stage, block):
        return "holds the embedding" if block == 0 else None

    def state_bytes(self):
        return 4 * (sum(w.size for w in self.weights) + self.last.size)

    def apply(self, blocks, expected=None):
        return ("applied", blocks)


@pytest.fixture
def live() -> Live:
    random = np.random.default_rng(3)
    weights = [random.normal(size=(UNITS, UNITS)).astype("f4") for _ in range(BLOCKS)]
    return Live(weights, random.normal(size=(UNITS, CLASSES)).astype("f4"))


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    return random.normal(size=(SAMPLES, UNITS)).astype("f4"), random.integers(0, CLASSES, size=SAMPLES)


def losses(live: Live, data: np.ndarray, labels: np.ndarray, without: int | None) -> np.ndarray:
    """Return the cross-entropy of every sample without a block, by the definition."""
    for block, weights in enumerate(live.weights):
        data = data if block == without else data + np.tanh(data @ weights)
    logits = (data @ live.last).astype("f8")
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]


def test_lesions_are_those_of_the_definition(live, data) -> None:
    results = un.measure(live, *data, only=["lesion"])
    assert np.isclose(results.baseline.loss, losses(live, *data, None).mean(), **CLOSE)
    for block in range(BLOCKS):
        found = results.lesion[f"stage1.block{block + 1}"].loss
        assert np.isclose(found, losses(live, *data, block).mean(), **CLOSE)
    assert results.outline.input == [UNITS, 2, 2]
    assert results.target == "toy"


def test_all_measurements_that_fit_run(live, data) -> None:
    results = un.measure(live, *data)
    assert {"estimation", "lesion", "influence", "cka", "readouts"} <= set(results.measurements)
    assert "toy" in results.html()
    assert un.measure(live, *data, batch=3).lesion["stage1.block2"].loss == pytest.approx(
        results.lesion["stage1.block2"].loss, rel=CLOSE["rtol"]
    )


def test_without_labels_the_whole_network_labels(live, data) -> None:
    results = un.measure(live, data[0], only=["lesion"])
    assert results.baseline.accuracy == 1.0 and results.baseline.loss == 0.0


def test_slimming(live, data) -> None:
    slimmed = un.slim(live, *data, remove=2)
    small, proof = slimmed
    assert len(small.weights) == 2 and proof.slimmed.after.bytes == small.state_bytes()
    assert "stage1.block1" not in proof.removed
    assert proof.stays["stage1.block1"] == "holds the embedding"
    expected = [(0, int(name.removeprefix("stage1.block")) - 1) for name in proof.removed]
    assert slimmed.apply() == ("applied", expected)
    assert un.measure(small, *data, only="lesion").baseline.samples == SAMPLES


class Wrong(Exception):
    pass


def raising(*_):
    raise Wrong("in the module")


@pytest.mark.parametrize(
    "method",
    ["outline_json", "stem", "block", "head", "block_activations", "values", "rebuild", "position_mask", "shortcut"],
)
def test_exceptions_of_the_module_are_raised_unchanged(live, data, method) -> None:
    setattr(live, method, raising)
    with pytest.raises(Wrong, match="in the module") as caught:
        un.measure(live, *data)
    assert caught.traceback[-1].name == "raising"


@pytest.mark.parametrize("method", ["without", "why_not_removable", "state_bytes"])
def test_exceptions_while_slimming_too(live, data, method) -> None:
    setattr(live, method, raising)
    with pytest.raises(Wrong, match="in the module"):
        un.slim(live, *data, remove=1)


def test_ctrl_c_in_the_module_keeps_what_is_finished(live, data) -> None:
    names = []

    def block(stage, block, estimate):
        if "ablation" in names:
            raise KeyboardInterrupt
        return Live.block(live, stage, block, estimate)

    live.block = block
    with pytest.raises(KeyboardInterrupt) as caught:
        un.measure(live, *data, progress=lambda done, total, name: names.append(name))
    assert isinstance(caught.value, un.Interrupted) and isinstance(caught.value.__cause__, KeyboardInterrupt)
    assert "lesion" in caught.value.results.measurements


def test_memory_does_not_grow_with_the_samples(live) -> None:
    import gc

    def estimates_alive(batches: int) -> int:
        most = 0

        class Counted(np.ndarray):
            alive = 0

            def __array_finalize__(self, _):
                Counted.alive += 1

            def __del__(self):
                Counted.alive -= 1

        def stem(batch):
            nonlocal most
            gc.collect()
            most = max(most, Counted.alive)
            return batch.view(Counted)

        live.stem = stem
        samples = np.random.default_rng(0).normal(size=(8 * batches, UNITS)).astype("f4")
        un.measure(live, samples, only=["lesion", "estimation"])
        return most

    assert estimates_alive(40) <= estimates_alive(5)

"""Samples are those of one pass: what differs when it is read again, is missing or is not finite is an error that names it."""

import networks
import pytest
import torch
import unrolled as un
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from unrolled.torch import ModuleError, wrap

X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(50) % 5


@pytest.fixture(scope="module")
def live():
    return wrap(networks.toy(), X[:2])


def lesion(live, data, labels=None, **options):
    return un.measure(live, data, labels, only="lesion", progress=False, **options)


class Shuffled(IterableDataset):
    """The samples in another order in each pass."""

    def __iter__(self):
        for place in torch.randperm(50):
            yield X[place], Y[place]


class Augmented(Dataset):
    """One sample in the middle is another one whenever it is read."""

    def __len__(self):
        return 50

    def __getitem__(self, place):
        return X[place] + (torch.randn(4) if place == 33 else 0), Y[place]


@pytest.mark.parametrize("size", [8, 50])
def test_a_stream_in_another_order_is_refused(live, size):
    with pytest.raises(ModuleError, match=r"data: sample \d+ differs when it is read again, as with shuffling"):
        lesion(live, DataLoader(Shuffled(), batch_size=size))


@pytest.mark.parametrize("options", [{}, {"num_workers": 1}, {"shuffle": True}])
def test_augmentation_of_any_sample_is_refused(live, options):
    with pytest.raises(ModuleError, match="data: sample 33 differs when it is read again"):
        lesion(live, DataLoader(Augmented(), batch_size=8, **options))


@pytest.mark.parametrize("options", [{}, {"num_workers": 1}])
def test_samples_that_the_loader_drops_are_not_measured(live, options):
    loader = DataLoader(TensorDataset(X, Y), batch_size=16, drop_last=True, **options)
    source = live.bind(loader)
    assert len(source) == 48 and torch.equal(source.labels(), Y[:48])
    assert lesion(live, loader).baseline.loss == lesion(live, X[:48], Y[:48], batch=16).baseline.loss


def test_a_shuffled_loader_drops_some(live):
    source = live.bind(DataLoader(TensorDataset(X, Y), batch_size=16, drop_last=True, shuffle=True))
    places = [int((X == x).all(1).nonzero()) for x in source.batch(range(48)).args[0]]
    assert places == sorted(set(places)) and len(places) == len(source) == 48
    assert torch.equal(source.labels(), Y[places])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("form", ["tensor", "batches", "loader"])
def test_values_that_are_not_finite_are_named(live, value, form):
    x = X.clone()
    x[13, 2] = value
    data = {"tensor": (x, Y), "batches": [(x[:10], Y[:10]), (x[10:], Y[10:])], "loader": DataLoader(TensorDataset(x, Y), batch_size=8)}[form]
    with pytest.raises(un.MismatchError, match="sample 13 contains NaN or an infinite value"):
        lesion(live, data)


def test_shards_of_other_samples_or_labels_are_told_apart(live, tmp_path):
    other, labels = X.clone(), Y.clone()
    other[33] += 1
    labels[33] = (labels[33] + 1) % 5
    cases = {"same": (live, X, Y), "samples": (live, other, Y), "labels": (live, X, labels), "network": (wrap(networks.toy(4), X[:2]), X, Y)}
    for name, (network, x, y) in cases.items():
        un.measure_shard(network, x, y, shard="2/2", out=tmp_path / name, only="lesion", progress=False)
    un.measure_shard(live, X, Y, shard="1/2", out=tmp_path / "1", only="lesion", progress=False)
    merged = un.merge([tmp_path / "1", tmp_path / "same"], out=tmp_path / "merged")
    whole = lesion(live, X, Y, out=tmp_path / "whole")
    assert merged.lesion == whole.lesion
    assert merged.outline.input == whole.outline.input == un.load(tmp_path / "whole").outline.input == [4]
    for name, message in [("samples", "data samples"), ("labels", "labels of samples"), ("network", "network Sequential")]:
        with pytest.raises(un.FileError, match=rf": {message}.* expected"):
            un.merge([tmp_path / "1", tmp_path / name])
        network, x, y = cases[name]
        with pytest.raises(un.FileError, match=rf"holds {message}"):
            un.measure(network, x, y, only="influence", out=tmp_path / "whole", resume=True, progress=False)


class Short(Dataset):
    """Says that it has more samples than it has."""

    def __len__(self):
        return 60

    def __getitem__(self, place):
        return X[list(range(50))[place]], Y[place]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: DataLoader(Short(), batch_size=8), r"has 60 samples by its __len__, but one of 48 to 55 is none"),
        (lambda: DataLoader(Short(), batch_size=8, num_workers=1), r"has 60 samples by its __len__, but one of 48 to 55 is none"),
        (lambda: DataLoader(TensorDataset(X, Y), batch_size=None), r"batch 1 is \[4\], the example \[2, 4\].*batch_size=None"),
        (lambda: X.numpy(), r"images: a ndarray, expected tensors for a live module: torch.from_numpy"),
        (lambda: [(X.numpy(), Y)], r"make one of the ndarray by torch.from_numpy"),
        (lambda: [{"input": X.numpy()}], r"make one of the ndarray by torch.from_numpy"),
        (lambda: [X[:, :3]], r"does not run on a batch of \[50, 3\] float32, as on the example of \[2, 4\] float32: .*mat1 and mat2 shapes"),
        (lambda: [X.double()], r"does not run on a batch of \[50, 4\] float64.*dtype"),
        (lambda: [{"x": X}], r"does not run on a batch of x \[50, 4\] float32.*unexpected keyword argument 'x'"),
    ],
)
def test_data_that_does_not_run_is_told(live, data, message):
    with pytest.raises(ModuleError, match=message):
        lesion(live, data())


def test_targets_that_are_no_classes_are_refused():
    model = networks.toy()
    model[-1] = torch.nn.Linear(8, 1)
    live, targets = wrap(model, X[:2]), torch.randn(50, 1)
    for data, labels in [([(X, targets)], None), (X, targets), (X, Y)]:
        with pytest.raises(ModuleError, match="labels: the module answers with values, which are compared with those of the whole network"):
            lesion(live, data, labels)


def test_labels_that_look_like_a_mask_are_warned_of():
    live = wrap(networks.llama(), networks.text())
    ids, mask = networks.text().values()
    with pytest.warns(UserWarning, match="0 or 1 at each of 12 positions, of 100 classes; if this is a mask"):
        live.bind([({"input_ids": ids}, mask)])


def test_labels_of_features_are_warned_of():
    live = wrap(networks.toy(), X[:2], answer="cosine")
    with pytest.warns(UserWarning, match="labels are not used: the module answers with features"):
        live.bind([(X, Y)])


class Interrupting(TensorDataset):
    """Ctrl-C while a sample is read, after some others."""

    left = 0

    def __getitem__(self, place):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().__getitem__(place)

    __getitems__ = None


def test_ctrl_c_while_samples_are_read_keeps_what_is_finished(live):
    data = Interrupting(X, Y)
    data.left = 20
    with pytest.raises(un.Interrupted, match="interrupted before anything was measured") as caught:
        lesion(live, DataLoader(data, batch_size=8))
    assert caught.value.results is None and isinstance(caught.value.__cause__, KeyboardInterrupt)
    data.left = 20
    with pytest.raises(un.Interrupted, match="nothing is removed"):
        un.slim(live, DataLoader(data, batch_size=8), remove=1, progress=False)

    def stop_later(done, total, name):
        if name == "shuffle" and data.left < 0:
            data.left = 20

    data.left = 0
    with pytest.raises(un.Interrupted, match="`results` of this exception has what is finished") as caught:
        un.measure(live, DataLoader(data, batch_size=8), only=["lesion", "shuffle"], progress=stop_later)
    assert caught.value.results.measurements == ("lesion",)

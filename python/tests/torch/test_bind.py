"""Samples and labels for a live module: loaders, lists, their order, and what is refused."""

import driver
import networks
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset
from unrolled.torch import ModuleError, wrap

X = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(10) % 5


@pytest.fixture(scope="module")
def live():
    return wrap(networks.toy(), X[:2])


class Stream(IterableDataset):
    """The samples one after the other."""

    def __iter__(self):
        return iter(zip(X, Y, strict=True))


def sources():
    data = TensorDataset(X, Y)
    return {
        "loader": DataLoader(data, batch_size=4),
        "shuffled loader": DataLoader(data, batch_size=4, shuffle=True),
        "loader with workers": DataLoader(data, batch_size=4, num_workers=2),
        "iterable loader": DataLoader(Stream(), batch_size=4),
        "list": [(X[:4], Y[:4]), (X[4:8], Y[4:8]), (X[8:], Y[8:])],
        "one batch": (X, Y),
    }


@pytest.mark.parametrize("kind", list(sources()))
def test_samples_are_those_of_the_data_set_in_order(live, kind):
    source = live.bind(sources()[kind])
    assert len(source) == 10
    assert torch.equal(source.labels(), Y)
    for _ in range(2):  # a second pass, and then samples out of order
        for start in range(0, 10, 4):
            batch = source.batch(list(range(start, min(start + 4, 10))))
            assert torch.equal(batch.args[0], X[start : start + 4])
    assert torch.equal(source.batch([7, 1, 9]).args[0], X[[7, 1, 9]])
    assert torch.equal(source.batch([0, 1, 2, 3]).args[0], X[:4])


def test_checksums_tell_samples_apart(live):
    first = live.bind([(X, Y)]).checksums()
    assert first.shape == (10, 2) and 0 <= int(first.min()) and int(first.max()) < 2**16
    for same in (DataLoader(TensorDataset(X, Y), batch_size=3), [(X[:1], Y[:1]), (X[1:], Y[1:])], DataLoader(Stream(), batch_size=4)):
        assert torch.equal(first, live.bind(same).checksums())
    other = X.clone()
    other[7, 3] += 1
    differs = (live.bind([(other, Y)]).checksums() != first).any(1)
    assert differs.tolist() == [place == 7 for place in range(10)]
    assert 0 <= live.fingerprint() < 2**32


def test_what_all_samples_share_counts_for_each():
    """One row of positions for all samples, also in a batch of one sample."""
    live = wrap(networks.llama(), networks.text())
    batch = {**networks.text(), "position_ids": torch.arange(12)[None]}
    whole = live.bind([batch]).checksums()
    single = [{key: value if len(value) == 1 else value[place : place + 1] for key, value in batch.items()} for place in range(3)]
    assert torch.equal(whole, live.bind(single).checksums())
    assert not torch.equal(whole, live.bind([{**batch, "position_ids": 1 + torch.arange(12)[None]}]).checksums())


def test_given_labels_come_before_those_of_the_batch(live):
    assert torch.equal(live.bind([(X, Y)], labels=[0] * 10).labels(), torch.zeros(10, dtype=torch.int64))
    assert live.bind([X]).labels() is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0] * 9, r"labels of shape \[9\], expected \[10\]"),
        ([0] * 9 + [5], r"labels: 5 is out of range, the module answers with 5 classes"),
        ([-1] + [0] * 9, r"labels: -1 is out of range"),
        ([0.5] * 10, r"labels: float32, expected integers"),
        ("nine", r"labels: a str is no array"),
    ],
)
def test_labels_that_do_not_fit(live, labels, message):
    with pytest.raises(ModuleError, match=message):
        live.bind([X], labels=labels)


def test_data_that_does_not_fit(live):
    with pytest.raises(ModuleError, match="an iterator can be read once"):
        live.bind(iter([X]))
    with pytest.raises(ModuleError, match="no batches"):
        live.bind([])
    with pytest.raises(ModuleError, match=r"a batch is a tensor, a tuple \(x, labels\)"):
        live.bind([(X, Y, Y)])
    with pytest.raises(ModuleError, match="data: a int"):
        live.bind(3)
    with pytest.raises(ModuleError, match=r"shapes \[3\] and \[4\] cannot be put into one batch"):
        live.bind([X[:2], X[:2, :3]]).batch([0, 2])


def test_sentences_of_another_length_are_refused():
    live = wrap(networks.llama(), networks.text())
    short = {key: value[:, :9] for key, value in networks.text().items()}
    with pytest.raises(ModuleError, match="9 positions, on the example at 12"):
        driver.answers(live, short)
    with pytest.raises(ModuleError, match=r"sizes of the example"):
        live.values(live.stem(short))


class Tracked(TensorDataset):
    """Counts how many samples are alive at once."""

    alive = most = 0

    def __getitem__(self, index):
        import weakref

        x = torch.randn(4, generator=torch.Generator().manual_seed(index))
        Tracked.alive += 1
        Tracked.most = max(Tracked.most, Tracked.alive)
        weakref.finalize(x, Tracked.release)
        return x, Y[index % 10]

    @staticmethod
    def release():
        Tracked.alive -= 1


def test_batches_are_not_kept(live):
    """However many batches are read, the samples of two at most are alive."""
    source = live.bind(DataLoader(Tracked(torch.zeros(200, 1)), batch_size=4))
    source.labels()
    for start in range(0, 200, 4):
        driver.answers(live, source.batch(list(range(start, start + 4))))
    assert Tracked.alive == 0 and Tracked.most <= 8


def test_a_sampler_chooses_the_samples():
    """As of the usual split in training and validation samples: none of the others is measured."""
    samples = TensorDataset(X, Y)
    loader = DataLoader(samples, batch_size=3, sampler=SubsetRandomSampler([7, 1, 4, 2]))
    source = wrap(networks.toy(4), X[:2]).bind(loader)
    assert len(source) == 4
    assert torch.equal(source.labels(), torch.as_tensor(Y)[[1, 2, 4, 7]].to(torch.int64))
    assert torch.equal(source.batch([0, 3]).args[0], X[[1, 7]])


def test_data_that_cannot_be_compared_are_refused():
    live = wrap(networks.toy(4), X[:2])

    class Augmented(torch.utils.data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return X[index] + torch.randn(4), int(Y[index])

    with pytest.raises(ModuleError, match="sample 0 differs when it is read again"):
        live.bind(DataLoader(Augmented(), batch_size=5)).batch([0])
    for batches, number in [([(X, Y), X], 2), ([X, (X, Y)], 1)]:
        with pytest.raises(ModuleError, match=f"labels: batch {number} has none, others have"):
            live.bind(batches)
    for labels, message in [
        ([Y[:4], Y[:7]], r"labels: batch 1 has 4 for 5 samples"),
        ([Y[:5], Y[:4]], r"labels: batch 2 has 4 for 5 samples"),
        ([Y[:5, None].repeat(1, 2), Y[5:]], "labels of different lengths"),
        ([Y[:5], Y[5]], "labels: a single number"),
    ]:
        with pytest.raises(ModuleError, match=message):
            live.bind([(X[:5], labels[0]), (X[5:], labels[1])]).labels()
    with pytest.raises(ModuleError, match="a batch has 'label', expected 'labels'"):
        live.bind([{"x": X, "label": Y}])

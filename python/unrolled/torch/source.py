"""Samples for a live module: by their index, from a DataLoader or a list of batches."""

import bisect
import zlib
from collections.abc import Mapping

import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler

from .errors import ModuleError
from .labels import LabelList, check_labels, labels_of
from .rows import join, select_rows
from .trees import checksum, tensors

#: How many samples, evenly spread, the checksum of a data set covers; reading all would take as long as a measurement.
CHECKED_SAMPLES = 8


def bind(live, data, labels=None):
    """Returns the source of samples for `data`, a DataLoader or a list of batches; see `Live.bind`."""
    if isinstance(data, DataLoader):
        batches = _streamed(data) if isinstance(data.dataset, IterableDataset) else _indexed(data)
        return Source(live, batches, labels, move=True)
    if isinstance(data, (torch.Tensor, Mapping)):
        data = [data]
    if isinstance(data, tuple) and data and isinstance(data[0], torch.Tensor):
        data = [data]
    if isinstance(data, (list, tuple)):
        if not data:
            raise ModuleError("data: no batches")
        return Source(live, _Listed(live, list(data)), labels, move=False)
    if hasattr(data, "__next__"):
        raise ModuleError("data: an iterator can be read once, but every measurement reads again: give a list or a DataLoader")
    if hasattr(data, "__iter__"):
        return Source(live, _Streamed(live, data, None), labels, move=True)
    raise ModuleError(f"data: a {type(data).__name__}, expected a DataLoader or a list of batches as the module takes them")


class Source:
    """Samples by their index. `len` is their number."""

    def __init__(self, live, batches, labels, move):
        self._live = live
        self._batches = batches
        self._move = move
        self._labels = None
        self._given = None if labels is None else check_labels(labels, len(batches), live.answer)
        self._has_labels = None
        batches.caller = live.caller
        self.batch_size = batches.batch_size

    def __len__(self):
        return len(self._batches)

    def batch(self, indices):
        """Returns the samples of these indices as arguments of the forward, on the module's device."""
        return self._live.caller.inputs(self._batches.read(list(indices)), move=self._move)

    def labels(self):
        """Returns the labels, int64 `[n]` or `[n, positions]` on the CPU, or None where there are none.

        Labels that were not given are read from all batches once. Those of a position are aligned with the answers: where the
        module's own loss compares the answer at a position with the label of the next, they are moved by one, and the last
        position has -100.
        """
        if self._has_labels is None:
            found = self._given
            if found is None:
                # Labels in batches are where the module's own loss has them; labels that were given are those of the positions.
                found = self._read_labels()
                found = None if found is None else align(found, self._live.answer)
            self._has_labels = found is not None
            self._labels = found
        return self._labels

    def _read_labels(self):
        found = LabelList(len(self))
        for number, batch in enumerate(self._batches.in_order(), 1):
            inputs = self._live.caller.inputs(batch, move=self._move)
            labels = labels_of(inputs, self._live.answer)
            if labels is None and len(found):
                raise ModuleError(f"labels: batch {number} has none, those before have")
            if labels is None:
                return None
            found.append(labels)
        return check_labels(found.stacked(), len(self), self._live.answer)

    def fingerprint(self):
        """Returns a checksum of the number of samples, the labels, and some samples that are evenly spread."""
        count = len(self)
        found = zlib.crc32(str(count).encode())
        labels = self.labels()
        if labels is not None:
            found = checksum(labels, found)
        places = [place * count // min(CHECKED_SAMPLES, count) for place in range(min(CHECKED_SAMPLES, count))]
        for place in places:
            found = self._checksum(place, found)
        if places and self._checksum(places[0], 0) != self._checksum(places[0], 0):
            raise ModuleError("data: a sample differs when it is read again, as with random augmentation: read the samples as they are")
        return found

    def _checksum(self, place, found):
        for tensor in tensors(_plain(self._batches.read([place]))):
            found = checksum(tensor, found)
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise ModuleError(f"data: sample {place} contains NaN or an infinite value")
        return found


def align(labels, answer):
    """Returns labels at the positions of the answers that they are compared with."""
    if not answer.shift or labels.dim() != 2:
        return labels
    return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], -100)], 1)


def _plain(batch):
    return [batch[key] for key in sorted(batch)] if isinstance(batch, Mapping) else batch


def _reads_all(loader):
    """Whether a loader reads every sample of its data set once, apart from a last batch that it may drop."""
    plain = type(loader.batch_sampler) is BatchSampler and loader.batch_size is not None
    sampler = loader.sampler
    is_shuffle = type(sampler) is RandomSampler and not sampler.replacement and sampler.num_samples == len(loader.dataset)
    return plain and (type(sampler) is SequentialSampler or is_shuffle)


def _streamed(loader):
    return _Streamed(None, loader, loader.batch_size)


def _indexed(loader):
    if loader.batch_sampler is None:
        return _Streamed(None, loader, None)
    return _Indexed(loader)


class _Indexed:
    """A map-style DataLoader. Where it reads its whole data set, shuffled or not, samples are those of `dataset` in the order there.
    Another sampler is asked once which samples it gives, and these are the samples for all passes, in ascending order."""

    def __init__(self, loader):
        self.loader = loader
        self.batch_size = loader.batch_size or 32
        self.places = None if _reads_all(loader) else sorted(place for batch in loader.batch_sampler for place in batch)
        if self.places == []:
            raise ModuleError("data: the sampler gives no sample")
        # The loader's own workers read ahead where its order is that of the data set.
        self.reads_ahead = loader.num_workers > 0 and isinstance(loader.sampler, SequentialSampler) and bool(loader.batch_size)
        self.iterator, self.next = None, 0

    def __len__(self):
        return len(self.loader.dataset if self.places is None else self.places)

    def read(self, indices):
        """Returns samples put together by the loader's `collate_fn`."""
        start = indices[0]
        if self.places is not None:
            return self._collated([self.places[index] for index in indices])
        end = min(start + self.batch_size, len(self))
        if self.reads_ahead and indices == list(range(start, end)) and start in (0, self.next) and end - start in (self.batch_size, len(self) - start):
            return self._read_ahead(start, end)
        return self._collated(indices)

    def _collated(self, places):
        dataset = self.loader.dataset
        getitems = getattr(dataset, "__getitems__", None)
        items = getitems(places) if getitems else [dataset[place] for place in places]
        return self.loader.collate_fn(items)

    def _read_ahead(self, start, end):
        if start == 0 or self.iterator is None:
            self.iterator = iter(self.loader)
        batch = next(self.iterator, None)
        if batch is None:  # the loader drops its last batch
            dataset = self.loader.dataset
            batch = self.loader.collate_fn([dataset[index] for index in range(start, end)])
        self.next = end
        return batch

    def in_order(self):
        for start in range(0, len(self), self.batch_size):
            yield self.read(list(range(start, min(start + self.batch_size, len(self)))))


class _Listed:
    """A list of batches, which is kept."""

    def __init__(self, live, batches):
        self.batches = batches
        self.sizes = [live.caller.inputs(batch).samples for batch in batches]
        self.starts = [sum(self.sizes[:place]) for place in range(len(batches))]
        self.batch_size = self.sizes[0]

    def __len__(self):
        return sum(self.sizes)

    def read(self, indices):
        """Returns the batch of these samples; one of the list's own where they are just those."""
        parts = []
        for place, rows in _by_batch(indices, self.starts, self.sizes):
            whole = rows == list(range(self.sizes[place]))
            parts.append(self.batches[place] if whole else select_rows(self.batches[place], rows, self.sizes[place]))
        return join(parts)

    def in_order(self):
        yield from self.batches


class _Streamed:
    """A loader that can only be read in order. Reading back begins anew."""

    caller = None

    def __init__(self, live, loader, batch_size):
        self.caller = live.caller if live is not None else None
        self.loader = loader
        self.wanted = batch_size
        self.sizes = None
        self.iterator, self.place, self.current = None, -1, None

    def _measure(self):
        if self.sizes is None:
            self.sizes = [_rows(batch) for batch in self.loader]
            self.starts = [sum(self.sizes[:place]) for place in range(len(self.sizes))]
            if not self.sizes:
                raise ModuleError("data: no batches")

    @property
    def batch_size(self):
        """The number of samples of the first batch."""
        self._measure()
        return self.wanted or self.sizes[0]

    def __len__(self):
        self._measure()
        return sum(self.sizes)

    def read(self, indices):
        """Returns the batch of these samples."""
        self._measure()
        parts = []
        for place, rows in _by_batch(indices, self.starts, self.sizes):
            batch = self._batch(place)
            parts.append(batch if rows == list(range(self.sizes[place])) else select_rows(batch, rows, self.sizes[place]))
        return join(parts)

    def _batch(self, place):
        if self.iterator is None or place < self.place:
            self.iterator, self.place = iter(self.loader), -1
        while self.place < place:
            self.current = next(self.iterator, None)
            self.place += 1
            if self.current is None or _rows(self.current) != self.sizes[self.place]:
                raise ModuleError("data: the loader gave other batches when it was read again")
        return self.current

    def in_order(self):
        yield from self.loader


def _rows(batch):
    first = next((tensor for tensor in tensors(batch) if tensor.dim()), None)
    if first is None:
        raise ModuleError("data: a batch without a tensor whose first dimension is the samples")
    return len(first)


def _by_batch(indices, starts, sizes):
    """Yields `(batch, rows)` for runs of successive indices of one batch."""
    run = None
    for index in indices:
        place = bisect.bisect_right(starts, index) - 1
        if index - starts[place] >= sizes[place]:
            raise ModuleError(f"sample {index}: there are {starts[-1] + sizes[-1]}")
        if run is None or run[0] != place:
            if run is not None:
                yield run
            run = (place, [])
        run[1].append(index - starts[place])
    if run is not None:
        yield run



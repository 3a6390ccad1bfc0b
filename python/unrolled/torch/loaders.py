"""Batches of a DataLoader or of a list, by the indices of their samples."""

import bisect

from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler

from .batches import no_tensor
from .errors import ModuleError
from .rows import join, select_rows
from .trees import tensors


class Indexed:
    """A map-style DataLoader. Where it reads its whole data set, shuffled or not, samples are those of `dataset` in the order there.
    Another sampler is asked once which samples it gives, and these are the samples for all passes, in ascending order."""

    #: Whether samples may differ when they are read again, and whether they are moved to the module's device.
    may_change, moves = True, True

    def __init__(self, loader):
        self.loader = loader
        self.batch_size = loader.batch_size or 32
        count = len(loader.dataset)
        in_order = isinstance(loader.sampler, SequentialSampler) and type(loader.batch_sampler) is BatchSampler
        drops = bool(loader.drop_last) and count % self.batch_size > 0
        self.places = None
        if in_order and drops:
            count -= count % self.batch_size
        elif drops or not _reads_all(loader):
            self.places = sorted(place for batch in loader.batch_sampler for place in batch)
            count = len(self.places)
        self.count = count
        if not count:
            raise ModuleError("data: the loader gives no sample")
        # The loader's own workers read ahead where its order is that of the data set.
        self.reads_ahead = loader.num_workers > 0 and in_order
        self.iterator, self.next = None, 0

    def read(self, indices):
        """Returns samples put together by the loader's `collate_fn`."""
        start = indices[0]
        if self.places is not None:
            return self._collated([self.places[index] for index in indices])
        end = min(start + self.batch_size, self.count)
        if self.reads_ahead and indices == list(range(start, end)) and start in (0, self.next):
            return self._read_ahead(start, end)
        return self._collated(indices)

    def _collated(self, places):
        dataset = self.loader.dataset
        getitems = getattr(dataset, "__getitems__", None)
        try:
            items = getitems(places) if getitems else [dataset[place] for place in places]
        except IndexError as error:
            raise self._short(places, error) from error
        return self.loader.collate_fn(items)

    def _read_ahead(self, start, end):
        if start == 0 or self.iterator is None:
            self.iterator = iter(self.loader)
        self.next = end
        try:
            return next(self.iterator)
        except IndexError as error:
            raise self._short(range(start, end), error) from error

    def _short(self, places, error):
        count, why = len(self.loader.dataset), str(error).strip().splitlines()
        return ModuleError(
            f"data: the data set has {count} samples by its __len__, but one of {places[0]} to {places[-1]} is none (IndexError: {why[-1] if why else ''})"
        )

    def in_order(self):
        """Yields all batches."""
        for start in range(0, self.count, self.batch_size):
            yield self.read(list(range(start, min(start + self.batch_size, self.count))))


def _reads_all(loader):
    """Whether a loader reads every sample of its data set once, apart from a last batch that it may drop."""
    plain = type(loader.batch_sampler) is BatchSampler and loader.batch_size is not None
    sampler = loader.sampler
    is_shuffle = type(sampler) is RandomSampler and not sampler.replacement and sampler.num_samples == len(loader.dataset)
    return plain and (type(sampler) is SequentialSampler or is_shuffle)


class Listed:
    """A list of batches, which is kept."""

    may_change, moves = False, False

    def __init__(self, live, batches):
        self.batches = batches
        self.sizes = [live.caller.inputs(batch).samples for batch in batches]
        self.starts = [sum(self.sizes[:place]) for place in range(len(batches))]
        self.batch_size = max(self.sizes[0], 1)

    def read(self, indices):
        """Returns the batch of these samples; one of the list's own where they are just those."""
        parts = []
        for place, rows in _by_batch(indices, self.starts, self.sizes):
            whole = rows == list(range(self.sizes[place]))
            parts.append(self.batches[place] if whole else select_rows(self.batches[place], rows, self.sizes[place]))
        return join(parts)

    def in_order(self):
        """Yields all batches."""
        yield from self.batches


class Streamed:
    """A loader that can only be read in order. Reading back begins anew."""

    may_change, moves = True, True

    def __init__(self, loader):
        self.loader = loader
        self.wanted = getattr(loader, "batch_size", None)
        self.sizes, self.starts = [], []
        self.iterator, self.place, self.current = None, -1, None

    @property
    def batch_size(self):
        """The number of samples of a batch, where the loader says it, or of the first."""
        return self.wanted or max(self.sizes[0], 1)

    def in_order(self):
        """Yields all batches, and keeps how many samples each has."""
        self.sizes, self.starts = [], []
        for batch in self.loader:
            self.starts.append(self.starts[-1] + self.sizes[-1] if self.sizes else 0)
            self.sizes.append(_rows(batch))
            yield batch
        if not self.sizes:
            raise ModuleError("data: no batches")

    def read(self, indices):
        """Returns the batch of these samples."""
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


def _rows(batch):
    first = next((tensor for tensor in tensors(batch) if tensor.dim()), None)
    if first is None:
        raise no_tensor(batch)
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

"""Measuring many batches takes no more memory than measuring few."""

import subprocess
import sys
from pathlib import Path

#: Measures the number of batches of argument 1 and prints the peak of the resident memory, in KiB.
SCRIPT = """
import resource, sys
sys.path.insert(0, {here!r})
import torch, networks
import unrolled as un
from torch.utils.data import DataLoader, Dataset

class Images(Dataset):
    def __len__(self):
        return 8 * int(sys.argv[1])
    def __getitem__(self, index):
        return torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(index)), index % 5

model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 16, 16), *(networks.Residual(16) for _ in range(4)), torch.nn.Flatten(), torch.nn.Linear(8 * 256, 5)
)
loader = DataLoader(Images(), batch_size=8)
live = un.torch.wrap(model, next(iter(loader)))
un.measure(live, loader, only=["lesion", "influence", "estimation"], progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

#: What an allocator keeps more or less of from run to run, in KiB. A batch is 6 MiB, so that 45 batches kept would be 270.
SLACK = 32 * 1024


def peak(batches):
    script = SCRIPT.format(here=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script, str(batches)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def test_fifty_batches_take_no_more_than_five():
    few, many = peak(5), peak(50)
    assert many <= few + SLACK, f"{few} KiB for 5 batches, {many} for 50"

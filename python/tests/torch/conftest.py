"""Settings of all tests here."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

# The order of sums depends on the number of threads, so figures are compared with the same number.
torch.set_num_threads(2)

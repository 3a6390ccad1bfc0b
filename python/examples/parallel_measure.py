"""Measures a network in several processes, each with its part of the samples, and puts the parts together.

    python parallel_measure.py NETWORK DATA PARTS OUT

`joblib.Parallel(parts)(delayed(observe)(…) for part in …)` does the same, and so do jobs on several machines.
"""

import sys
from concurrent.futures import ProcessPoolExecutor

import unrolled as un


def observe(network, data, shard, out):
    """Observes one part of the samples."""
    un.measure_shard(un.open(network), un.Data(data), shard=shard, out=out, progress=False)


if __name__ == "__main__":
    network, data, parts, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    directories = [f"{out}-part{part}" for part in range(1, parts + 1)]
    with ProcessPoolExecutor(parts) as pool:
        jobs = [pool.submit(observe, network, data, f"{part}/{parts}", directories[part - 1]) for part in range(1, parts + 1)]
        for job in jobs:
            job.result()
    print(un.merge(directories, out=out).text())

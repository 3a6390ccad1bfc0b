"""Parts of the samples, observed one by one, give the results of all."""

from __future__ import annotations

import subprocess
import sys

import pytest
from repository import ROOT

import unrolled as un


def test_parts_give_the_results_of_all(net, samples, tmp_path) -> None:
    only = ["lesion", "influence"]
    for part in (1, 2, 3):
        assert un.measure_shard(net, *samples, shard=f"{part}/3", out=tmp_path / str(part), only=only, progress=False) is None
    merged = un.merge([tmp_path / "3", tmp_path / "1", tmp_path / "2"], out=tmp_path / "merged")
    whole = un.measure(net, *samples, only=only, progress=False)
    assert merged.lesion == whole.lesion
    # Means of parts are put together by another sum than that of all samples, so that the last digits differ.
    for name, block in whole.influence.items():
        assert merged.influence[name].block_influence == pytest.approx(block.block_influence, rel=1e-12), name
    assert un.load(tmp_path / "merged").lesion == whole.lesion
    assert (tmp_path / "merged" / "report.html").is_file()


def test_what_is_no_part_is_told(net, samples, tmp_path) -> None:
    for shard in ("0/2", "3/2", "half", ""):
        with pytest.raises(un.ArgumentError, match=r"shard: .*expected i/n"):
            un.measure_shard(net, *samples, shard=shard, out=tmp_path / "x", only="lesion")
    with pytest.raises(un.ArgumentError, match='shard: 2, expected a text such as "1/2"'):
        un.measure_shard(net, *samples, shard=2, out=tmp_path / "x")  # type: ignore[arg-type]
    with pytest.raises(un.ArgumentError, match="out: '' is no path"):
        un.measure_shard(net, *samples, shard="1/2", out="")
    un.measure_shard(net, *samples, shard="1/2", out=tmp_path / "1", only="lesion")
    with pytest.raises(un.FileError, match="missing"):
        un.merge([tmp_path / "1"])
    with pytest.raises(un.FileError, match=r"no plan\.json"):
        un.merge([tmp_path / "1", tmp_path])
    with pytest.raises(un.ArgumentError, match="expected a list of directories"):
        un.merge(str(tmp_path / "1"))
    with pytest.raises(un.ArgumentError, match="shards: none"):
        un.merge([])
    un.measure_shard(net, *samples, shard="2/2", out=tmp_path / "other", only="lesion", seed=7)
    with pytest.raises(un.FileError, match="seed"):
        un.merge([tmp_path / "1", tmp_path / "other"])


def test_the_example_measures_in_processes(example, tmp_path) -> None:
    script = ROOT / "python" / "examples" / "parallel_measure.py"
    arguments = [str(example), "digits", "2", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "lesion" in done.stdout.lower()
    whole = un.measure(un.open(example), "digits", only="lesion", progress=False)
    assert un.load(tmp_path / "out").lesion == whole.lesion


SAVING_IN_FORKS = """
import multiprocessing as mp, sys
import unrolled as un

results = un.load(sys.argv[1])
together = mp.get_context("fork").Barrier(4)

def save(process):
    for time in range(20):
        together.wait(timeout=20)
        results.save(f"{sys.argv[2]}/{time}-{process}")

if __name__ == "__main__":
    processes = [mp.get_context("fork").Process(target=save, args=(process,)) for process in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))
"""


def test_processes_that_were_forked_write_at_once(net, samples, tmp_path) -> None:
    un.measure(net, *samples, only="lesion", out=tmp_path / "results", progress=False)
    arguments = [str(tmp_path / "results"), str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", SAVING_IN_FORKS, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*-*/report.html"))) == 4 * 20

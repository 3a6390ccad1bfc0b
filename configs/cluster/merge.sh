#!/usr/bin/env bash
# Puts the shards of shards.sh together, and writes the report. A shard that is missing or unfinished is named.
#
#     configs/cluster/merge.sh OUT [options of unrolled merge]
#
# As a job that waits for all shards: sbatch --dependency=afterok:JOB configs/cluster/merge.sh OUT
#
# UNROLLED names the program, by default `unrolled`.
set -euo pipefail

if [ $# -lt 1 ]; then
    echo "usage: $0 OUT [options of unrolled merge]" >&2
    exit 2
fi
out=$1
shift
exec "${UNROLLED:-unrolled}" merge "$out"/shards/* --out "$out/merged" "$@"

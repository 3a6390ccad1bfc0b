#!/usr/bin/env bash
#SBATCH --job-name=unrolled-shards
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --output=%x-%A-%a.log
#
# Measures one shard of the samples in each task of a job array. No MPI is needed.
#
#     sbatch --array=1-8 configs/cluster/shards.sh 8 NETWORK OUT --data cifar10:DIR --only lesion
#     configs/cluster/merge.sh OUT
#
# The arguments are the number of shards, the network, a directory for the results, and options of `unrolled measure`.
# A shard that was lost or ran out of time is submitted again by its number, and continues where it stood:
#
#     sbatch --array=3 configs/cluster/shards.sh 8 NETWORK OUT --data cifar10:DIR --only lesion
#
# UNROLLED names the program, by default `unrolled`.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: sbatch --array=1-N $0 N NETWORK OUT [options of unrolled measure]" >&2
    exit 2
fi
shards=$1 network=$2 out=$3
shift 3
number=${SLURM_ARRAY_TASK_ID:?is set by sbatch --array=1-$shards}
export RAYON_NUM_THREADS=${RAYON_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-}}
[ -n "$RAYON_NUM_THREADS" ] || unset RAYON_NUM_THREADS

own=$out/shards/$number
resume=()
if [ -e "$own/plan.json" ]; then
    resume=(--resume)
fi
mkdir -p "$out/shards"
exec "${UNROLLED:-unrolled}" measure "$network" --shard "$number/$shards" --out "$own" "${resume[@]}" "$@"

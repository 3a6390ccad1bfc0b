#!/usr/bin/env bash
#SBATCH --job-name=unrolled
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --output=%x-%j.log
#
# Runs one command of the program on several nodes: one process a node, and in it a thread for each of its processors. The
# program has to be built with --features mpi.
#
#     sbatch configs/cluster/mpi.sh train experiment.toml --out RUN
#     sbatch configs/cluster/mpi.sh measure RUN --out RESULTS
#
# A run that ran out of time continues with the same command and --resume.
#
# UNROLLED names the program, by default `unrolled`.
set -euo pipefail

export RAYON_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
exec srun --cpus-per-task="$RAYON_NUM_THREADS" "${UNROLLED:-unrolled}" "$@"

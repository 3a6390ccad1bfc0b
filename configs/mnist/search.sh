#!/usr/bin/env bash
# Learning rates for configs/mnist, searched alike for all wirings and depths, then the final runs.
#   configs/mnist/search.sh DIR [UNROLLED]     DIR holds MNIST; results go to runs/mnist
# Search: one epoch for each rate, judged on the last 5,000 training images. The rate that answers most of them
# trains for eight epochs on all 60,000 and is evaluated on the test images: three seeds at 50 layers, one elsewhere.
set -u
data=${1:?a directory that holds MNIST}
unrolled=${2:-./target/release/unrolled}
here=$(dirname "$0")
out=runs/mnist
mkdir -p "$out"
last() { sed -n '$s/.*"test_accuracy":\([0-9.e-]*\).*/\1/p' "$1/metrics.jsonl" 2>/dev/null; }
train() { "$unrolled" train "$here/$1.toml" --out "$2" --set data.source=mnist:"$data" "${@:3}" >/dev/null 2>&1; }
for depth in ${DEPTHS:-10 20 50 100}; do
  for wiring in plain residual highway; do
    name=$depth-$wiring best=0 rate=0.1
    for r in 0.01 0.03 0.1 0.3; do
      run=$out/search-$name-$r
      train "$name" "$run" --set train.epochs=1 --set data.validation=5000 --set train.rate=$r
      accuracy=$(last "$run"); accuracy=${accuracy:-0}
      echo "search $name rate $r accuracy $accuracy"
      if awk "BEGIN { exit !($accuracy > $best) }"; then best=$accuracy rate=$r; fi
    done
    seeds=0; [ "$depth" = 50 ] && seeds="0 1 2"
    for seed in $seeds; do
      run=$out/$name-seed$seed begun=$(date +%s)
      train "$name" "$run" --set train.rate=$rate --set train.seed=$seed
      echo "final $name rate $rate seed $seed accuracy $(last "$run") seconds $(($(date +%s) - begun))"
    done
  done
done

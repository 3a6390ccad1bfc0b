#!/usr/bin/env bash
# All wirings of Section 5.2, small model, at one equal and smaller budget: the first WORDS words of the training text,
# EPOCHS epochs, three seeds each. Prints, for every run, the best validation perplexity; results go to runs/ptb.
#   configs/ptb/compare.sh DIR [UNROLLED]     DIR holds train.txt, valid.txt and test.txt
set -u
data=${1:?a directory that holds train.txt, valid.txt and test.txt}
unrolled=${2:-./target/release/unrolled}
here=$(dirname "$0")
out=${OUT:-runs/ptb}
mkdir -p "$out"
for seed in ${SEEDS:-0 1 2}; do
  for wiring in ${WIRINGS:-none plain residual t-only c-only highway full}; do
    run=$out/$wiring-seed$seed begun=$(date +%s)
    "$unrolled" train "$here/small-$wiring.toml" --out "$run" --set data.source=text:"$data" --set train.seed="$seed" \
      --set data.limit="${WORDS:-100000}" --set train.epochs="${EPOCHS:-4}" --set train.checkpoint_steps=0 \
      >/dev/null 2>"$run.log" || { echo "$wiring seed $seed failed: $(tail -n 1 "$run.log")"; continue; }
    best=$(sed -n 's/.*"test_loss":\([0-9.e-]*\).*/\1/p' "$run/metrics.jsonl" | sort -g | head -n 1)
    echo "$wiring seed $seed perplexity $(awk "BEGIN { printf \"%.2f\", exp($best) }") seconds $(($(date +%s) - begun))"
  done
done

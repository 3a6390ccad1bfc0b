#!/usr/bin/env bash
# The dense networks of docs/RESULTS.md on MNIST: 10 to 100 layers, plain, residual and highway. The rate is the best after one epoch
# on the held-out images; the final trainings have eight. Two hours on two cores; `python3 reference/claims.py` prints the figures.
#
#     DEPTHS   by default 10 20 50 100
#     SEEDS    by default 1 2 3
source "$(dirname "$0")/lib.sh"

# arm DEPTH WIRING: searches the rate of a network, and trains and measures it with each seed.
arm() {
    local name=mnist-$1-$2 config=../mnist/$1-$2.toml
    local values=(data.source=mnist:"$DATA/mnist" data.validation="$HELD_OUT")
    search "$name" "$config" train.epochs=1 "${values[@]}"
    networks "$name" "$config" "${SEEDS:-1 2 3}" lesion train.rate="$(best_rate "$name")" "${values[@]}"
}

for depth in ${DEPTHS:-10 20 50 100}; do
    for wiring in plain residual highway; do background arm "$depth" "$wiring"; done
done
wait_for_all

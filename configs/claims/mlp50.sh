#!/usr/bin/env bash
# Claims 5 (the dense network), 9 and 10 of docs/CLAIMS.md: highway networks of 50 dense layers, gate bias -1 to -4 on MNIST,
# -4 on CIFAR-10. About half an hour on two cores; `python3 reference/claims.py` prints the figures.
source "$(dirname "$0")/lib.sh"

declare -A SOURCES=([mnist]=mnist:$DATA/mnist [cifar]=folder:$DATA/cifar10-jpeg)
for set in mnist cifar; do
    background search mlp50-$set mlp50.toml data.source="${SOURCES[$set]}" data.validation="$HELD_OUT" train.epochs=3 \
        model.gate_bias=-4
done
wait_for_all

# arm SET BIAS SEED: trains and measures a network.
arm() {
    networks mlp50-$1-bias$2 mlp50.toml "$3" lesion,theory,gates data.source="${SOURCES[$1]}" data.validation="$HELD_OUT" \
        train.rate="$(best_rate mlp50-$1)" model.gate_bias="$2"
}
for seed in 1 2 3; do
    for bias in -1 -2 -3 -4; do background arm mnist $bias $seed; done
    background arm cifar -4 $seed
done
wait_for_all

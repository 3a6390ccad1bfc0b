#!/usr/bin/env bash
# Claims 5 (the dense network), 9 and 10 of docs/CLAIMS.md: highway networks of 50 dense layers, gate bias -1 to -4 on MNIST,
# -4 on CIFAR-10. About half an hour on two cores; `python3 reference/claims.py RUNS` prints the figures.
source "$(dirname "$0")/lib.sh"

for set in mnist cifar; do
    case $set in
        mnist) source=mnist:$DATA/mnist ;;
        cifar) source=folder:$DATA/cifar10-jpeg ;;
    esac
    rate=$(best_rate mlp50-$set mlp50.toml data.source=$source train.epochs=3 model.gate_bias=-4)
    for bias in -1 -2 -3 -4; do
        [ $set = cifar ] && [ $bias != -4 ] && continue
        for seed in 1 2 3; do
            name=mlp50-$set-bias$bias-seed$seed
            train $name mlp50.toml data.source=$source train.rate=$rate train.seed=$seed model.gate_bias=$bias
            measure $name $source --split test --only lesion,theory,gates,estimation
        done
    done
done

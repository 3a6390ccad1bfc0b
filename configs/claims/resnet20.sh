#!/usr/bin/env bash
# Claims 1, 5 (Highway-20) and 7 of docs/CLAIMS.md: residual, highway and highway-full networks of 20 layers, and a residual one
# with layer dropout, on CIFAR-10. Two to four hours on two cores with 4 epochs, fifteen to thirty with 30.
# `python3 reference/claims.py` prints the figures.
source "$(dirname "$0")/lib.sh"

source=folder:$DATA/cifar10-jpeg
declare -A ARMS=(
    [residual]="model.width=16"
    [highway]="model.wiring=highway model.width=11 model.gate_bias=-1"
    [full]="model.wiring=full model.width=12 model.gate_bias=-1"
    [dropout]="model.width=16 model.layer_dropout=0.5"
)
declare -A MEASUREMENTS=(
    [residual]=lesion,shuffle,several [dropout]=lesion,shuffle,several [highway]=gates [full]=gates
)

# arm NAME SEED: trains and measures a network.
arm() {
    local name=resnet20-$1-seed$2 values
    read -ra values <<<"${ARMS[$1]}"
    recorded "$name" && return
    train "$name" resnet20.toml data.source="$source" train.rate="$(best_rate "resnet20-$1")" train.seed="$2" "${values[@]}"
    measure "$name" "$source" --split test --only "${MEASUREMENTS[$1]}"
    record "$name"
}

# group SEEDS NAME...: searches the rates of some arms, and trains them with these seeds.
group() {
    local seeds=$1 seed name values
    shift
    for name in "$@"; do
        read -ra values <<<"${ARMS[$name]}"
        search "resnet20-$name" resnet20.toml data.source="$source" train.epochs=1 "${values[@]}"
    done
    wait_for_all
    for seed in $seeds; do
        for name in "$@"; do background arm "$name" "$seed"; done
    done
    wait_for_all
}

group "1 2 3" highway              # claim 5
group "1 2 3" residual dropout     # claim 7
group "1 2 3 4 5" residual highway full # claim 1

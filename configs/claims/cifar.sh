#!/usr/bin/env bash
# Claims 1 to 8, 11 and 13 of docs/CLAIMS.md: networks on CIFAR-10.
#
#     configs/claims/cifar.sh [CLAIM...]    trains what these claims need, by default all
#     SIZE     side of the images in pixels, by default 16; at 32 an epoch takes four times as long
#     EPOCHS   epochs of every network, by default 4; rates are searched with a quarter of them
#
# With the defaults all claims take five to six hours on two cores of a slow machine, claim 1 fifty minutes. With SIZE=32 and
# EPOCHS=30 they take thirty times as long, a week; half of that on a fast machine. `python3 reference/claims.py` prints the figures.
source "$(dirname "$0")/lib.sh"

SIZE=${SIZE:-16}
EPOCHS=${EPOCHS:-4}
source=folder:$DATA/cifar10-jpeg
prefix=cifar-${SIZE}px-${EPOCHS}epochs

# The keys of [model] of every arm. Widths of one claim give equal numbers of parameters where the claim asks for it.
highway="wiring=highway width=11"
pointwise="wiring=highway width=15 gate=1x1"
declare -A ARMS=(
    [residual]="width=16"
    [highway]="$highway gate_bias=-1"
    [highway-full]="$highway gate_bias=-1 last_relu=h"
    [residual-without-norm]="width=16 norm=false"
    [highway-without-norm]="$highway gate_bias=-1 norm=false"
    [highway-full-without-norm]="$highway gate_bias=-1 last_relu=h norm=false"
    [highway-bias0]="$highway gate_bias=0"
    [highway-bias-3]="$highway gate_bias=-3"
    [highway-bias-6]="$highway gate_bias=-6"
    [gates1x1-bias0]="$pointwise gate_bias=0"
    [gates1x1-bias-1]="$pointwise gate_bias=-1"
    [gates1x1-bias-3]="$pointwise gate_bias=-3"
    [gates1x1-bias-6]="$pointwise gate_bias=-6"
    [dropout]="width=16 layer_dropout=0.5"
    [shared]="width=16 share_weights=true"
    [shared-wide]="width=20 share_weights=true"
    [shared-32]="width=16 depth=32 share_weights=true"
    [shared-56]="width=16 depth=56 share_weights=true"
    [blocks-135]="width=16 blocks=[1,3,5]"
    [blocks-531]="width=16 blocks=[5,3,1]"
    [blocks-135-matched]="width=13 blocks=[1,3,5]"
    [blocks-531-matched]="width=23 blocks=[5,3,1]"
    [blocks-3333]="width=16 blocks=[3,3,3,3]"
    [blocks-3336]="width=16 blocks=[3,3,3,6]"
    [residual-14]="width=16 depth=14"
    [residual-32]="width=16 depth=32"
    [residual-56]="width=16 depth=56"
    [plain-14]="width=16 wiring=plain depth=14"
    [plain-20]="width=16 wiring=plain"
    [plain-32]="width=16 wiring=plain depth=32"
)

# measurements ARM: what is measured of an arm.
measurements() {
    case $1 in
        highway*) echo lesion,gates ;;
        residual | residual-[0-9]* | plain-* | dropout) echo lesion,shuffle,several,estimation ;;
        blocks-3333 | blocks-3336) echo lesion,estimation ;;
        *) echo lesion ;;
    esac
}

# need SEEDS ARM...: notes that a claim needs seeds 1 to SEEDS of some arms.
declare -A SEEDS=()
ORDER=()
need() {
    local seeds=$1 arm
    shift
    for arm in "$@"; do
        [ -n "${SEEDS[$arm]:-}" ] || ORDER+=("$arm")
        [ "${SEEDS[$arm]:-0}" -ge "$seeds" ] || SEEDS[$arm]=$seeds
    done
}

# claim NUMBER: notes what a claim needs.
claim() {
    case $1 in
        1) need 5 residual highway highway-full ;;
        2) claim 1 && need 5 residual-without-norm highway-without-norm highway-full-without-norm ;;
        3) need 3 highway highway-bias0 highway-bias-3 highway-bias-6 ;;
        4) claim 3 && need 3 gates1x1-bias-1 gates1x1-bias0 gates1x1-bias-3 gates1x1-bias-6 ;;
        5) need 3 highway ;;
        6) need 3 residual shared shared-wide residual-32 shared-32 residual-56 shared-56 ;;
        7) need 3 residual dropout ;;
        8) need 5 residual blocks-135 blocks-531 blocks-135-matched blocks-531-matched ;;
        11) need 3 blocks-3333 blocks-3336 ;;
        13) need 3 residual-14 plain-14 residual plain-20 residual-32 plain-32 ;;
        *) echo "claim $1: there are 1 to 8, 11 and 13" >&2; return 2 ;;
    esac
}

# arm NAME SEEDS: searches the rate of an arm, and trains and measures it with seeds 1 to SEEDS.
arm() {
    local name=$prefix-$1 value
    local values=(data.source="$source" data.validation="$HELD_OUT" data.resize="$SIZE" data.augment.pad=$((SIZE / 8)))
    for value in ${ARMS[$1]}; do values+=("model.$value"); done
    search "$name" cifar.toml train.epochs=$(((EPOCHS + 3) / 4)) "${values[@]}"
    values+=(train.rate="$(best_rate "$name")" train.epochs="$EPOCHS")
    networks "$name" cifar.toml "$(seq -s ' ' "$2")" "$(measurements "$1")" "${values[@]}"
}

[ $# -gt 0 ] || set -- 1 2 3 4 5 6 7 8 11 13
for number; do claim "$number"; done
for name in "${ORDER[@]}"; do background arm "$name" "${SEEDS[$name]}"; done
wait_for_all

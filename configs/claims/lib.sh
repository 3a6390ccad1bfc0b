# Sourced by the scripts of this directory. Trains and measures what is not there yet; stopped work continues.
#
#     DATA     where mnist/ and cifar10-jpeg/{train,test}/CLASS lie, by default data
#     RUNS     where runs and measurements go, by default runs/claims
#     UNROLLED the program, by default unrolled

set -euo pipefail
DATA=${DATA:-data}
RUNS=${RUNS:-runs/claims}
UNROLLED=${UNROLLED:-unrolled}
here=$(dirname "${BASH_SOURCE[0]}")

# train NAME CONFIG KEY=VALUE...: trains the experiment into RUNS/NAME.
train() {
    local out=$RUNS/$1 config=$here/$2 options=()
    shift 2
    [ -e "$out/model.safetensors" ] && return
    [ -e "$out/config.toml" ] && options=(--resume)
    for value in "$@"; do options+=(--set "$value"); done
    "$UNROLLED" train "$config" --out "$out" "${options[@]}"
}

# measure NAME DATA OPTION...: measures the run RUNS/NAME on test images into RUNS/NAME-measured.
measure() {
    local run=$RUNS/$1 out=$RUNS/$1-measured options=()
    local data=$2
    shift 2
    [ -e "$out/report.html" ] && return
    [ -e "$out/plan.json" ] && options=(--resume)
    "$UNROLLED" measure "$run" --data "$data" --out "$out" "${options[@]}" "$@" >"$RUNS/${run##*/}.txt"
}

# best_rate NAME CONFIG KEY=VALUE...: trains with rates .03, .1 and .3 and prints the one with the highest accuracy on the held-out
# training images.
best_rate() {
    local name=$1 rate
    shift
    for rate in 0.03 0.1 0.3; do
        # A rate with which the loss stops being finite is none.
        train "$name-rate$rate" "$@" train.rate=$rate >&2 || true
    done
    for rate in 0.03 0.1 0.3; do
        [ -e "$RUNS/$name-rate$rate/model.safetensors" ] || continue
        printf '%s %s\n' "$(tail -n 1 "$RUNS/$name-rate$rate/metrics.jsonl" |
            sed 's/.*"test_accuracy_fraction":\([0-9.e-]*\).*/\1/')" $rate
    done | sort -g | tail -n 1 | cut -d' ' -f2
}

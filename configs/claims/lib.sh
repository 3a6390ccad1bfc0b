# Sourced by the scripts of this directory. Trains and measures what has no line in FIGURES yet; stopped work continues.
#
#     DATA     where mnist/, ptb/ and cifar10-jpeg/{train,test}/CLASS lie, by default data
#     RUNS     where runs and measurements go, by default runs/claims
#     FIGURES  the file of figures, by default docs/claims.jsonl
#     UNROLLED the program, by default unrolled
#     JOBS     trainings at once, by default 1; with more, set RAYON_NUM_THREADS to the threads of each
#     HELD_OUT training images that are held out, by default 5000

set -euo pipefail
DATA=${DATA:-data}
RUNS=${RUNS:-runs/claims}
UNROLLED=${UNROLLED:-unrolled}
JOBS=${JOBS:-1}
HELD_OUT=${HELD_OUT:-5000}
here=$(dirname "${BASH_SOURCE[0]}")
export FIGURES=${FIGURES:-$here/../../docs/claims.jsonl}
failed=0

# background COMMAND...: runs a command once fewer than JOBS are running.
background() {
    while [ "$(jobs -pr | wc -l)" -ge "$JOBS" ]; do wait -n || failed=1; done
    "$@" &
}

# wait_for_all: waits for what runs in the background, and ends the script where something failed.
wait_for_all() {
    while [ "$(jobs -p | wc -l)" -gt 0 ]; do wait -n || failed=1; done
    [ "$failed" = 0 ]
}

# train NAME CONFIG KEY=VALUE...: trains the experiment into RUNS/NAME, and refuses a run of another experiment that is there. That
# the loss is not finite is a result, not an error.
train() {
    local out=$RUNS/$1 config=$here/$2 options=()
    shift 2
    [ -e "$out/config.toml" ] && options=(--resume)
    for value in "$@"; do options+=(--set "$value"); done
    mkdir -p "$RUNS"
    "$UNROLLED" train "$config" --out "$out" "${options[@]}" >"$out.log" 2>&1 ||
        grep -q "not finite" "$out.log" || failure "$out.log"
}

# failure LOG: says why a command failed.
failure() {
    echo "$1: $(tail -n 1 "$1")" >&2
    return 1
}

# measure NAME OPTION...: measures the run RUNS/NAME on the test images of its data into RUNS/NAME-measured.
measure() {
    local run=$RUNS/$1 out=$RUNS/$1-measured options=()
    shift
    [ -e "$out/report.html" ] || ! [ -e "$run/model.safetensors" ] && return
    [ -e "$out/plan.json" ] && options=(--resume)
    "$UNROLLED" measure "$run" --out "$out" "${options[@]}" "$@" >"$out.log" 2>&1 || failure "$out.log"
}

# recorded NAME: whether FIGURES has those of a network.
recorded() {
    grep -qsF "\"network\": \"$1\"" "$FIGURES"
}

# record NAME: adds the figures of RUNS/NAME and RUNS/NAME-measured to FIGURES.
record() {
    python3 "$here/../../reference/claims.py" record "$RUNS" "$1"
}

# search NAME CONFIG KEY=VALUE...: trains with rates .03, .1 and .3.
search() {
    local name=$1 rate
    shift
    for rate in 0.03 0.1 0.3; do
        recorded "$name-rate$rate" && continue
        train "$name-rate$rate" "$@" train.rate=$rate
        record "$name-rate$rate"
    done
}

# networks NAME CONFIG SEEDS MEASUREMENTS KEY=VALUE...: trains, measures and records an arm with each of some seeds, `1 2 3`.
networks() {
    local name=$1 config=$2 seeds=$3 measurements=$4 seed
    shift 4
    for seed in $seeds; do
        recorded "$name-seed$seed" && continue
        train "$name-seed$seed" "$config" train.seed="$seed" "$@"
        [ -z "$measurements" ] || measure "$name-seed$seed" --only "$measurements"
        record "$name-seed$seed"
    done
}

# best_rate NAME: prints the rate of the search with the highest accuracy on the held-out training images.
best_rate() {
    python3 "$here/../../reference/claims.py" best-rate "$1"
}

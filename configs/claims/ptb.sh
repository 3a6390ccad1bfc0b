#!/usr/bin/env bash
# Claim 12 of docs/CLAIMS.md: the small language model on the Penn Treebank with the blocks of Section 5.2. An epoch takes four to eight
# minutes on two cores, all arms four to eight hours; `python3 reference/claims.py` prints the figures.
#
#     EPOCHS   by default 8, with which one coupled block reaches a validation perplexity of 129
#     WORDS    words of the training text, the first ones, by default 0: all
#     SEEDS    by default 1
source "$(dirname "$0")/lib.sh"

EPOCHS=${EPOCHS:-8}
WORDS=${WORDS:-0}

# arm WIRING SEED: trains a network and records its perplexities.
arm() {
    networks ptb-$WORDS-words-${EPOCHS}epochs-$1 "../ptb/small-$1.toml" "$2" "" data.source=text:"$DATA/ptb" data.limit="$WORDS" \
        train.epochs="$EPOCHS"
}

for seed in ${SEEDS:-1}; do
    for wiring in none plain residual t-only c-only highway full; do background arm $wiring "$seed"; done
done
wait_for_all

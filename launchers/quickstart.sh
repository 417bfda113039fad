#!/usr/bin/env bash
# The main job, end to end, on two CPU cores: solvers -> shards -> expert-parallel
# pre-training on two ranks -> zero-shot scores -> leaderboard. About 9 minutes.
#
#   bash launchers/quickstart.sh [FOLDER [PRESET]]    # run again to go on after a stop
#
# FOLDER is `quickstart` by default, PRESET, of a mixture, nano_moe_fno_patched; `nano` is
# MoE-POT, the paper's network.
set -euo pipefail
launchers=$(dirname "$0")
out=${1:-quickstart}
preset=${2:-nano_moe_fno_patched}
shards=$out/shards
if [ -e "$out" ]; then fresh=; else fresh=yes; fi
run=$out/run
seed=0
started=$SECONDS
export DS_ACCELERATOR=${DS_ACCELERATOR:-cpu}

marks=()
say() { printf '\n== %s  (%d s)\n' "$1" $((SECONDS - started)); marks+=($((SECONDS - started))); }

say "1/4 All corpora in small, 64 x 64: six to train on, the others to be judged on"
foundation shards generate all --profile small --out "$shards" --seed "$seed"
foundation shards verify "$shards"
foundation shards info "$shards"

say "2/4 Pre-training: preset $preset, 2 ranks, 16 experts spread over both"
resume=()
if [ -f "$run/config.yaml" ]; then resume=(--resume); fi
deepspeed --log_level warning --num_accelerators 2 "$launchers/pretrain.py" --preset "$preset" \
  --ep-size 2 --shards "$shards" --output "$run" "${resume[@]}"

say "3/4 Zero-shot scores on held-out trajectories, beside two floors"
foundation evaluate "$run/model" floor:persistence floor:context_mean \
  --name "$preset" --name persistence --name context_mean --shards "$shards" \
  --tasks zero_shot --output "$out/records/$preset.json" --overwrite

say "4/4 Leaderboard"
foundation leaderboard "$out/records" --output "$out/leaderboard"
say "done"
# Of a run that was stopped on the way they would say nothing.
[ -z "$fresh" ] || printf '{"simulate": %d, "train": %d, "score": %d, "board": %d, "all": %d}\n' \
  "${marks[1]}" $((marks[2] - marks[1])) $((marks[3] - marks[2])) $((marks[4] - marks[3])) \
  "${marks[4]}" > "$out/seconds.json"
echo "curves: tensorboard --logdir $run/tensorboard"

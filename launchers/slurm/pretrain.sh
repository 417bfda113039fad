#!/usr/bin/env bash
# One task per GPU under Slurm, without ssh between nodes:
#   srun --kill-on-bad-exit=1 --nodes 4 --ntasks-per-node 8 --gpus-per-node 8 bash launchers/slurm/pretrain.sh \
#       --preset medium --ep-size 8 --shards DIR --output DIR global_batch=320 [--resume] [key.path=value ...]
# Ask Slurm for --signal=TERM@120 and --requeue: the run saves, and goes on with --resume.
set -euo pipefail
export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
export LOCAL_SIZE=$((SLURM_NTASKS / SLURM_NNODES))
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR MASTER_PORT=${MASTER_PORT:-29500}
exec python -u "$(dirname "$0")/../pretrain.py" "$@"

#!/usr/bin/env bash
# Train under Slurm. GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS are taken from the environment;
# DRY_RUN=1 prints the command instead of running it.
# Usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]" >&2
  exit 2
fi
source "$(dirname "$0")/_slurm_run.sh"
slurm_run "$1" "$2" train.py "$3" --launcher slurm "${@:4}"

#!/usr/bin/env bash
# Test under Slurm. GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS are taken from the environment;
# DRY_RUN=1 prints the command instead of running it.
# Usage: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
set -euo pipefail
if [ $# -lt 4 ]; then
  echo "usage: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]" >&2
  exit 2
fi
source "$(dirname "$0")/_slurm_run.sh"
slurm_run "$1" "$2" test.py "$3" "$4" --launcher slurm "${@:5}"

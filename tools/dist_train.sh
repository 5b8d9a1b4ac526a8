#!/usr/bin/env bash
# Train with several processes on one machine, or on several machines with NNODES, NODE_RANK and MASTER_ADDR set.
# Without a GPU, GPUS is the number of processes. PORT (default 29500) is the port at which they meet: give each of
# several runs on one machine its own.
# Usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]" >&2
  exit 2
fi
source "$(dirname "$0")/_dist_run.sh"
dist_run "$2" train.py "$1" --launcher pytorch "${@:3}"

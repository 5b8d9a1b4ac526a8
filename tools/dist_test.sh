#!/usr/bin/env bash
# Test with several processes on one machine, or on several machines with NNODES, NODE_RANK and MASTER_ADDR set.
# Without a GPU, GPUS is the number of processes. PORT (default 29500) is the port at which they meet: give each of
# several runs on one machine its own.
# Usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
  exit 2
fi
source "$(dirname "$0")/_dist_run.sh"
dist_run "$3" test.py "$1" "$2" --launcher pytorch "${@:4}"

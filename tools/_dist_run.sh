# Sourced by dist_train.sh and dist_test.sh, not run by itself.

# Run a tool of this folder in GPUS processes: dist_run GPUS TOOL [arguments of the tool]
dist_run() {
  local gpus=$1 tool=$2
  if [[ ! $gpus =~ ^[1-9][0-9]*$ ]]; then
    echo "$(basename "$0"): GPUS must be a number above 0, found '$gpus'; $(grep -m1 -o 'usage: [^"]*' "$0")" >&2
    exit 2
  fi
  exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$(dirname "$0")/$tool" "${@:3}"
}

# Sourced by slurm_train.sh and slurm_test.sh, not run by itself.

# Run a tool of this folder under srun: slurm_run PARTITION JOB_NAME TOOL [arguments of the tool]
slurm_run() {
  local partition=$1 job=$2 tool=$3
  local gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
  if [ "$gpus" -lt "$per_node" ]; then per_node=$gpus; fi
  # SRUN_ARGS is a list of options: it is split at blanks on purpose.
  # shellcheck disable=SC2206
  local extra=(${SRUN_ARGS:-})
  local command=(
    srun --partition="$partition" --job-name="$job" --gres="gpu:$per_node" --ntasks="$gpus"
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1
    ${extra[@]+"${extra[@]}"}
    "${PYTHON:-python}" -u "$(dirname "$0")/$tool" "${@:4}"
  )
  if [ -n "${DRY_RUN:-}" ]; then
    printf '%q ' "${command[@]}"
    echo
    exit 0
  fi
  exec "${command[@]}"
}

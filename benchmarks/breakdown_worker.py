"""A process of its own for each config and number of threads: some iterations of a run under a stopwatch."""

import json
import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.phases import REST, Stopwatch, watch_run


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be measured. It travels as JSON.

    Args:
        config: The config file.
        data_root: Of its dataset.
        work_dir: Where the run writes its log.
        threads: Threads of torch.
        workers: Processes that load data.
        warm_up: Iterations before those that count.
        iterations: Iterations that count.
    """

    config: str
    data_root: str
    work_dir: str
    threads: int
    workers: int
    warm_up: int
    iterations: int

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))


def main() -> None:
    """Do the job of the command line; write the result to the standard output, what is logged to the error output."""
    reply = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    json.dump(measure(Job(**json.loads(sys.argv[1]))), reply)


def measure(job: Job) -> dict[str, Any]:
    """Run the iterations.

    Returns:
        ``seconds`` of every phase (one an iteration; its phases add up to an iteration), ``shape`` of a batch (B, T, D)
        and ``peak_memory_mib`` of the process.
    """
    import torch

    torch.set_num_threads(job.threads)
    runner = start(job)
    shapes: list[list[int]] = []
    runner.model.backbone.register_forward_pre_hook(lambda _, inputs: shapes.append(list(inputs[0].shape)))
    watch = Stopwatch()
    watch_run(watch, runner)
    taken = []
    for _ in range(job.warm_up + job.iterations):
        with watch.phase(REST):
            runner.train_loop.step()
        taken.append(watch.take())
    counted = taken[job.warm_up :]
    return {
        'seconds': {name: [phases.get(name, 0.0) for phases in counted] for name in counted[0]},
        'shape': shapes[-1],
        'peak_memory_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def start(job: Job) -> Any:
    """Begin the run as ``tools/train.py`` does, up to its first iteration; return the Runner."""
    from benchmarks.ours_training import SteppedTrainLoop
    from mmwtal.apis.runtime import build_runner, prepare_runtime
    from mmwtal.apis.settings import prepare_config, resolve_auto

    cfg = prepare_config(job.config, data_root=job.data_root, work_dir=Path(job.work_dir))
    cfg.train_dataloader.num_workers = job.workers
    cfg.train_dataloader.persistent_workers = job.workers > 0
    cfg.train_cfg.type = SteppedTrainLoop.__name__
    prepare_runtime(cfg)
    resolve_auto(cfg, dataloader='train_dataloader')
    runner = build_runner(cfg)
    runner.train()
    return runner


if __name__ == '__main__':
    main()

"""A process of its own for each side of a comparison, so that neither disturbs the other nor counts in its memory.

It answers one JSON line to each line that it gets: ``warm`` (do it until times can be trusted), ``sample`` (time it
once), ``finish`` (say what came out, and end). A fault of the code that is timed ends the process; its traceback is in
the log.
"""

import json
import math
import os
import resource
import sys
import time
from typing import Any, TextIO

from benchmarks.operation import Operation, Spec

ENOUGH = 0.2  # seconds that a sample lasts at least


def main() -> None:
    """Serve the commands on the standard input."""
    spec = Spec.from_dict(json.loads(sys.argv[1]))
    replies = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # what the code prints goes to the log
    serve(spec, build(spec), sys.stdin, replies)


def build(spec: Spec) -> Operation:
    """Prepare what is to be timed; imports the one side only."""
    import torch

    torch.set_num_threads(spec.threads)
    if spec.is_published:
        from benchmarks.published import OPERATIONS
    else:
        from benchmarks.ours import OPERATIONS
    return OPERATIONS[spec.operation](spec)


def serve(spec: Spec, operation: Operation, commands: TextIO, replies: TextIO) -> None:
    """Answer commands until there are no more."""
    repeats = 1
    for line in commands:
        command = line.strip()
        if command == 'warm':
            repeats = _repeats(spec, operation)
            reply: dict[str, Any] = {'repeats': repeats}
        elif command == 'sample':
            reply = {'seconds': _timed(spec, operation, repeats) / repeats / operation.units}
        else:
            reply = _finish(spec, operation)
        replies.write(json.dumps(reply) + '\n')
        replies.flush()
        if command == 'finish':
            return


def _repeats(spec: Spec, operation: Operation) -> int:
    """Warm up; return how often the operation is done in a sample."""
    elapsed = _timed(spec, operation, 1)
    if elapsed < ENOUGH:
        # The first time pays for what is set up once.
        elapsed = _timed(spec, operation, 1)
    return max(1, math.ceil(ENOUGH / elapsed))


def _timed(spec: Spec, operation: Operation, repeats: int) -> float:
    _synchronize(spec)
    start = time.perf_counter()
    for _ in range(repeats):
        operation.run()
    _synchronize(spec)
    return time.perf_counter() - start


def _synchronize(spec: Spec) -> None:
    if spec.device == 'cuda':
        import torch

        torch.cuda.synchronize()


def _finish(spec: Spec, operation: Operation) -> dict[str, Any]:
    reply: dict[str, Any] = {
        'outcome': [float(value) for value in operation.outcome()],
        'peak_memory_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        'waiting_share': None if operation.waiting is None else operation.waiting.share(),
        'peak_device_memory_mib': None,
    }
    if spec.device == 'cuda':
        import torch

        reply['peak_device_memory_mib'] = torch.cuda.max_memory_allocated() / 2**20
    return reply


if __name__ == '__main__':
    main()

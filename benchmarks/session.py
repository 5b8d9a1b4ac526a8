"""The comparing process's handle on a worker."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.operation import Spec

ROOT = Path(__file__).resolve().parents[1]
STUBS = ROOT / 'benchmarks' / 'stubs'
PATIENCE = 20  # seconds


class WorkerFailure(Exception):
    """A worker ended because of a fault in what it ran; the text is the last line of its log."""


class Session:
    """A worker process.

    Args:
        spec: What it does. What it prints goes to ``SIDE.log`` in its scratch folder.
        command: Arguments of the interpreter that start it.
    """

    def __init__(self, spec: Spec, command: tuple[str, ...] = ('-m', 'benchmarks.worker')) -> None:
        self._log = spec.scratch / f'{spec.side}.log'
        with self._log.open('w') as log:
            self._process = subprocess.Popen(
                [sys.executable, *command, json.dumps(spec.to_dict())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=environment(spec),
            )

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command and wait for the reply.

        Raises:
            WorkerFailure: If the process ends instead.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(command + '\n')
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None
        line = self._process.stdout.readline()
        if not line:
            raise self._failure()
        return json.loads(line)

    def close(self) -> None:
        """End the process, in its own way if it can, so that it ends those that it started."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _failure(self) -> WorkerFailure:
        code = self._process.wait()
        lines = [line for line in self._log.read_text(errors='replace').splitlines() if line.strip()]
        return WorkerFailure(lines[-1] if lines else f'exit code {code}')


def environment(spec: Spec) -> dict[str, str]:
    """Return the environment of a worker: the same threads for both sides, stand-ins for the authors' side only."""
    variables = thread_environment(spec.threads, has_gpu=spec.device != 'cpu')
    if spec.is_published:
        variables['PYTHONPATH'] = os.pathsep.join([str(STUBS), variables['PYTHONPATH']])
    return variables


def thread_environment(threads: int, *, has_gpu: bool = False) -> dict[str, str]:
    """Return the environment of a process that finds mmwtal, uses so many threads, and sees a GPU or none."""
    path = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    hidden = {} if has_gpu else {'CUDA_VISIBLE_DEVICES': ''}
    return {
        **os.environ,
        'PYTHONPATH': os.pathsep.join(path),
        'OMP_NUM_THREADS': str(threads),
        'MPLBACKEND': 'agg',
        **hidden,
    }

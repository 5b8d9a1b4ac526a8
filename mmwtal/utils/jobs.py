"""Running command lines as child processes, several at a time: each with a log, all ended when the parent is."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

POLL_SECONDS = 0.1
# What a child has to end by itself after Ctrl-C before it is killed.
GRACE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a job.

    Args:
        name: What messages call it.
        command: The program and its arguments.
    """

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """Commands that run one after the other, each if the one before succeeded.

    Args:
        name: What messages call it.
        steps: The commands.
        log: What they write is appended to this file.
    """

    name: str
    steps: tuple[Step, ...]
    log: Path


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A command that failed.

    Args:
        job: Its job.
        step: The command's name.
        code: Its exit code; negative for the signal that ended it.
    """

    job: Job
    step: str
    code: int


@dataclass
class _Running:
    job: Job
    step: int
    process: subprocess.Popen[bytes]
    started: float


def run_jobs(
    jobs: Sequence[Job],
    *,
    at_once: int,
    environment: Mapping[str, str],
    report: Callable[[str], None],
    keep_open: Sequence[int] = (),
    starting: Callable[[Job], None] | None = None,
    succeeded: Callable[[Job, Step, float], None] | None = None,
) -> list[Failure]:
    """Run jobs; one that fails does not stop the others.

    Every child leads a process group of its own, so that Ctrl-C reaches it through this process alone: as an interrupt
    to the whole group, after which it is waited for. SIGTERM and SIGHUP (unless ignored, as by nohup) count as Ctrl-C.

    Args:
        jobs: The jobs, begun in this order.
        at_once: How many run at the same time.
        environment: Their environment variables.
        report: Takes a line of progress.
        keep_open: File descriptors that the children inherit, such as that of a lock.
        starting: Takes each job before its first command is started.
        succeeded: Takes each command that succeeded, and the seconds that it took.

    Returns:
        The failures.

    Raises:
        KeyboardInterrupt: After the children have ended.
    """
    pending, running, failures = list(jobs), list[_Running](), list[Failure]()
    with _signals_as_interrupt():
        try:
            while pending or running:
                while pending and len(running) < at_once:
                    job = pending.pop(0)
                    if starting is not None:
                        starting(job)
                    running.append(_start(job, 0, environment, keep_open))
                    report(f'{job.name}: {job.steps[0].name}')
                time.sleep(POLL_SECONDS)
                for one in list(running):
                    code = one.process.poll()
                    if code is None:
                        continue
                    running.remove(one)
                    if code == 0 and succeeded is not None:
                        succeeded(one.job, one.job.steps[one.step], time.monotonic() - one.started)
                    following = _next(one, code, report)
                    if following is not None:
                        running.append(_start(one.job, following, environment, keep_open))
                    elif code:
                        failures.append(Failure(job=one.job, step=one.job.steps[one.step].name, code=code))
        finally:
            _end(running)
    return failures


def _next(one: _Running, code: int, report: Callable[[str], None]) -> int | None:
    """Say how a command ended; return the number of the one that follows it, None if none does."""
    step, seconds = one.job.steps[one.step], time.monotonic() - one.started
    if code:
        report(f'{one.job.name}: {step.name} FAILED after {seconds:.0f} s (exit code {code}), log: {one.job.log}')
        return None
    if one.step + 1 < len(one.job.steps):
        report(f'{one.job.name}: {step.name} took {seconds:.0f} s, now {one.job.steps[one.step + 1].name}')
        return one.step + 1
    report(f'{one.job.name}: {step.name} took {seconds:.0f} s, done')
    return None


def _start(job: Job, step: int, environment: Mapping[str, str], keep_open: Sequence[int]) -> _Running:
    command = job.steps[step].command
    with job.log.open('ab') as log:
        log.write(f'\n$ {" ".join(command)}\n'.encode(errors='backslashreplace'))
        log.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            pass_fds=keep_open,
        )
    return _Running(job=job, step=step, process=process, started=time.monotonic())


def _end(running: Sequence[_Running]) -> None:
    """Interrupt what still runs, wait for it, and kill what does not end, or all at a second Ctrl-C."""
    for one in running:
        _send(one, signal.SIGINT)
    deadline = time.monotonic() + GRACE_SECONDS
    try:
        for one in running:
            one.process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        for one in running:
            _send(one, signal.SIGKILL)
            one.process.wait()


def _send(one: _Running, number: int) -> None:
    if one.process.poll() is not None:
        return  # its number may be another process's by now
    try:
        os.killpg(one.process.pid, number)
    except ProcessLookupError:
        return


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(f'by {signal.Signals(number).name}')

    # A handler for Ctrl-C too: a shell ignores it in what it runs in the background, which children would inherit.
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    earlier = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)

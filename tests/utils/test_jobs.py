"""Child processes: logged, several at a time, none left behind."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from mmwtal.utils.jobs import Job, Step, run_jobs

ENVIRONMENT = dict(os.environ)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, '-c', code)


def job(tmp_path: Path, name: str, *codes: str) -> Job:
    steps = tuple(Step(name=f'step {number}', command=python(code)) for number, code in enumerate(codes, 1))
    return Job(name=name, steps=steps, log=tmp_path / f'{name}.txt')


def test_steps_follow_each_other_and_a_failure_stops_its_job_alone(tmp_path: Path) -> None:
    lines: list[str] = []
    begun: list[tuple[str, list[bool]]] = []
    failures = run_jobs(
        [
            job(tmp_path, 'bad', 'import sys; print("before"); sys.exit("broken")', 'print("never")'),
            job(tmp_path, 'good', 'print("one")', 'import os; print("two", os.environ["GIVEN"])'),
        ],
        at_once=1,
        environment={**ENVIRONMENT, 'GIVEN': 'word'},
        report=lines.append,
        # Each job is told of before it begins, when the one before it has ended.
        starting=lambda one: begun.append(
            (one.name, [(tmp_path / f'{name}.txt').exists() for name in ('bad', 'good')])
        ),
    )
    assert begun == [('bad', [False, False]), ('good', [True, False])]
    [failure] = failures
    assert (failure.job.name, failure.step, failure.code) == ('bad', 'step 1', 1)
    bad, good = ((tmp_path / f'{name}.txt').read_text() for name in ('bad', 'good'))
    assert 'broken' in bad
    assert '\nnever\n' not in bad
    assert good.index('\none\n') < good.index('\ntwo word\n')
    assert [line.split(' FAILED')[0] for line in lines[:2]] == ['bad: step 1', 'bad: step 1']
    assert str(tmp_path / 'bad.txt') in lines[1]
    assert lines[-1].startswith('good: step 2 took ')


def test_logs_are_appended_to(tmp_path: Path) -> None:
    for word in ('first', 'second'):
        run_jobs([job(tmp_path, 'x', f'print("{word}")')], at_once=1, environment=ENVIRONMENT, report=str)
    log = (tmp_path / 'x.txt').read_text()
    assert 'first' in log
    assert 'second' in log


# Writes when it began and ended; waits in between until as many have begun as it is told.
MEETING = """
import pathlib, sys, time, uuid
folder, others = pathlib.Path(sys.argv[1]), int(sys.argv[2])
mine = folder / uuid.uuid4().hex
start = time.monotonic()
mine.touch()
while len(list(folder.iterdir())) < others and time.monotonic() < start + 20:
    time.sleep(0.01)
mine.write_text(f'{start} {time.monotonic()}')
"""


def meeting(tmp_path: Path, *, jobs: int, at_once: int, others: int) -> list[tuple[float, float]]:
    folder = tmp_path / 'met'
    folder.mkdir()
    step = Step(name='meeting', command=(*python(MEETING), str(folder), str(others)))
    all_jobs = [Job(name=str(number), steps=(step,), log=tmp_path / f'{number}.txt') for number in range(jobs)]
    assert run_jobs(all_jobs, at_once=at_once, environment=ENVIRONMENT, report=str) == []
    times = [path.read_text().split() for path in folder.iterdir()]
    return sorted((float(start), float(end)) for start, end in times)


def test_jobs_run_at_the_same_time(tmp_path: Path) -> None:
    times = meeting(tmp_path, jobs=3, at_once=3, others=3)
    assert max(start for start, _ in times) < min(end for _, end in times)


def test_no_more_jobs_at_once_than_asked_for(tmp_path: Path) -> None:
    times = meeting(tmp_path, jobs=3, at_once=1, others=0)
    assert all(end < start for (_, end), (start, _) in pairwise(times))


PARENT = """
import os, sys
from pathlib import Path
from mmwtal.utils import jobs
jobs.GRACE_SECONDS = float(sys.argv[3])
step = jobs.Step(name='long', command=(sys.executable, '-c', sys.argv[1]))
job = jobs.Job(name='job', steps=(step,), log=Path(sys.argv[2]))
try:
    jobs.run_jobs([job, job], at_once=2, environment=dict(os.environ), report=lambda line: print(line, flush=True))
except KeyboardInterrupt as interrupt:
    sys.exit(f'interrupted {interrupt}')
"""
# Says its number, then waits; the second kind for itself does not end.
GENTLE = 'import os, time\nprint("pid", os.getpid(), flush=True)\ntime.sleep(60)'
STUBBORN = 'import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n' + GENTLE


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(('child', 'grace'), [(GENTLE, 30.0), (STUBBORN, 0.5)])
def test_no_child_outlives_an_interrupt(
    tmp_path: Path, repo_root: Path, number: signal.Signals, child: str, grace: float
) -> None:
    log = tmp_path / 'log.txt'
    environment = {**ENVIRONMENT, 'PYTHONPATH': str(repo_root)}
    # Ctrl-C is ignored, as a shell arranges for what it runs in the background.
    parent = subprocess.Popen(
        ['bash', '-c', 'trap "" INT; exec "$@"', 'bash', *python(PARENT), child, str(log), str(grace)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    children: list[int] = []
    while len(children) < 2 and parent.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        children = [int(line.split()[1]) for line in lines if line.startswith('pid ') and line.endswith('\n')]
    parent.send_signal(number)
    _, error = parent.communicate(timeout=60)
    assert error.splitlines()[-1] == f'interrupted by {number.name}'
    assert len(children) == 2
    for child_number in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child_number, 0)


def test_handlers_are_as_before(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    run_jobs([job(tmp_path, 'x', '')], at_once=1, environment=ENVIRONMENT, report=str)
    assert [signal.getsignal(number) for number in numbers] == before


def test_nothing_to_do() -> None:
    assert run_jobs([], at_once=2, environment=ENVIRONMENT, report=str) == []

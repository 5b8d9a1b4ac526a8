"""Child processes: whatever ends one takes only its own item, and none outlives its parent.

The children evaluate expressions, so that each test states what happens in one.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from pickle import PicklingError
from typing import Any

import pytest

from mmwtal.offline.job import EngineDown, ItemFailed
from mmwtal.offline.pool import WorkerDied, WorkerError, WorkerPool
from mmwtal.utils.errors import UserError

PID = '__import__("os").getpid()'
KILLED = f'__import__("os").kill({PID}, 9)'


def with_pool(test: Callable[[WorkerPool], Awaitable[Any]], function: Callable = eval, **options: Any) -> Any:
    async def run() -> Any:
        pool = WorkerPool(function, **{'size': 1, 'timeout': 60, 'name': 'helper', **options})
        try:
            return await test(pool)
        finally:
            await pool.close()

    return asyncio.run(run())


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            stat = Path(f'/proc/{pid}/stat').read_text()
        except OSError:
            return True
        if stat.rpartition(')')[2].split()[0] == 'Z':
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ('ending', 'message'),
    [
        ('__import__("os")._exit(3)', 'helper died (exit code 3)'),
        ('__import__("sys").exit(4)', 'helper died (exit code 4)'),
        (KILLED, 'helper died (SIGKILL, as the system sends where memory runs out)'),
        (f'__import__("os").kill({PID}, 11)', 'helper died (SIGSEGV)'),
        ('bytearray(1 << 60)', 'helper ran out of memory'),
    ],
)
def test_a_death_takes_one_item(ending: str, message: str) -> None:
    async def test(pool: WorkerPool) -> None:
        first = await pool.call(PID)
        with pytest.raises(WorkerDied, match=f'^{re.escape(message)}$'):
            await pool.call(ending)
        second = await pool.call(PID)
        assert len({first, second, os.getpid()}) == 3
        assert gone(first)
        # One that dies while it has nothing to do takes no item.
        os.kill(second, signal.SIGKILL)
        assert gone(second)
        assert await pool.call('2 * 3') == 6

    with_pool(test)


def test_a_hang_is_ended() -> None:
    async def test(pool: WorkerPool) -> int:
        await pool.start()
        pid = await pool.call(PID)
        with pytest.raises(WorkerDied, match=r'^helper did not answer within 0\.2 s and was ended$'):
            await pool.call('__import__("time").sleep(60)')
        return pid

    assert gone(with_pool(test, timeout=0.2))


def raised(kind: str, message: str) -> str:
    module, _, name = kind.rpartition('.')
    return f'(_ for _ in ()).throw(__import__("{module}", fromlist=["x"]).{name}({message!r}))'


def test_errors_keep_their_type_and_show_where_they_arose() -> None:
    async def test(pool: WorkerPool) -> None:
        for kind in (UserError, ItemFailed, EngineDown, KeyError):
            with pytest.raises(kind, match='x y') as caught:
                await pool.call(raised(f'{kind.__module__}.{kind.__name__}', 'x y'))
            assert 'Traceback' in caught.value.__notes__[0]
        for strange in ('type("Own", (Exception,), {})("a b")', 'UnicodeDecodeError'):
            with pytest.raises((WorkerError, TypeError), match=r'a b|argument'):
                await pool.call(f'(_ for _ in ()).throw({strange})')
        with pytest.raises(PicklingError, match='lambda'):
            await pool.call('lambda: 0')
        assert await pool.call('6 * 7') == 42

    with_pool(test)


def test_setup_is_done_once_and_its_faults_are_no_item_s() -> None:
    async def counted(pool: WorkerPool) -> None:
        assert [await pool.call(number) for number in range(3)] == [10, 11, 12]

    with_pool(counted, int.__add__, setup=partial(int, '10'))

    async def dies(pool: WorkerPool) -> None:
        with pytest.raises(EngineDown, match=r'helper died while it got ready \(SIGKILL'):
            await pool.start()
        with pytest.raises(EngineDown, match='died while it got ready'):
            await pool.call(1)

    with_pool(dies, int.__add__, setup=partial(eval, KILLED))

    async def fails(pool: WorkerPool) -> None:
        for attempt in (pool.start(), pool.call(1)):
            with pytest.raises(ValueError, match='invalid literal'):
                await attempt

    with_pool(fails, int.__add__, setup=partial(int, 'x'))


def test_items_run_side_by_side_and_the_loop_goes_on() -> None:
    async def test(pool: WorkerPool) -> None:
        await pool.start()
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        meeting = '__import__("time").sleep(0.3) or __import__("os").getpid()'
        pids = await asyncio.gather(*(pool.call(meeting) for _ in range(4)))
        ticking.cancel()
        assert len(set(pids)) == 2
        assert ticks > 10

    with_pool(test, size=2)


def test_a_cancelled_item_ends_its_process_and_the_pool_goes_on() -> None:
    async def test(pool: WorkerPool) -> int:
        pid = await pool.call(PID)
        item = asyncio.create_task(pool.call('__import__("time").sleep(60)'))
        await asyncio.sleep(0.1)
        item.cancel()
        with pytest.raises(asyncio.CancelledError):
            await item
        assert await pool.call('1 + 1') == 2
        assert gone(pid)
        hanging = asyncio.create_task(pool.call('__import__("time").sleep(60)'))
        await asyncio.sleep(0.1)
        await pool.close()
        with pytest.raises(WorkerDied):
            await hanging
        await pool.close()
        return await pool.call(PID)

    assert gone(with_pool(test))


SCRIPT = """
import asyncio, os, sys
from mmwtal.offline.pool import WorkerPool

async def main():
    pool = WorkerPool(eval, size=1, name='helper')
    print(await pool.call('__import__("os").getpid()'), flush=True)
    await pool.call('[0 for _ in iter(int, 1)]' if sys.argv[1] == 'at_work' else '0')
    await asyncio.sleep(60)

if __name__ == '__main__':
    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='needs PR_SET_PDEATHSIG')
@pytest.mark.parametrize('state', ['at_work', 'idle'])
def test_children_end_with_their_parent_and_only_with_it(state: str, tmp_path: Path, repo_root: Path) -> None:
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    environment = {**os.environ, 'PYTHONPATH': str(repo_root)}
    with subprocess.Popen([sys.executable, script, state], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # As a terminal or a scheduler sends them, to all processes.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        time.sleep(0.1)
        assert Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] in 'RS'
        parent.kill()
        assert gone(pid)

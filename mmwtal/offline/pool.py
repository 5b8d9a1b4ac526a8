"""Child processes for work that may end its process: what crashes, hangs or eats the memory takes only its own item.

``WorkerPool`` is used from an asyncio loop, which it never blocks. Each child has a thread of the parent that starts
it, talks to it over a pipe and replaces it.
"""

import asyncio
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from mmwtal.offline.job import EngineDown

# What stops a run is the parent's to decide; a terminal or a scheduler sends these to the children, too.
_SIGNALS_TO_PARENT = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_PR_SET_PDEATHSIG = 1
# What a child has to end by itself once its pipe is closed.
_GRACE_SECONDS = 5.0
# multiprocessing looks after all children whenever it starts one, and two threads must not do so at once.
_REAPING = threading.Lock()

# Whether the function returned, what it returned or raised (None if that cannot be passed on), and the traceback.
_Answer = tuple[bool, Any, str]


class WorkerDied(Exception):
    """The process that worked on an item died of it, or hung and was ended; the message says how."""


class WorkerError(Exception):
    """An error of a worker that cannot be passed between processes; the message is its traceback."""


class WorkerPool:
    """Processes that each work on one item at a time.

    Args:
        function: What is done with an item: a function that pickle finds by name, of the item, or of what ``setup``
            returned and the item. What it takes, returns and raises must be picklable; an error of another kind comes
            back as :class:`WorkerError`. Running out of memory counts as the death of the process.
        size: How many processes.
        setup: Called once in each process before its first item, such as to load a model.
        timeout: Seconds that an item may take; None for no limit. ``setup`` may take any time.
        name: What messages call such a process ("video decoder").
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        size: int,
        setup: Callable[[], Any] | None = None,
        timeout: float | None = None,
        name: str = 'worker',
    ) -> None:
        if size < 1:
            raise ValueError(f'size must be 1 at least, found {size}')
        self._workers = [_Worker(function, setup, timeout, name) for _ in range(size)]
        # The last to be free is the first to be used: of many processes those that are not needed are never started.
        self._free: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for worker in self._workers:
            self._free.put_nowait(worker)

    async def start(self) -> None:
        """Start all processes and wait until each is ready; without this each is started by its first item.

        Raises:
            EngineDown: If a process died while it got ready.
            Exception: What ``setup`` raised.
        """
        await asyncio.gather(*(worker.run(_Task()) for worker in self._workers))

    async def call(self, payload: Any) -> Any:
        """Work on an item, as soon as a process is free; if cancelled, the process is ended.

        Raises:
            WorkerDied: If the process died, ran out of memory or took too long. The next item gets a new one.
            EngineDown: If a process died while it got ready, which is not the item's fault.
            WorkerError: If the function's error cannot be passed on.
            Exception: What the function or ``setup`` raised, with the child's traceback as a note.
        """
        worker = await self._free.get()
        try:
            return await worker.run(_Task(payload))
        finally:
            self._free.put_nowait(worker)

    async def close(self) -> None:
        """End all processes, at once where they are at work. The next item would start one again."""
        for worker in self._workers:
            worker.abandon()
        await asyncio.gather(*(worker.close() for worker in self._workers))


class _Task:
    """An item, or none: then the process is only to be ready."""

    def __init__(self, *payload: Any) -> None:
        self.payload = payload
        self.unwanted = threading.Event()


class _Worker:
    """A child process, its pipe and the one thread that uses both."""

    def __init__(
        self, function: Callable[..., Any], setup: Callable[[], Any] | None, timeout: float | None, name: str
    ) -> None:
        self._function, self._setup, self._timeout, self._name = function, setup, timeout, name
        self._thread: ThreadPoolExecutor | None = None
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._task: _Task | None = None

    async def run(self, task: _Task) -> Any:
        """Do a task in the thread; if cancelled, end the process."""
        if self._thread is None:
            # One thread for good: the child's PR_SET_PDEATHSIG refers to the thread that started it.
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._task = task
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._converse, task)
        except asyncio.CancelledError:
            self.abandon()
            raise

    async def close(self) -> None:
        """End the process and the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._dismiss)
            thread.shutdown()

    def abandon(self) -> None:
        """End the process if it is at work; the thread then finds the pipe closed."""
        task, process = self._task, self._process
        if task is not None:
            task.unwanted.set()
            if process is not None:
                process.kill()

    def _converse(self, task: _Task) -> Any:
        """Start a process if there is none, hand it an item and take its answer; runs in the thread."""
        try:
            pipe = self._living() or self._start(task)
            return self._exchange(pipe, task.payload[0]) if task.payload else None
        finally:
            if task is self._task:
                self._task = None
            if task.unwanted.is_set():
                self._dismiss()

    def _living(self) -> Connection | None:
        """Return the pipe to the process; None if there is none, or it died while it had nothing to do."""
        if self._process is not None:
            with _REAPING:
                alive = self._process.is_alive()
            if not alive:
                self._dismiss()
        return self._pipe

    def _start(self, task: _Task) -> Connection:
        context = multiprocessing.get_context('spawn')
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, os.getpid(), self._function, self._setup)
        process = context.Process(target=_work, args=arguments, name=self._name, daemon=True)
        # Else starting it below would let the signals through again.
        resource_tracker.ensure_running()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS_TO_PARENT)
        try:
            with _REAPING:
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            theirs.close()
        self._process = process
        if task.unwanted.is_set():
            process.kill()
        try:
            ready = pickle.loads(self._pipe.recv_bytes())  # noqa: S301  (of our own child)
        except (EOFError, OSError):
            raise EngineDown(f'{self._name} died while it got ready ({self._dismiss()})') from None
        if not ready[0]:
            self._dismiss()
        _unpacked(ready)
        return self._pipe

    def _exchange(self, pipe: Connection, payload: Any) -> Any:
        try:
            pipe.send(payload)
            if not pipe.poll(self._timeout):
                self._dismiss(at_once=True)
                raise WorkerDied(f'{self._name} did not answer within {self._timeout:g} s and was ended')
            answer = pickle.loads(pipe.recv_bytes())  # noqa: S301  (of our own child)
        except (EOFError, OSError):
            raise WorkerDied(f'{self._name} died ({self._dismiss()})') from None
        if isinstance(answer[1], MemoryError):
            self._dismiss(at_once=True)
            raise WorkerDied(f'{self._name} ran out of memory')
        return _unpacked(answer)

    def _dismiss(self, *, at_once: bool = False) -> str:
        """End the process, if there is one; return how it ended."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is None:
            return 'it was not started'
        if at_once:
            process.kill()
        process.join(_GRACE_SECONDS)
        with _REAPING:
            if process.exitcode is None:
                process.kill()
                process.join()
            return _ending(process.exitcode)


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f'exit code {code}'
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f'signal {-code}'
    return f'{name}, as the system sends where memory runs out' if code == -signal.SIGKILL else name


def _unpacked(answer: _Answer) -> Any:
    """Return what a child returned, or raise what it raised."""
    good, value, trace = answer
    if good:
        return value
    if value is None:
        raise WorkerError(trace)
    value.add_note(f'In the process that raised it:\n{trace}')
    raise value


def _work(pipe: Connection, parent: int, function: Callable[..., Any], setup: Callable[[], Any] | None) -> None:
    """What the child does until its parent closes the pipe, or is no more."""
    _end_with(parent)
    state: list[Any] = []
    if setup is not None:
        pipe.send_bytes(_tried(lambda: state.append(setup())))
        if not state:
            return
    else:
        pipe.send_bytes(_tried(lambda: None))
    while True:
        try:
            payload = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send_bytes(_tried(function, *state, payload))


def _tried(function: Callable[..., Any], *arguments: Any) -> bytes:
    """Call a function; return the pickled answer."""
    try:
        answer: _Answer = (True, function(*arguments), '')
        return pickle.dumps(answer)
    except Exception as error:  # noqa: BLE001  (the parent raises it)
        trace = traceback.format_exc()
        return pickle.dumps((False, error if _survives(error) else None, trace))


def _survives(error: Exception) -> bool:
    """Whether an error can be passed between processes: not if its constructor takes other arguments than it keeps."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)  # noqa: S301  (its own)
    except (pickle.PickleError, TypeError, ValueError, AttributeError, LookupError, ImportError, RecursionError):
        return False


def _end_with(parent: int) -> None:
    """Have the system end this process with the thread that started it, also in the midst of an item."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)

"""A lock between processes that is released however its holder ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmwtal.utils.errors import UserError


@contextmanager
def file_lock(path: Path, *, wait: bool = True, busy: str = '') -> Iterator[int]:
    """Hold an exclusive lock on a file, which is made if absent and stays, empty.

    Args:
        path: The file.
        wait: Whether to wait for another process that holds it.
        busy: The message where another process holds it and there is no waiting.

    Yields:
        The file's descriptor: a child that inherits it holds the lock, too.

    Raises:
        UserError: With ``busy``, if another process holds the lock and ``wait`` is not set.
        OSError: If the file cannot be made, or its file system knows no locks.
    """
    with path.open('ab') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise UserError(busy) from None
        yield file.fileno()

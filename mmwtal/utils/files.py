"""Writing files so that a crash at any moment leaves the old content or the new one, never half of either."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside ``path``, this process's own, for what is not complete yet."""
    return path.with_name(f'.{path.name}.{os.getpid()}.tmp')


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file that appears under its name only when it is complete and on disk.

    Args:
        path: Its name; an existing file is replaced. A link stays, what it leads to is replaced; what is no regular
            file (a device, a pipe) is written into.
        write: Writes the content into the file that it is given.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open('wb') as special:
            write(special)
        return
    temporary = temporary_name(path)
    try:
        with temporary.open('wb') as file:
            write(file)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, final: Path) -> None:
    """Give a completely written file its name, in one step that survives a crash of the machine."""
    _sync(temporary)
    temporary.replace(final)
    _sync(final.parent)


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

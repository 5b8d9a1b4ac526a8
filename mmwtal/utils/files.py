"""Files: text that a person may have written is read with clear errors; what is written is never half there.

A crash at any moment leaves the old content or the new one.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mmwtal.utils.errors import UserError

# A file up to this size is hashed as a whole; of a larger one, as many blocks as this holds, evenly spread.
_HASHED_WHOLE = 64 << 20
_BLOCK = 1 << 20
# What most file systems allow.
_MAX_NAME_BYTES = 255


def read_text(path: Path, *, what: str) -> str:
    """Read a text file, UTF-8 with or without a byte order mark, which editors on Windows put in front.

    Args:
        path: The file.
        what: What the file is, for messages ("annotation file").

    Returns:
        Its content; line ends are kept as they are.

    Raises:
        UserError: If the file is missing or unreadable, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f'{what} {path} does not exist') from None
    except OSError as error:
        raise UserError(f'{what} {path} cannot be read: {error.strerror or error}') from None
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        found = f'line {line}, byte 0x{content[error.start]:02x}'
        raise UserError(f'{what} {path} is not UTF-8 text ({found}): save it as UTF-8') from None


def content_digest(path: Path) -> str:
    """Return a hash of a file's content: of all of it up to 64 MiB, else of its size and 64 blocks spread over it.

    Raises:
        OSError: If the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open('rb') as file:
        size = file.seek(0, 2)
        digest.update(str(size).encode())
        count = -(-min(size, _HASHED_WHOLE) // _BLOCK)
        for number in range(count):
            file.seek(number * _BLOCK if size <= _HASHED_WHOLE else number * (size - _BLOCK) // (count - 1))
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside ``path``, this process's own, for what is not complete yet."""
    name, end = path.name, f'.{os.getpid()}.tmp'
    if len(os.fsencode(f'.{name}{end}')) > _MAX_NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return path.with_name(f'.{name}{end}')


def real_path(path: Path) -> Path:
    """Return an absolute path without links; unlike ``Path.resolve`` also for a link that leads to itself."""
    return Path(os.path.realpath(path))


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file that appears under its name only when it is complete and on disk.

    Args:
        path: Its name; an existing file is replaced. A link stays, what it leads to is replaced; what is no regular
            file (a device, a pipe) is written into.
        write: Writes the content into the file that it is given.
    """
    path = real_path(path)
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


def write_once(path: Path, content: bytes) -> None:
    """Write a file unless it is there; of several processes that write it, one does and the others leave it.

    Args:
        path: Its name; it appears only when it is complete and on disk.
        content: Its content.
    """
    temporary = temporary_name(path)
    try:
        temporary.write_bytes(content)
        _sync(temporary)
        _link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _link(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links: there the last of several writers wins.
        source.replace(path)


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

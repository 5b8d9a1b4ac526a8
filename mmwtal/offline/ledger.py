"""A ledger: a folder of append-only JSON lines, one file a writer, from which no crash takes what was written.

Records that are written together count together. Of a group of lines each but the last ends in a space, which JSON
ignores; so a reader sees where a crash cut a group short.
"""

import errno
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import JsonObject
from mmwtal.utils.locks import file_lock

_WRITER = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]{0,63}')
_GUARD = '.writers.lock'
_MORE_FOLLOWS = b' \n'
_SHOWN = 20


class LedgerWriter:
    """Appends records to one writer's file; made by :meth:`Ledger.writer`. It is used by one thread at a time.

    Args:
        descriptor: The file, open for appending.
        path: Its name, for messages.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    def append(self, records: Sequence[Mapping[str, Any]], *, sync: bool = True) -> None:
        """Append records in one write: after a crash all of them count, or none.

        Args:
            records: What JSON can hold.
            sync: Wait until they are on disk, so that not even a crash of the machine loses them.

        Raises:
            OSError: If they cannot be written as a whole: the disk is full. Nothing is left of them.
        """
        if not records:
            return
        lines = [json.dumps(dict(record), allow_nan=False).encode() for record in records]
        content = _MORE_FOLLOWS.join(lines) + b'\n'
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            written = os.write(self._descriptor, content)
            if written != len(content):
                raise OSError(errno.ENOSPC, f'{written} of {len(content)} bytes fit')
            if sync:
                os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, end)
            raise OSError(
                error.errno,
                f'{len(records)} records could not be written ({error.strerror}): is the disk full? All that was '
                'written before is kept',
                str(self._path),
            ) from error


class Ledger:
    """A folder of JSON lines, ``NAME.jsonl`` for each writer.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @contextmanager
    def writer(self, name: str, *, admit: Callable[[Sequence[str]], None] | None = None) -> Iterator[LedgerWriter]:
        """Open one writer's file for appending; a last line that a crash cut short is removed first.

        Args:
            name: The writer's name, the file's without its ending: letters, digits, ``-`` and ``_``.
            admit: Takes the names of the other writers that are open, and raises what keeps this one from joining
                them. Of two that begin at once, the later sees the earlier.

        Raises:
            UserError: If the name is none, or another process writes under it.
        """
        if not _WRITER.fullmatch(name):
            raise UserError(f'a writer is named by letters, digits, - and _ (64 at most), found {name!r:.80}')
        path = self.folder / f'{name}.jsonl'
        busy = f'another process writes {path}: wait for it, or give this writer another name'
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with file_lock(self.folder / _GUARD):
                if admit is not None:
                    admit([other for other in self._locked() if other != name])
                stack.enter_context(file_lock(path, wait=False, busy=busy))
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
            stack.callback(os.close, descriptor)
            _heal(descriptor)
            yield LedgerWriter(descriptor, path)
            os.fsync(descriptor)

    def busy(self) -> list[str]:
        """Return the names of the writers that a living process has open; of a folder that is only to be read, none."""
        if not self.files():
            return []
        try:
            # The guard keeps a writer that begins right now from taking this look for another process of its name.
            with file_lock(self.folder / _GUARD):
                return self._locked()
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            return []

    def lines(self, problems: list[str]) -> Iterator[tuple[str, int, Any]]:
        """Yield every line, by the names of the files: the file's name, the line's number from 1, what it holds.

        What a crash cut short at the end of a file is skipped; objects are
        :class:`~mmwtal.utils.json_file.JsonObject`.

        Args:
            problems: Gets a message for each line that is no JSON.
        """
        for path in self.files():
            for number, line in _whole_lines(path):
                try:
                    value = json.loads(line.decode(), object_pairs_hook=JsonObject)
                except (ValueError, RecursionError) as error:
                    problems.append(f'{path.name}, line {number}: is not JSON: {error}')
                    continue
                yield path.name, number, value

    def files(self) -> list[Path]:
        """Return the writers' files by name."""
        return sorted(path for path in self.folder.glob('*.jsonl') if _WRITER.fullmatch(path.stem))

    def clear(self) -> None:
        """Remove all lines.

        Raises:
            UserError: If a process is writing.
        """
        self.check_idle()
        for path in self.files():
            path.unlink()
        (self.folder / _GUARD).unlink(missing_ok=True)

    def check_idle(self) -> None:
        """Check that the lines can be removed.

        Raises:
            UserError: If a process is writing.
        """
        if busy := self.busy():
            raise UserError(f'{self.folder} cannot be cleared: {busy[0]}.jsonl is being written; wait for it')

    def _locked(self) -> list[str]:
        return [path.stem for path in self.files() if _is_locked(path)]


def supersedes(state: str, earlier: str | None) -> bool:
    """Return whether a line counts instead of an earlier one on the same thing.

    One that is ``ok`` goes before any other, then a later line before an earlier one.

    Args:
        state: The line's state.
        earlier: The state of the one that counted so far; None if there was none.
    """
    return earlier != 'ok' or state == 'ok'


def latest(ledger: Ledger, *keys: str) -> list[Mapping[str, Any]]:
    """Return the lines that count, by :func:`supersedes`: one for each combination of values of some keys.

    Args:
        ledger: Its lines are objects with these keys, strings, and ``state``.
        keys: What identifies the thing that a line is about.

    Raises:
        UserError: If lines are faulty; all of them are in one message.
    """
    problems: list[str] = []
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for name, number, line in ledger.lines(problems):
        if not isinstance(line, dict) or not all(isinstance(line.get(key), str) for key in (*keys, 'state')):
            problems.append(f'{name}, line {number}: expected an object with {", ".join((*keys, "state"))}')
            continue
        key = tuple(line[key] for key in keys)
        if supersedes(line['state'], found[key]['state'] if key in found else None):
            found[key] = line
    raise_problems(ledger.folder, problems)
    return list(found.values())


def raise_problems(what: object, problems: list[str]) -> None:
    """Raise a UserError that shows the first of some problems and counts the others; do nothing if there are none."""
    if problems:
        raise UserError('\n  '.join([f'{what}: {len(problems)} problems', *cut(problems)]))


def cut(lines: list[str]) -> list[str]:
    """Return the first lines of a report, and a line that counts the others."""
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f'... and {len(lines) - _SHOWN} more']


def _is_locked(path: Path) -> bool:
    try:
        with file_lock(path, wait=False):
            return False
    except UserError:
        return True


def _whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    group: list[tuple[int, bytes]] = []
    with path.open('rb') as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b'\n'):
                return
            group.append((number, line))
            if not line.endswith(_MORE_FOLLOWS):
                yield from group
                group.clear()


def _heal(descriptor: int) -> None:
    """Cut off what follows the last line that ends a group."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    kept = _end_of_groups(descriptor, end)
    if kept != end:
        os.ftruncate(descriptor, kept)


def _end_of_groups(descriptor: int, end: int) -> int:
    while end:
        start = max(0, end - (1 << 16))
        chunk = os.pread(descriptor, end - start, start)
        place = chunk.rfind(b'\n')
        while place >= 0:
            before = os.pread(descriptor, 1, start + place - 1) if start + place else b''
            if before + b'\n' != _MORE_FOLLOWS:
                return start + place + 1
            place = chunk.rfind(b'\n', 0, place)
        end = start
    return 0

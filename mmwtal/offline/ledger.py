"""A ledger: a folder of append-only JSON lines, one file a writer, from which no crash takes what was written."""

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
        """Append records in one write: after a crash all of them are there or, but for the first few, none.

        Args:
            records: What JSON can hold.
            sync: Wait until they are on disk, so that not even a crash of the machine loses them.

        Raises:
            OSError: If they cannot be written as a whole: the disk is full. Nothing is left of them.
        """
        content = ''.join(json.dumps(dict(record), allow_nan=False) + '\n' for record in records).encode()
        if not content:
            return
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
        """Return the names of the writers that a living process has open."""
        if not self.files():
            return []
        # The guard keeps a writer that begins right now from taking this look for another process of its name.
        with file_lock(self.folder / _GUARD):
            return self._locked()

    def lines(self, problems: list[str]) -> Iterator[tuple[str, int, Any]]:
        """Yield every line, by the names of the files: the file's name, the line's number from 1, what it holds.

        A last line that a crash cut short is skipped; objects are :class:`~mmwtal.utils.json_file.JsonObject`.

        Args:
            problems: Gets a message for each line that is no JSON.
        """
        for path in self.files():
            with path.open('rb') as file:
                for number, line in enumerate(file, 1):
                    if not line.endswith(b'\n'):
                        break
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
        if busy := self.busy():
            raise UserError(f'{self.folder} cannot be cleared: {busy[0]}.jsonl is being written; wait for it')
        for path in self.files():
            path.unlink()
        (self.folder / _GUARD).unlink(missing_ok=True)

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


def _heal(descriptor: int) -> None:
    """Cut off what follows the last line end."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    position, kept = end, 0
    while position and not kept:
        start = max(0, position - (1 << 16))
        kept = os.pread(descriptor, position - start, start).rfind(b'\n') + 1
        kept, position = (start + kept if kept else 0), start
    if kept != end:
        os.ftruncate(descriptor, kept)

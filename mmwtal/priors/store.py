"""The prior store: a folder of append-only JSON lines, a file a writer, and a manifest that names the job."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmwtal.formats.findings import shown
from mmwtal.priors.schema import PriorRecord, parse_record
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_once
from mmwtal.utils.json_file import JsonObject, read_json_object
from mmwtal.utils.locks import file_lock

MANIFEST_NAME = 'manifest.json'
# Where a data root has its store.
STORE_NAME = 'priors'
_FORMAT = {'format': 'mmwtal prior store', 'version': 1}
_WRITER = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]{0,63}')
_SHOWN = 20


class PriorWriter:
    """Appends records to one writer's file; made by :meth:`PriorStore.writer`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def append(self, record: PriorRecord, *, sync: bool = True) -> None:
        """Append a record in one write.

        Args:
            record: The record.
            sync: Wait until it is on disk, so that not even a crash of the machine loses it.

        Raises:
            OSError: If it cannot be written as a whole: the disk is full. What is there of it is skipped by readers.
        """
        line = (json.dumps(record.to_json(), allow_nan=False) + '\n').encode()
        if os.write(self._descriptor, line) != len(line):
            raise OSError(
                f'the record of video {shown(record.video)} could not be written as a whole: is the disk full?'
            )
        if sync:
            os.fsync(self._descriptor)


class PriorStore:
    """A prior store on disk.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def begin(self, job: Mapping[str, Any]) -> None:
        """Make the folder for a job, or check that it is this job's.

        Args:
            job: What the records depend on, as JSON can hold it: a model with its revision, the hash of its prompt,
                ... Its hash is the store's fingerprint, so that records of different jobs never mix.

        Raises:
            UserError: If records of another job are there, or files of something else.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path, fingerprint = self.folder / MANIFEST_NAME, _fingerprint(job)
        strange = sorted(one.name for one in self.folder.iterdir() if one.is_file() and not one.name.startswith('.'))
        if not path.exists():
            if strange:
                raise UserError(
                    f'{self.folder} holds {strange[0]} and no {MANIFEST_NAME}: it is no prior store; name another '
                    'folder for it'
                )
            manifest = {**_FORMAT, 'fingerprint': fingerprint, 'job': dict(job)}
            write_once(path, (json.dumps(manifest, indent=1, allow_nan=False) + '\n').encode())
        found = self.manifest()
        if found['fingerprint'] != fingerprint:
            raise UserError(
                f'prior store {self.folder} is of another job ({json.dumps(found["job"]):.200}), this one is '
                f'{json.dumps(dict(job)):.200}: name another folder, or replace it (--overwrite)'
            )

    def clear(self) -> None:
        """Remove the records and the manifest; other files stay.

        Raises:
            UserError: If there are records without a manifest: no prior store.
        """
        if not self._files() and not (self.folder / MANIFEST_NAME).exists():
            return
        self.manifest()
        for path in self._files():
            path.unlink()
        (self.folder / MANIFEST_NAME).unlink()

    def manifest(self) -> JsonObject:
        """Return the manifest: ``format``, ``version``, ``fingerprint`` and ``job``.

        Raises:
            UserError: If there is none, or it is not one of this format.
        """
        found = read_json_object(self.folder / MANIFEST_NAME, what='manifest of the prior store')
        stated = {key: found.get(key) for key in _FORMAT}
        if stated != _FORMAT or not isinstance(found.get('job'), dict) or not isinstance(found.get('fingerprint'), str):
            raise UserError(
                f'{self.folder / MANIFEST_NAME} is no manifest of a prior store that this version reads: expected '
                f'{_FORMAT} with a job and its fingerprint, found {stated}; make the store again with tools/priors.py'
            )
        return found

    @contextmanager
    def writer(self, name: str) -> Iterator[PriorWriter]:
        """Open one writer's file for appending; a last line that a crash cut short is removed first.

        Args:
            name: The writer's name, the file's without its ending: letters, digits, ``-`` and ``_``.

        Raises:
            UserError: If the name is none, or another process writes under it.
        """
        if not _WRITER.fullmatch(name):
            raise UserError(f'a writer is named by letters, digits, - and _ (64 at most), found {name!r:.80}')
        path = self.folder / f'{name}.jsonl'
        busy = f'another process writes {path}: wait for it, or give this writer another name'
        with file_lock(path, wait=False, busy=busy):
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
            try:
                _heal(descriptor)
                yield PriorWriter(descriptor)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def read(self) -> dict[tuple[str, str], PriorRecord]:
        """Return the records by video and label.

        Of several records of a pair one that is ``ok`` goes before any other, then a later line before an earlier one,
        files in the order of their names. A last line that a crash cut short is skipped.

        Raises:
            UserError: If the store cannot be read; all faulty lines are in one message.
        """
        self.manifest()
        records: dict[tuple[str, str], PriorRecord] = {}
        problems: list[str] = []
        for path in self._files():
            for record in _read_lines(path, problems):
                earlier = records.get((record.video, record.label))
                if earlier is None or record.state == 'ok' or earlier.state != 'ok':
                    records[record.video, record.label] = record
        if problems:
            raise UserError('\n  '.join([f'prior store {self.folder}: {len(problems)} problems', *cut(problems)]))
        return records

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob('*.jsonl') if _WRITER.fullmatch(path.stem))


def cut(lines: list[str]) -> list[str]:
    """Return the first lines of a report, and a line that counts the others."""
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f'... and {len(lines) - _SHOWN} more']


def _read_lines(path: Path, problems: list[str]) -> Iterator[PriorRecord]:
    # After the last line end there is nothing, or what a crash left of a record.
    for number, line in enumerate(path.read_bytes().split(b'\n')[:-1], 1):
        try:
            value = json.loads(line.decode(), object_pairs_hook=JsonObject)
        except (ValueError, RecursionError) as error:
            problems.append(f'{path.name}, line {number}: is not JSON: {error}')
            continue
        record, faults = parse_record(value)
        problems += [f'{path.name}, line {number}: {fault}' for fault in faults]
        if record is not None:
            yield record


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


def _fingerprint(job: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(job), sort_keys=True, allow_nan=False).encode()).hexdigest()

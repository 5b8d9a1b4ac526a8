"""The manifest of a job's folder: which job's results are in it, so that results of different jobs never mix."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmwtal.offline.ledger import Ledger
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_once
from mmwtal.utils.json_file import JsonObject, read_json_object

MANIFEST_NAME = 'manifest.json'
# Beside the records: the plan, and a ledger of what killed a worker.
PLAN_NAME = 'videos.json'
DEATHS_NAME = 'deaths'
_VERSION = 1
_SHOWN = 6
_VALUE_LENGTH = 60
_ABSENT = object()


class Manifest:
    """The manifest of a folder of records.

    Args:
        folder: The folder.
        kind: What the folder is, for the manifest's format and for messages ("prior store").
        tool: The tool that makes such a folder.
    """

    def __init__(self, folder: str | Path, *, kind: str, tool: str) -> None:
        self.path = Path(folder) / MANIFEST_NAME
        self._kind, self._tool = kind, tool
        self._format = {'format': f'mmwtal {kind}', 'version': _VERSION}

    def begin(self, job: Mapping[str, Any]) -> None:
        """Make the folder for a job, or check that it is this job's.

        Args:
            job: What the records depend on, as JSON can hold it: a model with its revision, the hash of its prompt,
                ... Its hash is the folder's fingerprint.

        Raises:
            UserError: If records of another job are there, or files of something else.
        """
        self.check(job)
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            manifest = {**self._format, 'fingerprint': fingerprint(job), 'job': dict(job)}
            write_once(self.path, (json.dumps(manifest, indent=1, allow_nan=False) + '\n').encode())
            # Another process may have been faster.
            self.check(job)

    def check(self, job: Mapping[str, Any] | None) -> None:
        """Check, without writing anything, that the folder can be a job's.

        Args:
            job: The job; None for whichever.

        Raises:
            UserError: If records of another job are there, or files of something else.
        """
        folder = self.path.parent
        if folder.exists() and not folder.is_dir():
            raise UserError(f'{folder} is no folder: name another one for the {self._kind}')
        if self.path.exists():
            self.read()
            if job is not None:
                check_job(folder, job, kind=self._kind)
        elif folder.exists():
            strange = sorted(one.name for one in folder.iterdir() if one.is_file() and not one.name.startswith('.'))
            # Another process may have made the manifest, and records, since.
            if strange and not self.path.exists():
                raise UserError(
                    f'{folder} holds {strange[0]} and no {MANIFEST_NAME}: it is no {self._kind}; name another folder '
                    'for it'
                )

    def is_of(self, job: Mapping[str, Any]) -> bool:
        """Return whether the folder is a job's already.

        Raises:
            UserError: If the manifest is none of this format.
        """
        return self.path.exists() and self.read()['fingerprint'] == fingerprint(job)

    def clear(self) -> None:
        """Remove the records, the plan and the manifest; other files stay.

        Raises:
            UserError: If there are records without a manifest, which something else wrote; or if a process is writing.
        """
        folder = self.path.parent
        records = Ledger(folder)
        if not records.files() and not self.path.exists():
            return
        self.read()
        records.clear()
        deaths = Ledger(folder / DEATHS_NAME)
        if deaths.folder.is_dir():
            deaths.clear()
        (folder / PLAN_NAME).unlink(missing_ok=True)
        self.path.unlink()

    def read(self) -> JsonObject:
        """Return the manifest: ``format``, ``version``, ``fingerprint`` and ``job``.

        Raises:
            UserError: If there is none, or it is not one of this format.
        """
        found = read_json_object(self.path, what=f'manifest of the {self._kind}')
        stated = {key: found.get(key) for key in self._format}
        if stated != self._format or not _is_sound(found):
            raise UserError(
                f'{self.path} is no manifest of a {self._kind} that this version reads: expected {self._format} with a '
                f'job and its fingerprint, found {stated}; make it again with {self._tool}'
            )
        return found


def check_job(folder: Path, job: Mapping[str, Any], *, kind: str = 'folder') -> None:
    """Check that a folder is of a job, whatever its kind.

    Args:
        folder: The folder, which has a manifest.
        job: The job.
        kind: What the folder is, for messages.

    Raises:
        UserError: If it is not; the message says which settings differ, and both values.
    """
    found = read_json_object(folder / MANIFEST_NAME, what='manifest')
    if not _is_sound(found):
        raise UserError(f'{folder / MANIFEST_NAME} is no manifest of a job: name the folder that the plan was made in')
    if found['fingerprint'] != fingerprint(job):
        # As JSON gives it back: tuples are lists, keys are strings.
        here = json.loads(json.dumps(dict(job)))
        raise UserError(
            f'{kind} {folder} is of another job ({"; ".join(_differences(found["job"], here))}): name another folder, '
            'or begin it anew (--overwrite)'
        )


def fingerprint(job: Mapping[str, Any]) -> str:
    """Return the hash of a job's identity."""
    return hashlib.sha256(json.dumps(dict(job), sort_keys=True, allow_nan=False).encode()).hexdigest()


def _is_sound(manifest: Mapping[str, Any]) -> bool:
    return isinstance(manifest.get('job'), dict) and isinstance(manifest.get('fingerprint'), str)


def _differences(there: object, here: object) -> list[str]:
    lines = [f'{name}: {_two(*values)}' for name, *values in _unequal('', there, here)]
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f'and {len(lines) - _SHOWN} more settings']


def _unequal(name: str, there: object, here: object) -> Iterator[tuple[str, object, object]]:
    """Yield the innermost settings that differ: their dotted name and both values."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            inner = f'{name}.{key}' if name else key
            yield from _unequal(inner, there.get(key, _ABSENT), here.get(key, _ABSENT))
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, values in enumerate(zip(there, here, strict=True)):
            yield from _unequal(f'{name}[{number}]', *values)
    elif there != here or type(there) is not type(here):
        yield name, there, here


def _two(there: object, here: object) -> str:
    texts = ['absent' if value is _ABSENT else json.dumps(value) for value in (there, here)]
    same = next((n for n, pair in enumerate(zip(*texts, strict=False)) if pair[0] != pair[1]), min(map(len, texts)))
    # Of long values that differ late, the place where they differ.
    start = same - 20 if same > _VALUE_LENGTH else 0
    shown = [('...' if start else '') + _shortened(text[start:]) for text in texts]
    return f'{shown[0]} there, {shown[1]} here'


def _shortened(text: str) -> str:
    return text if len(text) <= _VALUE_LENGTH else f'{text[:_VALUE_LENGTH]}...'

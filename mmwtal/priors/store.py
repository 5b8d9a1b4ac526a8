"""The prior store: a folder of append-only JSON lines, a file a writer, and a manifest that names the job."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmwtal.offline.ledger import Ledger, LedgerWriter, raise_problems, supersedes
from mmwtal.offline.manifest import Manifest
from mmwtal.priors.schema import PriorRecord, parse_record
from mmwtal.utils.json_file import JsonObject

# Where a data root has its store.
STORE_NAME = 'priors'


class PriorWriter:
    """Appends records to one writer's file; made by :meth:`PriorStore.writer`.

    Args:
        writer: Writes them.
    """

    def __init__(self, writer: LedgerWriter) -> None:
        self._writer = writer

    def append(self, *records: PriorRecord, sync: bool = True) -> None:
        """Append records in one write.

        Args:
            records: The records.
            sync: Wait until they are on disk, so that not even a crash of the machine loses them.

        Raises:
            OSError: If they cannot be written as a whole: the disk is full. Nothing is left of them.
        """
        self._writer.append([record.to_json() for record in records], sync=sync)


class PriorStore:
    """A prior store on disk.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.ledger = Ledger(self.folder)
        self._manifest = Manifest(self.folder, kind='prior store', tool='tools/priors.py')

    def begin(self, job: Mapping[str, Any]) -> None:
        """Make the folder for a job, or check that it is this job's.

        Args:
            job: What the records depend on, as JSON can hold it: a model with its revision, the hash of its prompt,
                ... Its hash is the store's fingerprint, so that records of different jobs never mix.

        Raises:
            UserError: If records of another job are there, or files of something else.
        """
        self._manifest.begin(job)

    def check(self, job: Mapping[str, Any] | None) -> None:
        """Check, without writing anything, that the folder can be a job's, of whichever if that is None.

        Raises:
            UserError: If records of another job are there, or files of something else.
        """
        self._manifest.check(job)

    def is_of(self, job: Mapping[str, Any]) -> bool:
        """Return whether the store is a job's already.

        Raises:
            UserError: If its manifest is none of this format.
        """
        return self._manifest.is_of(job)

    def clear(self) -> None:
        """Remove the records, the plan and the manifest; other files stay.

        Raises:
            UserError: If there are records without a manifest: no prior store; or if a process is writing.
        """
        self._manifest.clear()

    def manifest(self) -> JsonObject:
        """Return the manifest: ``format``, ``version``, ``fingerprint`` and ``job``.

        Raises:
            UserError: If there is none, or it is not one of this format.
        """
        return self._manifest.read()

    @contextmanager
    def writer(self, name: str) -> Iterator[PriorWriter]:
        """Open one writer's file for appending; a last line that a crash cut short is removed first.

        Args:
            name: The writer's name, the file's without its ending: letters, digits, ``-`` and ``_``.

        Raises:
            UserError: If the name is none, or another process writes under it.
        """
        with self.ledger.writer(name) as writer:
            yield PriorWriter(writer)

    def read(self) -> dict[tuple[str, str], PriorRecord]:
        """Return the records by video and label.

        Of several records of a pair one that is ``ok`` goes before any other, a whole text before one that lacks a
        part, then a later line before an earlier one, files in the order of their names. A last line that a crash cut
        short is skipped.

        Raises:
            UserError: If the store cannot be read; all faulty lines are in one message.
        """
        self.manifest()
        records: dict[tuple[str, str], PriorRecord] = {}
        problems: list[str] = []
        for name, number, line in self.ledger.lines(problems):
            record, faults = parse_record(line)
            problems += [f'{name}, line {number}: {fault}' for fault in faults]
            if record is None:
                continue
            earlier = records.get((record.video, record.label))
            if earlier is None or _counts_instead(record, earlier):
                records[record.video, record.label] = record
        raise_problems(f'prior store {self.folder}', problems)
        return records


def _counts_instead(record: PriorRecord, earlier: PriorRecord) -> bool:
    # Lines of several writers are not in the order of their time: a text must not go back behind the half of it.
    loses_a_part = record.state == earlier.state == 'ok' and len(record.faults) > len(earlier.faults)
    return supersedes(record.state, earlier.state) and not loses_a_part

"""How often each video ended the process that worked on it, kept on disk: a restart does not forget."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmwtal.offline.ledger import Ledger, LedgerWriter, raise_problems
from mmwtal.offline.manifest import DEATHS_NAME


class Deaths:
    """The count of deaths by video; made by :func:`deaths_of`.

    Args:
        writer: Writes what is added.
        counts: Deaths so far.
    """

    def __init__(self, writer: LedgerWriter, counts: Counter[str]) -> None:
        self._writer = writer
        self._counts = counts

    def count(self, video: str) -> int:
        """Return how often a video ended its process."""
        return self._counts[video]

    def add(self, video: str, reason: str) -> int:
        """Write a death down; return how many they are now."""
        self._writer.append([{'video': video, 'reason': reason}])
        self._counts[video] += 1
        return self._counts[video]

    def forgive(self, videos: Iterable[str]) -> None:
        """Begin anew with videos that are tried again on purpose."""
        # How many are forgiven, not that all are: the files of other writers may be read before this one, or after.
        forgiven = {video: count for video in videos if (count := self._counts.pop(video, 0))}
        self._writer.append([{'video': video, 'forgiven': count} for video, count in forgiven.items()])


@contextmanager
def deaths_of(store: Path, writer: str) -> Iterator[Deaths]:
    """Open the count of a folder of records.

    Args:
        store: The folder.
        writer: The name of the writer that this process is.

    Raises:
        UserError: If its lines are faulty, or another process writes under this name.
    """
    ledger = Ledger(store / DEATHS_NAME)
    with ledger.writer(writer) as opened:
        problems: list[str] = []
        counts: Counter[str] = Counter()
        for name, number, line in ledger.lines(problems):
            if not isinstance(line, dict) or not isinstance(line.get('video'), str):
                problems.append(f'{name}, line {number}: expected an object with video')
            else:
                forgiven = line.get('forgiven')
                counts[line['video']] += -forgiven if isinstance(forgiven, int) else 1
        raise_problems(ledger.folder, problems)
        yield Deaths(opened, counts)

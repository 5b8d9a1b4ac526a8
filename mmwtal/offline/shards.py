"""Shards: parts of a collection that schedulers run as jobs of their own, each video in exactly one."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmwtal.offline.job import VideoEntry
from mmwtal.utils.errors import UserError


@dataclass(frozen=True)
class Shard:
    """One part of several. A video's part depends on its id alone: not on the machine, nor on the other videos.

    Args:
        number: From 0.
        count: How many there are.

    Raises:
        UserError: If there is no such part.
    """

    number: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.number < self.count:
            raise UserError(
                f'shards are numbered from 0 to one less than their count, found shard {self.number} of {self.count}'
            )

    @property
    def writer(self) -> str:
        """The name of the writer of this part's records."""
        return f'shard-{self.number}-of-{self.count}'

    def has(self, video: str) -> bool:
        """Say whether a video is in this part."""
        digest = hashlib.sha256(video.encode(errors='surrogatepass')).digest()
        return int.from_bytes(digest[:8], 'big') % self.count == self.number

    def pick(self, entries: Iterable[VideoEntry]) -> list[VideoEntry]:
        """Return the videos of this part."""
        return [entry for entry in entries if self.has(entry.video)]

    def admit(self, others: Sequence[str]) -> None:
        """Check that the writers that are open besides this one work on other videos.

        Raises:
            UserError: If one is of other parts than these.
        """
        for other in others:
            if not re.fullmatch(rf'shard-\d+-of-{self.count}', other):
                raise UserError(
                    f'{other}.jsonl is being written and this is {self.writer}: both would do the same videos; wait '
                    'for it, or divide the videos alike'
                )

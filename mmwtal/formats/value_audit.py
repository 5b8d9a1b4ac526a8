"""Looking for NaN and Inf in feature files, once: the verdicts are kept beside the files."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmwtal.formats.feature_files import feature_path, map_features
from mmwtal.formats.findings import Finding, Kind
from mmwtal.utils.files import write_atomically

CACHE_NAME = '.audit.json'
_VERSION = 1
# Values looked at in one piece: 16 MiB of float32, so that a file of any length can be audited.
_CHUNK_VALUES = 1 << 22

# Size in bytes, time of modification in ns, number of snippets with a NaN or Inf, the first of them (-1: none).
_Verdict = tuple[int, int, int, int]


class ValueAudit:
    """The audit of one feature folder.

    A verdict holds as long as the file keeps its size and time of modification.

    Args:
        folder: The folder that holds the feature files and the cached verdicts.
    """

    def __init__(self, *, folder: Path) -> None:
        self.folder = folder
        self._verdicts = self._read_cache()

    def pending(self, video_ids: Iterable[str]) -> list[str]:
        """Return the videos whose files have no valid verdict yet."""
        return [video_id for video_id in video_ids if self._valid_verdict(video_id) is None]

    def run(self, video_ids: Iterable[str]) -> str | None:
        """Audit those of the given videos that are pending, and cache the verdicts.

        Args:
            video_ids: Videos whose files have passed the check of their headers.

        Returns:
            Why the verdicts could not be cached; None if they were, or nothing was pending.
        """
        pending = self.pending(video_ids)
        for video_id in pending:
            self._verdicts[video_id] = self._inspect(video_id)
        return self._write_cache() if pending else None

    def findings(self, video_ids: Iterable[str]) -> list[Finding]:
        """Return the faults of the given videos, which must have been audited."""
        found = []
        for video_id in video_ids:
            _, _, count, first = self._verdicts[video_id]
            if count:
                detail = f'{count} snippets, the first is number {first}, in {feature_path(self.folder, video_id)}'
                found.append(Finding(kind=Kind.VALUES, video_id=video_id, detail=detail))
        return found

    def _stamp(self, video_id: str) -> tuple[int, int]:
        status = feature_path(self.folder, video_id).stat()
        return status.st_size, status.st_mtime_ns

    def _valid_verdict(self, video_id: str) -> _Verdict | None:
        verdict = self._verdicts.get(video_id)
        return verdict if verdict is not None and verdict[:2] == self._stamp(video_id) else None

    def _inspect(self, video_id: str) -> _Verdict:
        # The stamp is taken first: a file that changes while it is read is audited again.
        size, modified = self._stamp(video_id)
        values = map_features(feature_path(self.folder, video_id))
        return size, modified, *non_finite_snippets(values)

    def _read_cache(self) -> dict[str, _Verdict]:
        try:
            content = json.loads((self.folder / CACHE_NAME).read_text(encoding='utf-8'))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(content, dict) or content.get('version') != _VERSION:
            return {}
        files = content.get('files')
        return {
            video_id: (verdict[0], verdict[1], verdict[2], verdict[3])
            for video_id, verdict in (files.items() if isinstance(files, dict) else ())
            if isinstance(verdict, list) and len(verdict) == 4 and all(type(number) is int for number in verdict)
        }

    def _write_cache(self) -> str | None:
        # Another process may have audited another subset in the meantime: its verdicts are kept.
        verdicts = {**self._read_cache(), **self._verdicts}
        content = json.dumps({'version': _VERSION, 'files': verdicts}).encode()
        try:
            write_atomically(self.folder / CACHE_NAME, lambda file: file.write(content))
        except OSError as error:
            return str(error)
        return None


def non_finite_snippets(features: np.ndarray) -> tuple[int, int]:
    """Count the snippets with a NaN or Inf.

    Args:
        features: (T, D); may be memory-mapped, and is read piece by piece.

    Returns:
        Their number and the first of them; -1 where there is none.
    """
    rows = max(1, _CHUNK_VALUES // features.shape[1])
    count, first = 0, -1
    for start in range(0, len(features), rows):
        bad = np.flatnonzero(~np.isfinite(features[start : start + rows]).all(axis=1))
        if len(bad) and not count:
            first = start + int(bad[0])
        count += len(bad)
    return count, first

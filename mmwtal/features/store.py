"""What an extraction leaves in a data root: arrays, the records of them, and the sidecar that follows from these."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.features.extractor import ExtractedVideo
from mmwtal.formats.annotations import video_id_problem
from mmwtal.formats.feature_files import FeatureFileError, feature_path, read_shape
from mmwtal.formats.sidecar import SIDECAR_NAME
from mmwtal.offline.job import State, VideoEntry
from mmwtal.offline.ledger import Ledger, latest
from mmwtal.offline.manifest import Manifest
from mmwtal.offline.plan import find_plan
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically
from mmwtal.utils.locks import file_lock

# Where a data root has the features, and the records of their extraction.
FEATURES_NAME = 'features'
_STORE_NAME = 'extraction'
_FACTS = ('frames', 'duration', 'snippets')


def store_folder(data_root: Path, features: str = FEATURES_NAME) -> Path:
    """Return the folder of the records of some features: ``extraction-clip`` of ``features-clip``.

    Args:
        data_root: The data root.
        features: The folder of the features in it.

    Raises:
        UserError: If the name is not one for features.
    """
    kind = features.removeprefix(FEATURES_NAME)
    if video_id_problem(features) or kind == features or kind[:1] not in ('', '-', '_'):
        raise UserError(
            f"features of FeatureExtraction must be 'features' or such as 'features-clip', found {features!r}"
        )
    return data_root / f'{_STORE_NAME}{kind}'


class FeatureStore:
    """The features of a data root and the records of their extraction.

    Args:
        data_root: The data root.
        folder: The folder of the records.
        features: The folder of the features in the data root.
    """

    def __init__(self, data_root: str | Path, folder: str | Path, features: str = FEATURES_NAME) -> None:
        self.features = Path(data_root).expanduser() / features
        self.folder = Path(folder).expanduser()
        self.ledger = Ledger(self.folder)
        self._manifest = Manifest(self.folder, kind='feature extraction', tool='tools/extract_features.py')

    def check(self, job: Mapping[str, Any] | None) -> None:
        """Check, without writing anything, that the folders can be a job's, of whichever if that is None.

        Raises:
            UserError: If the features of another job are there, or features of which no record tells.
        """
        # Hidden is what a crash left of a file that was being written.
        if not self._manifest.path.exists() and self.features.is_dir() and any(self.features.glob('[!.]*')):
            raise UserError(
                f'{self.features} holds features that this tool did not extract: name another OUT, or move them away'
            )
        self._manifest.check(job)

    def is_of(self, job: Mapping[str, Any]) -> bool:
        """Return whether the folders are a job's already."""
        return self._manifest.is_of(job)

    def begin(self, job: Mapping[str, Any]) -> None:
        """Make the folders for a job, or check that they are this job's.

        Raises:
            UserError: If the features of another job are there, or features of which no record tells.
        """
        self.check(job)
        self._manifest.begin(job)
        self.features.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Remove the records, and the arrays of which they tell.

        Raises:
            UserError: If there are records of something else, or a process is writing.
        """
        if not self._manifest.path.exists():
            return
        self.ledger.check_idle()
        plan = find_plan(self.folder)
        # The records last: what a crash leaves is still known to be this tool's. Also arrays that one left unrecorded.
        for video in {*self._recorded(), *(entry.video for entry in (plan.entries if plan else ()))}:
            feature_path(self.features, video).unlink(missing_ok=True)
        (self.features / SIDECAR_NAME).unlink(missing_ok=True)
        self._manifest.clear()

    def records(self) -> dict[str, Mapping[str, Any]]:
        """Return the record that counts of each video.

        Of one whose array is gone that is the record of a failure, or there is none.

        Raises:
            UserError: If records are faulty.
        """
        found, there = self._recorded(), {path.name for path in self.features.glob('*.npy')}
        gone = {
            video
            for video, record in found.items()
            if record['state'] == 'ok' and feature_path(self.features, video).name not in there
        }
        if not gone:
            return found
        failures = [record for record in latest(self.ledger, 'video', 'state') if record['state'] != 'ok']
        kept = {video: record for video, record in found.items() if video not in gone}
        return {**kept, **{record['video']: record for record in failures if record['video'] in gone}}

    def _recorded(self) -> dict[str, Mapping[str, Any]]:
        """Return the record that counts of each video, whether its array is there or not."""
        return {record['video']: record for record in latest(self.ledger, 'video')}

    def done(self) -> dict[str, Mapping[str, Any]]:
        """Return the records of the videos whose arrays were written, by id in the order of the alphabet."""
        return {video: record for video, record in sorted(self.records().items()) if record['state'] == 'ok'}

    def save(self, entry: VideoEntry, video: ExtractedVideo, *, broken: int) -> dict[str, Any]:
        """Write the array of a video.

        Args:
            entry: The video.
            video: Its features, as they are to be stored.
            broken: Packets of it that did not decode.

        Returns:
            Its record, to be written once this has returned.

        Raises:
            OSError: If it cannot be written.
        """
        path = feature_path(self.features, entry.video)
        write_atomically(path, lambda file: np.save(file, video.features, allow_pickle=False))
        return {
            'video': entry.video,
            'state': 'ok',
            'frames': video.frames,
            'duration': video.duration,
            'snippets': len(video.features),
            'broken': broken,
            'size': entry.size,
        }

    def discard(self, entry: VideoEntry) -> None:
        """Remove the array of a video that failed: it was of another file, or is damaged."""
        feature_path(self.features, entry.video).unlink(missing_ok=True)

    def unfinished(self, entries: Sequence[VideoEntry], again: frozenset[State]) -> list[VideoEntry]:
        """Return the videos without a record, and those whose array, or video file, is not the one of the record."""
        records = self._recorded()
        return [entry for entry in entries if self._is_open(entry, records.get(entry.video), again)]

    def _is_open(self, entry: VideoEntry, record: Mapping[str, Any] | None, again: frozenset[State]) -> bool:
        if record is None or record['state'] in again:
            return True
        if record['state'] != 'ok':
            return False
        try:
            snippets = read_shape(feature_path(self.features, entry.video))[0]
        except FeatureFileError:
            return True
        return (snippets, entry.size) != (record.get('snippets'), record.get('size'))

    def sidecar(self, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of ``features.json``: what is stated of all videos, and what is known of each."""
        videos = {video: {name: record[name] for name in _FACTS} for video, record in self.done().items()}
        return {**stated, 'videos': videos}

    def write_sidecar(self, stated: Mapping[str, Any]) -> None:
        """Write ``features.json``; of several processes the last one writes what is known of all videos."""
        with self.locked():
            text = json.dumps(self.sidecar(stated), indent=1, allow_nan=False) + '\n'
            write_atomically(self.features / SIDECAR_NAME, lambda file: file.write(text.encode()))

    def locked(self) -> AbstractContextManager[int]:
        """Keep other processes from writing what follows from the records, while these are read and it is written."""
        return file_lock(self.folder / '.sidecar.lock')

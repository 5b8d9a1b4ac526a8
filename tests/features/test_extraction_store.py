"""What is left of an extraction on disk: removed as a whole, and written by several processes without loss."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from mmwtal.apis.feature_jobs import write_data_root
from mmwtal.conversion.own_labels import Labels
from mmwtal.features.extractor import ExtractedVideo, VideoExtractor
from mmwtal.features.job import FeatureExtraction
from mmwtal.features.store import FeatureStore
from mmwtal.offline.job import VideoEntry
from mmwtal.offline.plan import Plan
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import temporary_name

FILM = ExtractedVideo(features=np.ones((3, 6), dtype=np.float32), frames=48, duration=1.92)
JOB = {'kind': 'features'}


def save(store: FeatureStore, video: str, *, recorded: bool = True) -> None:
    record = store.save(VideoEntry(video=video, path=Path(f'{video}.mp4')), FILM, broken=0)
    if recorded:
        with store.ledger.writer(video) as writer:
            writer.append([record])


def begun(root: Path) -> FeatureStore:
    store = FeatureStore(root, root / 'extraction')
    store.begin(JOB)
    entries = tuple(VideoEntry(video=video, path=root / f'{video}.mp4') for video in ('a', 'b'))
    Plan(root=root, entries=entries).write(store.folder)
    return store


def test_what_a_killed_process_left_does_not_keep_another_job_out(tmp_path: Path) -> None:
    store = begun(tmp_path)
    save(store, 'a')
    save(store, 'b', recorded=False)
    temporary_name(store.features / 'c.npy').write_bytes(b'half')
    store.clear()
    assert list(store.features.glob('*.npy')) == []
    store.begin({'kind': 'other features'})


def test_arrays_are_never_left_without_the_records_that_say_whose_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = begun(tmp_path)
    save(store, 'a')
    removed: list[str] = []

    def interrupted(path: Path, *, missing_ok: bool = False) -> None:
        removed.append(path.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, 'unlink', interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.clear()
    assert removed[0].endswith('.npy')
    with store.ledger.writer('busy'), pytest.raises(UserError, match=r'busy\.jsonl is being written'):
        store.clear()
    assert list(store.done()) == ['a'], 'nothing is removed while a process writes'


def test_the_last_of_several_processes_writes_what_all_have_done(tmp_path: Path) -> None:
    streams = [{'name': 'rgb', 'backbone': {'type': 'TinyRandom', 'width': 6, 'side': 16}}]
    extractor = VideoExtractor(streams=streams, device='cpu')
    job = FeatureExtraction(extractor=extractor, data_root=tmp_path, store=tmp_path / 'extraction')
    job.store.begin(job.identity)
    save(job.store, 'a')
    labels = Labels(training={'a': ['run'], 'b': ['run']}, test={}, classes=['run'])
    arguments = {'train_subset': 'training', 'sources': {}}
    thread = threading.Thread(target=write_data_root, args=(job, tmp_path, labels), kwargs=arguments)
    with job.store.locked():
        # As another process does that is about to write.
        thread.start()
        thread.join(0.3)
        save(job.store, 'b')
    thread.join(10)
    for name, key in (('annotations.json', 'database'), ('features/features.json', 'videos')):
        assert sorted(json.loads((tmp_path / name).read_text())[key]) == ['a', 'b']

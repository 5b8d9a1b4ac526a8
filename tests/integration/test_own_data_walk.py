"""docs/own_data.md from real videos and a CSV of labels to actions of a new video: its commands, on tiny networks."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from mmwtal.priors.store import PriorStore

from .conftest import check_answers

LABELS = {
    'video_validation_0000949': 'ThrowDiscus',
    'video_validation_0000986': 'VolleyballSpiking',
    'v_GGSY1Qvo990': 'CleanAndJerk',
    'v_ZNVhz7ctTq0': 'WalkingTheDog',
}
NEW = 'video_test_0000946'


@pytest.fixture(scope='module')
def walked(walk, shared_data: Path, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp('own')
    (folder / 'videos').mkdir()
    files = {path.stem: path for path in (shared_data / 'videos').rglob('*.mp4')}
    for video in LABELS:
        shutil.copy(files[video], folder / 'videos')
    shutil.copy(files[NEW], folder / 'new.mp4')
    lines = ['video,label', *(f'{video},{label}' for video, label in LABELS.items())]
    (folder / 'labels.csv').write_text('\n'.join(lines) + '\n')
    return folder, walk('own_data.md', '## Try it first', folder)


def test_the_walk_ends_with_actions_of_the_new_video(walked) -> None:
    folder, said = walked
    assert [*said][-1] == 'infer'
    found = json.loads((folder / 'found' / 'predictions.json').read_text())['results']
    assert [*found] == ['new']
    assert {one['label'] for one in found['new']} <= set(LABELS.values())
    rows = list(csv.DictReader((folder / 'found' / 'predictions.csv').open(newline='')))
    assert len(rows) == len(found['new']) > 0
    assert (folder / 'found' / 'vtt' / 'new.vtt').read_text().startswith('WEBVTT')
    assert (folder / 'found' / 'pictures' / 'new.png').stat().st_size > 20_000


def test_the_data_root_has_what_training_needs_and_no_segments(walked) -> None:
    folder, _ = walked
    database = json.loads((folder / 'data' / 'mine' / 'annotations.json').read_text())['database']
    assert {video: entry['labels'] for video, entry in database.items()} == {v: [one] for v, one in LABELS.items()}
    assert not any(entry.get('annotations') for entry in database.values())
    facts = json.loads((folder / 'data' / 'mine' / 'features' / 'features.json').read_text())
    assert (facts['fps'], facts['stride'], facts['width']) == (25.0, 16, 128)


def test_a_model_in_process_was_asked_about_real_videos(walked) -> None:
    folder, _ = walked
    check_answers(PriorStore(folder / 'data' / 'mine' / 'priors').read(), LABELS)

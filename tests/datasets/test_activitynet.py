"""ActivityNet 1.2 and 1.3: their classes are those of the real files, and the released features have a time grid."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmwtal.datasets.activitynet import ActivityNet12Dataset, ActivityNet13Dataset
from mmwtal.registry import DATASETS


@pytest.mark.parametrize(('name', 'version', 'count'), [('12', '2', 100), ('13', '3', 200)])
def test_classes_are_those_of_the_annotation_file(shared_data: Path, name: str, version: str, count: int) -> None:
    path = shared_data / 'activitynet' / f'activity_net.v1-{version}.rebuilt.json'
    database = json.loads(path.read_text())['database']
    labels = {instance['label'] for entry in database.values() for instance in entry['annotations']}
    classes = DATASETS.get(f'ActivityNet{name}Dataset').METAINFO['classes']
    assert classes == tuple(sorted(labels))
    assert len(classes) == count


def test_the_versions_differ_by_one_name() -> None:
    first, second = (set(kind.METAINFO['classes']) for kind in (ActivityNet12Dataset, ActivityNet13Dataset))
    assert first - second == {'Playing volleyball'}
    assert len(second - first) == 101


@pytest.mark.parametrize('stated', [None, {'fps': 30, 'stride': 8}])
def test_the_time_grid_is_the_released_features_unless_they_state_their_own(data_root, stated: dict | None) -> None:
    names = dict(zip(['run', 'jump'], ActivityNet12Dataset.METAINFO['classes'], strict=False))
    for entry in data_root.database.values():
        for instance in entry['annotations']:
            instance['label'] = names[instance['label']]
    data_root.top, data_root.sidecar = {}, stated
    dataset = ActivityNet12Dataset(data_root=data_root.write(), subset='training', on_fault='skip')
    seconds = dataset.get_data_info(0)['timebase'].seconds_per_snippet
    assert seconds == pytest.approx(0.64 if stated is None else 8 / 30)
    assert len(dataset.metainfo['classes']) == 100
    assert np.concatenate([dataset.get_data_info(i)['label_ids'] for i in range(len(dataset))]).max() <= 1

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.formats.video_scores import read_video_scores
from mmwtal.utils.errors import UserError

VIDEOS, CLASSES = ('v', 'w'), ('run', 'jump')
GOOD = {'v': {'run': 0.25, 'jump': 1}, 'w': {'jump': -2.5, 'run': 0, 'swim': 3}, 'x': {'run': 'anything'}}


def read(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_video_scores(path, video_ids=VIDEOS, classes=CLASSES)


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'scores.json'


def test_rows_are_videos_and_columns_classes(path):
    np.testing.assert_array_equal(read(path, GOOD), [[0.25, 1], [0, -2.5]])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'v': GOOD['v']}, 'faults in 1 videos: video w is missing'),
        ({**GOOD, 'v': [1, 2]}, 'video v has no object of scores'),
        ({**GOOD, 'v': {'run': 1}}, "video v has no number for 'jump'"),
        ({**GOOD, 'w': {}}, "video w has no number for 'run' and 1 more"),
        ({**GOOD, 'v': {'run': '1', 'jump': 1}}, "no number for 'run'"),
        ({**GOOD, 'v': {'run': True, 'jump': 1}}, "no number for 'run'"),
        ('{"v": {"run": NaN, "jump": 1}, "w": {"run": 1, "jump": 1}}', "no number for 'run'"),
        ({}, 'faults in 2 videos: video v is missing; video w is missing'),
        ([], 'must hold a JSON object'),
        ('{"v": 1, "v": 2}', "key 'v' more than once"),
        ('{', 'is not valid JSON'),
    ],
)
def test_faults_come_in_one_message_that_names_the_file(path, content, message):
    with pytest.raises(UserError, match=message) as error:
        read(path, content)
    assert str(path) in str(error.value)
    assert 'external video scores' in str(error.value)


def test_no_file(path):
    with pytest.raises(UserError, match='does not exist'):
        read_video_scores(path, video_ids=VIDEOS, classes=CLASSES)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_every_number_comes_back(tmp_path_factory, numbers):
    content = {'v': dict(zip(CLASSES, numbers[:2], strict=True)), 'w': dict(zip(CLASSES, numbers[2:], strict=True))}
    found = read(tmp_path_factory.mktemp('scores') / 'scores.json', content)
    np.testing.assert_array_equal(found.ravel(), numbers)

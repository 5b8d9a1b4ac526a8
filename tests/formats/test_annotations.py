import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.formats.annotations import read_annotations, subset_name, video_id_problem
from mmwtal.formats.findings import Kind
from mmwtal.utils.errors import UserError


def write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / 'annotations.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read_one(tmp_path: Path, entry: object, video_id: str = 'v'):
    return read_annotations(write(tmp_path, {'database': {video_id: entry}})).videos[video_id]


def kinds(video) -> set[Kind]:
    return {finding.kind for finding in video.findings}


def test_reads_an_entry(tmp_path):
    video = read_one(
        tmp_path,
        {
            'subset': 'testing',
            'duration': 10,
            'annotations': [{'label': 'b', 'segment': [0, 1.5]}, {'label': 'a', 'segment': [2, 3]}],
            'ambiguous': [[4, 5]],
            'url': 'ignored',
        },
    )
    assert video.subset == 'test'
    assert video.duration == 10
    assert video.labels == ('b', 'a')
    assert video.segment_labels == ('b', 'a')
    np.testing.assert_array_equal(video.segments, [[0, 1.5], [2, 3]])
    np.testing.assert_array_equal(video.ambiguous, [[4, 5]])
    assert not video.findings


def test_stated_labels_come_before_those_of_the_segments(tmp_path):
    entry = {'subset': 'training', 'labels': ['x', 'x'], 'annotations': [{'label': 'y', 'segment': [0, 1]}]}
    assert read_one(tmp_path, entry).labels == ('x',)


def test_segments_that_are_not_given_are_unknown_and_an_empty_list_means_none(tmp_path):
    assert read_one(tmp_path, {'subset': 'training'}).segments is None
    assert read_one(tmp_path, {'subset': 'training', 'annotations': []}).segments.shape == (0, 2)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"database": ', 'not valid JSON'),
        ('', 'not valid JSON'),
        ('[1]', 'must hold a JSON object, found a list'),
        ('{}', 'no such key'),
        ('{"database": []}', 'found a list'),
        ('{"database": {}, "database": {}}', 'more than once'),
        ('{"database": {}, "classes": ["a", "a"]}', 'class a more than once'),
        ('{"database": {}, "classes": []}', 'non-empty list'),
        ('{"database": {}, "classes": "ab"}', 'non-empty list'),
        ('{"database": {}, "classes": [1]}', 'non-empty list'),
        ('[' * 100_000, 'not valid'),
        ('{"database": ' + '1' * 5000 + '}', 'not valid JSON'),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(UserError, match=message) as caught:
        read_annotations(path)
    assert str(path) in str(caught.value)


def test_missing_binary_and_folder(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        read_annotations(tmp_path / 'none.json')
    with pytest.raises(UserError, match='cannot be read'):
        read_annotations(tmp_path)
    path = tmp_path / 'binary.json'
    path.write_bytes(b'{"database": "\xff\xfe"}')
    with pytest.raises(UserError, match='not UTF-8'):
        read_annotations(path)


def test_a_byte_order_mark_is_accepted(tmp_path):
    path = tmp_path / 'bom.json'
    path.write_bytes(b'\xef\xbb\xbf{"database": {}}')
    assert read_annotations(path).videos == {}


def test_duplicate_ids_are_seen_whichever_subset_is_loaded(tmp_path):
    text = '{"database": {"v": {"subset": "training"}, "w": {"subset": "test"}, "v": {"subset": "test"}}}'
    annotations = read_annotations(write(tmp_path, text))
    for subset in ('training', 'test'):
        found = {video.video_id: kinds(video) for video in annotations.in_subset(subset)}
        assert found['v'] == {Kind.DUPLICATE}
    assert annotations.subset_counts() == {'test': 1}


SEGMENT_FINDINGS = [
    ([3, 2], Kind.REVERSED),
    ([-0.5, 2], Kind.OUTSIDE),
    ([10, 12], Kind.OUTSIDE),
    ([50, 60], Kind.OUTSIDE),
    ([9, 10.5], Kind.PAST_END),
    ([4, 4], Kind.ZERO_LENGTH),
]


@pytest.mark.parametrize(('segment', 'kind'), SEGMENT_FINDINGS)
def test_segments_are_judged(tmp_path, segment, kind):
    instances = [{'label': 'a', 'segment': [1, 2]}, {'label': 'a', 'segment': segment}]
    video = read_one(tmp_path, {'subset': 'test', 'duration': 10, 'annotations': instances})
    assert kinds(video) == {kind}
    assert len(video.segments) == 2
    assert str(float(segment[0])) in video.findings[0].detail


@pytest.mark.parametrize(
    'change',
    [
        {'annotations': {}},
        {'annotations': [{'label': 'a'}]},
        {'annotations': [{'segment': [0, 1]}]},
        {'annotations': [{'label': '', 'segment': [0, 1]}]},
        {'annotations': [{'label': 'a', 'segment': ['0', '1']}]},
        {'annotations': [{'label': 'a', 'segment': [0, float('nan')]}]},
        {'annotations': [{'label': 'a', 'segment': [0, True]}]},
        {'annotations': [{'label': 'a', 'segment': [0, 10**400]}]},
        {'annotations': [{'label': 'a', 'segment': [0, 1, 2]}]},
        {'annotations': [7]},
        {'labels': 'a'},
        {'labels': [1]},
        {'labels': ['']},
        {'duration': 0},
        {'duration': float('inf')},
        {'duration': '10'},
        {'ambiguous': [[1]]},
        {'ambiguous': 3},
    ],
)
def test_malformed_entries_are_found(tmp_path, change):
    assert kinds(read_one(tmp_path, {'subset': 'training', **change})) == {Kind.MALFORMED}


def test_entries_of_another_type_and_repeated_keys(tmp_path):
    assert kinds(read_one(tmp_path, [])) == {Kind.MALFORMED}
    path = write(tmp_path, '{"database": {"v": {"subset": "training", "labels": ["a"], "labels": ["b"]}}}')
    assert kinds(read_annotations(path).videos['v']) == {Kind.MALFORMED}


@pytest.mark.parametrize('subset', [None, 'train', 3, ['test']])
def test_unknown_subsets_are_found(tmp_path, subset):
    assert kinds(read_one(tmp_path, {'subset': subset})) == {Kind.SUBSET}


def test_subset_names():
    assert [subset_name(name) for name in ('training', 'Validation', 'testing', 'Test', 'val', '', None)] == [
        'training',
        'validation',
        'test',
        'test',
        None,
        None,
        None,
    ]


BAD_IDS = ['', ' ', '.', '..', '../x', '/etc/x', 'a/b', 'a\\b', 'a\0b', 'a\nb', '\ud800', 'x' * 300]


@pytest.mark.parametrize('video_id', BAD_IDS)
def test_ids_that_would_leave_the_root_are_found(tmp_path, video_id):
    assert video_id_problem(video_id)
    assert kinds(read_one(tmp_path, {'subset': 'training'}, video_id)) == {Kind.BAD_ID}


@pytest.mark.parametrize('video_id', ['video_test_0000004', 'v_-a b.c', '...x', 'Übung', '--x'])
def test_ordinary_ids_pass(video_id):
    assert video_id_problem(video_id) is None


@given(st.text())
def test_an_id_that_passes_stays_in_its_folder(video_id):
    if video_id_problem(video_id) is None:
        path = Path('/nowhere/features') / f'{video_id}.npy'
        assert path.parent == Path('/nowhere/features')
        assert '..' not in path.parts


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
KEYS = ('subset', 'duration', 'annotations', 'labels', 'ambiguous')


@given(entry=JSON_VALUES | st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON_VALUES)))
def test_no_entry_breaks_the_reader(tmp_path_factory, entry):
    path = tmp_path_factory.mktemp('fuzz') / 'a.json'
    path.write_text(json.dumps({'database': {'v': entry}}))
    video = read_annotations(path).videos['v']
    assert video.findings or video.subset is not None


def test_thumos14_has_its_published_counts(shared_data):
    source = json.loads((shared_data / 'thumos14' / 'thumos14_actionformer.json').read_text())
    assert len(source['database']) == 412
    annotations = read_annotations(shared_data / 'thumos14' / 'thumos14_actionformer.json')
    assert annotations.subset_counts() == {'validation': 200, 'test': 212}
    counts = {s: sum(len(v.segments) for v in annotations.in_subset(s)) for s in ('validation', 'test')}
    assert counts == {'validation': 3007, 'test': 3358}
    outside = {v.video_id for v in annotations.videos.values() if Kind.OUTSIDE in kinds(v)}
    assert len(outside) == 5
    assert all(kinds(video) <= {Kind.OUTSIDE} for video in annotations.videos.values())


def test_activitynet_reads_without_a_fault(shared_data):
    annotations = read_annotations(shared_data / 'activitynet' / 'activity_net.v1-3.rebuilt.json')
    assert annotations.subset_counts() == {'training': 10_024, 'validation': 4_926, 'test': 5_044}
    assert len(annotations.all_labels()) == 200
    found = [finding for video in annotations.videos.values() for finding in video.findings]
    assert {finding.kind for finding in found} == {Kind.PAST_END, Kind.ZERO_LENGTH}

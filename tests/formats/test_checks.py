import json
from pathlib import Path

import numpy as np
import pytest

from mmwtal.formats.annotations import read_annotations
from mmwtal.formats.checks import REPORT_LINES, check_videos, raise_faults
from mmwtal.formats.findings import Finding, Kind, faults, render
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.utils.errors import UserError


def run(data_root, subset='training', **options):
    data_root.write()
    annotations = read_annotations(data_root.path / 'annotations.json')
    return check_videos(
        annotations.in_subset(subset),
        folder=data_root.features,
        sidecar=read_sidecar(data_root.features),
        **{'classes': {'run', 'jump'}, 'fallback': {}, 'width': 8, **options},
    )


def found(report):
    return {(finding.video_id, finding.kind) for finding in faults(report.findings)}


def test_a_sound_data_set_has_no_finding(data_root):
    report = run(data_root)
    assert report.findings == []
    assert [video.annotation.video_id for video in report.videos] == [
        'run_a',
        'run_b',
        'jump_a',
        'jump_b',
        'both',
        'none',
    ]
    assert [video.num_snippets for video in report.videos] == [20, 31, 25, 40, 28, 22]
    assert report.videos[0].timebase.duration == pytest.approx(12.8)


def test_every_faulty_video_is_found_at_once(data_root):
    data_root.feature('run_a').unlink()
    data_root.feature('run_b').write_bytes(b'')
    np.save(data_root.feature('jump_a'), np.zeros((8, 25), np.float32))
    np.save(data_root.feature('jump_b'), np.zeros((40, 9), np.float32))
    np.save(data_root.feature('both'), np.zeros((28, 8)))
    data_root.database['none']['labels'] = ['swim']
    data_root.database['../evil'] = {'subset': 'training'}
    report = run(data_root)
    assert found(report) == {
        ('run_a', Kind.MISSING),
        ('run_b', Kind.EMPTY),
        ('jump_a', Kind.TRANSPOSED),
        ('jump_b', Kind.WIDTH),
        ('both', Kind.DTYPE),
        ('none', Kind.UNKNOWN_LABEL),
        ('../evil', Kind.BAD_ID),
    }
    assert report.videos == []
    with pytest.raises(UserError) as caught:
        raise_faults(report.findings, origin='the test set', total=7)
    message = str(caught.value)
    assert message.startswith('7 of 7 videos of the test set cannot be used.')
    assert all(kind.heading in message and kind.remedy in message for _, kind in found(report))
    assert 'swim' in message


def test_a_video_outside_the_root_is_not_even_looked_for(data_root):
    outside = data_root.path / 'evil.npy'
    np.save(outside, np.zeros((5, 8), np.float32))
    data_root.database['../evil'] = {'subset': 'training'}
    assert found(run(data_root)) == {('../evil', Kind.BAD_ID)}


@pytest.mark.parametrize(
    ('change', 'fits'),
    [
        ({'snippets': 20}, True),
        ({'snippets': 21}, False),
        ({'frames': 320}, True),
        ({'frames': 319}, True),
        ({'frames': 336}, True),
        ({'frames': 304}, True),
        ({'frames': 360}, False),
        ({'frames': 280}, False),
        ({'frames': 320 + 64, 'window': 64}, True),
        ({'frames': 352, 'window': 64}, True),
        ({'duration': 13.5}, True),
        ({'duration': 40.0}, False),
        ({'duration': 40.0, 'snippets': 20}, True),
    ],
)
def test_lengths_are_compared_with_the_sidecar(data_root, change, fits):
    data_root.sidecar['videos']['run_a'] = change
    assert found(run(data_root)) == (set() if fits else {('run_a', Kind.LENGTH)})


def test_a_duration_that_the_features_do_not_span_is_noted(data_root):
    data_root.database['run_a']['duration'] = 100.0
    data_root.sidecar['videos'] = {}
    assert [(finding.video_id, finding.kind) for finding in run(data_root).findings] == [('run_a', Kind.SPAN)]


def test_segments_beyond_the_end_are_a_fault_unless_known(data_root):
    data_root.database['run_a']['annotations'][0]['segment'] = [500, 510]
    assert found(run(data_root)) == {('run_a', Kind.OUTSIDE)}
    report = run(data_root, known_outside={'run_a'})
    assert found(report) == set()
    assert [finding.kind for finding in report.findings] == [Kind.PAST_END]
    assert len(report.videos) == 6


def test_faults_of_another_subset_do_not_count(data_root):
    data_root.feature('test_run').unlink()
    assert found(run(data_root)) == set()
    assert found(run(data_root, subset='test')) == {('test_run', Kind.MISSING)}


def test_a_video_without_a_time_grid_is_found(data_root):
    del data_root.sidecar['fps']
    data_root.sidecar['videos']['run_a'] = {'fps': 25}
    assert {video for video, kind in found(run(data_root)) if kind is Kind.TIMEBASE} == {
        'run_b',
        'jump_a',
        'jump_b',
        'both',
        'none',
    }
    assert found(run(data_root, fallback={'fps': 25.0, 'stride': 16.0})) == set()


def test_the_report_is_short_and_counts_the_rest():
    findings = [Finding(kind=Kind.MISSING, video_id=f'v{i}', detail='gone') for i in range(REPORT_LINES + 7)]
    findings += [Finding(kind=Kind.WIDTH, video_id='w\n\x1b[31m', detail='wide')]
    findings += [Finding(kind=Kind.PAST_END, video_id='note', detail='a note')]
    with pytest.raises(UserError) as caught:
        raise_faults(findings, origin='x', total=100)
    message = str(caught.value)
    assert message.startswith(f'{REPORT_LINES + 8} of 100')
    assert message.count('gone') == REPORT_LINES
    assert '... and 7 more' in message
    assert '\x1b' not in message
    assert 'a note' not in message
    assert render(findings, limit=None).count('gone') == REPORT_LINES + 7
    raise_faults(findings[-1:], origin='x', total=1)


def test_the_real_annotations_of_thumos14_pass_with_its_known_videos(shared_data, tmp_path: Path):
    from mmwtal.datasets.thumos14 import Thumos14Dataset

    path = shared_data / 'thumos14' / 'thumos14_actionformer.json'
    annotations = read_annotations(path)
    (tmp_path / 'features').mkdir()
    for video_id, entry in json.loads(path.read_text())['database'].items():
        length = max(1, int(entry['duration'] / 0.64))
        np.save(tmp_path / 'features' / f'{video_id}.npy', np.zeros((length, 2), np.float16))
    for subset, count in (('validation', 200), ('test', 212)):
        report = check_videos(
            annotations.in_subset(subset),
            folder=tmp_path / 'features',
            classes=Thumos14Dataset.METAINFO['classes'],
            sidecar=None,
            fallback=Thumos14Dataset.DEFAULT_TIMEBASE,
            width=None,
            known_outside=Thumos14Dataset.KNOWN_OUTSIDE,
        )
        assert len(report.videos) == count
        assert {finding.video_id for finding in report.findings} <= Thumos14Dataset.KNOWN_OUTSIDE
        assert not faults(report.findings)

import json
import os
import subprocess
import sys

import pytest

from mmwtal.evaluation import PROTOCOLS


@pytest.fixture
def run(repo_root, tmp_path):
    def call(*args):
        return subprocess.run(
            [sys.executable, str(repo_root / 'tools/evaluate.py'), *map(str, args)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, 'PYTHONPATH': str(repo_root)},
        )

    return call


@pytest.fixture
def files(tmp_path):
    predictions, ground_truth = tmp_path / 'p.json', tmp_path / 'g.json'
    predictions.write_text(json.dumps({'results': {'v': [{'label': 'A', 'segment': [0, 9], 'score': 1}]}}))
    annotations = [{'label': 'A', 'segment': [0, 10]}]
    database = {
        video: {'subset': subset, 'annotations': annotations} for video, subset in (('v', 'training'), ('w', 'dev'))
    }
    ground_truth.write_text(json.dumps({'database': database}))
    return predictions, ground_truth


def test_published_numbers(run, shared_data, tmp_path):
    folder = shared_data / 'thumos14/stpn_predictions'
    out = tmp_path / 'result.json'
    done = run(
        folder / 'results.json', folder / 'gt.json', '--protocol', 'anet', '--tious', '0.1:0.9:0.1', '--out', out
    )
    assert done.returncode == 0, done.stderr
    assert '52.12  44.20  34.70  26.06  17.70  10.09  4.99  1.34  0.10    21.25' in done.stdout
    assert 'anet' in done.stdout
    result = json.loads(out.read_text())
    assert result['tious'] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert [round(value, 2) for value in result['mAP']] == [52.12, 44.20, 34.70, 26.06, 17.70, 10.09, 4.99, 1.34, 0.10]
    assert {len(values) for values in result['per_class'].values()} == {9}
    assert result['video_list_hash'] in done.stdout


def test_subset_option(run, files):
    done = run(*files, '--protocol', 'anet', '--tious', '0.9', '--subset', 'training')
    assert (done.returncode, '100.00' in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--protocol', 'anet'], 'name the subset'),
        (['--protocol', 'ant', '--subset', 'dev'], "Did you mean 'anet'"),
        (['--protocol', 'anet', '--subset', 'dev', '--tious', '0.1:0.9'], 'START:STOP:STEP'),
        (['--protocol', 'anet', '--subset', 'dev', '--out', 'nowhere/r.json'], 'there is no folder nowhere'),
        (['--protocol', 'anet', '--subset', 'dev', '--out', '.'], 'cannot be written'),
        (['--protocol', 'anet,wtlac', '--subset', 'dev'], "Did you mean 'wtalc'"),
        (['--protocol', 'all', '--subset', 'dev', '--tious', '5'], 'tIoU'),
        (['--protocol', 'all', '--subset', 'dev', '--videos', 'thumos14-21'], 'one of thumos14-212'),
        (['--protocol', 'all', '--subset', 'dev', '--videos', 'thumos14-212'], 'found 1 videos'),
        (['--protocol', 'anet,thumos_official', '--subset', 'dev'], 'choose a protocol that takes the classes'),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(run, files, options, message):
    done = run(*files, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith('error: ')
    assert done.stderr.count('\n') == 1


def test_missing_file(run, files):
    done = run('absent.json', files[1], '--protocol', 'anet', '--subset', 'dev')
    assert (done.returncode, 'absent.json does not exist' in done.stderr) == (2, True)


def test_all_protocols_make_one_table(run, files, tmp_path):
    out = tmp_path / 'all.json'
    done = run(*files, '--protocol', 'all', '--subset', 'training', '--out', out)
    assert done.returncode == 0, done.stderr
    content = json.loads(out.read_text())
    names = [result['protocol'] for result in content['evaluations']]
    assert names == [name for name in PROTOCOLS if name != 'thumos_official']
    assert list(content['not_applicable']) == ['thumos_official']
    lines = done.stdout.splitlines()
    assert 'not applicable: thumos_official: ' in done.stdout
    for name, line in zip(names, lines[2:], strict=False):
        assert line.split()[0] == name
    assert lines[1].split()[-3:] == ['0.1:0.7', '0.1:0.5', '0.3:0.7']


def test_some_protocols_and_a_list_of_videos(run, files, tmp_path):
    (tmp_path / 'list.txt').write_text('v\n')
    options = ('--subset', 'training', '--videos', 'list.txt', '--tious', '0.5')
    done = run(*files, '--protocol', 'wtalc,anet', *options)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ['subset', 'protocol', 'wtalc', 'anet']
    assert 'list.txt' in done.stdout
    assert 'list.txt' in run(*files, '--protocol', 'anet', *options).stdout

import json
import os
import subprocess
import sys

import pytest

from mmwtal.evaluation import PROTOCOLS, read_detections, read_ground_truth
from mmwtal.evaluation.comparison import compare_protocols
from mmwtal.evaluation.video_lists import VIDEO_LISTS


@pytest.fixture
def run(repo_root, tmp_path):
    def call(*args, code=0):
        command = [sys.executable, str(repo_root / 'tools/analysis/protocol_table.py'), *map(str, args)]
        env = {**os.environ, 'PYTHONPATH': str(repo_root)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
        assert done.returncode == code, done.stderr
        return done

    return call


@pytest.fixture
def stored(repo_root):
    return [repo_root / f'docs/protocols/stpn_{name}.json' for name in VIDEO_LISTS]


def test_the_documents_tables_are_those_of_the_stored_results(run, repo_root, tmp_path, stored):
    document = (repo_root / 'docs/protocols.md').read_text()
    copy = tmp_path / 'protocols.md'
    copy.write_text(document.replace('52.12', '99.99'))
    run(*stored, '--write', copy)
    assert copy.read_text() == document
    tables = run(*stored).stdout.strip()
    assert tables in document
    assert tables.count('\n| `') == len(VIDEO_LISTS) * len(PROTOCOLS)


def test_the_document_describes_every_rule_and_list(repo_root):
    document = (repo_root / 'docs/protocols.md').read_text()
    assert all(f'| `{name}` |' in document for name in (*PROTOCOLS, *VIDEO_LISTS))


def test_stored_results_are_those_of_the_released_files(stored, shared_data, tmp_path, repo_root):
    arrays, root = shared_data / 'thumos14/Thumos14reduced-Annotations', tmp_path / 'root'
    command = [sys.executable, str(repo_root / 'tools/dataset_converters/thumos14.py'), str(arrays), str(root)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, 'PYTHONPATH': str(repo_root)})
    predictions = read_detections(shared_data / 'thumos14/stpn_predictions/results.json')
    truth = read_ground_truth(root / 'annotations.json')
    for path, videos in zip(stored, VIDEO_LISTS.values(), strict=True):
        again = compare_protocols(predictions, truth, protocols='all', videos=videos).to_dict()
        assert json.loads(json.dumps(again)) == json.loads(path.read_text())


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[]', 'must hold a JSON object'),
        ('{"mAP": [1]}', '--protocol all --out'),
        ('{"evaluations": [{}]}', '--out FILE'),
    ],
)
def test_files_of_another_form(run, tmp_path, content, message):
    path = tmp_path / 'result.json'
    path.write_text(content)
    done = run(path, code=2)
    assert message in done.stderr
    assert done.stderr.count('\n') == 1


def test_document_without_the_marks(run, tmp_path, stored):
    path = tmp_path / 'doc.md'
    path.write_text('nothing')
    assert 'begin protocol tables' in run(*stored, '--write', path, code=2).stderr
    assert path.read_text() == 'nothing'

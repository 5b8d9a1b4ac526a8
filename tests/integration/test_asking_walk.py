"""docs/asking.md from videos and labels to a guided training run: its commands, word for word, on a tiny model."""

import json
import re
from pathlib import Path

import pytest


@pytest.fixture(scope='module')
def walked(walk, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """Runs all commands; returns where, and what each said."""
    folder = tmp_path_factory.mktemp('walk')
    return folder, walk('asking.md', '## Try the whole road without a model', folder)


def test_the_walk_ends_with_a_guided_model_that_was_tested(walked):
    folder, said = walked
    assert list(said) == ['synthetic', 'tiny-model', 'plan', 'run', 'check', 'show', 'train', 'test']
    result = json.loads((folder / 'work_dirs' / 'tiny' / 'result.json').read_text())
    assert 0 <= result['average'] <= 100
    logs = ''.join(path.read_text() for path in (folder / 'work_dirs' / 'tiny').glob('*/*.log'))
    assert re.search(r'key semantics \d+ from tiny-mllm', logs), 'no text of the model reached training'
    assert (folder / 'data' / 'films' / 'shown.png').stat().st_size > 10_000


def test_every_pair_has_an_answer_that_was_checked(walked):
    folder, _ = walked
    lines = (folder / 'data' / 'films' / 'priors-tiny' / 'shard-0-of-1.jsonl').read_text().splitlines()
    records = [json.loads(line) for line in lines]
    content = json.loads((folder / 'data' / 'films' / 'annotations.json').read_text())
    training = [video for video, entry in content['database'].items() if entry['subset'] == 'training']
    assert {record['video'] for record in records} == set(training)
    assert {record['state'] for record in records} <= {'ok', 'refused'}
    assert any(record['state'] == 'ok' for record in records)
    # What is ok was parsed: the form was kept to. The words of a random model are refused where they are checked.
    assert all(record['details']['key']['frames'] for record in records)

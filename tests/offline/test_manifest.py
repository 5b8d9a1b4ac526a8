"""Whose folder it is: a job that differs is told in what."""

import json
from pathlib import Path

import pytest

from mmwtal.offline.ledger import Ledger
from mmwtal.offline.manifest import DEATHS_NAME, PLAN_NAME, Manifest, check_job
from mmwtal.utils.errors import UserError

JOB = {
    'engine': {'model': 'Qwen/Qwen3-VL-8B-Instruct', 'revision': 'a' * 40},
    'labels': ['run', 'jump'],
    'prompt': 'x' * 500 + 'describe' + 'y' * 500,
    'frames': (1, 2),
    'seed': 0,
}


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    made = Manifest(tmp_path / 'job', kind='sort of folder', tool='a tool')
    made.begin(JOB)
    return made


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'engine': {**JOB['engine'], 'revision': 'b' * 40}},
            f'(engine.revision: "{"a" * 40}" there, "{"b" * 40}" here)',
        ),
        ({'labels': ['run', 'leap']}, '(labels[1]: "jump" there, "leap" here)'),
        ({'labels': ['run']}, '(labels: ["run", "jump"] there, ["run"] here)'),
        ({'seed': None}, '(seed: 0 there, null here)'),
        ({'seed': False}, '(seed: 0 there, false here)'),
        ({'new': 1}, '(new: absent there, 1 here)'),
        ({f'n{n}': 1 for n in range(9)}, 'n5: absent there, 1 here; and 3 more settings)'),
    ],
)
def test_another_job_is_told_what_differs(manifest: Manifest, change: dict, message: str) -> None:
    for check in (manifest.begin, lambda job: check_job(manifest.path.parent, job)):
        with pytest.raises(UserError) as error:
            check({**JOB, **change})
        assert message in str(error.value)
        assert str(error.value).endswith('name another folder, or begin it anew (--overwrite)')
        assert 'x' * 100 not in str(error.value)


def test_long_values_are_shown_where_they_differ(manifest: Manifest) -> None:
    with pytest.raises(UserError, match=r'prompt: \.\.\.x+descr\w+\.\.\. there, \.\.\.x+sketch\w+\.\.\. here'):
        manifest.begin({**JOB, 'prompt': JOB['prompt'].replace('describe', 'sketch')})


def test_the_same_job_joins_whatever_the_order_of_its_settings(manifest: Manifest) -> None:
    again = json.loads(json.dumps(dict(reversed(JOB.items()))))
    manifest.begin(again)
    check_job(manifest.path.parent, again)


def test_clear_takes_what_the_job_made_and_nothing_else(manifest: Manifest) -> None:
    folder = manifest.path.parent
    for ledger in (Ledger(folder), Ledger(folder / DEATHS_NAME)):
        with ledger.writer('one') as writer:
            writer.append([{}])
    (folder / PLAN_NAME).write_text('{}')
    (folder / 'notes.txt').write_text('mine')
    manifest.clear()
    assert sorted(path.name for path in folder.iterdir()) == [DEATHS_NAME, 'notes.txt']
    assert list((folder / DEATHS_NAME).iterdir()) == []


def test_what_is_no_manifest(manifest: Manifest) -> None:
    manifest.path.write_text('{"job": 1}')
    with pytest.raises(UserError, match='no manifest of a sort of folder'):
        manifest.begin(JOB)
    with pytest.raises(UserError, match='no manifest of a job'):
        check_job(manifest.path.parent, JOB)

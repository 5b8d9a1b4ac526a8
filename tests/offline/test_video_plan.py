"""The plan: each video's file is found and looked into, and whatever is odd about one is said and harms no other."""

import json
import os
import unicodedata
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from mmwtal.offline.job import ItemFailed
from mmwtal.offline.manifest import PLAN_NAME
from mmwtal.offline.plan import UNFINISHED_NAME, Plan, plan_videos, read_plan
from mmwtal.utils.errors import UserError


@dataclass
class Facts:
    duration: float
    fps: float
    width: int
    height: int


def probe(path: Path) -> Facts:
    """Find what the text of the file says, and count how often it was looked into."""
    text = path.read_text()
    with path.with_name(f'.{path.name}.probed').open('a') as file:
        file.write('x')
    if text.startswith('bad'):
        raise ItemFailed(f'{path.name} has no picture')
    if text.startswith('fatal'):
        os._exit(9)
    return Facts(float(text.split()[0]), 25.0, 64, 48)


@pytest.fixture
def root(tmp_path: Path, repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(repo_root)  # for the child, which finds ``probe`` by its name
    files = {
        'a.mp4': '1',
        'deep/er/b.MKV': '2',
        'c #1 (x) é.webm': '3.5',
        'v.2.avi': '4',
        'bad.mov': 'bad',
        'fatal.ts': 'fatal',
        'empty.mp4': '',
        'same.mp4': '7  same',
        'other name.mp4': '7  same',
        'notes.txt': 'x',
        '.hidden.mp4': '1',
        '.cache/x.mp4': '1',
        'folder.mp4/y.flv': '5',
    }
    for name, text in files.items():
        path = tmp_path / 'videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / 'videos'


planned = partial(plan_videos, workers=1)
ALL = ['a', 'b', 'bad', 'c #1 (x) é', 'empty', 'fatal', 'other name', 'same', 'v.2', 'y']


def probed(root: Path, name: str) -> int:
    path = root / f'.{name}.probed'
    return len(path.read_text()) if path.exists() else 0


def test_everything_below_a_folder(root: Path, tmp_path: Path) -> None:
    plan = plan_videos(root, None, probe)
    entries = {entry.video: entry for entry in plan.entries}
    assert sorted(entries) == ALL
    good = entries['c #1 (x) é']
    assert (good.duration, good.fps, good.width, good.height, good.size) == (3.5, 25.0, 64, 48, 3)
    assert {entry.video: entry.problem for entry in plan.unreadable} == {
        'bad': 'bad.mov has no picture',
        'empty': 'the file is empty',
        'fatal': 'video probe died (exit code 9)',
    }
    assert plan.duplicates == (('other name', 'same'),)
    assert (plan.missing, plan.unasked, plan.misnamed) == ((), 0, ())
    # What is written is read, also where the videos lie elsewhere.
    plan.write(tmp_path)
    assert read_plan(tmp_path) == plan
    moved = root.rename(tmp_path / 'moved')
    [b] = [entry for entry in read_plan(tmp_path, moved).entries if entry.video == 'b']
    assert b.path.read_text() == '2'


def test_wanted_videos(root: Path) -> None:
    decomposed = unicodedata.normalize('NFD', 'c #1 (x) é')
    plan = planned(root, {'v.2': 1, 'gone': 1, 'a': 1, decomposed: 1}, probe)
    assert [entry.video for entry in plan.entries] == ['v.2', 'a', decomposed]
    assert plan.missing == ('gone',)
    assert plan.unasked == 7
    assert probed(root, 'same.mp4') == 0
    with pytest.raises(UserError, match='none of the 1 videos found below'):
        planned(root, ['gone'], probe)
    (root / 'bare').mkdir()
    with pytest.raises(UserError, match='no video found below'):
        planned(root / 'bare', None, probe)
    with pytest.raises(UserError, match='does not exist'):
        planned(root / 'nowhere', None, probe)


def test_a_wanted_video_may_be_hidden(root: Path) -> None:
    plan = planned(root, ['.hidden', 'a'], probe)
    assert [entry.video for entry in plan.entries] == ['.hidden', 'a']


def test_a_file_that_goes_while_the_plan_is_made(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> str:
        raise FileNotFoundError(2, 'No such file', str(path))

    monkeypatch.setattr('mmwtal.offline.plan.content_digest', gone)
    plan = planned(root, ['same', 'other name'], probe)
    assert [entry.video for entry in plan.entries] == ['same', 'other name']
    assert plan.duplicates == ()


def test_two_files_for_a_video(root: Path) -> None:
    (root / 'deep' / 'a.avi').write_text('1')
    with pytest.raises(UserError, match=r'a has 2 files, a\.mp4, deep/a\.avi'):
        planned(root, None, probe)
    assert [entry.video for entry in planned(root, ['b'], probe).entries] == ['b']


def test_links_stay_in_the_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / 'secret.mp4').write_text('1')
    (root / 'out.mp4').symlink_to(tmp_path / 'secret.mp4')
    (root / 'broken.mp4').symlink_to(root / 'nothing.mp4')
    (root / 'loop.mp4').symlink_to(root / 'loop.mp4')
    (root / 'in.mp4').symlink_to(root / 'a.mp4')
    (root / 'deep' / 'a.mp4').symlink_to(root / 'a.mp4')
    (root / 'up').symlink_to(root)
    os.mkfifo(root / 'pipe.mp4')
    wanted = ['out', 'broken', 'loop', 'in', 'pipe', 'a']
    plan = planned(root, wanted, probe)
    problems = {entry.video: entry.problem for entry in plan.entries}
    assert 'leads out of' in problems['out']
    assert problems['broken'].startswith('cannot be read')
    assert problems['loop'].startswith('cannot be read')
    assert problems['pipe'] == 'is no regular file'
    assert (problems['in'], problems['a']) == ('', '')
    assert plan.duplicates == (('a', 'in'),)


def test_names_that_cannot_be_ids(root: Path) -> None:
    (root / 'back\\slash.mp4').write_text('1')
    (root / 'bell\a.mp4').write_text('1')
    Path(os.fsdecode(os.fsencode(root) + b'/\xff.mp4')).write_text('1')
    plan = planned(root, None, probe)
    assert sorted(entry.video for entry in plan.entries) == ALL
    assert len(plan.misnamed) == 3
    assert all(line.isprintable() for line in plan.misnamed)


def test_a_plan_grows_and_looks_only_at_what_is_new(root: Path) -> None:
    first = planned(root, ['a', 'b', 'bad', 'late'], probe)
    assert first.missing == ('late',)
    (root / 'late.mp4').write_text('8')
    (root / 'deep' / 'er' / 'b.MKV').write_text('20')
    (root / 'bad.mov').write_text('6.5')
    second = planned(root, ['v.2', 'a', 'b', 'bad', 'late'], probe, known=first)
    assert {entry.video: entry.duration for entry in second.entries} == {
        **{'a': 1.0, 'b': 20.0, 'bad': 6.5},
        **{'late': 8.0, 'v.2': 4.0},
    }
    assert probed(root, 'a.mp4') == 1
    assert second.missing == ()
    # What nobody wants any more is not missing.
    (root / 'a.mp4').unlink()
    third = planned(root, ['v.2'], probe, known=second)
    assert ([entry.video for entry in third.entries], third.missing) == (['v.2'], ())


def test_an_interrupted_plan_is_taken_up(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / 'stop.mp4').write_text('what no number is')
    wanted = ['a', 'bad', 'stop', 'v.2']
    kept: list[Plan] = []
    with pytest.raises(ValueError, match='could not convert'):
        planned(root, wanted, probe, keep=kept.append)
    [plan] = kept
    assert [entry.video for entry in plan.entries] == ['a', 'bad']
    plan.write(tmp_path, name=UNFINISHED_NAME)
    assert read_plan(tmp_path, name=UNFINISHED_NAME) == plan
    (root / 'stop.mp4').write_text('9')
    monkeypatch.setattr('mmwtal.offline.plan._KEEP_SECONDS', 0.0)
    kept.clear()
    whole = planned(root, wanted, probe, known=plan, keep=kept.append)
    assert [entry.video for entry in whole.entries] == wanted
    assert [len(one.entries) for one in kept] == [2, 3, 4], 'also when it is killed'
    assert probed(root, 'a.mp4') == 1


def test_damaged_plans_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'plan .*does not exist'):
        read_plan(tmp_path)
    plan = Plan(root=root, entries=planned(root, ['a'], probe).entries)
    plan.write(tmp_path)
    sound = json.loads((tmp_path / PLAN_NAME).read_text())
    facts = sound['videos']['a']
    for change in (
        {'format': 'x'},
        {'videos': 3},
        {'videos': {'a': {**facts, 'path': '../x.mp4'}}},
        {'videos': {'a': {**facts, 'path': '/x.mp4'}}},
        {'videos': {'a': {**facts, 'fps': 'x'}}},
        {'missing': None},
    ):
        (tmp_path / PLAN_NAME).write_text(json.dumps({**sound, **change}))
        with pytest.raises(UserError, match='plan'):
            read_plan(tmp_path)

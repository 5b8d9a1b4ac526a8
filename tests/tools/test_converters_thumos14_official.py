"""The converter of THUMOS14's own text files."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmwtal.conversion.thumos_text import CLASS_NUMBERS
from mmwtal.utils.errors import UserError


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    path = repo_root / 'tools' / 'dataset_converters' / 'thumos14_official.py'
    spec = importlib.util.spec_from_file_location('thumos14_official', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(tool: ModuleType, *options: object) -> tuple[dict, dict]:
    args = tool.build_parser().parse_args([str(option) for option in options])
    tool.main(args)
    return tuple(json.loads((args.out / name).read_text()) for name in ('annotations.json', 'audit.json'))


def write_folder(folder: Path, subset: str, **lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in CLASS_NUMBERS:
        (folder / f'{name}_{subset}.txt').write_text(lines.get(name, ''))
    (folder / f'Ambiguous_{subset}.txt').write_text(lines.get('Ambiguous', ''))
    return folder


def test_real_files(tool: ModuleType, tmp_path: Path, shared_data: Path) -> None:
    annotations, audit = convert(tool, shared_data / 'thumos14' / 'official_txt' / 'test', tmp_path / 'out')
    test = audit['subsets']['test']
    assert (test['videos'], test['instances'], test['multi_label_videos']) == (212, 3_358, 34)
    assert sum(len(entry.get('ambiguous', ())) for entry in annotations['database'].values()) == 96
    dropped = [entry['what'] for entry in audit['dropped']]
    assert dropped[0] == 'SOURCE.txt'
    assert [what.rsplit(' ', 1)[1] for what in dropped[1:]] == ['video_test_0001292'] * 3
    reference = json.loads((shared_data / 'thumos14' / 'thumos14_actionformer.json').read_text())['database']
    for name, entry in annotations['database'].items():
        ours = sorted((a['label'], *a['segment']) for a in entry['annotations'])
        theirs = sorted((a['label'], *a['segment']) for a in reference[name]['annotations'])
        assert [label for label, *_ in ours] == [label for label, *_ in theirs]
        np.testing.assert_allclose([times for _, *times in ours], [times for _, *times in theirs], atol=0.011)


def test_two_subsets_and_durations(tool: ModuleType, tmp_path: Path) -> None:
    val = write_folder(tmp_path / 'val', 'val', Diving='v1  1.0 2.5\n\n', Ambiguous='v1 3 4\nv9 1 2\n')
    test = write_folder(tmp_path / 'test', 'test', HighJump='t1 0 5.5\n', Diving='t1 6 6\n')
    (tmp_path / 'd.csv').write_text('video,duration\nv1,20\nt1,30.5\nother,3\n')
    annotations, audit = convert(tool, val, test, tmp_path / 'out', '--durations', tmp_path / 'd.csv')
    assert annotations['database'] == {
        'v1': {
            'subset': 'training',
            'annotations': [{'label': 'Diving', 'segment': [1.0, 2.5]}],
            'ambiguous': [[3.0, 4.0]],
            'duration': 20.0,
        },
        't1': {
            'subset': 'test',
            'annotations': [{'label': 'Diving', 'segment': [6.0, 6.0]}, {'label': 'HighJump', 'segment': [0.0, 5.5]}],
            'duration': 30.5,
        },
    }
    assert annotations['classes'] == sorted(CLASS_NUMBERS)
    assert audit['notes']['zero_length_instances'] == ['t1: Diving [6, 6]']
    assert len(audit['dropped']) == 1


def test_faults(tool: ModuleType, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'a', 'test', Diving='t1 1\nt1 5 3\nt1 a b\nt1 1 nan\n', Shotput='t1 1 2\n')
    (folder / 'detclasslist.txt').write_text('1 Diving\n')
    (folder / 'Billiards_test.txt').unlink()
    (folder / 'Billiards_val.txt').write_text('t1 1 2\n')
    with pytest.raises(UserError) as caught:
        convert(tool, folder, tmp_path / 'out')
    message = str(caught.value)
    for needle in (
        *(f'Diving_test.txt, line {number}: expected "video start end"' for number in (1, 2, 3, 4)),
        'detclasslist.txt: expected the 20 classes',
        'no file Billiards_test.txt; 1 classes lack theirs',
        'no file BaseballPitch_val.txt; 19 classes lack theirs',
        'video t1 is in the files of both subsets',
    ):
        assert needle in message
    assert not (tmp_path / 'out').exists()
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match=r'expected files such as BaseballPitch_test\.txt'):
        convert(tool, tmp_path / 'empty', tmp_path / 'out')
    with pytest.raises(UserError, match='is no folder'):
        convert(tool, tmp_path / 'none', tmp_path / 'out')

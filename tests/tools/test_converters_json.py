"""The converter of annotation JSON: the real files exactly, nothing dropped silently, all faults at once."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from mmwtal.datasets.activitynet import ActivityNet12Dataset, ActivityNet13Dataset
from mmwtal.datasets.thumos14 import Thumos14Dataset
from mmwtal.utils.errors import UserError


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    path = repo_root / 'tools' / 'dataset_converters' / 'json_annotations.py'
    spec = importlib.util.spec_from_file_location('json_annotations', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(tool: ModuleType, *options: object) -> tuple[dict, dict]:
    """Return the annotations and the audit; the last positional of ``options`` is taken as OUT."""
    args = tool.build_parser().parse_args([str(option) for option in options])
    tool.main(args)
    return tuple(json.loads((args.out / name).read_text()) for name in ('annotations.json', 'audit.json'))


def counts(audit: dict) -> dict:
    return {name: (subset['videos'], subset['instances']) for name, subset in audit['subsets'].items()}


def repeated(audit: dict) -> int:
    """Return how many instances are repetitions of another one."""
    return sum(int(text.rsplit(' ', 2)[1]) - 1 for text in audit['notes']['duplicate_instances'])


def segments(source: Path) -> dict:
    database = json.loads(source.read_text())['database']
    return {
        name: [(a['label'], *map(float, a['segment'])) for a in entry['annotations']]
        for name, entry in database.items()
    }


def write(path: Path, database: object, **top: object) -> Path:
    path.write_text(json.dumps({**top, 'database': database}))
    return path


def video(subset: str, *instances: tuple, **more: object) -> dict:
    annotations = [{'label': label, 'segment': segment} for label, *segment in instances]
    return {'subset': subset, 'duration': 10.0, 'annotations': annotations, **more}


# Real files


def test_activitynet_13(tool: ModuleType, tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture) -> None:
    source = shared_data / 'activitynet' / 'activity_net.v1-3.rebuilt.json'
    annotations, audit = convert(tool, 'activitynet', source, tmp_path / 'out')
    assert counts(audit) == {'training': (10_024, 15_410), 'validation': (4_926, 7_654), 'test': (5_044, 0)}
    assert len(audit['notes']['zero_length_instances']) == 12
    assert repeated(audit) == 52
    assert len(audit['notes']['instances_beyond_duration']) == 226
    assert audit['dropped'] == audit['changed'] == []
    assert tuple(annotations['classes']) == ActivityNet13Dataset.METAINFO['classes']
    assert segments(tmp_path / 'out' / 'annotations.json') == segments(source), 'every instance is kept as it is'
    printed = capsys.readouterr().out
    for needle in ('zero length (12)', 'more than once (27)', 'end after the video (226)', 'feature_store.py'):
        assert needle in printed


def test_activitynet_12(tool: ModuleType, tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / 'activitynet' / 'activity_net.v1-2.rebuilt.json'
    annotations, audit = convert(tool, 'activitynet', source, tmp_path / 'out')
    assert counts(audit) == {'training': (4_819, 7_151), 'validation': (2_383, 3_582)}
    assert len(audit['notes']['zero_length_instances']) == 10
    assert repeated(audit) == 34
    assert tuple(annotations['classes']) == ActivityNet12Dataset.METAINFO['classes']
    assert segments(tmp_path / 'out' / 'annotations.json') == segments(source)


def test_actionformer(tool: ModuleType, tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / 'thumos14' / 'thumos14_actionformer.json'
    annotations, audit = convert(tool, 'actionformer', source, tmp_path / 'out')
    assert counts(audit) == {'training': (200, 3_007), 'test': (212, 3_358)}
    assert len(audit['notes']['instances_beyond_duration']) == 30
    assert audit['changed'] == [{'what': 'subset validation (200 videos)', 'why': 'written as training'}]
    assert tuple(annotations['classes']) == Thumos14Dataset.METAINFO['classes']
    order, outside = audit['remarks']
    assert order == 'classes: the order of label_id'
    assert outside.startswith('to mend: 30 instances lie wholly outside their video: video_test_0000270 [187.3, 193.4]')


def test_opentad(tool: ModuleType, tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / 'thumos14' / 'thumos_14_anno_opentad.json'
    annotations, audit = convert(tool, 'opentad', source, tmp_path / 'out')
    assert counts(audit) == {'training': (200, 3_003), 'test': (211, 3_325)}
    assert 'video_test_0000270' not in annotations['database']
    assert audit['notes']['instances_beyond_duration'] == []
    assert audit['changed'] == [{'what': 'subset validation (211 videos)', 'why': 'written as test'}]


def test_times_given_as_text(tool: ModuleType, tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / 'thumos14' / 'stpn_predictions' / 'gt.json'
    _, audit = convert(tool, 'activitynet', source, tmp_path / 'out')
    assert counts(audit) == {'test': (210, 3_311)}
    assert audit['changed'] == [{'what': '6622 times', 'why': 'given as text, written as numbers'}]
    assert len(audit['notes']['videos_without_duration']) == 210
    assert segments(tmp_path / 'out' / 'annotations.json') == segments(source)


# Layouts


def test_mmaction_states_the_subset_beside_the_file(tool: ModuleType, tmp_path: Path) -> None:
    entry = {'duration_second': 12.5, 'duration_frame': 300, 'feature_frame': 288, 'fps': 24.0}
    for name, label in (('train', 'run'), ('val', 'jump')):
        content = {f'v_{name}': {**entry, 'annotations': [{'segment': [1, 2.5], 'label': label}]}}
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    options = [f'training={tmp_path / "train.json"}', f'validation={tmp_path / "val.json"}', tmp_path / 'out']
    annotations, _ = convert(tool, 'mmaction', *options)
    assert annotations == {
        'classes': ['jump', 'run'],
        'database': {
            'v_train': {
                'subset': 'training',
                'duration': 12.5,
                'annotations': [{'label': 'run', 'segment': [1.0, 2.5]}],
            },
            'v_val': {
                'subset': 'validation',
                'duration': 12.5,
                'annotations': [{'label': 'jump', 'segment': [1.0, 2.5]}],
            },
        },
    }
    with pytest.raises(UserError, match=r'train\.json: files of this layout .* training=train\.json'):
        convert(tool, 'mmaction', tmp_path / 'train.json', tmp_path / 'b')
    with pytest.raises(UserError, match=r"expected the videos under \"database\", found the keys 'v_train'; mmaction"):
        convert(tool, 'activitynet', tmp_path / 'train.json', tmp_path / 'b')


def test_taxonomy_ambiguous_and_testing(tool: ModuleType, tmp_path: Path) -> None:
    taxonomy = [
        {'nodeName': 'Root', 'nodeId': 0, 'parentName': None, 'parentId': None},
        {'nodeName': 'Sports', 'nodeId': 1, 'parentName': 'Root', 'parentId': 0},
        {'nodeName': 'run', 'nodeId': 2, 'parentName': 'Sports', 'parentId': 1},
        {'nodeName': 'jump', 'nodeId': 3, 'parentName': 'Sports', 'parentId': 1},
        {'nodeName': 'never seen', 'nodeId': 4, 'parentName': 'Root', 'parentId': 0},
    ]
    database = {
        'a': video('training', ('run', 1, 2), ('Ambiguous', 3, 4), url='https://example.org', resolution='1x1'),
        'b': video('testing'),
    }
    source = write(tmp_path / 'a.json', database, taxonomy=taxonomy, version='VERSION 1.3')
    annotations, audit = convert(tool, 'activitynet', source, tmp_path / 'out')
    assert annotations['classes'] == ['jump', 'never seen', 'run']
    assert annotations['database']['a'] == {
        'subset': 'training',
        'duration': 10.0,
        'annotations': [{'label': 'run', 'segment': [1.0, 2.0]}],
        'ambiguous': [[3.0, 4.0]],
    }
    assert annotations['database']['b']['subset'] == 'test'
    assert audit['changed'] == [{'what': '1 instances labelled Ambiguous', 'why': 'written as ambiguous stretches'}]


@pytest.mark.parametrize(
    ('layout', 'theirs', 'options', 'ours'),
    [
        ('activitynet', ('training', 'validation', 'testing'), (), ('training', 'validation', 'test')),
        ('activitynet', ('training', 'validation'), (), ('training', 'validation')),
        ('opentad', ('training', 'validation', 'testing'), (), ('training', 'validation', 'test')),
        ('opentad', ('training', 'validation'), (), ('training', 'test')),
        ('opentad', ('training', 'validation'), ('--subsets', 'training=training'), ('training', 'validation')),
        ('actionformer', ('training', 'validation'), (), ('training', 'validation')),
        ('actionformer', ('Validation', 'Test'), (), ('training', 'test')),
        ('activitynet', ('train', 'val'), ('--subsets', 'train=training,val=test'), ('training', 'test')),
    ],
)
def test_subsets(tool: ModuleType, tmp_path: Path, layout: str, theirs: tuple, options: tuple, ours: tuple) -> None:
    source = write(tmp_path / 'a.json', {f'v{i}': video(name, ('run', 1, 2)) for i, name in enumerate(theirs)})
    annotations, _ = convert(tool, layout, source, tmp_path / 'out', *options)
    assert tuple(entry['subset'] for entry in annotations['database'].values()) == ours


def test_classes_from_a_file(tool: ModuleType, tmp_path: Path) -> None:
    source = write(tmp_path / 'a.json', {'a': video('training', ('run', 1, 2))})
    (tmp_path / 'classes.txt').write_text('walk\nrun\n\n')
    annotations, _ = convert(tool, 'opentad', source, tmp_path / 'out', '--classes', tmp_path / 'classes.txt')
    assert annotations['classes'] == ['walk', 'run']
    (tmp_path / 'classes.txt').write_text('walk\nwalk\n')
    with pytest.raises(UserError, match=r"one name a line, found \['walk'\] more than once"):
        convert(tool, 'opentad', source, tmp_path / 'b', '--classes', tmp_path / 'classes.txt')


def test_blocked_videos_leave_and_are_listed(tool: ModuleType, tmp_path: Path) -> None:
    source = write(tmp_path / 'a.json', {name: video('training', ('run', 1, 2)) for name in 'abc'})
    (tmp_path / 'blocked.json').write_text('["b", "gone"]')
    (tmp_path / 'missing.txt').write_text('# unavailable\nc\n')
    options = ('--blocked', tmp_path / 'blocked.json', '--blocked', tmp_path / 'missing.txt')
    annotations, audit = convert(tool, 'activitynet', source, tmp_path / 'out', *options)
    assert list(annotations['database']) == ['a']
    assert [entry['what'] for entry in audit['dropped']] == ['b', 'c']
    assert 'blocked by blocked.json; 1 instances left with it' in audit['dropped'][0]['why']
    (tmp_path / 'missing.txt').write_text('a\nb\nc\n')
    with pytest.raises(UserError, match='blocks every video'):
        convert(tool, 'activitynet', source, tmp_path / 'b', '--blocked', tmp_path / 'missing.txt')


# Faults


def test_all_faults_at_once(tool: ModuleType, tmp_path: Path) -> None:
    database = {
        'reversed': video('training', ('run', 3, 2)),
        'negative': video('training', ('run', -1, 2)),
        'word': video('training', ('run', 'a', 2)),
        'three': video('training', ('run', 1, 2, 3)),
        'nameless': video('training', ('', 1, 2)),
        'subset': video('background', ('run', 1, 2)),
        'nosubset': {'annotations': []},
        'list': {'subset': 'training', 'annotations': {}},
        'duration': video('training', duration=-3),
        'entry': [],
        'a/b': video('training'),
    }
    with pytest.raises(UserError) as caught:
        convert(tool, 'activitynet', write(tmp_path / 'a.json', database), tmp_path / 'out', '--subsets', 'none=test')
    message = str(caught.value)
    for needle in (
        'video reversed: "annotations"[0]: expected 0 <= start <= end, found [3, 2]',
        'video negative: "annotations"[0]: expected 0 <= start <= end, found [-1, 2]',
        'video word: "annotations"[0] must be {"label"',
        'video three: "annotations"[0] must be',
        'video nameless: "annotations"[0] must be',
        "the subset 'background' is not known: map it with --subsets background=training",
        'video nosubset: expected a text under "subset", found null',
        'video list: "annotations" must be a list, found an object',
        'video duration: "duration" must be a positive number of seconds, found -3',
        'video entry: expected an object, found a list',
        'video a/b: an id must not hold',
        "--subsets: there is no subset 'none'",
    ):
        assert needle in message
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'not valid JSON'),
        ('[1]', 'must hold a JSON object, found a list'),
        ('{}', 'expected the videos under "database"'),
        ('{"database": {"a": {"subset": "test"}, "a": {"subset": "test"}}}', 'video a has more than one entry'),
        ('{"database": {}}', 'no class is named'),
    ],
)
def test_a_file_that_is_no_annotation_file(tool: ModuleType, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(UserError, match=message):
        convert(tool, 'activitynet', tmp_path / 'a.json', tmp_path / 'out')
    with pytest.raises(UserError, match='does not exist'):
        convert(tool, 'activitynet', tmp_path / 'none.json', tmp_path / 'out')


def test_a_video_in_two_files(tool: ModuleType, tmp_path: Path) -> None:
    source = write(tmp_path / 'a.json', {'a': video('training', ('run', 1, 2))})
    with pytest.raises(UserError, match='video a: is in another file already'):
        convert(tool, 'activitynet', source, source, tmp_path / 'out')

import pickle
import shutil
import struct

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmwtal.datasets.samplers.class_pair_sampler import Draw
from mmwtal.datasets.thumos14 import Thumos14Dataset
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.registry import DATASETS
from mmwtal.structures import Timebase
from mmwtal.utils.errors import UserError

PIPELINE = (
    {'type': 'LoadSnippetFeatures'},
    {'type': 'SampleSnippets', 'mode': 'random_perturb', 'length': 16},
    {'type': 'PackWTALInputs'},
)
FULL = ({'type': 'LoadSnippetFeatures'}, {'type': 'SampleSnippets', 'mode': 'full'}, {'type': 'PackWTALInputs'})


def load_train(root, **options):
    return WTALDataset(**{'data_root': root.write(), 'subset': 'training', 'pipeline': PIPELINE, **options})


def load_test(root, **options):
    settings = {'data_root': root.write(), 'subset': 'test', 'pipeline': FULL, 'test_mode': True}
    return WTALDataset(**{**settings, **options})


def test_training_samples(data_root):
    dataset = load_train(data_root)
    assert dataset.metainfo['classes'] == ('run', 'jump')
    assert dataset.feature_width == 8
    assert dataset.video_ids == ['run_a', 'run_b', 'jump_a', 'jump_b', 'both', 'none']
    assert [dataset.get_cat_ids(i) for i in range(len(dataset))] == [[0], [0], [1], [1], [0, 1], []]
    samples = [dataset[i] for i in range(len(dataset))]
    assert all(s['inputs'].shape == (16, 8) and s['inputs'].dtype == torch.float32 for s in samples)
    labels = torch.stack([s['data_samples'].labels for s in samples])
    assert labels.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [0, 0]]
    assert not any('gt_instances' in s['data_samples'] for s in samples)
    assert [s['data_samples'].video_id for s in samples] == dataset.video_ids


def test_test_samples(data_root):
    dataset = load_test(data_root)
    sample = dataset[0]
    expected = np.load(data_root.feature('test_run'))
    np.testing.assert_array_equal(sample['inputs'].numpy(), expected)
    data_sample = sample['data_samples']
    assert data_sample.timebase == Timebase(fps=25, stride=16, window=16, duration=30 * 0.64)
    assert data_sample.gt_instances.segments.tolist() == [[1.2345678, 3.8765432]]
    assert data_sample.gt_instances.segments.dtype == torch.float64
    assert data_sample.gt_instances.labels.tolist() == [0]


def test_test_videos_without_segments(data_root):
    del data_root.database['test_run']['annotations']
    data_root.database['test_jump']['annotations'] = []
    samples = [load_test(data_root)[i]['data_samples'] for i in range(2)]
    assert 'gt_instances' not in samples[0]
    assert samples[1].gt_instances.segments.shape == (0, 2)


def everything_in(value, seen):
    """Walk through all that an object refers to, and yield every number."""
    if id(value) in seen or isinstance(value, type):
        return
    seen[id(value)] = value
    if isinstance(value, float):
        yield value
    elif isinstance(value, np.ndarray | torch.Tensor):
        yield from (float(x) for x in np.asarray(value).ravel() if isinstance(x, int | float | np.number))
    elif isinstance(value, dict):
        for item in value.items():
            yield from everything_in(item, seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from everything_in(item, seen)
    elif hasattr(value, '__dict__'):
        yield from everything_in(vars(value), seen)


@pytest.mark.parametrize('on_fault', ['raise', 'skip'])
def test_training_holds_no_segment_anywhere(data_root, on_fault):
    """The bounds of the segments are looked for in all that the dataset and its samples hold, as numbers and bytes."""
    if on_fault == 'skip':
        data_root.database['run_a']['annotations'][0]['segment'] = [3.8765432, 1.2345678]
    bounds = {b for v in data_root.database.values() for a in v['annotations'] for b in a['segment']}
    assert len(bounds) == 4

    def holds(dataset):
        content = [dataset, [dataset[i] for i in range(len(dataset))], [dataset.get_data_info(i) for i in range(5)]]
        dumped = pickle.dumps(content)
        forms = [struct.pack(order, bound) for order in ('<d', '>d') for bound in bounds]
        forms += [repr(bound).encode() for bound in bounds]
        numbers = set(everything_in(content, {}))
        return any(form in dumped for form in forms) or bool(numbers & bounds)

    assert not holds(load_train(data_root, on_fault=on_fault))
    # The same search does find them where they are kept, so that it cannot succeed by looking in the wrong place.
    assert holds(load_train(data_root, test_mode=True, on_fault=on_fault))


def test_a_draw_fixes_the_sample(data_root):
    dataset = load_train(data_root)
    one, same, other = (dataset[Draw(3, seed)]['inputs'] for seed in ((5, 0, 1), (5, 0, 1), (5, 1, 1)))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_plain_indices_follow_the_global_seed_in_training_and_nothing_in_testing(data_root):
    dataset = load_train(data_root)
    np.random.seed(1)
    first, second = dataset[3]['inputs'], dataset[3]['inputs']
    np.random.seed(1)
    assert torch.equal(dataset[3]['inputs'], first)
    assert not torch.equal(first, second)
    dataset = load_test(data_root, pipeline=PIPELINE)
    state = np.random.get_state()[1].copy()
    assert torch.equal(dataset[0]['inputs'], dataset[0]['inputs'])
    assert np.array_equal(np.random.get_state()[1], state)


def test_indices_behave_as_those_of_a_sequence(data_root):
    dataset = load_train(data_root)
    assert dataset[-1]['data_samples'].video_id == 'none'
    assert dataset[-len(dataset)]['data_samples'].video_id == 'run_a'
    assert len(list(dataset)) == 6
    for index in (6, -7):
        with pytest.raises(IndexError):
            dataset[index]
    with pytest.raises(TypeError):
        dataset[1.5]


def test_another_video_is_never_taken_in_the_place_of_one(data_root):
    dataset = load_train(data_root, pipeline=(lambda record: None,))
    with pytest.raises(UserError, match='video jump_a'):
        dataset[2]


@pytest.mark.parametrize('spoil', ['values', 'shape', 'gone', 'text'])
def test_a_file_that_is_spoilt_after_loading_names_its_video(data_root, spoil):
    dataset = load_train(data_root)
    path = data_root.feature('jump_a')
    if spoil == 'values':
        np.save(path, np.full((25, 8), np.nan, np.float32))
    elif spoil == 'shape':
        np.save(path, np.zeros((24, 8), np.float32))
    elif spoil == 'gone':
        path.unlink()
    else:
        path.write_text('features')
    with pytest.raises(UserError, match='video jump_a'):
        dataset[2]


def test_nan_is_found_by_the_audit(data_root, logged):
    features = np.load(data_root.feature('run_b'))
    features[4, 1] = np.inf
    np.save(data_root.feature('run_b'), features)
    with pytest.raises(UserError, match=r'run_b: 1 snippets, the first is number 4'):
        load_train(data_root)
    assert '6 feature files' in logged()
    # The verdict was kept, and the file is not read a second time.
    with pytest.raises(UserError, match='run_b'):
        load_train(data_root)
    assert logged().count('looking for NaN') == 1


def test_all_faults_are_raised_together_or_left_out_with_a_warning(data_root, logged):
    data_root.feature('run_a').unlink()
    data_root.database['jump_b']['labels'] = ['swim']
    np.save(data_root.feature('both'), np.zeros((8, 28), np.float32))
    with pytest.raises(UserError) as caught:
        load_train(data_root)
    assert all(video in str(caught.value) for video in ('3 of 6', 'run_a', 'jump_b', 'both', '(D, T)'))
    dataset = load_train(data_root, on_fault='skip')
    assert dataset.video_ids == ['run_b', 'jump_a', 'none']
    assert all(video in logged() for video in ('30 3 of 6', 'run_a', 'jump_b', 'both'))


def test_nothing_left_is_an_error(data_root):
    shutil.rmtree(data_root.features)
    data_root.features.mkdir()
    for on_fault in ('raise', 'skip'):
        with pytest.raises(UserError, match='does not exist'):
            load_train(data_root, on_fault=on_fault)


def test_an_empty_subset_names_those_present(data_root):
    with pytest.raises(UserError, match=r"no video in subset 'validation'; present: training \(6 videos\), test \(2"):
        load_train(data_root, subset='validation')
    with pytest.raises(UserError, match="'val'"):
        load_train(data_root, subset='val')
    assert len(load_test(data_root, subset='testing')) == 2


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'data_root': '/nonexistent/data'}, '/nonexistent/data is not a folder.*tools/dataset_converters/$'),
        ({'data_root': 'no/synthetic'}, 'python tools/dataset_converters/synthetic.py no/synthetic$'),
        ({'ann_file': 'other.json'}, 'other.json does not exist'),
        ({'features': 'other'}, 'feature folder .*other does not exist'),
        ({'on_fault': 'ignore'}, 'on_fault'),
        ({'timebase': {'fps': 30, 'stride': 16}}, r'fps=30\b.*fps=25\b'),
        ({'timebase': {'fps': 30}}, 'timebase'),
        ({'in_channels': 9}, 'in_channels=9.*width=8'),
        ({'metainfo': {'classes': []}}, 'classes'),
        ({'metainfo': {'classes': ['run', 'run']}}, 'more than once'),
        ({'metainfo': {'classes': ['run', 'jmup']}}, "'jmup', which is none of the 2 classes.*mean 'jump'"),
    ],
)
def test_bad_settings_are_one_clear_error(data_root, options, message):
    with pytest.raises(UserError, match=message):
        load_train(data_root, **options)


def test_a_part_of_the_classes(data_root, logged):
    train, test = (load(data_root, metainfo={'classes': ['jump']}) for load in (load_train, load_test))
    assert '1 classes that metainfo["classes"] does not name are left out, with 3 video labels' in logged()
    assert [train.get_cat_ids(i) for i in range(len(train))] == [[], [], [0], [0], [0], []]
    labels = {sample['data_samples'].video_id: sample['data_samples'] for sample in (test[i] for i in range(2))}
    assert labels['test_jump'].labels.tolist() == [1]
    assert set(labels['test_jump'].gt_instances.labels.tolist()) == {0}
    assert len(labels['test_run'].gt_instances.segments) == 0


def test_a_label_that_neither_the_file_nor_the_settings_state_is_a_fault(data_root):
    data_root.top = {}
    with pytest.raises(UserError, match='not among the classes: jump'):
        load_train(data_root, metainfo={'classes': ['run']})


def test_class_names_come_from_the_settings_then_the_file_then_the_labels(data_root, logged):
    assert load_train(data_root, metainfo={'classes': ['jump', 'run', 'swim']}).metainfo['classes'] == (
        'jump',
        'run',
        'swim',
    )
    assert load_train(data_root).metainfo['classes'] == ('run', 'jump')
    data_root.top = {}
    assert load_train(data_root).metainfo['classes'] == ('jump', 'run')
    assert 'alphabetical order' in logged()


def test_a_file_without_any_label_names_no_class(data_root):
    data_root.top = {}
    for entry in data_root.database.values():
        entry['annotations'] = []
    with pytest.raises(UserError, match='names no class'):
        load_train(data_root)


def test_without_a_sidecar_the_timebase_is_needed(data_root):
    data_root.sidecar = None
    with pytest.raises(UserError, match=r'features.json.*timebase=dict'):
        load_test(data_root)
    timebase = load_test(data_root, timebase={'fps': 30, 'stride': 8})[0]['data_samples'].timebase
    assert timebase == Timebase(fps=30, stride=8, duration=30 * 0.64)


def test_paths_are_relative_to_the_data_root_and_home_is_expanded(data_root, monkeypatch):
    data_root.write()
    monkeypatch.setenv('HOME', str(data_root.path.parent))
    (data_root.path / 'lists').mkdir()
    shutil.copy(data_root.path / 'annotations.json', data_root.path / 'lists' / 'a.json')
    dataset = load_train(data_root, data_root='~/root', ann_file='lists/a.json', features=str(data_root.features))
    assert dataset.data_root == str(data_root.path)
    assert dataset.ann_file == str(data_root.path / 'lists' / 'a.json')
    assert len(dataset) == 6


def test_loading_can_be_put_off(data_root):
    dataset = load_train(data_root, lazy_init=True)
    data_root.feature('run_a').unlink()
    with pytest.raises(UserError, match='run_a'):
        dataset.feature_width  # noqa: B018


def test_it_builds_from_a_config_and_loads_in_workers(data_root):
    config = {'type': 'WTALDataset', 'data_root': data_root.write(), 'subset': 'training', 'pipeline': PIPELINE}
    dataset = DATASETS.build(config)
    draws = [[Draw(0, (1, 2)), Draw(4, (1, 3))], [Draw(5, (1, 4)), Draw(1, (1, 5))]]
    loads = [DataLoader(dataset, batch_sampler=draws, num_workers=n, collate_fn=pseudo_collate) for n in (0, 2)]
    for here, there in zip(*loads, strict=True):
        assert [sample.video_id for sample in here['data_samples']] == [s.video_id for s in there['data_samples']]
        assert all(torch.equal(a, b) for a, b in zip(here['inputs'], there['inputs'], strict=True))


def test_thumos14_defaults(data_root, shared_data):
    data_root.sidecar, data_root.top = None, {}
    for entry in data_root.database.values():
        entry['annotations'] = [{'label': 'Diving', 'segment': [0, 1]}]
    settings = {'data_root': data_root.write(), 'subset': 'test', 'pipeline': FULL, 'test_mode': True}
    dataset = Thumos14Dataset(**settings)
    names = np.load(shared_data / 'thumos14' / 'Thumos14reduced-Annotations' / 'classlist.npy')
    assert dataset.metainfo['classes'] == tuple(name.decode() for name in names)
    assert dataset[0]['data_samples'].labels.nonzero().tolist() == [[7]]
    assert dataset[0]['data_samples'].timebase == Timebase(fps=25, stride=16, duration=30 * 0.64)
    # A sidecar comes before the default of the class, which nobody configured.
    (data_root.features / 'features.json').write_text('{"fps": 30, "stride": 8}')
    assert Thumos14Dataset(**settings)[0]['data_samples'].timebase.fps == 30

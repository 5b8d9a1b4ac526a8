"""Further streams of features: the same snippets as the features, checked with them, in training only."""

import shutil

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.models.data_preprocessor import WTALDataPreprocessor
from mmwtal.utils.errors import UserError

TRAINING = ('run_a', 'run_b', 'jump_a', 'jump_b', 'both', 'none')
W = 5


@pytest.fixture
def root(data_root):
    """A data root whose features and stream hold the number of the snippet in the first channel."""
    folder = data_root.path / 'features-clip'
    folder.mkdir()
    for video_id in TRAINING:
        features = np.load(data_root.feature(video_id))
        features[:, 0] = np.arange(len(features))
        np.save(data_root.feature(video_id), features)
        stream = np.random.default_rng(len(features)).standard_normal((len(features), W))
        stream[:, 0] = np.arange(len(features))
        np.save(folder / f'{video_id}.npy', stream.astype(np.float16))
    return data_root


def pipeline(**sampling):
    return ({'type': 'LoadSnippetFeatures'}, {'type': 'SampleSnippets', **sampling}, {'type': 'PackWTALInputs'})


def load(root, **options):
    settings = {'streams': {'clip': 'features-clip'}, 'pipeline': pipeline(mode='random_perturb', length=16)}
    return WTALDataset(**{'data_root': root.write(), 'subset': 'training', **settings, **options})


def clip(root, video_id):
    return root.path / 'features-clip' / f'{video_id}.npy'


@pytest.mark.parametrize(
    ('sampling', 'lengths'),
    [
        ({'mode': 'random_perturb', 'length': 16}, [16] * 6),
        ({'mode': 'random_perturb', 'length': 60}, [60] * 6),
        ({'mode': 'uniform', 'length': 25, 'keep_shorter': True}, [20, 25, 25, 25, 25, 22]),
        ({'mode': 'full'}, [20, 31, 25, 40, 28, 22]),
    ],
)
def test_a_stream_is_sampled_at_the_snippets_of_the_features(root, sampling, lengths):
    dataset = load(root, pipeline=pipeline(**sampling))
    assert dataset.stream_widths == {'clip': W}
    for index, length in enumerate(lengths):
        sample = dataset[index]
        stream = sample['data_samples'].clip
        assert stream.shape == (length, W)
        assert stream.dtype == torch.float32
        assert torch.equal(stream[:, 0], sample['inputs'][:, 0])
        stored = np.load(clip(root, dataset.video_ids[index])).astype(np.float32)
        np.testing.assert_array_equal(stream.numpy(), stored[stream[:, 0].int().numpy()])


def test_features_are_those_of_a_dataset_without_streams(root):
    np.random.seed(3)
    plain = [sample['inputs'] for sample in map(load(root, streams=None).__getitem__, range(6))]
    np.random.seed(3)
    with_stream = [sample['inputs'] for sample in map(load(root).__getitem__, range(6))]
    assert all(torch.equal(one, other) for one, other in zip(plain, with_stream, strict=True))


def test_a_batch_of_workers_reaches_the_device_of_the_model(root):
    dataset = load(root, pipeline=pipeline(mode='uniform', length=21))
    batches = list(DataLoader(dataset, batch_size=3, num_workers=2, collate_fn=pseudo_collate))
    assert [len(batch['data_samples']) for batch in batches] == [3, 3]
    for batch in batches:
        for features, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
            assert torch.equal(features[:, 0], sample.clip[:, 0])
    moved = WTALDataPreprocessor().to(torch.device('meta'))(batches[0], training=True)
    assert {sample.clip.device.type for sample in moved['data_samples']} == {moved['inputs'].device.type} == {'meta'}


def spoil(root):
    clip(root, 'run_a').unlink()
    np.save(clip(root, 'run_b'), np.zeros((30, W), np.float32))
    np.save(clip(root, 'jump_a'), np.full((25, W), np.nan, np.float32))
    np.save(clip(root, 'both'), np.zeros((28, W + 1), np.float32))


def test_all_faults_are_reported_at_once(root):
    spoil(root)
    with pytest.raises(UserError) as caught:
        load(root).full_init()
    message = str(caught.value)
    assert message.startswith('4 of 6 videos')
    for line in (
        r'run_a: .*features-clip/run_a.npy does not exist',
        'run_b: expected 31 snippets, as its features have, found 30 in',
        'average or repeat its rows, so that both have one for each snippet',
        'jump_a: 25 snippets, the first is number 0',
        rf'both: expected \(T, {W}\), found \(28, {W + 1}\)',
    ):
        assert caught.match(line)


def test_faulty_videos_can_be_left_out_and_short_ones_need_no_stream(root):
    spoil(root)
    assert load(root, on_fault='skip').video_ids == ['jump_b', 'none']
    clip(root, 'none').unlink()
    with pytest.raises(UserError, match='5 of 6 videos'):
        load(root).full_init()
    assert set(load(root, on_fault='skip', min_snippets=23).left_out) == {'run_b', 'jump_a', 'both'}


def test_the_width_that_the_folder_states_counts(root):
    (root.path / 'features-clip' / 'features.json').write_text('{"width": 7}')
    with pytest.raises(UserError, match=r'6 of 6 videos(.|\n)*expected \(T, 7\)'):
        load(root).full_init()


def test_a_file_that_changes_while_training_is_named(root):
    dataset = load(root)
    np.save(clip(root, 'run_a'), np.zeros((19, W), np.float32))
    with pytest.raises(UserError, match=r'video run_a: features .*features-clip/run_a\.npy have the shape \(19, 5\)'):
        dataset[0]
    np.save(clip(root, 'run_b'), np.full((31, W), np.inf, np.float32))
    with pytest.raises(UserError, match=r'video run_b: features .*features-clip/run_b\.npy hold NaN or Inf'):
        dataset[1]


def test_testing_does_without(root):
    shutil.rmtree(root.path / 'features-clip')
    tested = load(root, subset='test', test_mode=True, streams=None, pipeline=pipeline(mode='full'))
    assert 'clip' not in tested[0]['data_samples']
    with pytest.raises(UserError, match=r'folder .*features-clip of the stream .clip. does not exist'):
        load(root).full_init()


@pytest.mark.parametrize('name', ['labels', 'video_id', 'to', 'inputs', 'feat', '_clip', 'a-b', ''])
def test_names_that_a_sample_cannot_hold(root, name):
    with pytest.raises(UserError, match='cannot be the name of a stream'):
        load(root, streams={name: 'features-clip'})

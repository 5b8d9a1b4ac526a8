"""Inference in Python: the same as testing, from any kind of input, and a video that fails stops no other."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from mmwtal.apis import init_localizer
from mmwtal.apis.inferencer import WTALInferencer
from mmwtal.apis.localized import Failure, Localized
from mmwtal.apis.settings import prepare_config
from mmwtal.apis.test import test_localizer as run_test
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.engine.checkpoint import FEATURES
from mmwtal.structures import WTALDataSample
from mmwtal.utils.errors import UserError
from mmwtal.video.container import VideoError

CONFIG = 'configs/quick/co2net_synthetic.py'
GRID = {'fps': 25, 'stride': 16, 'window': 16}


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data') / 'synthetic'
    write_synthetic(folder, seed=0, num_train=8, num_test=5)
    return folder


@pytest.fixture(scope='module')
def classes(root: Path) -> list[str]:
    return json.loads((root / 'annotations.json').read_text())['classes']


@pytest.fixture(scope='module')
def checkpoint(root: Path, classes: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    sizes = {'num_classes': len(classes), 'in_channels': 128}
    model = init_localizer(CONFIG, cfg_options={f'model.{key}': value for key, value in sizes.items()})
    for name, value in model.named_parameters():
        # Attentions that differ from snippet to snippet, so that there is something to find.
        if name.endswith('weight'):
            value.data.mul_(2.5)
    path = tmp_path_factory.mktemp('model') / 'c.pth'
    meta = {**sizes, 'dataset_meta': {'classes': classes}, FEATURES: {**GRID, 'width': 128, 'model': 'synthetic'}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, path)
    return path


@pytest.fixture(scope='module')
def inferencer(checkpoint: Path) -> WTALInferencer:
    return WTALInferencer(CONFIG, checkpoint, device='cpu')


@pytest.fixture(scope='module')
def tested(root: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What tools/test.py predicts and stores."""
    folder = tmp_path_factory.mktemp('tested')
    cfg = prepare_config(CONFIG, data_root=root, work_dir=folder, guidance=False)
    run_test(cfg, checkpoint)
    return json.loads((folder / 'predictions.json').read_text())


def ids(results: dict) -> list[str]:
    return [one['video'] for one in results['predictions']]


def test_it_finds_what_testing_finds(inferencer, root, tested):
    found = inferencer(root)
    assert {one['video']: one['actions'] for one in found['predictions']} == tested['results']
    assert sum(map(len, tested['results'].values())) > 100
    assert (found['failures'], found['visualization']) == ([], [])
    assert {**inferencer.meta, 'protocol': 'wtal_grid', 'left_out': []} == tested['meta']


def test_any_batch_size_finds_the_same(inferencer, root, tested):
    found = inferencer(root, batch_size=3)
    for one in found['predictions']:
        alone = tested['results'][one['video']]
        assert [action['label'] for action in one['actions']] == [action['label'] for action in alone]
        np.testing.assert_allclose(
            [action['score'] for action in one['actions']], [action['score'] for action in alone], rtol=1e-3, atol=1e-5
        )


def test_every_kind_of_input_means_the_same_video(inferencer, root, tested, tmp_path):
    file = root / 'features' / 'synthetic_test_0001.npy'
    (tmp_path / 'list.txt').write_text(f'# mine\n\n{file}\n')
    expected = tested['results'][file.stem]
    for given in (file, str(file), [file, file], tmp_path / 'list.txt'):
        found = inferencer(given)
        assert ids(found) == [file.stem]
        assert found['predictions'][0]['actions'] == expected
    found = inferencer([file.stem], data_root=root)
    assert found['predictions'][0]['actions'] == expected
    assert set(ids(inferencer(file.parent))) == {path.stem for path in file.parent.glob('*.npy')}
    # Without a sidecar and a duration the grid is that of the training; only the end of the video is not known.
    for array in (np.load(file), torch.from_numpy(np.load(file)), np.load(file).astype(np.float64)):
        found = inferencer(array)['predictions'][0]
        assert found['video'] == 'array_0'
        assert [one['score'] for one in found['actions']] == [one['score'] for one in expected]
        assert found['duration'] == pytest.approx(len(array) * 0.64)


def test_data_samples_and_pictures(inferencer, root):
    found = inferencer(root, return_datasamples=True, return_vis=True)
    assert all(isinstance(one, WTALDataSample) for one in found['predictions'])
    assert found['predictions'][0].pred_instances.segments.shape[1] == 2
    assert {picture.shape[1:] for picture in found['visualization']} == {(1200, 3)}
    assert found['visualization'][0].dtype == np.uint8
    with pytest.raises(ValueError, match='unknown argument'):
        inferencer(root, no_such_option=1)


def test_curves_are_those_of_the_video(inferencer, root):
    one = next(inferencer.localize(inferencer.find(root)))
    assert isinstance(one, Localized)
    length = len(np.load(root / 'features' / f'{one.source.name}.npy'))
    assert one.times.shape == one.attention.shape == (length,)
    assert one.cas.shape == (length, len(inferencer.classes))
    assert one.times[:2] == pytest.approx([0.32, 0.96])
    assert one.source.truth is not None


def test_threshold_and_number_of_actions(checkpoint, root, tested):
    limited = WTALInferencer(CONFIG, checkpoint, device='cpu', score_threshold=0.0, top_k=7)(root)
    for one in limited['predictions']:
        every = [action for action in tested['results'][one['video']] if action['score'] >= 0]
        best = sorted(every, key=lambda action: -action['score'])[:7]
        assert one['actions'] == [action for action in every if action in best]
    with pytest.raises(UserError, match='top_k must be at least 1'):
        WTALInferencer(CONFIG, checkpoint, device='cpu', top_k=0)


# What goes wrong


@pytest.fixture
def spoilt(root: Path, tmp_path: Path) -> Path:
    """A folder of features of which the first and the last are sound."""
    folder = tmp_path / 'features'
    folder.mkdir()
    sound = np.load(root / 'features' / 'synthetic_test_0000.npy')
    np.save(folder / 'a.npy', sound)
    np.save(folder / 'nan.npy', np.where(np.arange(len(sound))[:, None] == 3, np.nan, sound))
    np.save(folder / 'narrow.npy', sound[:, :64])
    np.save(folder / 'turned.npy', sound.T)
    np.save(folder / 'whole.npy', sound.astype(np.int32))
    (folder / 'cut.npy').write_bytes((folder / 'a.npy').read_bytes()[:500])
    (folder / 'empty.npy').touch()
    np.save(folder / 'z.npy', sound)
    (folder / 'features.json').write_text(json.dumps({**GRID, 'width': 128}))
    return folder


@pytest.mark.parametrize('batch_size', [1, 3, 20])
def test_a_video_that_fails_stops_no_other(inferencer, spoilt, tested, batch_size):
    found = inferencer(spoilt, batch_size=batch_size)
    assert ids(found) == ['a', 'z']
    reasons = {one['video']: one['reason'] for one in found['failures']}
    assert set(reasons) == {'cut', 'empty', 'nan', 'narrow', 'turned', 'whole'}
    assert all('\n' not in reason for reason in reasons.values())
    assert 'NaN or Inf' in reasons['nan']
    assert 'expected (T, 128), found' in reasons['narrow']
    assert '(D, T) instead of (T, D)' in reasons['turned']
    assert 'float16 or float32' in reasons['whole']
    outcomes = [one.source.name for one in inferencer.localize(inferencer.find(spoilt), batch_size=batch_size)]
    assert outcomes == sorted(outcomes)


def test_a_batch_that_is_too_much_is_tried_one_by_one(inferencer, root, monkeypatch):
    predict = inferencer.model.predict

    def limited(inputs, samples, mask):
        if len(inputs) > 1 or samples[0].video_id.endswith('3'):
            raise torch.OutOfMemoryError('no memory')
        return predict(inputs, samples, mask)

    monkeypatch.setattr(inferencer.model, 'predict', limited)
    found = inferencer(root, batch_size=4)
    assert len(ids(found)) == 4
    assert [one['reason'] for one in found['failures']] == ['no memory']


def test_weights_that_are_not_finite_are_a_failure(checkpoint, root, tmp_path):
    saved = torch.load(checkpoint, weights_only=True)
    for value in saved['state_dict'].values():
        value.fill_(float('nan'))
    torch.save(saved, tmp_path / 'nan.pth')
    found = WTALInferencer(CONFIG, tmp_path / 'nan.pth', device='cpu')(root)
    assert found['predictions'] == [] or all(not one['actions'] for one in found['predictions'])


@pytest.mark.parametrize(
    ('stated', 'message'),
    [
        ({'fps': 30}, r'features with fps=25, .*features.json says fps=30'),
        ({'stride': 8}, r'features with stride=16, .*features.json says stride=8'),
        ({'window': 64}, r'features with window=16, .*features.json says window=64'),
        ({'model': 'i3d'}, "features with model='synthetic', .*features.json says model='i3d'"),
    ],
)
def test_features_that_are_made_otherwise_are_refused(inferencer, spoilt, stated, message):
    (spoilt / 'features.json').write_text(json.dumps({**GRID, 'width': 128, **stated}))
    with pytest.raises(UserError, match=message):
        inferencer(spoilt)


def test_what_only_one_side_states_is_no_contradiction(inferencer, spoilt):
    stated = {'crop': 'ten', 'model': {'rgb': 'InceptionI3D'}, 'versions': {'torch': '1.0'}}
    (spoilt / 'features.json').write_text(json.dumps({**GRID, 'width': 128, **stated}))
    assert ids(inferencer(spoilt)) == ['a', 'z']


def test_inputs_that_are_not_there(inferencer, root, tmp_path):
    def refused(message: str, *inputs: object, **options: object) -> None:
        with pytest.raises(UserError, match=message):
            inferencer(list(inputs), **options)

    file = root / 'features' / 'synthetic_test_0001.npy'
    refused('there is no input')
    refused('absent.mp4: there is no such file', tmp_path / 'absent.mp4')
    refused('holds no video and no features', tmp_path)
    refused("no video synthetic_test_9; did you mean 'synthetic_test_", 'synthetic_test_9', data_root=root)
    (tmp_path / 'video.mp4').touch()
    refused('video.mp4 is no file of features', tmp_path / 'video.mp4')
    (tmp_path / file.name).write_bytes(file.read_bytes())
    refused(f'two inputs have the name {file.stem}', file, tmp_path / file.name)
    (tmp_path / 'empty.txt').write_text('\n# nothing\n')
    refused('empty.txt is empty', tmp_path / 'empty.txt')
    (tmp_path / 'nested.txt').write_text('empty.txt\n')
    refused('names another list', tmp_path / 'nested.txt')


def test_a_file_that_is_gone_from_a_list_is_one_failure(inferencer, root, tmp_path):
    (tmp_path / 'list.txt').write_text(f'gone.mp4\nlost.npy\n{root}/features/synthetic_test_0001.npy\n')
    # No extractor is needed to say so.
    found = inferencer(tmp_path / 'list.txt')
    assert ids(found) == ['synthetic_test_0001']
    assert [one['video'] for one in found['failures']] == ['gone', 'lost']
    assert found['failures'][1]['reason'] == f'{tmp_path}/lost.npy is gone'


def test_what_a_call_is_told_is_heeded(checkpoint, inferencer, root, tmp_path):
    config = prepare_config(CONFIG, guidance=False)
    before = config.pretty_text
    option = {'test_dataloader.dataset.timebase': {'fps': 25, 'stride': 8}}
    found = WTALInferencer(config, checkpoint, device='cpu', cfg_options=option)(np.zeros((10, 128), np.float32))
    assert found['predictions'][0]['duration'] == pytest.approx(3.2)
    # It is the caller's, whose next checkpoint may have other sizes.
    assert config.pretty_text == before
    with pytest.raises(UserError, match=r'no folder|there is no'):
        inferencer(root, videos=tmp_path / 'absent')
    with pytest.raises(UserError, match='batch_size must be at least 1, found 0'):
        inferencer(root, batch_size=0)


def test_a_failure_waits_for_no_batch(inferencer, spoilt):
    found = inferencer.find([spoilt / 'cut.npy', spoilt / 'a.npy'])
    assert isinstance(next(inferencer.localize(iter([found[0]]))), Failure)
    taken: list[str] = []

    def watched():
        for one in found:
            taken.append(one.name)
            yield one

    assert isinstance(next(inferencer.localize(watched())), Failure)
    assert taken == ['cut']
    assert 'array_0 hold NaN' in inferencer(np.full((4, 128), np.nan))['failures'][0]['reason']


@pytest.mark.parametrize('error', [torch.OutOfMemoryError, MemoryError])
def test_a_video_whose_features_need_too_much_memory_stops_no_other(checkpoint, tmp_path, monkeypatch, error):
    for name in ('30.mp4', '40.mp4'):
        (tmp_path / name).write_text('x')
    extract = StandIn.extract

    def greedy(self, path, *, progress=None):
        if path.stem == '30':
            raise error('no memory')
        return extract(self, path, progress=progress)

    monkeypatch.setattr(StandIn, 'extract', greedy)
    found = WTALInferencer(CONFIG, checkpoint, device='cpu', extractor=StandIn())(tmp_path)
    assert (ids(found), found['failures']) == (['40'], [{'video': '30', 'reason': 'no memory'}])


def test_features_without_a_grid_fail(checkpoint, root, tmp_path):
    saved = torch.load(checkpoint, weights_only=True)
    del saved['meta'][FEATURES]
    torch.save(saved, tmp_path / 'plain.pth')
    inferencer = WTALInferencer(CONFIG, tmp_path / 'plain.pth', device='cpu')
    (tmp_path / 'v.npy').write_bytes((root / 'features' / 'synthetic_test_0001.npy').read_bytes())
    for given in (tmp_path / 'v.npy', np.zeros((4, 128), np.float32)):
        assert 'fps and stride' in inferencer(given)['failures'][0]['reason']
    option = {'test_dataloader.dataset.timebase': {'fps': 25, 'stride': 16}}
    assert ids(WTALInferencer(CONFIG, tmp_path / 'plain.pth', device='cpu', cfg_options=option)(tmp_path / 'v.npy'))
    assert 'expected features (T, D)' in inferencer(np.zeros(4))['failures'][0]['reason']


def test_classes_must_be_known(checkpoint, tmp_path, classes):
    saved = torch.load(checkpoint, weights_only=True)
    del saved['meta']['dataset_meta']
    torch.save(saved, tmp_path / 'nameless.pth')
    with pytest.raises(UserError, match='neither the checkpoint nor the config names the classes'):
        WTALInferencer(CONFIG, tmp_path / 'nameless.pth', device='cpu')
    option = {'test_dataloader.dataset.metainfo': {'classes': classes[:3]}}
    with pytest.raises(UserError, match=r'the model has 8 classes, .* names 3'):
        WTALInferencer(CONFIG, tmp_path / 'nameless.pth', device='cpu', cfg_options=option)


def test_a_device_that_is_not_there(checkpoint):
    with pytest.raises(UserError, match="device 'warp'"):
        WTALInferencer(CONFIG, checkpoint, device='warp')


# Videos, by an extractor that stands in for the real one


@dataclass
class Made:
    features: np.ndarray
    duration: float


class StandIn:
    """Makes features of a file whose name is its number of snippets."""

    width = 128

    def __init__(self, **stated: object) -> None:
        self.stated = {**GRID, 'width': self.width, **stated}

    def sidecar(self) -> dict:
        return self.stated

    def extract(self, path: Path, *, progress=None) -> Made:
        if not path.exists():
            raise VideoError(f'{path} does not exist')
        if not path.stem.isdecimal():
            raise VideoError(f'{path} is no video:\nffmpeg says so')
        length = int(path.stem)
        if progress is not None:
            progress(length * 0.64)
        return Made(np.random.default_rng(length).standard_normal((length, 128)).astype(np.float32), length * 0.64)


def test_videos_of_a_folder(checkpoint, tmp_path):
    for name in ('30.mp4', 'deep/40.mkv', 'text.avi', '.hidden.mp4', 'notes.md'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('x')
    told: list[tuple[str, float]] = []
    inferencer = WTALInferencer(
        CONFIG,
        checkpoint,
        device='cpu',
        extractor=StandIn(),
        progress=lambda source, seconds: told.append((source.name, seconds)),
    )
    outcomes = list(inferencer.localize(inferencer.find(tmp_path)))
    assert [one.source.name for one in outcomes] == ['30', '40', 'text']
    assert [isinstance(one, Failure) for one in outcomes] == [False, False, True]
    assert outcomes[2].reason.endswith('is no video: ffmpeg says so')
    assert (outcomes[0].duration, outcomes[0].times.shape) == (pytest.approx(19.2), (30,))
    assert all(0 <= one.start < one.end <= 19.2 + 1e-6 for one in outcomes[0].actions)
    assert told == [('30', pytest.approx(19.2)), ('40', pytest.approx(25.6))]


def test_an_extractor_that_makes_other_features_is_refused_at_once(checkpoint):
    with pytest.raises(UserError, match='features with fps=25, the config of the extractor says fps=30'):
        WTALInferencer(CONFIG, checkpoint, device='cpu', extractor=StandIn(fps=30))
    wide = StandIn()
    wide.width = 2048
    with pytest.raises(UserError, match='takes features of width 128, the extractor makes features of width 2048'):
        WTALInferencer(CONFIG, checkpoint, device='cpu', extractor=wide)
    with pytest.raises(UserError, match='no config of an extraction'):
        WTALInferencer(CONFIG, checkpoint, device='cpu', extractor='configs/priors/qwen3-vl-8b_server.py')

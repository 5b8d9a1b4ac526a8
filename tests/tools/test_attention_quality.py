"""tools/analysis/attention_quality.py on a guided model with random weights, a stripped and a plain one."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmwtal.apis.localizer import init_localizer
from mmwtal.apis.settings import prepare_config, resolve_auto
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.evaluation.functional import snippet_average_precision
from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
GUIDED = str(ROOT / 'configs/quick/co2net_dual-prior_synthetic.py')
PLAIN = str(ROOT / 'configs/quick/co2net_synthetic.py')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('data') / 'synthetic'
    write_synthetic(root, seed=0, num_train=10, num_test=4)
    return root


@pytest.fixture(scope='module')
def checkpoint(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(GUIDED, data, tmp_path_factory.mktemp('run') / 'iter_1.pth')


def write_checkpoint(config: str, data: Path, path: Path) -> Path:
    cfg = prepare_config(config, data_root=data)
    resolve_auto(cfg, dataloader='test_dataloader')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    meta = {'num_classes': model.num_classes, 'in_channels': model.in_channels, 'iter': 1, 'seed': 3}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, path)
    return path


@pytest.fixture(scope='module')
def plain(checkpoint: Path) -> Path:
    saved = torch.load(checkpoint, weights_only=True)
    saved['state_dict'] = {name: v for name, v in saved['state_dict'].items() if not name.startswith('guidance.')}
    torch.save(saved, checkpoint.with_name('plain.pth'))
    return checkpoint.with_name('plain.pth')


@pytest.fixture
def measure(data: Path, tmp_path: Path):
    spec = importlib.util.spec_from_file_location(
        'attention_quality_tool', ROOT / 'tools/analysis/attention_quality.py'
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def run(config: str, path: Path, *words: object) -> dict:
        out = tmp_path / 'quality.json'
        tool.main(tool.parser().parse_args([config, *map(str, (path, '--data-root', data, '--out', out, *words))]))
        return json.loads(out.read_text())

    return run


def test_a_guided_model(measure, checkpoint: Path, data: Path, capsys: pytest.CaptureFixture) -> None:
    found = measure(GUIDED, checkpoint.parent)
    assert found['ap'].keys() == found['level'].keys() == {'base', 'key', 'complete', 'base_test'}
    assert all(0 < ap < 1 for ap in found['ap'].values())
    assert len(set(found['ap'].values())) == 4
    assert found['num_videos'] == {'training': 10, 'test': 4}
    assert (found['protocol'], found['meta']['seed'], found['meta']['iteration']) == ('wtal_grid', 3, 1)
    assert 'key, training videos' in capsys.readouterr().out
    # The base on the test videos once more, by other means.
    model = init_localizer(GUIDED, checkpoint, cfg_options={'test_dataloader.dataset.data_root': str(data)})
    attn, action = [], []
    annotations = json.loads((data / 'annotations.json').read_text())['database']
    for record in WTALDataset(data_root=data, subset='test', test_mode=True):
        features = torch.from_numpy(np.load(record['feature_path'])).float()[None]
        with torch.no_grad():
            attn.append(model(features).attn[0, :, 0].numpy())
        middle = (np.arange(len(attn[-1])) + 0.5) * record['timebase'].seconds_per_snippet
        segments = [entry['segment'] for entry in annotations[record['video_id']]['annotations']]
        action.append(np.any([(start <= middle) & (middle < end) for start, end in segments], axis=0))
    attn, action = np.concatenate(attn), np.concatenate(action)
    assert found['ap']['base_test'] == pytest.approx(snippet_average_precision(attn, action))
    assert found['level']['base_test']['action'] == pytest.approx(attn[action].mean(), rel=1e-5)
    assert found['action_share']['test'] == pytest.approx(action.mean())


def test_a_guided_model_with_a_second_stream(measure, data: Path, tmp_path: Path) -> None:
    aligned = GUIDED.replace('dual-prior', 'key-aligned')
    found = measure(aligned, write_checkpoint(aligned, data, tmp_path / 'iter_1.pth'))
    assert 0 < found['ap']['key'] < 1
    assert found['ap']['complete'] is None
    with pytest.raises(UserError, match='streams are for training'):
        measure(aligned, tmp_path / 'iter_1.pth', '--cfg-options', 'test_dataloader.dataset.streams.clip=features-clip')


def test_without_guidance_there_is_the_base_alone(measure, checkpoint: Path, plain: Path) -> None:
    guided = measure(GUIDED, checkpoint)
    found = [measure(GUIDED, plain), measure(PLAIN, checkpoint)]
    for one in found:
        assert one['ap'] == {**guided['ap'], 'key': None, 'complete': None}
        assert one['level']['key'] is None
        for key in ('incompleteness', 'over_completeness', 'missed', 'average'):
            assert one[key] == guided[key]


def test_training_videos_without_segments(measure, plain: Path, data: Path) -> None:
    content = json.loads((data / 'annotations.json').read_text())
    for entry in content['database'].values():
        if entry['subset'] == 'training':
            entry['labels'] = sorted({one['label'] for one in entry.pop('annotations')})
    (data / 'weak.json').write_text(json.dumps(content))
    found = measure(PLAIN, plain, '--cfg-options', f'train_dataloader.dataset.ann_file={data / "weak.json"}')
    assert (found['ap']['base'], found['level']['base'], found['action_share']['training']) == (None, None, None)
    assert found['num_videos'] == {'training': 0, 'test': 4}
    assert 0 < found['ap']['base_test'] < 1


def test_the_output_must_not_be_an_input(measure, checkpoint: Path) -> None:
    for out in (checkpoint, GUIDED, checkpoint.parent):
        with pytest.raises(UserError, match='is a folder or one of the inputs'):
            measure(GUIDED, checkpoint, '--out', out)

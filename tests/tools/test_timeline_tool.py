"""tools/analysis/timeline.py: rows from files, from models and from a plan."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch

from mmwtal.apis import init_localizer
from mmwtal.apis.seed_runs import SeedRun
from mmwtal.apis.timelines import ModelSource, compared_timeline
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.utils.cli import run_tool
from mmwtal.visualization.timeline_data import Timeline

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs/quick/co2net_synthetic.py')

Draw = Callable[..., tuple[int, str]]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data') / 'synthetic'
    write_synthetic(folder, seed=0, num_train=6, num_test=3)
    return folder


@pytest.fixture(scope='module')
def checkpoint(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    classes = json.loads((root / 'annotations.json').read_text())['classes']
    sizes = {'num_classes': len(classes), 'in_channels': 128}
    model = init_localizer(CONFIG, cfg_options={f'model.{key}': value for key, value in sizes.items()})
    path = tmp_path_factory.mktemp('model') / 'c.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {**sizes, 'dataset_meta': {'classes': classes}}}, path)
    return path


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Draw:
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location('timeline_tool', ROOT / 'tools' / 'analysis' / 'timeline.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            run_tool(module.main, module.build_parser(), [str(word) for word in words])
        return int(end.value.code or 0), ''.join(capsys.readouterr())

    return run


def predictions(path: Path, video: str) -> Path:
    item = {'label': 'HighJump', 'segment': [1.0, 3.0], 'score': 0.5}
    path.write_text(json.dumps({'results': {video: [item], 'another': []}}))
    return path


def test_rows_of_files_and_models(root, checkpoint, tmp_path):
    file = predictions(tmp_path / 'p.json', 'synthetic_test_0001')
    model = ModelSource(config=CONFIG, checkpoint=checkpoint)
    timeline = compared_timeline(root, {'mine': file, 'base': model, 'other': model}, video='synthetic_test_0001')
    assert [row.name for row in timeline.rows] == ['ground truth', 'mine', 'base', 'other']
    assert [row.known for row in timeline.rows] == [True, False, False, False]
    assert [(one.label, one.start, one.end) for one in timeline.rows[1].actions] == [('HighJump', 1.0, 3.0)]
    assert list(timeline.rows[2].actions) == list(timeline.rows[3].actions) != []
    assert {'attention, base', 'attention, other', 'CAS, base'} <= {curve.name for curve in timeline.curves}
    annotation = json.loads((root / 'annotations.json').read_text())['database']['synthetic_test_0001']
    assert timeline.duration == annotation['duration']
    assert [(one.start, one.end) for one in timeline.rows[0].actions] == [
        tuple(one['segment']) for one in annotation['annotations']
    ]


def test_the_tool_draws_the_first_test_video(draw, root, checkpoint, tmp_path):
    out = tmp_path / 'deep' / 't.png'
    code, said = draw(root, '--model', f'base={CONFIG}:{checkpoint}', '--out', out)
    assert code == 0, said
    assert f'picture of synthetic_test_0000: {out}' in said
    assert cv2.imread(str(out)).shape[1] == 1200
    file = predictions(tmp_path / 'p.json', 'synthetic_test_0000')
    content = file.read_bytes()
    code, said = draw(root, '--predictions', f'p={file}', '--out', file)
    assert (code, 'is read, and never replaced' in said, file.read_bytes()) == (2, True, content)
    code, said = draw(root, '--predictions', f'p={predictions(file, "x")}', '--out', out)
    assert (code, 'has no predictions for video synthetic_test_0000' in said) == (2, True)
    code, said = draw(root, '--predictions', f'p={file}', '--video', 'x', '--out', out)
    assert (code, 'has no video x' in said) == (2, True)
    code, said = draw(root, '--out', out)
    assert (code, 'nothing to draw' in said) == (2, True)


def test_the_arms_of_a_plan_that_was_run(draw, root, checkpoint, tmp_path, monkeypatch):
    plan = ROOT / 'configs/ablations/quickstart.yml'
    code, said = draw(root, '--plan', plan, '--work-dir', tmp_path, '--out', tmp_path / 't.png')
    assert (code, 'embedded/co2net/base seed 0 is not finished' in said) == (2, True)
    monkeypatch.setattr(SeedRun, 'finished', lambda self, cfg: True)
    monkeypatch.setattr(SeedRun, 'checkpoint', lambda self, cfg: checkpoint)
    drawn: list[Timeline] = []
    monkeypatch.setattr('mmwtal.visualization.timeline.draw_timeline', lambda path, timeline: drawn.append(timeline))
    code, said = draw(root, '--plan', plan, '--work-dir', tmp_path, '--out', tmp_path / 't.png')
    assert code == 0, said
    assert [row.name for row in drawn[0].rows] == ['ground truth', 'base', 'guided']
    assert 'seed 0' in drawn[0].note

"""Real data beside the checkout (a test skips, with the reason, where they are absent) and a small data root."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


def _shared(name: str) -> Path:
    path = ROOT.parent / 'shared' / name
    if not path.is_dir():
        pytest.skip(f'real data for tests are absent: no folder ../shared/{name} beside the checkout')
    return path


@pytest.fixture(scope='session')
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope='session')
def shared_data() -> Path:
    return _shared('data')


@pytest.fixture(scope='session')
def shared_golden() -> Path:
    return _shared('golden')


@pytest.fixture(scope='session')
def shared_bench() -> Path:
    return _shared('bench')


LENGTHS = {
    'run_a': 20,
    'run_b': 31,
    'jump_a': 25,
    'jump_b': 40,
    'both': 28,
    'none': 22,
    'test_run': 30,
    'test_jump': 26,
}
WIDTH = 8


@dataclass
class DataRoot:
    """Change ``database`` and ``sidecar`` or the files, then ``write()``."""

    path: Path
    database: dict
    sidecar: dict | None
    top: dict

    @property
    def features(self) -> Path:
        return self.path / 'features'

    def feature(self, video_id: str) -> Path:
        return self.features / f'{video_id}.npy'

    def write(self) -> str:
        (self.path / 'annotations.json').write_text(json.dumps({**self.top, 'database': self.database}))
        if self.sidecar is not None:
            (self.features / 'features.json').write_text(json.dumps(self.sidecar))
        return str(self.path)


@pytest.fixture
def data_root(tmp_path: Path) -> DataRoot:
    """Six training videos of the classes run and jump, two test videos; stride 16 at 25 frames a second."""
    root = tmp_path / 'root'
    (root / 'features').mkdir(parents=True)
    rng = np.random.default_rng(0)
    database, videos = {}, {}
    for video_id, length in LENGTHS.items():
        np.save(root / 'features' / f'{video_id}.npy', rng.standard_normal((length, WIDTH)).astype(np.float32))
        names = [name for name in ('run', 'jump') if name in video_id or video_id == 'both']
        duration = length * 0.64
        videos[video_id] = {'frames': length * 16, 'duration': duration, 'snippets': length}
        database[video_id] = {
            'subset': 'test' if video_id.startswith('test') else 'training',
            'duration': duration,
            'annotations': [{'label': n, 'segment': [1.2345678 + i, 3.8765432 + i]} for i, n in enumerate(names)],
        }
    sidecar = {'fps': 25, 'stride': 16, 'window': 16, 'width': WIDTH, 'videos': videos}
    return DataRoot(path=root, database=database, sidecar=sidecar, top={'classes': ['run', 'jump']})


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Collects what is logged."""
    messages: list[str] = []

    def collect(message: str, logger: object = None, level: int = 0) -> None:
        assert logger is not None, 'print_log without a logger prints'
        messages.append(f'{level} {message}')

    for module in ('wtal_dataset', 'records', 'selection'):
        monkeypatch.setattr(f'mmwtal.datasets.{module}.print_log', collect)
    monkeypatch.setattr('mmwtal.datasets.samplers.class_pair_sampler.print_log', collect)
    return lambda: '\n'.join(messages)

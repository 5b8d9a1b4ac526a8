"""The ceiling: an attention taught by the segments, at the right places of whatever snippets were drawn."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mmwtal.datasets.transforms.formatting import PackWTALInputs
from mmwtal.datasets.transforms.sampling import SampleSnippets
from mmwtal.models.guidance.oracle import GroundTruthOracle
from mmwtal.structures import LocalizerOutput, Timebase, WTALDataSample
from mmwtal.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
# Snippets of .64 s; the segments are those of the snippets 5 to 9 and 20.
SEGMENTS = [[3.2, 6.4], [12.8, 13.44]]
INSIDE = [5, 6, 7, 8, 9, 20]


@pytest.fixture
def oracle(tmp_path: Path) -> GroundTruthOracle:
    annotations = [{'label': 'Jump', 'segment': segment} for segment in SEGMENTS]
    database = {
        'v': {'subset': 'training', 'duration': 19.2, 'annotations': annotations},
        'empty': {'subset': 'training', 'labels': ['Jump'], 'annotations': []},
        'unknown': {'subset': 'training', 'labels': ['Jump']},
        'other': {'subset': 'test', 'duration': 19.2, 'annotations': annotations},
    }
    (tmp_path / 'annotations.json').write_text(json.dumps({'classes': ['Jump'], 'database': database}))
    return GroundTruthOracle(data_root=tmp_path, loss_weight=2.0)


def sampled(video_id: str, mode: str, length: int | None, seed: int) -> tuple[torch.Tensor, WTALDataSample]:
    """Return the numbers of the snippets that the pipeline took of 30, and the data sample."""
    record = {
        'video_id': video_id,
        'feature': np.arange(30, dtype=np.float32)[:, None],
        'feature_path': f'{video_id}.npy',
        'timebase': Timebase(fps=25, stride=16, duration=19.2),
        'rng': np.random.default_rng(seed),
        'num_classes': 1,
        'label_ids': np.array([0]),
    }
    packed = PackWTALInputs()(SampleSnippets(mode=mode, length=length)(record))
    return packed['inputs'][:, 0], packed['data_samples']


def output(attn: torch.Tensor, mask: torch.Tensor) -> LocalizerOutput:
    cas = torch.zeros(*mask.shape, 2)
    return LocalizerOutput(feat=cas, attn=attn[..., None], cas=cas, has_background=True, mask=mask)


@pytest.mark.parametrize(
    ('mode', 'length'), [('full', None), ('uniform', 17), ('random_perturb', 17), ('random_perturb', 71)]
)
@pytest.mark.parametrize('seed', range(3))
def test_the_target_is_the_truth_of_the_snippets_that_were_drawn(
    oracle: GroundTruthOracle, mode: str, length: int | None, seed: int
) -> None:
    taken, sample = sampled('v', mode, length, seed)
    truth = torch.isin(taken, torch.tensor(INSIDE, dtype=taken.dtype)).float()[None]
    mask = torch.ones_like(truth, dtype=torch.bool)
    assert 0 < truth.sum() < truth.numel()
    right = oracle(None, output(truth, mask), [sample])
    assert right == {'loss_oracle': pytest.approx(0.0)}
    wrong = oracle(None, output(1 - truth, mask), [sample])
    assert wrong['loss_oracle'] == pytest.approx(2.0)


def test_padding_and_videos_without_segments_teach_nothing(oracle: GroundTruthOracle) -> None:
    samples = [sampled('v', 'uniform', 17, 0), sampled('unknown', 'uniform', 9, 0)]
    attn = torch.full((2, 20), 0.3).requires_grad_()
    mask = torch.arange(20) < torch.tensor([[17], [9]])
    loss = oracle(None, output(attn.masked_fill(~mask, torch.nan), mask), [sample for _, sample in samples])
    loss['loss_oracle'].backward()
    assert torch.isfinite(attn.grad).all()
    assert (attn.grad[0, :17] != 0).all()
    assert not attn.grad[0, 17:].any()
    assert not attn.grad[1].any()


def test_a_video_without_actions_is_all_background(oracle: GroundTruthOracle) -> None:
    _, sample = sampled('empty', 'uniform', 10, 0)
    attn = torch.full((1, 10), 0.5)
    assert oracle(None, output(attn, torch.ones(1, 10, dtype=torch.bool)), [sample])['loss_oracle'] == 0.5


def test_segments_of_test_videos_are_not_read(oracle: GroundTruthOracle) -> None:
    _, sample = sampled('other', 'uniform', 10, 0)
    attn = torch.full((1, 10), 0.5)
    assert oracle(None, output(attn, torch.ones(1, 10, dtype=torch.bool)), [sample])['loss_oracle'] == 0


def test_snippets_that_went_astray_are_told(oracle: GroundTruthOracle) -> None:
    _, sample = sampled('v', 'uniform', 10, 0)
    with pytest.raises(UserError, match='saw 9 snippets, its sample states the positions of 10'):
        oracle(None, output(torch.zeros(1, 9), torch.ones(1, 9, dtype=torch.bool)), [sample])


def test_it_warns_and_needs_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, oracle: GroundTruthOracle
) -> None:
    said = []
    monkeypatch.setattr(
        'mmwtal.models.guidance.oracle.print_log', lambda *words, level, **_: said.append((level, *words))
    )
    GroundTruthOracle(data_root=tmp_path)
    [(level, text)] = said
    assert level == logging.WARNING
    assert 'SEGMENTS of 2 training videos' in text
    (tmp_path / 'annotations.json').write_text(json.dumps({'database': {'v': {'subset': 'training', 'labels': ['A']}}}))
    with pytest.raises(UserError, match='states no segment of a training video'):
        GroundTruthOracle(data_root=tmp_path)


def test_no_config_uses_it_but_plans_of_ablations() -> None:
    files = [path for path in (ROOT / 'configs').rglob('*') if path.suffix in ('.py', '.yml', '.md')]
    users = {
        path.relative_to(ROOT / 'configs').parts[0] for path in files if re.search('oracle', path.read_text(), re.I)
    }
    assert users <= {'ablations'}

"""UM against numbers that its authors' code gave."""

import json

import numpy as np
import torch
from mmengine.config import Config

from .parity import ROOT, ParityRun, assert_close, assert_stored, assert_totals, read_golden, run_parity

# The authors' code returns its terms before weighting.
WEIGHTS = {'loss_cls': 1.0, 'loss_um': 5e-4, 'loss_be': 1.0}
NAMES = {name: name for name in WEIGHTS}


def run(golden: dict, labels: torch.Tensor, width: int, **backbone) -> ParityRun:
    golden['losses'] = {name: WEIGHTS[name] * value for name, value in golden['losses'].items() if name in WEIGHTS}
    model = Config.fromfile(ROOT / 'configs/_base_/models/um.py').model
    model.update(num_classes=labels.shape[1], in_channels=width)
    model.backbone.update(backbone)
    return run_parity(model, base='um', shapes=golden['keys'], length=golden['T'], labels=labels, seed=golden['seed'])


def test_stored_numbers_of_a_narrow_model():
    golden = read_golden('um_small.json')
    found = run(golden, golden['labels'], golden['width'], hidden_channels=golden['hidden'])
    assert_stored(found, golden, NAMES)
    assert_close(found.output.extras['magnitude'][:, ::6], golden['magnitude'])
    assert not found.output.has_background


def test_published_size(shared_golden):
    golden = json.loads((shared_golden / 'um.json').read_text())
    arrays = np.load(shared_golden / 'um.npz')
    found = run(golden, torch.from_numpy(arrays['labels']), 2048)
    magnitude = torch.from_numpy(arrays['magnitude']).reshape(found.output.attn.shape)
    assert_close(found.output.extras['magnitude'], magnitude)
    assert_close(found.output.attn, magnitude / magnitude.amax(dim=1, keepdim=True))
    assert_close(found.output.cas.softmax(dim=-1), arrays['cas_softmax'])
    assert_close(found.output.feat[:, ::4, ::64], arrays['feat'])
    assert_totals(found, golden, NAMES)

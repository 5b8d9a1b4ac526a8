"""BaS-Net against numbers that its authors' code gave."""

import json

import numpy as np
import torch
from mmengine.config import Config

from mmwtal.decoders.pooling import topk_mean

from .parity import ROOT, ParityRun, assert_close, assert_stored, assert_totals, read_golden, run_parity

# The authors' code returns its terms before weighting.
WEIGHTS = {'loss_base': 1.0, 'loss_supp': 1.0, 'loss_norm': 1e-4}
NAMES = {name: name for name in WEIGHTS}


def run(golden: dict, labels: torch.Tensor, width: int, **backbone) -> ParityRun:
    golden['losses'] = {name: WEIGHTS[name] * value for name, value in golden['losses'].items() if name in WEIGHTS}
    model = Config.fromfile(ROOT / 'configs/_base_/models/basnet.py').model
    model.update(num_classes=labels.shape[1], in_channels=width)
    model.backbone.update(backbone)
    return run_parity(
        model, base='basnet', shapes=golden['keys'], length=golden['T'], labels=labels, seed=golden['seed']
    )


def test_stored_numbers_of_a_narrow_model():
    golden = read_golden('basnet_small.json')
    found = run(golden, golden['labels'], golden['width'], hidden_channels=golden['hidden'], filter_channels=8)
    assert_stored(found, golden, NAMES)
    assert_close(found.output.extras['cas_supp'][:, ::6], golden['cas_supp'])
    assert found.output.has_background


def test_published_size(shared_golden):
    golden = json.loads((shared_golden / 'basnet.json').read_text())
    arrays = np.load(shared_golden / 'basnet.npz')
    found = run(golden, torch.from_numpy(arrays['labels']), 2048)
    output = found.output
    assert_close(output.attn, arrays['attn'])
    for name, cas in {'base': output.cas, 'supp': output.extras['cas_supp']}.items():
        assert_close(cas, arrays[f'cas_{name}'])
        assert_close(topk_mean(cas, output.mask, ratio=8).softmax(dim=-1), arrays[f'score_{name}'])
    assert_totals(found, golden, NAMES)

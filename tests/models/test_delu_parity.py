"""DELU gives the numbers of the published implementation, for weights and inputs that a recipe makes.

The model is that of the shipped configs, so that these are compared, too.
"""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config

from .parity import ROOT, assert_close, assert_stored, assert_totals, co2net_shapes, read_golden, run_parity

LOSS_NAMES = {
    'edl_loss': 'loss_evidential',
    'uct_guide_loss': 'loss_uncertainty_guide',
    'loss_mil_orig': 'loss_mil',
    'loss_mil_supp': 'loss_mil_supp',
    'loss_supp_contrastive': 'loss_coactivity',
    'mutual_loss': 'loss_mutual',
    'norm_loss': 'loss_norm',
    'guide_loss': 'loss_guide',
}


def localizer(fragment, **changes):
    model = Config.fromfile(ROOT / f'configs/_base_/models/{fragment}.py').model.to_dict()
    model['backbone']['attention_channels'] = changes.pop('attention')
    return {**model, **changes}


@pytest.mark.parametrize('fragment', ['delu', 'delu_activitynet'])
def test_stored_numbers_of_a_narrow_model(fragment):
    golden = read_golden(f'{fragment}_small.json')
    width, classes, attention = (golden[key] for key in ('width', 'num_classes', 'attention'))
    run = run_parity(
        localizer(fragment, num_classes=classes, in_channels=width, attention=attention),
        base='delu',
        shapes=co2net_shapes(width, attention, classes),
        length=golden['T'],
        labels=golden['labels'],
        seed=golden['seed'],
        progress=(golden['iteration'], golden['max_iters']),
    )
    assert_stored(run, golden, LOSS_NAMES)


def test_published_size(shared_golden):
    golden = json.loads((shared_golden / 'delu.json').read_text())
    arrays = np.load(shared_golden / 'delu.npz')
    run = run_parity(
        localizer('delu', attention=512),
        base='delu',
        shapes={key: shape for key, shape in golden['keys'].items() if not key.startswith('feat_encoder')},
        length=golden['T'],
        labels=torch.from_numpy(arrays['labels']),
        seed=golden['seed'],
        progress=(1000, 5000),
    )
    assert run.inputs[0, 0, :4].tolist() == pytest.approx(golden['x_first'])
    assert_close(run.output.cas, arrays['cas'])
    assert_close(run.output.attn, arrays['attn'])
    assert_close(run.output.extras['attn_modalities'], np.concatenate([arrays['v_atn'], arrays['f_atn']], axis=-1))
    assert_close(run.output.feat[:, ::4, ::64], arrays['feat'])
    assert_totals(run, golden, LOSS_NAMES)

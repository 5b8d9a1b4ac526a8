"""DDG-Net gives the numbers of the published implementation, for weights and inputs that a recipe makes.

The model is that of the shipped configs, so that these are compared, too.
"""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config

from .parity import ROOT, assert_close, assert_stored, assert_totals, read_golden, run_parity, with_biases

LOSS_NAMES = {
    'edl_loss': 'loss_evidential',
    'uct_guide_loss': 'loss_uncertainty_guide',
    'loss_mil_orig': 'loss_mil',
    'loss_mil_supp': 'loss_mil_supp',
    'loss_supp_contrastive': 'loss_coactivity',
    'mutual_loss': 'loss_mutual',
    'norm_loss': 'loss_norm',
    'guide_loss': 'loss_guide',
    'feat_loss': 'loss_feature_consistency',
    'complementary_loss': 'loss_complementary',
}


def localizer(fragment, *, attention, **sizes):
    model = Config.fromfile(ROOT / f'configs/_base_/models/{fragment}.py').model.to_dict()
    model['backbone']['attention_channels'] = attention
    return {**model, **sizes}


def ddgnet_shapes(width, attention, classes):
    half = width // 2
    layers = {
        f'Attn.{kind}_graph.{modality}.{depth}': (half, half, 1)
        for kind in ('action', 'background')
        for modality in range(2)
        for depth in range(2)
    }
    for modality in range(2):
        layers |= {
            f'Attn.attentions.{modality}.0': (attention, half, 3),
            f'Attn.attentions.{modality}.3': (attention, attention, 3),
            f'Attn.attentions.{modality}.5': (1, attention, 1),
        }
    layers |= {
        'fusion.0': (width, width, 1),
        'classifier.1': (width, width, 3),
        'classifier.4': (classes + 1, width, 1),
    }
    return with_biases(layers)


@pytest.mark.parametrize('fragment', ['ddgnet', 'ddgnet_activitynet'])
def test_stored_numbers_of_a_narrow_model(fragment):
    golden = read_golden(f'{fragment}_small.json')
    width, classes, attention = (golden[key] for key in ('width', 'num_classes', 'attention'))
    run = run_parity(
        localizer(fragment, attention=attention, num_classes=classes, in_channels=width),
        base='ddgnet',
        shapes=ddgnet_shapes(width, attention, classes),
        length=golden['T'],
        labels=golden['labels'],
        seed=golden['seed'],
        progress=(golden['iteration'], golden['max_iters']),
    )
    kinds = run.output.extras
    action, background = kinds['action_snippets'], kinds['background_snippets']
    assert action.any()
    assert background.any()
    assert not (action | background).all()
    assert_stored(run, golden, LOSS_NAMES)


def test_published_size(shared_golden):
    golden = json.loads((shared_golden / 'ddgnet.json').read_text())
    arrays = np.load(shared_golden / 'ddgnet.npz')
    run = run_parity(
        localizer('ddgnet', attention=512),
        base='ddgnet',
        shapes=golden['keys'],
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

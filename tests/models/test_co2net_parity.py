"""CO2-Net gives the numbers of the published implementation, for weights and inputs that a recipe makes."""

import json

import numpy as np
import pytest
import torch

from .parity import assert_close, assert_stored, assert_totals, co2net_shapes, read_golden, run_parity


def localizer(*, width, classes, attention=512, topk_ratio=7, pool_kernel=1):
    losses = {
        'loss_mil': {'type': 'TopKMILLoss', 'topk_ratio': topk_ratio},
        'loss_mil_supp': {'type': 'TopKMILLoss', 'topk_ratio': topk_ratio, 'suppressed': True},
        'loss_coactivity': {'type': 'CoActivityLoss', 'num_pairs': 3, 'margin': 0.5},
        'loss_mutual': {'type': 'AttentionMutualLoss'},
        'loss_norm': {'type': 'AttentionNormLoss', 'loss_weight': 0.8},
        'loss_guide': {'type': 'AttentionGuideLoss', 'loss_weight': 0.8},
    }
    return {
        'type': 'WTALLocalizer',
        'num_classes': classes,
        'in_channels': width,
        'backbone': {'type': 'CO2NetBackbone', 'attention_channels': attention, 'pool_kernel': pool_kernel},
        'head': {'type': 'MILHead', 'losses': losses, 'pool_kernel': pool_kernel},
    }


@pytest.mark.parametrize('file', ['co2net_small.json', 'co2net_pool_small.json'])
def test_stored_numbers_of_a_narrow_model(file):
    golden = read_golden(file)
    run = run_parity(
        localizer(
            width=golden['width'],
            classes=golden['num_classes'],
            attention=golden['attention'],
            topk_ratio=golden.get('topk_ratio', 7),
            pool_kernel=golden.get('pool_kernel', 1),
        ),
        base='co2net',
        shapes=co2net_shapes(golden['width'], golden['attention'], golden['num_classes']),
        length=golden['T'],
        labels=golden['labels'],
        seed=golden['seed'],
    )
    assert_stored(run, golden)


def test_published_size(shared_golden):
    golden = json.loads((shared_golden / 'co2net.json').read_text())
    arrays = np.load(shared_golden / 'co2net.npz')
    run = run_parity(
        localizer(width=2048, classes=20),
        base='co2net',
        shapes={key: shape for key, shape in golden['keys'].items() if not key.startswith('feat_encoder')},
        length=golden['T'],
        labels=torch.from_numpy(arrays['labels']),
        seed=golden['seed'],
    )
    assert run.inputs[0, 0, :4].tolist() == pytest.approx(golden['x_first'])
    assert_close(run.output.cas, arrays['cas'])
    assert_close(run.output.attn, arrays['attn'])
    assert_close(run.output.extras['attn_modalities'], np.concatenate([arrays['v_atn'], arrays['f_atn']], axis=-1))
    assert_close(run.output.feat[:, ::4, ::64], arrays['feat'])
    assert_totals(run, golden)

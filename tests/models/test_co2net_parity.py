"""CO2-Net gives the numbers of the published implementation, for weights and inputs that a recipe makes."""

import importlib.util
import json
import math
import zlib

import numpy as np
import pytest
import torch

from mmwtal.registry import MODELS
from mmwtal.structures import WTALDataSample


def losses(topk_ratio: int) -> dict:
    return {
        'loss_mil': {'type': 'TopKMILLoss', 'topk_ratio': topk_ratio},
        'loss_mil_supp': {'type': 'TopKMILLoss', 'topk_ratio': topk_ratio, 'suppressed': True},
        'loss_coactivity': {'type': 'CoActivityLoss', 'num_pairs': 3, 'margin': 0.5},
        'loss_mutual': {'type': 'AttentionMutualLoss'},
        'loss_norm': {'type': 'AttentionNormLoss', 'loss_weight': 0.8},
        'loss_guide': {'type': 'AttentionGuideLoss', 'loss_weight': 0.8},
    }


def recipe_weights(shapes: dict, seed: int) -> dict:
    weights = {}
    for key, shape in shapes.items():
        generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) + seed)
        scale = math.sqrt((60 if shape[0] == 1 else 2) / math.prod(shape[1:])) if len(shape) > 1 else 0.1
        weights[key] = torch.randn(shape, generator=generator) * scale
    return weights


def recipe_inputs(batch: int, length: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1000 + seed)
    scenes = torch.rand(batch, 4, width, generator=generator) ** 4
    snippets = torch.rand(batch, length, width, generator=generator) ** 4
    strength = torch.rand(batch, length, 1, generator=generator)
    return (0.6 * scenes[:, (torch.arange(length) // 5) % 4] + 0.4 * snippets) * (0.5 + strength) * 2


def official_shapes(width: int, attention: int, classes: int) -> dict:
    half, shapes = width // 2, {}
    for name in ('vAttn', 'fAttn'):
        shapes |= {f'{name}.bit_wise_attn.0': (half, half, 3), f'{name}.channel_conv.0': (half, half, 3)}
        shapes |= {f'{name}.attention.0': (attention, half, 3), f'{name}.attention.3': (attention, attention, 3)}
        shapes |= {f'{name}.attention.5': (1, attention, 1)}
    shapes |= {
        'fusion.0': (width, width, 1),
        'classifier.1': (width, width, 3),
        'classifier.4': (classes + 1, width, 1),
    }
    return {
        f'{key}.{kind}': shape if kind == 'weight' else shape[:1]
        for key, shape in shapes.items()
        for kind in ('weight', 'bias')
    }


def our_name(repo_root, key: str) -> str:
    spec = importlib.util.spec_from_file_location('official', repo_root / 'tools/model_converters/official.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    layer, _, parameter = key.rpartition('.')
    return f'{module.BASES["co2net"].renames[layer]}.{parameter}'


def run(repo_root, *, shapes, batch, length, width, attention, classes, seed, labels, topk_ratio=7, pool_kernel=1):
    """Return the output, the total loss and the norm of each gradient under the published names."""
    model = MODELS.build(
        {
            'type': 'WTALLocalizer',
            'num_classes': classes,
            'in_channels': width,
            'backbone': {
                'type': 'CO2NetBackbone',
                'attention_channels': attention,
                'pool_kernel': pool_kernel,
            },
            'head': {'type': 'MILHead', 'losses': losses(topk_ratio), 'pool_kernel': pool_kernel},
        }
    ).eval()
    names = {key: our_name(repo_root, key) for key in shapes}
    model.load_state_dict({names[key]: value for key, value in recipe_weights(shapes, seed).items()})
    inputs = recipe_inputs(batch, length, width, seed)
    samples = [WTALDataSample(video_id=str(index), labels=row) for index, row in enumerate(labels)]
    terms = model(inputs, samples, mode='loss')
    total, _ = model.parse_losses(terms)
    total.backward()
    parameters = dict(model.named_parameters())
    norms = {key: parameters[name].grad.norm().item() for key, name in names.items()}
    with torch.no_grad():
        return inputs, model(inputs), total.item(), norms


def assert_close(found: torch.Tensor, expected, relative: float = 1e-4) -> None:
    expected = torch.as_tensor(expected, dtype=found.dtype).reshape(found.shape)
    assert (found - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize('file', ['co2net_small.json', 'co2net_pool_small.json'])
def test_stored_numbers_of_a_narrow_model(repo_root, file):
    golden = json.loads((repo_root / 'tests/golden' / file).read_text())
    labels = torch.zeros(golden['B'], golden['num_classes'])
    for row, classes in zip(labels, golden['classes'], strict=True):
        row[classes] = 1
    _, output, total, norms = run(
        repo_root,
        shapes=official_shapes(golden['width'], golden['attention'], golden['num_classes']),
        batch=golden['B'],
        length=golden['T'],
        width=golden['width'],
        attention=golden['attention'],
        classes=golden['num_classes'],
        seed=golden['seed'],
        labels=labels,
        topk_ratio=golden.get('topk_ratio', 7),
        pool_kernel=golden.get('pool_kernel', 1),
    )
    assert_close(output.cas[:, ::6], golden['cas'])
    if 'attn_modalities' in golden:
        assert_close(output.extras['attn_modalities'][:, ::6], golden['attn_modalities'])
    assert_close(output.attn[:, ::6], golden['attn'])
    assert_close(output.feat[:, ::6, ::8], golden['feat'])
    assert total == pytest.approx(golden['total_loss'], rel=1e-4)
    assert norms == pytest.approx(golden['grad_norms'], rel=1e-3)


def test_published_size(repo_root, shared_golden):
    golden = json.loads((shared_golden / 'co2net.json').read_text())
    arrays = np.load(shared_golden / 'co2net.npz')
    inputs, output, total, norms = run(
        repo_root,
        shapes={key: shape for key, shape in golden['keys'].items() if not key.startswith('feat_encoder')},
        batch=golden['B'],
        length=golden['T'],
        width=2048,
        attention=512,
        classes=20,
        seed=golden['seed'],
        labels=torch.from_numpy(arrays['labels']),
    )
    assert inputs[0, 0, :4].tolist() == pytest.approx(golden['x_first'])
    assert_close(output.cas, arrays['cas'])
    assert_close(output.attn, arrays['attn'])
    assert_close(output.extras['attn_modalities'], np.concatenate([arrays['v_atn'], arrays['f_atn']], axis=-1))
    assert_close(output.feat[:, ::4, ::64], arrays['feat'])
    assert total == pytest.approx(golden['total_loss'], rel=1e-4)
    assert norms == pytest.approx(golden['grad_norms'], rel=1e-3)
